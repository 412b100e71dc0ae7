//! What a session node keeps in a snapshot. Runs of states are kept as they are and named once; which sessions there are
//! is written anew each time, as columns.
//!
//! Run `sessions`: the keys `k0, k1 ...`, `start`, `end` (microseconds), `flags` (1: has changed, 2: has fired), `open_rows`,
//! `only` (the number of its partition, or null). Run `details`: `session` (its row in the other), then either `from` (a
//! partition), `start`, `end` of a span, or `revision`, `start`, `end` of a result that stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use weir_model::{EventTime, PartitionId};

use super::Sessions;
use super::living::{NOBODY, Session, SessionId, Shown};
use super::spans::{Span, Spans};
use crate::keys::{KeyId, key_columns};
use crate::run::{Run, RunRows};
use crate::snapshot::run_id;
use crate::window::table::batch;

const CHANGED: i64 = 1;
const FIRED: i64 = 2;

/// What a snapshot keeps of a session node besides its runs.
#[derive(Debug, Serialize, Deserialize)]
struct SessionMeta {
    reached: i64,
    rows_since: u64,
    kinds: Vec<Option<String>>,
    partitions: BTreeMap<PartitionId, u32>,
    /// The run `sessions`, then the run `details`, if there are sessions.
    index: Vec<u64>,
    /// The runs of states, from the oldest.
    runs: Vec<u64>,
}

impl Sessions {
    /// Every run, named: states, then the index.
    pub(super) fn save_runs(&mut self, next_run: &mut u64) -> Vec<Run> {
        self.parts.seal(&self.keys, &self.shape);
        self.parts.compact(self.limits.runs_per_pane, &mut self.living, &self.keys, &self.shape);
        let node = self.node;
        let mut runs = Vec::new();
        let mut name = |known: Option<u64>, rows: RunRows| {
            let id = known.unwrap_or_else(|| {
                *next_run += 1;
                run_id(*next_run, node, 0, rows.held())
            });
            runs.push(Run { id, node, pane: EventTime::from_micros(0), rows });
            id
        };
        for (id, rows) in self.parts.runs() {
            *id = Some(name(*id, rows.clone()));
        }
        self.index.clear();
        if self.living.len() > 0 {
            let (sessions, details) = self.index_batches();
            self.index = vec![name(None, RunRows::Held(sessions)), name(None, RunRows::Held(details))];
        }
        runs
    }

    fn index_batches(&self) -> (RecordBatch, RecordBatch) {
        let sessions: Vec<&Session> = self.living.ids().map(|id| self.living.get(id)).collect();
        let keys: Vec<KeyId> = sessions.iter().map(|session| session.key).collect();
        let long = |value: &dyn Fn(&Session) -> Option<i64>| -> ArrayRef {
            Arc::new(sessions.iter().map(|session| value(session)).collect::<Int64Array>())
        };
        let mut columns = self.keys.columns(&keys);
        let mut names: Vec<String> = (0..columns.len()).map(|index| format!("k{index}")).collect();
        names.extend(["start", "end", "flags", "open_rows", "only"].map(str::to_owned));
        let flags = |session: &Session| i64::from(session.changed) * CHANGED + i64::from(session.fired) * FIRED;
        columns.extend([
            long(&|session| Some(session.start)),
            long(&|session| Some(session.end)),
            long(&|session| Some(flags(session))),
            long(&|session| Some(session.open_rows as i64)),
            long(&|session| session.spans.parts().0.map(i64::from)),
        ]);
        let mut details: [Vec<Option<i64>>; 5] = Default::default();
        let mut add =
            |row: [Option<i64>; 5]| details.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        for (row, session) in (0i64..).zip(&sessions) {
            let spans = session.spans.parts().1.iter();
            spans.for_each(|span| add([Some(row), Some(span.from.into()), None, Some(span.start), Some(span.end)]));
            let shown = session.shown.iter();
            shown.for_each(|shown| add([Some(row), None, Some(shown.revision), Some(shown.start), Some(shown.end)]));
        }
        let rows = details[0].len();
        let details = details.map(|values| -> ArrayRef { Arc::new(Int64Array::from(values)) });
        let detail_names = ["session", "from", "revision", "start", "end"].map(str::to_owned);
        (batch(names, columns, sessions.len()), batch(detail_names.into(), details.into(), rows))
    }

    pub(super) fn save_meta(&self) -> Box<RawValue> {
        let meta = SessionMeta {
            reached: self.reached,
            rows_since: self.rows_since,
            kinds: self.shape.kinds_as_text(),
            partitions: self.partitions.clone(),
            index: self.index.clone(),
            runs: self.parts.run_ids(),
        };
        to_raw_value(&meta).expect("numbers and names are JSON")
    }

