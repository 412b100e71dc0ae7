//! The rows that a batch of rows finds on the other side of a join, and where their columns are. Of runs that are not in
//! memory only these rows are kept, so that one of them at a time is.

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::runs::time_at;
use super::side::columns_of;
use crate::keys::{Digest, digests_of_column};

/// What a row asks for: rows with its key and a time from `first` to `last`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Which row asks.
    pub(super) index: u32,
    pub(super) key: Digest,
    pub(super) first: i64,
    pub(super) last: i64,
}

/// A row that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Partner {
    /// Which row asked.
    pub(super) index: u32,
    pub(super) time: i64,
    /// Its number in the bucket that its time lies in.
    pub(super) row: u32,
    /// Which batch has its columns, and where.
    pub(super) batch: u32,
    pub(super) at: u32,
}

/// The rows that were found.
#[derive(Debug, Default)]
pub(super) struct Partners {
    /// By who asked, then by time, then as they came.
    pub(super) found: Vec<Partner>,
    batches: Vec<RecordBatch>,
}

impl Partners {
    /// Has the columns of rows in this batch, which gets a number.
    pub(super) fn take_batch(&mut self, batch: RecordBatch) -> u32 {
        self.batches.push(batch);
        self.batches.len() as u32 - 1
    }

    /// Brings what was found into its order, from this one on.
    pub(super) fn sort_from(&mut self, begin: usize) {
        if self.found.len() - begin > 1 {
            self.found[begin..].sort_unstable_by_key(|partner| (partner.index, partner.time, partner.row));
        }
    }

    /// Takes out of a run, the first row of which has the number `first` in its bucket, what is wanted.
    pub(super) fn pick(&mut self, run: &RecordBatch, first: usize, wanted: Vec<&Wanted>) -> SeamResult<()> {
        let mut by_key: HashMap<Digest, Vec<&Wanted>, FixedState> = HashMap::default();
        for wanted in wanted {
            by_key.entry(wanted.key).or_default().push(wanted);
        }
        let damaged = |problem: String| SeamError::new(ErrorKind::Corrupt, problem);
        let keys = digests_of_column(run.column(0)).map_err(damaged)?;
        let (number, mut picked) = (self.batches.len() as u32, Vec::new());
        for (row, key) in keys.iter().enumerate() {
            let Some(wanted) = by_key.get(key) else { continue };
            let time = time_at(run, row);
            let mut wanted = wanted.iter().filter(|wanted| (wanted.first..=wanted.last).contains(&time)).peekable();
            if wanted.peek().is_none() {
                continue;
            }
            let (at, row_number) = (picked.len() as u32, (first + row) as u32);
            picked.push(row as u32);
            let partner = |index: u32| Partner { index, time, row: row_number, batch: number, at };
            self.found.extend(wanted.map(|wanted| partner(wanted.index)));
        }
        let picked = take_record_batch(run, &UInt32Array::from(picked)).expect("rows of this run");
        self.batches.push(picked);
        Ok(())
    }

    /// The columns of some of the rows that were found, so many for each.
    pub(super) fn columns(&self, found: &[Partner], columns: usize) -> Vec<ArrayRef> {
        let found: Vec<(usize, usize)> = found.iter().map(|found| (found.batch as usize, found.at as usize)).collect();
        columns_of(&self.batches, &found, columns)
    }
}
