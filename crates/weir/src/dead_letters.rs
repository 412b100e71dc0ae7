//! Dead letters in a table of the store: chosen ones are given to their pipeline again through the log, or deleted.
//!
//! A letter that is given again is first appended to the log, under a key made of the letter, and then taken out of the
//! table. A crash in between leaves it in both; doing it again appends nothing, since the key is known, and takes it out.
//! The pipeline reads it from the log as from any source: its results and where it has read to are one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringViewArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use weir_log::Log;
use weir_model::{ErrorKind, SeamError, SeamResult};
use weir_serve::{ChosenLetters, DeadLetters, Purged, Replayed};
use weir_store::Store;

use crate::plan::Job;
use crate::running::replay_topic;

/// The table that they are in when none is named.
pub(crate) const TABLE: &str = "dead_letters";
/// Letters that are given again at a time.
const LETTERS_MAX: usize = 10_000;
/// Their bytes.
const LETTERS_BYTES_MAX: usize = 64 << 20;
/// Appends that wait for the disk together.
const APPENDS_MAX: usize = 256;

/// The dead letters of a store.
#[derive(Clone)]
pub(crate) struct StoredLetters {
    store: Arc<Store>,
    log: Arc<Log>,
    /// The sources of the pipelines that run; `None` when it is not known which will.
    running: Option<Arc<BTreeMap<String, BTreeSet<String>>>>,
}

/// A record that is to be given again.
struct Letter {
    pipeline: String,
    source: String,
    id: String,
    payload: Bytes,
}

impl StoredLetters {
    /// Those of a store whose pipelines are `jobs`; `None` when nobody runs on it.
    pub(crate) fn new(store: Arc<Store>, log: Arc<Log>, jobs: Option<&[Job]>) -> Self {
        let sources = |job: &Job| job.sources.iter().map(|source| source.name.clone()).collect();
        let running = |jobs: &[Job]| jobs.iter().map(|job| (job.plan.pipeline.clone(), sources(job))).collect();
        Self { store, log, running: jobs.map(|jobs| Arc::new(running(jobs))) }
    }

    /// The next letters that can be given again, and how many cannot, by reason.
    fn next(&self, table: &str, choice: &Choice) -> SeamResult<(Vec<Letter>, BTreeMap<String, u64>)> {
        let (mut letters, mut bytes, mut kept) = (Vec::new(), 0, BTreeMap::new());
        self.store.each_committed(table, |batch| {
            let rows = Rows::of(table, batch)?;
            for row in (0..batch.num_rows()).filter(|row| choice.matches(&rows, *row)) {
                match self.letter(&rows, row) {
                    Err(reason) => *kept.entry(reason).or_default() += 1,
                    Ok(letter) if letters.len() < LETTERS_MAX && bytes < LETTERS_BYTES_MAX => {
                        bytes += letter.payload.len();
                        letters.push(letter);
                    }
                    Ok(_) => {}
                }
            }
            Ok(())
        })?;
        Ok((letters, kept))
    }

    /// The record of a row, or why there is none that could be given again.
    fn letter(&self, rows: &Rows<'_>, row: usize) -> Result<Letter, String> {
        let (pipeline, id) = (rows.pipeline.value(row), rows.text(rows.id, row).unwrap_or_default());
        let kind = rows.text(rows.kind, row).unwrap_or_default();
        let source = match rows.text(rows.source, row) {
            Some(source) if kind == "record" && !id.is_empty() => source,
            _ => return Err(format!("a {kind} is not a record of a source: `weir replay` makes its results anew")),
        };
        let payload = rows.payload(row).ok_or("its bytes cannot be read")?;
        if rows.original_bytes.value(row) != payload.len() as i64 {
            return Err("only the beginning of the record was kept".to_owned());
        }
        match self.running.as_ref().map(|running| running.get(pipeline)) {
            Some(None) => Err(format!("the pipeline {pipeline} does not run")),
            Some(Some(sources)) if !sources.contains(source) => {
                Err(format!("{pipeline} has no source {source} any more"))
            }
            Some(Some(_)) | None => {
                Ok(Letter { pipeline: pipeline.to_owned(), source: source.to_owned(), id: id.to_owned(), payload })
            }
        }
    }

    async fn append(&self, letter: &Letter) -> SeamResult<()> {
        let Letter { pipeline, source, id, payload } = letter;
        let key = format!("{pipeline}/{id}/{:016x}", weir_disk::checksum_of(payload));
        self.log.append_once(&replay_topic(pipeline, source), &key, vec![payload.clone()]).await.map(drop)
    }

    async fn take_out(&self, table: String, letters: &[Letter]) -> SeamResult<u64> {
        let gone: BTreeSet<(String, String)> =
            letters.iter().map(|letter| (letter.pipeline.clone(), letter.id.clone())).collect();
        let store = Arc::clone(&self.store);
        blocking(move || {
            store.remove_committed(&table, |batch| {
                let rows = Rows::of(&table, batch)?;
                let is_gone = |row| {
                    let id = rows.text(rows.id, row).unwrap_or_default().to_owned();
                    gone.contains(&(rows.pipeline.value(row).to_owned(), id))
                };
                Ok((0..batch.num_rows()).map(|row| Some(is_gone(row))).collect())
            })
        })
        .await
    }
}

