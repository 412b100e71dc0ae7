//! `sample`: keeps a share of the rows, always the same ones.

use std::sync::Arc;

use arrow::array::BooleanArray;
use weir_model::Compiler;
use xxhash_rust::xxh3::Xxh3;

use super::row_hash::row_hashes;
use super::{Operator, Outcome, PlanFault};
use crate::Effect;
use crate::compiled::{Compiled, Trouble};
use crate::rows::Rows;

/// Keeps a share of the rows. Which ones is told by a hash: of the keys, so that rows of the same keys are all kept or
/// all not, or without keys of the row's position. A replay keeps the same rows; the others count as filtered.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplePlan {
    /// The share that is kept, from 0 to 1.
    pub keep: f64,
    /// The keys, as expressions; without any, the position of the row decides.
    pub by: Vec<String>,
}

impl SamplePlan {
    pub(super) fn check(&self) -> Result<(), PlanFault> {
        if (0.0..=1.0).contains(&self.keep) {
            return Ok(());
        }
        Err(PlanFault::new("keep", format!("the share {} is not between 0 and 1", self.keep)))
    }
}

#[derive(Debug)]
pub(crate) struct Sample {
    /// Rows whose hash is below this are kept.
    below: u128,
    by: Compiled,
}

impl Sample {
    pub(crate) fn new(plan: &SamplePlan, compiler: Arc<dyn Compiler>) -> Self {
        // 2^64 is a power of two: the product is exact.
        let below = (plan.keep * 18_446_744_073_709_551_616.0) as u128;
        Self { below, by: Compiled::new(plan.by.clone(), compiler) }
    }

    fn keeps(&self, hash: u64) -> bool {
        u128::from(hash) < self.below
    }
}

impl Operator for Sample {
    fn take(&mut self, _port: usize, rows: &Rows, _effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let keys = self.by.evaluate(&rows.columns)?;
        let keep: BooleanArray = if keys.is_empty() {
            let origin = rows.origin.as_ref();
            let origin = origin.ok_or_else(|| {
                Trouble::Types("results have no position that could decide: sample them `by` a column".to_owned())
            })?;
            let hash = |offset: &u64| {
                let mut hash = Xxh3::new();
                hash.update(origin.partition.as_str().as_bytes());
                hash.update(&offset.to_le_bytes());
                hash.digest()
            };
            origin.offsets.iter().map(|offset| Some(self.keeps(hash(offset)))).collect()
        } else {
            row_hashes(&keys, rows.len())?.into_iter().map(|hash| Some(self.keeps(hash as u64))).collect()
        };
        let kept = rows.filter(&keep);
        Ok(Outcome { filtered: (rows.len() - kept.len()) as u64, ..Outcome::passes(kept) })
    }
}
