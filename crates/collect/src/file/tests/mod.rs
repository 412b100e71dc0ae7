#![allow(clippy::unwrap_used)]
//! Stories of files: what is found, what becomes of it, and what is said about it.

mod bounded;
mod compressed;
mod followed;
mod restarts;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use weir_model::{ByteSize, DurationText, Framer, Positions, Source, SourceEvent};

use super::{FileConfig, FileSource};
use crate::framers::{Events, Lines};

/// A folder with files, and what reading it brought so far.
struct Story {
    folder: TempDir,
    config: FileConfig,
    framer: Arc<dyn Framer>,
    positions: Positions,
    source: Option<FileSource>,
}

impl Story {
    /// The files of a new folder whose names match `pattern`, read once.
    fn once(pattern: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let pattern = folder.path().join(pattern).to_str().unwrap().to_owned();
        let config = FileConfig { max_record_bytes: ByteSize(64), ..FileConfig::new([pattern]).once() };
        Self { folder, config, framer: Arc::new(Lines), positions: Positions::new(), source: None }
    }

    /// The same, followed.
    fn followed(pattern: &str) -> Self {
        let mut story = Self::once(pattern);
        story.config.follow = true;
        story.config.poll = DurationText::millis(250);
        story
    }

    fn with_events(mut self) -> Self {
        self.framer = Arc::new(Events);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.exists() {
            fs::write(path, content).unwrap();
        } else {
            // A new file appears whole: whoever follows the folder must not find it empty in some runs.
            let unseen = self.path(".unseen");
            fs::write(&unseen, content).unwrap();
            fs::rename(unseen, path).unwrap();
        }
        self
    }

    fn append(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let mut file = fs::OpenOptions::new().append(true).open(self.path(name)).unwrap();
        file.write_all(content.as_ref()).unwrap();
        self
    }

    fn rename(&self, from: &str, to: &str) -> &Self {
        fs::rename(self.path(from), self.path(to)).unwrap();
        self
    }

    /// Opens the source at the positions that were reached.
    async fn start(&mut self) {
        let mut source = FileSource::open("logs", &self.config, self.framer.clone()).unwrap();
        source.seek(&self.positions).await.unwrap();
        self.source = Some(source);
    }

    fn refusal(&self) -> String {
        match FileSource::open("logs", &self.config, self.framer.clone()) {
            Ok(_) => "no refusal".to_owned(),
            Err(error) => self.shown(&error.to_string()),
        }
    }

    fn shown(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }

    /// The next thing that happens, as one line per record; keeps the positions.
    async fn next(&mut self) -> String {
        let event = self.source.as_mut().unwrap().next().await.unwrap();
        let text = match event {
            SourceEvent::PartitionAdded(id) => format!("+ {id}\n"),
            SourceEvent::CaughtUp(id) => format!("= {id}\n"),
            SourceEvent::PartitionFinished(id) => {
                self.positions.entry(id.clone()).or_default().finished = true;
                format!("- {id}\n")
            }
            SourceEvent::Trouble { message, .. } => format!("! {message}\n"),
            SourceEvent::End => "end\n".to_owned(),
            SourceEvent::Records(raw) => {
                let show = |span| {
                    let text = String::from_utf8_lossy(raw.record(span)).escape_debug().to_string();
                    let cut = if span.is_truncated() { format!(" of {}", span.original_bytes) } else { String::new() };
                    format!("{} {} {text}{cut}\n", raw.partition, span.offset)
                };
                let text = raw.records.iter().map(show).collect();
                self.positions.insert(raw.partition.clone(), raw.next.clone());
                text
            }
        };
        self.shown(&text)
    }

    /// Everything that happens until `last` has happened, sorted into one text.
    async fn until(&mut self, last: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(&format!("{last}\n")) {
            let next = tokio::time::timeout(Duration::from_secs(60), self.next());
            text += &next.await.unwrap_or_else(|_| panic!("{last} did not happen after\n{text}"));
        }
        text
    }

    /// A whole run over files that are read once.
    async fn run(&mut self) -> String {
        self.start().await;
        self.until("end").await
    }
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}
