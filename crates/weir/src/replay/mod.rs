//! Replays: the results of a past span of event time are computed anew from the records that gave them, compared with what
//! is shown, and put in its place at once. Until then nothing that anybody sees is touched.
//!
//! ```text
//! DATA/replays/<pipeline>/lock           held by who makes a replay
//! DATA/replays/<pipeline>/live/          the tables as they were at one commit, as links; gone once they are compared
//! DATA/replays/<pipeline>/data/          a data folder of its own: the records of that commit, and what they give again
//! DATA/replays/<pipeline>/<source>.rows/ rows of a table that are read in the place of a source
//! DATA/replays/<pipeline>/<table>.gone   rows that are shown and not given again (Arrow), and `.come` the other way round
//! DATA/replays/<pipeline>/replay.json    what was compared; written last, with a checksum
//! ```
//!
//! The same moment for all: one commit of the pipeline says how far every source was read, which rows the tables had, and
//! which windows were still open. The same records are read again up to exactly there. What is exchanged afterwards is not
//! "everything of the span" but the rows that differ, each by what it says: rows that the pipeline commits meanwhile, and
//! segments that are compacted meanwhile, are not touched.

mod compare;
mod exchange;
mod gone;
mod inputs;
mod moment;
mod record;
mod rerun;
mod rows;
mod scope;

use std::fs;
use std::path::{Path, PathBuf};

use weir_disk::FileLock;
use weir_model::{ErrorKind, EventTime, SeamError, SeamResult};
use weir_store::{Store, SwapWay, TimeSpan};

use crate::exit::Failure;
use crate::plan::Job;
use crate::progress::Progress;

pub(crate) use exchange::StoredReplays;
pub use inputs::Input;
pub use record::{Example, OtherOutput, Record, TableRecord};

use moment::Moment;
use scope::Scope;

/// Which span is asked for; without a side as far as possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// In microseconds.
    pub from: Option<i64>,
    /// In microseconds.
    pub to: Option<i64>,
}

/// The folder of a pipeline's replay.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Of `pipeline`, in the data folder `data`.
    ///
    /// # Errors
    /// `Config` when that is no name of a pipeline.
    pub(crate) fn of(data: &Path, pipeline: &str) -> SeamResult<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if pipeline.is_empty() || pipeline.starts_with('.') || !pipeline.bytes().all(is_plain) {
            return Err(refused(format!("\"{}\" is no name of a pipeline", pipeline.escape_debug())));
        }
        Ok(Self { path: data.join("replays").join(pipeline) })
    }

    fn inside(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Takes the lock of the folder, which is created if needed.
    fn lock(&self) -> SeamResult<FileLock> {
        fs::create_dir_all(&self.path).map_err(|error| failed("create", &self.path, error))?;
        FileLock::take_or(&self.inside("lock"), "another replay of this pipeline is being made")
    }

    /// Removes what an earlier replay left.
    fn clear(&self) -> SeamResult<()> {
        // The record first: without it the rest is nothing.
        remove(&self.inside(record::FILE))?;
        for entry in fs::read_dir(&self.path).map_err(|error| failed("list", &self.path, error))? {
            let path = entry.map_err(|error| failed("list", &self.path, error))?.path();
            if path != self.inside("lock") {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

/// Removes a file or a folder, if it is there.
fn remove(path: &Path) -> SeamResult<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

/// Computes the results of a span anew and compares them.
///
/// # Errors
/// When the span cannot be replayed, the records cannot be read again, or it was interrupted.
pub(crate) async fn make(
    job: &Job,
    data: &Path,
    (asked, inputs): (Asked, &[Input]),
    examples: usize,
    progress: &Progress,
) -> Result<Record, Failure> {
    let data = &std::path::absolute(data).map_err(|error| failed("find", data, error))?;
    let folder = Folder::of(data, &job.plan.pipeline)?;
    if !data.join("catalog.sqlite").is_file() {
        return Err(Failure::refused(format!("{} is no data folder: nothing ever ran there", data.display())));
    }
    let _alone = folder.lock()?;
    folder.clear()?;
    let moment = Moment::take(job, data, &folder)?;
    let job = &inputs::placed(job, &moment, &folder, inputs)?;
    let scope = Scope::of(job, &moment)?;
    let span = scope.span(asked)?;
    let run = rerun::run(job, &moment, &folder, (span, inputs), progress).await?;
    let record = compare::all(job, &scope, (&moment, &run), (&folder, span), examples)?;
    record.write(&folder)?;
    remove(&folder.inside("live"))?;
    Ok(record)
}

/// What became of the last replay of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was compared.
    Compared,
    /// It was swapped in.
    In,
    /// It was swapped in and undone.
    Undone,
}

/// The last replay of `pipeline`, and what became of it.
///
/// # Errors
/// `Config` when there is none, `Corrupt` when it is damaged.
pub fn last(data: &Path, pipeline: &str) -> SeamResult<(Record, Standing)> {
    let record = Record::read(&Folder::of(data, pipeline)?)?;
    let standing = match Store::open_read_only(data)?.is_swapped(&record.id)? {
        None => Standing::Compared,
        Some(true) => Standing::In,
        Some(false) => Standing::Undone,
    };
    Ok((record, standing))
}

/// Removes the last replay of `pipeline`; what it swapped in stays.
///
/// # Errors
/// `Config` when one is being made.
pub fn discard(data: &Path, pipeline: &str) -> SeamResult<()> {
    let folder = Folder::of(data, pipeline)?;
    let alone = folder.lock()?;
    folder.clear()?;
    drop(alone);
    remove(&folder.path)
}

/// The error of doing `what` to `path` with the standard library.
fn failed(what: &str, path: &Path, error: std::io::Error) -> SeamError {
    weir_disk::disk_error(what, path, error)
}

fn refused(message: String) -> SeamError {
    SeamError::new(ErrorKind::Config, message)
}

/// The word for a way, in an address and for people.
pub(crate) fn way_of(word: &str) -> Option<SwapWay> {
    match word {
        "in" => Some(SwapWay::In),
        "out" => Some(SwapWay::Out),
        _ => None,
    }
}

/// A span as people read it.
pub fn shown(span: TimeSpan) -> String {
    let side = |micros: i64, open: &str| match micros {
        i64::MIN | i64::MAX => open.to_owned(),
        micros => EventTime::from_micros(micros).to_string(),
    };
    format!("{} to {}", side(span.from, "the beginning"), side(span.to, "the end"))
}