#[async_trait]
impl DeadLetters for StoredLetters {
    async fn replay(&self, chosen: ChosenLetters) -> SeamResult<Replayed> {
        let choice = Choice::of(&chosen)?;
        let table = chosen.table.unwrap_or_else(|| TABLE.to_owned());
        let mut replayed = 0;
        loop {
            let (this, of, choice) = (self.clone(), table.clone(), choice.clone());
            let (letters, kept) = blocking(move || this.next(&of, &choice)).await?;
            if letters.is_empty() {
                return Ok(Replayed { replayed, kept: kept.into_iter().collect() });
            }
            let appends: Vec<_> = letters.iter().map(|letter| self.append(letter)).collect();
            stream::iter(appends).buffered(APPENDS_MAX).try_collect::<()>().await?;
            replayed += self.take_out(table.clone(), &letters).await?;
        }
    }

    async fn purge(&self, chosen: ChosenLetters) -> SeamResult<Purged> {
        let choice = Choice::of(&chosen)?;
        let table = chosen.table.unwrap_or_else(|| TABLE.to_owned());
        let store = Arc::clone(&self.store);
        let purged = blocking(move || {
            store.remove_committed(&table, |batch| {
                let rows = Rows::of(&table, batch)?;
                Ok((0..batch.num_rows()).map(|row| Some(choice.matches(&rows, row))).collect::<BooleanArray>())
            })
        });
        Ok(Purged { purged: purged.await? })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> SeamResult<T> + Send + 'static) -> SeamResult<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(SeamError::caused(ErrorKind::Closed, "work on dead letters failed", error)))
}

/// What applies to the letters that are meant.
#[derive(Clone, Debug, Default)]
struct Choice {
    ids: BTreeSet<String>,
    pipeline: Option<String>,
    source: Option<String>,
    /// In lower case.
    reason: Option<String>,
    /// Microseconds.
    from: Option<i64>,
    to: Option<i64>,
}

impl Choice {
    fn of(chosen: &ChosenLetters) -> SeamResult<Self> {
        Ok(Self {
            ids: chosen.ids.iter().cloned().collect(),
            pipeline: chosen.pipeline.clone(),
            source: chosen.source.clone(),
            reason: chosen.reason.as_ref().map(|reason| reason.to_lowercase()),
            from: chosen.from.as_deref().map(micros).transpose()?,
            to: chosen.to.as_deref().map(micros).transpose()?,
        })
    }

    fn matches(&self, rows: &Rows<'_>, row: usize) -> bool {
        let text = |column, wanted: &Option<String>| {
            wanted.as_deref().is_none_or(|wanted| rows.text(column, row) == Some(wanted))
        };
        let time = rows.time.value(row);
        (self.ids.is_empty() || rows.text(rows.id, row).is_some_and(|id| self.ids.contains(id)))
            && text(rows.pipeline, &self.pipeline)
            && text(rows.source, &self.source)
            && self.reason.as_ref().is_none_or(|part| rows.reason.value(row).to_lowercase().contains(part))
            && self.from.is_none_or(|from| time >= from)
            && self.to.is_none_or(|to| time < to)
    }
}

/// Microseconds since 1970 of an RFC 3339 time.
pub(crate) fn micros(text: &str) -> SeamResult<i64> {
    chrono::DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_micros()).map_err(|error| {
        let message = format!("\"{text}\" is not a time such as 2026-01-31T12:00:00Z: {error}");
        SeamError::new(ErrorKind::Config, message)
    })
}

/// The columns of a batch of dead letters.
struct Rows<'a> {
    id: &'a StringViewArray,
    time: &'a arrow::array::PrimitiveArray<TimestampMicrosecondType>,
    pipeline: &'a StringViewArray,
    kind: &'a StringViewArray,
    source: &'a StringViewArray,
    reason: &'a StringViewArray,
    payload: &'a StringViewArray,
    payload_base64: &'a StringViewArray,
    original_bytes: &'a arrow::array::PrimitiveArray<Int64Type>,
}

impl<'a> Rows<'a> {
    /// # Errors
    /// `Config` when the table is not one of dead letters.
    fn of(table: &str, batch: &'a RecordBatch) -> SeamResult<Self> {
        let missing = |name: &str| {
            let message = format!("{table} is not a table of dead letters: it has no column {name} as they have it");
            SeamError::new(ErrorKind::Config, message)
        };
        let text = |name: &str| {
            batch.column_by_name(name).and_then(|column| column.as_string_view_opt()).ok_or_else(|| missing(name))
        };
        let time = batch.column_by_name("time").and_then(|column| column.as_primitive_opt());
        let original_bytes = batch.column_by_name("original_bytes").and_then(|column| column.as_primitive_opt());
        Ok(Self {
            id: text("id")?,
            time: time.ok_or_else(|| missing("time"))?,
            pipeline: text("pipeline")?,
            kind: text("kind")?,
            source: text("source")?,
            reason: text("reason")?,
            payload: text("payload")?,
            payload_base64: text("payload_base64")?,
            original_bytes: original_bytes.ok_or_else(|| missing("original_bytes"))?,
        })
    }

    fn text(&self, column: &'a StringViewArray, row: usize) -> Option<&'a str> {
        column.is_valid(row).then(|| column.value(row))
    }

    /// The bytes as they came.
    fn payload(&self, row: usize) -> Option<Bytes> {
        match self.text(self.payload_base64, row) {
            Some(encoded) => BASE64_STANDARD.decode(encoded).ok().map(Bytes::from),
            None => self.text(self.payload, row).map(|text| Bytes::copy_from_slice(text.as_bytes())),
        }
    }
}
