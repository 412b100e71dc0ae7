//! `deduplicate`: of the rows with equal keys that lie close together in event time only the first that comes goes on.
//!
//! The rule, row by row in the order in which they come:
//! * A row is a duplicate if a row with equal keys went on before whose event time is less than `within` away, earlier or
//!   later. Duplicates are filtered and not remembered, so rows with equal keys that go on are at least `within` apart.
//! * A row with a key that is null equals no other row and goes on.
//! * A row whose event time is `within` or more behind the watermark (its partition's before it, or the one that the step
//!   has reached) cannot be told from a duplicate any more: it is late, or with [`LateRows::Pass`] goes on unchecked.
//!
//! How batches are cut and where a crash falls change nothing. With several partitions the first is the one that comes
//! first, so which of the equal rows goes on depends on how the partitions interleave. How many go on does not, as long
//! as all rows with equal keys lie within `within` of each other, which is what repeated deliveries do.

use std::sync::Arc;

use arrow::array::{BooleanArray, UInt32Array};
use serde_json::value::{RawValue, to_raw_value};
use weir_model::{Compiler, SeamError, SeamResult, TimeDelta, planted};

use super::{News, Operator, Outcome};
use crate::compiled::{Compiled, Trouble};
use crate::keyed::{KeyedMeta, KeyedState, Spilling};
use crate::keys::{Digest, digests};
use crate::plan::Plan;
use crate::rows::Rows;
use crate::window::LateNames;
use crate::{Effect, KeyStores, Run, RunStore};

/// A step that lets no row through twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeduplicatePlan {
    /// The keys, as expressions: rows are equal if all of these are.
    pub by: Vec<String>,
    /// How far apart in event time rows with equal keys must be for both to go on.
    pub within: TimeDelta,
    /// What becomes of rows that come when the keys of their time are forgotten already.
    pub late: LateRows,
    /// Keys that are remembered at a time; rows that would make more are rejected.
    pub keys_max: usize,
}

/// What becomes of rows that come when the keys of their time are forgotten already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LateRows {
    /// They go to the late output.
    #[default]
    Aside,
    /// They go on, perhaps for the second time.
    Pass,
}

impl DeduplicatePlan {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.by.is_empty() {
            return Err("there is no key: only one row would go on in a while".to_owned());
        }
        if self.within <= TimeDelta::ZERO {
            return Err(format!("within is {}; it must be longer than nothing", self.within));
        }
        if self.keys_max == 0 {
            return Err("keys_max is 0; it must be at least 1".to_owned());
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct Deduplicate {
    node: usize,
    name: String,
    within: i64,
    late: LateRows,
    keys_max: usize,
    expressions: Compiled,
    /// The keys of rows that went on.
    memory: Box<dyn KeyedState>,
    lost: Option<SeamError>,
    late_names: LateNames,
    reached: i64,
}

/// What becomes of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    GoesOn,
    Duplicate,
    Late,
    OverLimit,
}

impl Deduplicate {
    pub(crate) fn new(plan: &DeduplicatePlan, pipeline: &Plan, node: usize, compiler: Arc<dyn Compiler>) -> Self {
        Self {
            node,
            name: pipeline.nodes[node].name.clone(),
            within: plan.within.micros(),
            late: plan.late,
            keys_max: plan.keys_max,
            expressions: Compiled::new(plan.by.clone(), compiler),
            memory: Box::new(Spilling::new(plan.within.micros())),
            lost: None,
            late_names: LateNames::new(&pipeline.pipeline),
            reached: crate::progress::UNKNOWN,
        }
    }

    fn fate(&mut self, key: Option<Digest>, time: i64, mark: i64) -> Fate {
        if mark.max(self.reached).saturating_sub(self.within) >= time {
            return match self.late {
                LateRows::Aside => Fate::Late,
                LateRows::Pass => Fate::GoesOn,
            };
        }
        let Some(key) = key else { return Fate::GoesOn };
        if self.memory.get(key, time).is_some() {
            Fate::Duplicate
        } else if self.memory.len() >= self.keys_max {
            Fate::OverLimit
        } else {
            self.memory.put(key, time);
            Fate::GoesOn
        }
    }

