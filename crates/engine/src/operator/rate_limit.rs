//! `rate_limit`: lets so many rows pass per span of event time. It counts each partition for itself, so that which rows
//! pass depends neither on how partitions interleave nor on where a batch or a life ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::BooleanArray;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use weir_model::{Compiler, PartitionId, TimeDelta};

use super::row_hash::row_hashes;
use super::{Operator, Outcome, PlanFault};
use crate::compiled::{Compiled, Trouble};
use crate::rows::Rows;
use crate::{Effect, Run};

/// Keys of one partition that are counted at a time, over all spans that are not over; rows of others are rejected.
const KEYS_PER_PARTITION_MAX: usize = 100_000;

/// Lets so many rows pass per span of event time, per key and source partition.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimitPlan {
    /// How many rows pass.
    pub rows: u64,
    /// In which span of event time: spans begin at multiples of it. A row that comes when the watermark of its partition
    /// is in a later span is counted there.
    pub per: TimeDelta,
    /// The keys, as expressions: each combination of their values has a limit of its own.
    pub by: Vec<String>,
    /// What becomes of the other rows.
    pub over: Over,
}

/// What becomes of the rows over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// They are filtered.
    Drop,
    /// They go to the dead letters.
    DeadLetter,
}

impl RateLimitPlan {
    pub(super) fn check(&self) -> Result<(), PlanFault> {
        if self.per <= TimeDelta::ZERO {
            return Err(PlanFault::new(
                "per",
                format!("{} is no span of time: it must be longer than nothing", self.per),
            ));
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct RateLimit {
    plan: RateLimitPlan,
    by: Compiled,
    counts: BTreeMap<PartitionId, Counts>,
}

/// How many rows each span and key of a partition has had, by the number of the span and the hash of the key.
type Counts = BTreeMap<(i64, u128), u64>;

/// What a snapshot keeps: of each partition the spans, keys (hexadecimal) and counts.
#[derive(Serialize, Deserialize)]
struct Meta {
    counts: Vec<(PartitionId, Vec<Count>)>,
}

/// A span, a key (hexadecimal) and how many rows they had.
type Count = (i64, String, u64);

impl RateLimit {
    pub(crate) fn new(plan: &RateLimitPlan, compiler: Arc<dyn Compiler>) -> Self {
        let by = Compiled::new(plan.by.clone(), compiler);
        Self { plan: plan.clone(), by, counts: BTreeMap::new() }
    }
}

/// What becomes of a row.
enum Verdict {
    Passes,
    Over,
    TooManyKeys,
}

fn count(counts: &mut Counts, span: i64, key: u128, limit: u64) -> Verdict {
    let known = counts.len();
    match counts.entry((span, key)) {
        std::collections::btree_map::Entry::Occupied(mut entry) => {
            *entry.get_mut() = entry.get().saturating_add(1);
            if *entry.get() <= limit { Verdict::Passes } else { Verdict::Over }
        }
        std::collections::btree_map::Entry::Vacant(_) if known >= KEYS_PER_PARTITION_MAX => Verdict::TooManyKeys,
        std::collections::btree_map::Entry::Vacant(entry) => {
            entry.insert(1);
            if limit > 0 { Verdict::Passes } else { Verdict::Over }
        }
    }
}

impl Operator for RateLimit {
    fn take(&mut self, _port: usize, rows: &Rows, effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let origin = rows.origin.as_ref().filter(|origin| origin.times.len() == rows.len());
        let origin =
            origin.ok_or_else(|| Trouble::Types("a limit per time needs rows with an event time".to_owned()))?;
        let keys = row_hashes(&self.by.evaluate(&rows.columns)?, rows.len())?;
        let per = self.plan.per.micros();
        let counts = self.counts.entry(origin.partition.clone()).or_default();
        let mut outcome = Outcome::default();
        let mut keep = Vec::with_capacity(rows.len());
        for (row, key) in keys.into_iter().enumerate() {
            let mark = origin.marks.get(row).copied().unwrap_or(i64::MIN).div_euclid(per);
            if counts.first_key_value().is_some_and(|((span, _), _)| *span < mark) {
                *counts = counts.split_off(&(mark, 0));
            }
            let reason = match count(counts, origin.times[row].div_euclid(per).max(mark), key, self.plan.rows) {
                Verdict::Passes => {
                    keep.push(true);
                    continue;
                }
                Verdict::Over if self.plan.over == Over::Drop => {
                    keep.push(false);
                    outcome.filtered += 1;
                    continue;
                }
                Verdict::Over => format!("over the limit of {} rows per {}", self.plan.rows, self.plan.per),
                Verdict::TooManyKeys => format!(
                    "{KEYS_PER_PARTITION_MAX} keys are counted already, the limit: a coarser key or a shorter time makes fewer"
                ),
            };
            keep.push(false);
            outcome.rejected += 1;
            effects.push(origin.rejected(row, reason));
        }
        outcome.rows.push(rows.filter(&BooleanArray::from(keep)));
        Ok(outcome)
    }

    fn meta(&self) -> Option<Box<RawValue>> {
        let counts = self.counts.iter().map(|(partition, counts)| {
            let counts = counts.iter().map(|((span, key), rows)| (*span, format!("{key:x}"), *rows));
            (partition.clone(), counts.collect())
        });
        let meta = Meta { counts: counts.collect() };
        Some(to_raw_value(&meta).expect("numbers and names are JSON"))
    }

    fn restore(&mut self, meta: &RawValue, _runs: &[Run]) -> Result<(), String> {
        let meta: Meta = serde_json::from_str(meta.get()).map_err(|error| error.to_string())?;
        for (partition, counts) in meta.counts {
            let counts = counts.into_iter().map(|(span, key, rows)| {
                let key = u128::from_str_radix(&key, 16).map_err(|_| format!("the key {key} of a limit"))?;
                Ok(((span, key), rows))
            });
            self.counts.insert(partition, counts.collect::<Result<_, String>>()?);
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.counts.values().map(|counts| counts.len() * 48).sum()
    }
}
