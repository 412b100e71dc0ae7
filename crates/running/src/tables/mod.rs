//! The tables that steps look rows up in: read before the first row, and again when their file has changed.
//!
//! ```text
//!  file ──▶ reader (a task per table) ──▶ Table ──▶ loop of the pipeline ──▶ Input::Table
//! ```
//!
//! A refresh that fails keeps the table there is, and says so on the board; what cannot be read at the start fails the
//! start, so that no row goes on without having been looked up.

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::datatypes::DataType;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use weir_engine::{EnrichPlan, Table};
use weir_model::{ErrorKind, SeamError, SeamResult};

/// Tables that may wait for the loop; a reader waits with the next one.
const TABLES_WAITING_MAX: usize = 1;

/// A table of a job.
#[derive(Clone, Debug)]
pub struct JobTable {
    /// The index of the node that looks up in it.
    pub node: usize,
    /// The name of that step.
    pub step: String,
    /// The file.
    pub path: PathBuf,
    /// What is in it.
    pub format: TableFormat,
    /// How often it is looked whether the file has changed.
    pub refresh: Duration,
    /// The declared types of columns.
    pub schema: BTreeMap<String, DataType>,
    /// What the step needs of it.
    pub plan: EnrichPlan,
}

/// What is in the file of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Text with commas and a first line of names.
    Csv,
    /// A JSON object per line.
    Ndjson,
    /// Parquet.
    Parquet,
}

/// Something that happened to a table.
pub(super) enum TableNews {
    /// There is a newer one, and perhaps something to say about it.
    Newer { node: usize, table: Arc<Table>, remark: Option<String> },
    /// It cannot be read; the one before stays.
    Stays(String),
}

/// The readers of all tables of a job. Dropping it stops them.
pub(super) struct Tables {
    news: mpsc::Receiver<TableNews>,
    _readers: JoinSet<()>,
}

impl Tables {
    /// Reads every table, and goes on looking whether they change. The first tables are the first news.
    pub(super) async fn open(tables: &[JobTable]) -> SeamResult<(Self, Vec<TableNews>)> {
        let (sender, news) = mpsc::channel(TABLES_WAITING_MAX);
        let (mut first, mut readers) = (Vec::new(), JoinSet::new());
        for table in tables {
            let mut reader = Reader { job: table.clone(), seen: None, version: String::new() };
            match reader.look().await {
                Ok(Some(news)) => first.push(news),
                Ok(None) => unreachable!("a reader that has seen nothing has news"),
                // It may be on its way: a mount that is not there yet, a file that is being written.
                Err(message) => return Err(SeamError::new(ErrorKind::Retry, message)),
            }
            readers.spawn(reader.watch(sender.clone()));
        }
        Ok((Self { news, _readers: readers }, first))
    }

    /// What happened since the last time, one by one.
    pub(super) fn next(&mut self) -> Option<TableNews> {
        self.news.try_recv().ok()
    }
}

/// What a file looked like: when it is the same, so is what is in it.
type Seen = (u64, Option<SystemTime>);

struct Reader {
    job: JobTable,
    seen: Option<Seen>,
    version: String,
}

impl Reader {
    async fn watch(mut self, sender: mpsc::Sender<TableNews>) {
        loop {
            tokio::time::sleep(self.job.refresh).await;
            let news = match self.look().await {
                Ok(Some(news)) => news,
                Ok(None) => continue,
                Err(message) => TableNews::Stays(format!("{message}; the version before stays")),
            };
            if sender.send(news).await.is_err() {
                return;
            }
        }
    }

    /// Reads the file, if it has changed.
    async fn look(&mut self) -> Result<Option<TableNews>, String> {
        let (job, seen) = (self.job.clone(), self.seen);
        let read = tokio::task::spawn_blocking(move || read(&job, seen)).await;
        let read = read.map_err(|error| format!("{}: reading the table panicked: {error}", self.job.step))?;
        let Some((seen, table)) = read.map_err(|message| format!("{}: {message}", self.job.step))? else {
            return Ok(None);
        };
        self.seen = Some(seen);
        if std::mem::replace(&mut self.version, table.version().to_owned()) == table.version() {
            return Ok(None);
        }
        let remark = (table.duplicates() > 0).then(|| {
            format!(
                "{}: {} rows of {} have the keys of a later one, which counts",
                self.job.step,
                table.duplicates(),
                self.job.path.display()
            )
        });
        Ok(Some(TableNews::Newer { node: self.job.node, table: Arc::new(table), remark }))
    }
}

/// Reads a table as it is now.
///
/// # Errors
/// When its file cannot be read, or lacks a column.
pub fn read_table(job: &JobTable) -> Result<Table, String> {
    let read = read(job, None).map_err(|message| format!("{}: {message}", job.step))?;
    Ok(read.expect("what was not seen before has news").1)
}

/// The table, unless its file looks as it was `seen`.
fn read(job: &JobTable, seen: Option<Seen>) -> Result<Option<(Seen, Table)>, String> {
    let looks = looks(&job.path)?;
    if seen == Some(looks) {
        return Ok(None);
    }
    let content = read::content(job)?;
    let table = Table::new(&job.plan, content.version, &content.columns);
    let table = table.map_err(|error| format!("{}: {error}", job.path.display()))?;
    Ok(Some((looks, table)))
}

fn looks(path: &Path) -> Result<Seen, String> {
    let metadata = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok((metadata.len(), metadata.modified().ok()))
}