    /// Tells of the rows that do not go on, and counts them.
    fn tell(&self, rows: &Rows, fates: &[Fate], effects: &mut Vec<Effect>) -> Outcome {
        let indices = |fate: Fate| {
            let rows = fates.iter().zip(0u32..).filter(|(found, _)| **found == fate);
            rows.map(|(_, row)| row).collect::<Vec<_>>()
        };
        let (over, late) = (indices(Fate::OverLimit), indices(Fate::Late));
        let mut outcome = Outcome {
            filtered: indices(Fate::Duplicate).len() as u64,
            rejected: over.len() as u64,
            late: late.len() as u64,
            ..Outcome::default()
        };
        let reason = || {
            format!(
                "{} remembers {} keys already, its limit: a shorter `within` or a higher `keys_max` makes room",
                self.name, self.keys_max
            )
        };
        rows.reject(self.node, &over, reason, effects);
        if !late.is_empty() {
            let late = rows.take(&UInt32Array::from(late));
            effects
                .push(Effect::Late { node: self.node, rows: self.late_names.rows_of_no_window(&late, self.reached) });
        }
        if fates.iter().all(|fate| *fate == Fate::GoesOn) {
            outcome.rows.push(rows.clone());
        } else {
            let keep: BooleanArray = fates.iter().map(|fate| Some(*fate == Fate::GoesOn)).collect();
            outcome.rows.push(rows.filter(&keep));
        }
        outcome
    }
}

impl Operator for Deduplicate {
    fn take(&mut self, _port: usize, rows: &Rows, effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let (times, marks) = rows.timed("deduplicate")?;
        let keys = self.expressions.evaluate(&rows.columns)?;
        let keys = digests(&keys, rows.len()).map_err(Trouble::Types)?;
        let wanted: Vec<(Digest, i64)> =
            keys.iter().zip(times.iter()).filter_map(|(key, time)| Some(((*key)?, *time))).collect();
        if let Err(lost) = self.memory.fetch(&wanted) {
            self.lost.get_or_insert(lost);
        }
        let times = times.iter().zip(marks.iter());
        let fates: Vec<Fate> =
            keys.into_iter().zip(times).map(|(key, (time, mark))| self.fate(key, *time, *mark)).collect();
        Ok(self.tell(rows, &fates, effects))
    }

    fn next_stop(&self, _reached: i64) -> i64 {
        self.memory.next_expiry().unwrap_or(i64::MAX)
    }

    fn hear(&mut self, news: News) -> Outcome {
        if let News::Reached(reached) | News::End(reached) = news {
            self.reached = reached;
            self.memory.expire(reached);
        }
        Outcome::default()
    }

    fn keep_keys_in(&mut self, step: &str, stores: &dyn KeyStores) -> SeamResult<()> {
        self.memory = Box::new(Spilling::new(self.within).in_store(stores.open(step)?));
        Ok(())
    }

    fn seal(&mut self, next_run: &mut u64) -> Vec<Run> {
        self.memory.seal(self.node, next_run)
    }

    fn meta(&self) -> Option<Box<RawValue>> {
        Some(to_raw_value(&(self.reached, self.memory.meta())).expect("numbers are JSON"))
    }

    fn restore(&mut self, meta: &RawValue, runs: &[Run]) -> Result<(), String> {
        let (reached, memory): (i64, KeyedMeta) =
            serde_json::from_str(meta.get()).map_err(|error| error.to_string())?;
        self.reached = reached;
        if planted!(DuplicatesForgotten) {
            return Ok(());
        }
        self.memory.restore(&memory, runs)
    }

    fn loads_runs_itself(&self) -> bool {
        true
    }

    fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        self.memory.release(wanted, store)
    }

    fn lost(&mut self) -> Option<SeamError> {
        self.lost.take()
    }

    fn state_bytes(&self) -> usize {
        self.memory.size()
    }
}
