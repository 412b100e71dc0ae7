//! The tables that steps look rows up in: read before the first row, and again when their file, or what an URL gives, has
//! changed.
//!
//! ```text
//!  file, URL ──▶ reader (a task per table) ──▶ Table ──▶ loop of the pipeline ──▶ Input::Table
//! ```
//!
//! A refresh that fails keeps the table there is, and says so on the board; what cannot be read at the start fails the
//! start, so that no row goes on without having been looked up.

mod fetch;
#[cfg(test)]
pub(crate) mod http_tests;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::datatypes::DataType;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use weir_engine::{EnrichPlan, Table};
use weir_model::{ErrorKind, SeamError, SeamResult};

use crate::outward::Endpoint;
use fetch::Fetcher;

/// Tables that may wait for the loop; a reader waits with the next one.
const TABLES_WAITING_MAX: usize = 1;

/// A table of a job.
#[derive(Clone, Debug)]
pub struct JobTable {
    /// The index of the node that looks up in it.
    pub node: usize,
    /// The name of that step.
    pub step: String,
    /// Where it is.
    pub place: TablePlace,
    /// What is in it.
    pub format: TableFormat,
    /// How often it is looked whether it has changed.
    pub refresh: Duration,
    /// The declared types of columns.
    pub schema: BTreeMap<String, DataType>,
    /// What the step needs of it.
    pub plan: EnrichPlan,
}

/// Where a table is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TablePlace {
    /// In a file.
    File(PathBuf),
    /// Where an URL leads.
    Http(Endpoint),
}

impl fmt::Display for TablePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Http(endpoint) => f.write_str(&endpoint.shown()),
        }
    }
}

/// What is in a table's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Text with commas and a first line of names.
    Csv,
    /// A JSON object per line.
    Ndjson,
    /// A JSON array of objects, or an object per line.
    Json,
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
            let mut reader = Reader::new(table).map_err(|message| SeamError::new(ErrorKind::Config, message))?;
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
    way: Way,
    version: String,
}

/// How a table is reached.
enum Way {
    File(PathBuf, Option<Seen>),
    Http(Fetcher),
}

impl Reader {
    fn new(job: &JobTable) -> Result<Self, String> {
        let way = match &job.place {
            TablePlace::File(path) => Way::File(path.clone(), None),
            TablePlace::Http(endpoint) => {
                let fetcher = Fetcher::new(endpoint).map_err(|message| format!("{}: {message}", job.step))?;
                Way::Http(fetcher)
            }
        };
        Ok(Self { job: job.clone(), way, version: String::new() })
    }

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

    /// Reads the table, if it has changed.
    async fn look(&mut self) -> Result<Option<TableNews>, String> {
        let table = self.read().await.map_err(|message| format!("{}: {message}", self.job.step))?;
        let Some(table) = table else { return Ok(None) };
        if std::mem::replace(&mut self.version, table.version().to_owned()) == table.version() {
            return Ok(None);
        }
        let remark = (table.duplicates() > 0).then(|| {
            format!(
                "{}: {} rows of {} have the keys of a later one, which counts",
                self.job.step,
                table.duplicates(),
                self.job.place
            )
        });
        Ok(Some(TableNews::Newer { node: self.job.node, table: Arc::new(table), remark }))
    }

    /// The table, unless it looks as it did when it was last read well.
    async fn read(&mut self) -> Result<Option<Table>, String> {
        let job = self.job.clone();
        match &mut self.way {
            Way::File(path, seen) => {
                let (path, before) = (path.clone(), *seen);
                let Some((looks, table)) = blocking(move || read_file(&job, &path, before)).await? else {
                    return Ok(None);
                };
                *seen = Some(looks);
                Ok(Some(table))
            }
            Way::Http(fetcher) => {
                let Some(fetched) = fetcher.fetch().await? else { return Ok(None) };
                let body = fetched.body.clone();
                let table = blocking(move || table_of(&job, &body)).await?;
                fetcher.took(fetched);
                Ok(Some(table))
            }
        }
    }
}

/// Does what takes long where it holds nobody up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| format!("reading the table panicked: {error}"))?
}

/// Reads a table as it is now, from its file.
///
/// # Errors
/// When its file cannot be read, or lacks a column, or it is in none.
pub fn read_table(job: &JobTable) -> Result<Table, String> {
    let read = match &job.place {
        TablePlace::File(path) => read_file(job, path, None),
        TablePlace::Http(_) => Err(format!("{} is asked over HTTP, which is not done here", job.place)),
    };
    let read = read.map_err(|message| format!("{}: {message}", job.step))?;
    Ok(read.expect("what was not seen before has news").1)
}

/// The table, unless its file looks as it was `seen`.
fn read_file(job: &JobTable, path: &Path, seen: Option<Seen>) -> Result<Option<(Seen, Table)>, String> {
    let looks = looks(path)?;
    if seen == Some(looks) {
        return Ok(None);
    }
    let bytes = read::bytes(path).map_err(|message| format!("{}: {message}", path.display()))?;
    Ok(Some((looks, table_of(job, &bytes)?)))
}

fn table_of(job: &JobTable, bytes: &Bytes) -> Result<Table, String> {
    let content = read::content(job, bytes)?;
    let table = Table::new(&job.plan, content.version, &content.columns);
    table.map_err(|error| format!("{}: {error}", job.place))
}

fn looks(path: &Path) -> Result<Seen, String> {
    let metadata = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok((metadata.len(), metadata.modified().ok()))
}