    /// Takes over what a snapshot holds.
    ///
    /// # Errors
    /// What is damaged.
    pub(super) fn load(&mut self, meta: &RawValue, runs: &[Run]) -> Result<(), String> {
        let meta: SessionMeta = serde_json::from_str(meta.get()).map_err(|error| error.to_string())?;
        (self.reached, self.rows_since, self.partitions) = (meta.reached, meta.rows_since, meta.partitions);
        self.living.gone = self.reached.saturating_sub(self.lateness);
        self.shape.read_kinds(meta.kinds)?;
        let runs: BTreeMap<u64, &Run> = runs.iter().map(|run| (run.id, run)).collect();
        let find = |id: &u64| runs.get(id).copied().ok_or_else(|| format!("the run {id} is missing"));
        let load = |run: &Run| run.rows.load(run.id).map_err(|error| error.full());
        if let [sessions, details] = &meta.index[..] {
            let ids = self.load_sessions(&load(find(sessions)?)?)?;
            self.load_details(&load(find(details)?)?, &ids)?;
        }
        for id in &meta.runs {
            let run = find(id)?;
            self.load_states(run, &load(run)?)?;
        }
        Ok(())
    }

    fn load_sessions(&mut self, columns: &RecordBatch) -> Result<Vec<SessionId>, String> {
        let keys = self.load_keys(columns)?;
        let [starts, ends, flags, open, only] =
            ["start", "end", "flags", "open_rows", "only"].map(|name| long(columns, name));
        let (starts, ends, flags, open, only) = (starts?, ends?, flags?, open?, only?);
        let mut ids = Vec::new();
        for (row, key) in keys.into_iter().enumerate() {
            let partition = only.is_valid(row).then(|| only.value(row) as u32);
            let session = Session {
                spans: partition.map_or_else(|| Spans::of(Vec::new(), (0, 0)), Spans::only),
                changed: flags.value(row) & CHANGED > 0,
                fired: flags.value(row) & FIRED > 0,
                open_rows: open.value(row) as u64,
                ..Session::new(key, (starts.value(row), ends.value(row)))
            };
            self.open_rows += session.open_rows;
            let (end, changed, fired) = (session.end, session.changed, session.fired);
            let id = self.living.insert(session);
            let is_over = end <= self.reached;
            let due = if is_over { end.saturating_add(self.lateness) } else { end };
            self.timers.at_most(id, due, &mut self.living);
            if changed && is_over {
                self.living.get_mut(id).touched = true;
                self.touched.push(id);
            }
            if changed && !fired {
                self.living.get_mut(id).listed = true;
                self.early.push(id);
            }
            ids.push(id);
        }
        Ok(ids)
    }

    fn load_details(&mut self, columns: &RecordBatch, ids: &[SessionId]) -> Result<(), String> {
        let [of, from, revision, starts, ends] =
            ["session", "from", "revision", "start", "end"].map(|name| long(columns, name));
        let (of, from, revision, starts, ends) = (of?, from?, revision?, starts?, ends?);
        let mut spans: BTreeMap<SessionId, Vec<Span>> = BTreeMap::new();
        for row in 0..columns.num_rows() {
            let id = ids.get(of.value(row) as usize).ok_or_else(|| format!("there is no session {}", of.value(row)))?;
            let (start, end) = (starts.value(row), ends.value(row));
            if from.is_valid(row) {
                spans.entry(*id).or_default().push(Span { from: from.value(row) as u32, start, end });
            } else {
                let shown = Shown { start, end, revision: revision.value(row) };
                self.living.get_mut(*id).shown.push(shown);
            }
        }
        for (id, spans) in spans {
            let session = self.living.get_mut(id);
            session.spans = Spans::of(spans, (session.start, session.end));
        }
        Ok(())
    }

    /// Gives each row of a run to the session of its key that holds its instant. A row without one is of a session that
    /// has gone.
    fn load_states(&mut self, run: &Run, columns: &RecordBatch) -> Result<(), String> {
        let keys = self.load_keys(columns)?;
        let at = long(columns, "at")?;
        let owner = |(key, at): (&KeyId, &i64)| self.living.at(*key, *at).unwrap_or(NOBODY);
        let owners: Vec<SessionId> = keys.iter().zip(at.values()).map(owner).collect();
        let parts = self.parts.restore(run, columns, owners.clone(), &self.shape);
        let parts = parts.map_err(|problem| format!("the run {}: {problem}", run.id))?;
        for (owner, part) in owners.into_iter().zip(parts).filter(|(owner, _)| *owner != NOBODY) {
            self.living.get_mut(owner).parts.push(part);
        }
        Ok(())
    }

    fn load_keys(&mut self, columns: &RecordBatch) -> Result<Vec<KeyId>, String> {
        let keys = key_columns(columns, self.shape.keys);
        if keys.len() != self.shape.keys {
            return Err(format!("a run has {} columns", columns.num_columns()));
        }
        let mut ids = Vec::new();
        self.keys.intern(keys, columns.num_rows(), &mut ids)?;
        Ok(ids)
    }
}

/// The column of this name, of microseconds or numbers.
fn long<'a>(columns: &'a RecordBatch, name: &str) -> Result<&'a Int64Array, String> {
    let column = columns.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
    column.ok_or_else(|| format!("a run has no numbers `{name}`"))
}
