//! Rows of a table that are asked for one by one, over HTTP, before the engine sees the batch that needs them.
//!
//! ```text
//!  batch ──keys──▶ cache ──the others──▶ asked, some at a time ──▶ Table of these keys ──▶ Input::Table, Input::Batch
//! ```
//!
//! The engine gets a table of exactly the keys of the next batch, and stays what it is: the same inputs give the same effects.
//! What is not promised is that somebody who is asked again after a crash, or in a replay, answers the same.
//!
//! The loop of the pipeline waits for the answers. How long is bounded by the timeout of a request, by how many are asked at a
//! time, and by a breaker, which after some failures in a row lets nobody be asked for a while.

mod answer;
mod cache;
mod key;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use weir_engine::{EnrichPlan, Table};
use weir_model::{
    Batch, BreakerConfig, Clock, Compiler, ErrorKind, Offset, Permit, ProcessingTime, SeamError, SeamResult,
};
use weir_observe::{Guarded, PipelineHandle};

use crate::outward::{Asker, Endpoint, Unanswered};
use crate::patience::Stopping;
use crate::shown_breaker::ShownBreaker;
use answer::Answer;
use cache::Cache;
use key::{Key, Keys, url_of};

/// One that is down is asked so often for one row before its failure counts.
const TRIES: u32 = 2;
/// While it is waited for somebody who is down, it is looked so often whether he is back.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// So long it is waited in one go; then the pipeline starts again from its last commit.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A table of a job whose rows are asked for one by one.
#[derive(Clone, Debug)]
pub struct JobLookup {
    /// The index of the node that looks up in it. It takes its rows right from sources.
    pub node: usize,
    /// The name of that step.
    pub step: String,
    /// The sources that it takes from.
    pub sources: Vec<usize>,
    /// Who is asked. In its URL `{column}` stands for the value of a key.
    pub endpoint: Endpoint,
    /// The declared types of columns; the others are text.
    pub schema: BTreeMap<String, DataType>,
    /// What the step needs of it.
    pub plan: EnrichPlan,
    /// How many answers are remembered.
    pub entries_max: usize,
    /// For how long a row is.
    pub ttl: Duration,
    /// For how long it is remembered that there is none.
    pub negative_ttl: Duration,
    /// How many are asked for at a time.
    pub concurrency: usize,
    /// When nobody is asked any more, and for how long.
    pub breaker: BreakerConfig,
    /// What becomes of rows for which there is no answer.
    pub on_failure: OnLookupFailure,
}

/// What becomes of rows for which there is no answer, neither a row nor that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLookupFailure {
    /// They go on with nulls.
    Keep,
    /// They wait, and everything behind them.
    Wait,
    /// They are rejected.
    DeadLetter,
}

/// All lookups of a job.
pub(super) struct Lookups {
    lookups: Vec<Lookup>,
    clock: Arc<dyn Clock>,
}

/// A batch for which everything was asked.
pub(super) struct Prepared {
    /// What the engine is to be given before it.
    pub(super) tables: Vec<(usize, Arc<Table>)>,
    /// The rows that the engine gets.
    pub(super) batch: Batch,
    /// Where the others begin, and why they are rejected.
    pub(super) rejected: Vec<(Offset, String)>,
    /// What there is to say: of each lookup that failed for some keys, how many, and why.
    pub(super) failures: Vec<(u64, String)>,
}

struct Lookup {
    job: JobLookup,
    asker: Asker,
    keys: Keys,
    cache: Cache,
    breaker: ShownBreaker,
}

/// What was found out for the keys of a batch.
#[derive(Default)]
struct Found {
    answers: BTreeMap<Key, Answer>,
    failed: BTreeMap<Key, String>,
}

impl Lookups {
    /// Asks nobody yet.
    ///
    /// # Errors
    /// When an URL or a header is none.
    pub(super) fn new(
        jobs: &[JobLookup],
        compiler: &Arc<dyn Compiler>,
        clock: Arc<dyn Clock>,
        handle: &Arc<PipelineHandle>,
    ) -> SeamResult<Self> {
        let lookups = jobs.iter().map(|job| {
            let failed = |message| SeamError::new(ErrorKind::Config, format!("{}: {message}", job.step));
            Ok(Lookup {
                asker: job.endpoint.asker().map_err(failed)?,
                keys: Keys::new(&job.plan, compiler),
                cache: Cache::new(job.entries_max),
                breaker: ShownBreaker::new(job.breaker, Guarded::Lookup(job.step.clone()), handle),
                job: job.clone(),
            })
        });
        Ok(Self { lookups: lookups.collect::<SeamResult<_>>()?, clock })
    }

    /// Asks for what a batch needs. `None` when everything is to stop before all was answered: nothing has happened then.
    ///
    /// # Errors
    /// `Retry` when it was waited too long.
    pub(super) async fn prepare(
        &mut self,
        source: usize,
        batch: Batch,
        stopping: &mut Stopping,
    ) -> SeamResult<Option<Prepared>> {
        let mut prepared = Prepared { tables: Vec::new(), batch, rejected: Vec::new(), failures: Vec::new() };
        for lookup in self.lookups.iter_mut().filter(|lookup| lookup.job.sources.contains(&source)) {
            let keys = lookup.keys.of(&prepared.batch.columns);
            let wanted: BTreeSet<Key> = keys.iter().flatten().cloned().collect();
            let Some(found) = lookup.find(wanted, self.clock.as_ref(), stopping).await? else { return Ok(None) };
            if let Some(reason) = found.failed.values().next() {
                let (step, keys) = (&lookup.job.step, found.failed.len() as u64);
                prepared.failures.push((keys, format!("{step}: {keys} keys were asked for in vain: {reason}")));
            }
            if lookup.job.on_failure == OnLookupFailure::DeadLetter && !found.failed.is_empty() {
                prepared.reject(&lookup.job.step, &keys, &found.failed);
            }
            prepared.tables.push((lookup.job.node, Arc::new(lookup.table(&found)?)));
        }
        Ok(Some(prepared))
    }
}

impl Prepared {
    /// Takes the rows out whose keys have failed.
    fn reject(&mut self, step: &str, keys: &[Option<Key>], failed: &BTreeMap<Key, String>) {
        let reason = |key: &Option<Key>| key.as_ref().and_then(|key| failed.get(key));
        let rows = keys.iter().enumerate().filter_map(|(row, key)| Some((row, reason(key)?)));
        let offsets = self.batch.offsets.clone();
        self.rejected.extend(rows.map(|(row, reason)| (Offset(offsets[row]), format!("{step}: {reason}"))));
        let keep: Vec<bool> = keys.iter().map(|key| reason(key).is_none()).collect();
        let kept = |row: &usize| keep[*row];
        let rows = 0..keep.len();
        if self.batch.is_timed() {
            self.batch.times = rows.clone().filter(kept).map(|row| self.batch.times[row]).collect();
        }
        self.batch.offsets = rows.filter(kept).map(|row| offsets[row]).collect();
        let columns = filter_record_batch(&self.batch.columns, &BooleanArray::from(keep));
        self.batch.columns = columns.expect("the filter is as long as the batch");
    }
}

impl Lookup {
    /// The answers for `wanted`.
    async fn find(
        &mut self,
        mut wanted: BTreeSet<Key>,
        clock: &dyn Clock,
        stopping: &mut Stopping,
    ) -> SeamResult<Option<Found>> {
        let (began, mut found) = (tokio::time::Instant::now(), Found::default());
        loop {
            let now = clock.now();
            wanted.retain(|key| match self.cache.get(key, now) {
                Some(answer) => {
                    found.answers.insert(key.clone(), answer);
                    false
                }
                None => true,
            });
            tokio::select! {
                biased;
                () = stopping.asked() => return Ok(None),
                () = self.ask(&wanted, &mut found, clock) => {}
            }
            if found.failed.is_empty() || self.job.on_failure != OnLookupFailure::Wait {
                return Ok(Some(found));
            }
            let (step, reason) = (&self.job.step, found.failed.values().next().cloned().unwrap_or_default());
            if began.elapsed() >= WAIT_MAX {
                let message = format!("{step}: there was no answer for {WAIT_MAX:?}: {reason}");
                return Err(SeamError::new(ErrorKind::Retry, message));
            }
            wanted = std::mem::take(&mut found.failed).into_keys().collect();
            tokio::select! {
                biased;
                () = stopping.asked() => return Ok(None),
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Asks for rows, some at a time.
    async fn ask(&mut self, wanted: &BTreeSet<Key>, found: &mut Found, clock: &dyn Clock) {
        let mut waiting = wanted.iter();
        let mut asked = FuturesUnordered::new();
        loop {
            while asked.len() < self.job.concurrency {
                let Some(key) = waiting.next() else { break };
                let Some(url) = url_of(&self.job.endpoint.url, &self.job.plan, key) else {
                    found.answers.insert(key.clone(), Answer::None);
                    continue;
                };
                match self.breaker.permit(clock.now()) {
                    Ok(permit) => asked.push(one(self.asker.clone(), key, url, permit)),
                    Err(_) => {
                        drop(found.failed.insert(key.clone(), "nobody is asked: it has failed too often".to_owned()))
                    }
                }
            }
            let Some((key, permit, answer)) = asked.next().await else { return };
            match answer {
                Ok(answer) => {
                    self.breaker.succeeded(permit);
                    self.remember(key, &answer, clock.now());
                    found.answers.insert(key.clone(), answer);
                }
                Err(unanswered) => {
                    match &unanswered {
                        Unanswered::Down(_) => self.breaker.failed(permit, clock.now(), None),
                        // It is there, and says no.
                        Unanswered::Refused(_) => self.breaker.succeeded(permit),
                    }
                    found.failed.insert(key.clone(), unanswered.message());
                }
            }
        }
    }

    fn remember(&mut self, key: &Key, answer: &Answer, now: ProcessingTime) {
        let length = if matches!(answer, Answer::None) { self.job.negative_ttl } else { self.job.ttl };
        let length = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
        let until = ProcessingTime::from_micros(now.micros().saturating_add(length));
        self.cache.insert(key.clone(), answer.clone(), until);
    }

    /// A table of what was found.
    fn table(&self, found: &Found) -> SeamResult<Table> {
        let keeps = self.job.on_failure == OnLookupFailure::Keep;
        let failed = found.failed.keys().filter(|_| keeps).map(|key| (key, None));
        let rows = found.answers.iter().filter_map(|(key, answer)| match answer {
            Answer::Row(values) => Some((key, Some(values))),
            Answer::None => None,
        });
        let rows: Vec<_> = rows.chain(failed).collect();
        let columns = answer::columns(&self.job.plan, &self.job.schema, &rows);
        let table = Table::new(&self.job.plan, self.job.endpoint.shown(), &columns);
        table.map_err(|error| SeamError::new(ErrorKind::Config, format!("{}: {error}", self.job.step)))
    }
}

/// Asks for one row.
async fn one(asker: Asker, key: &Key, url: String, permit: Permit) -> (&Key, Permit, Result<Answer, Unanswered>) {
    let mut tries = 0;
    loop {
        let answer = Answer::ask(&asker, &url).await;
        tries += 1;
        if tries == TRIES || !matches!(answer, Err(Unanswered::Down(_))) {
            return (key, permit, answer);
        }
    }
}
