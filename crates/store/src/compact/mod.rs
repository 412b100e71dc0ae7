//! Many small segments become few large ones, so that a table written to every second stays quick to open.

mod choose;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{MutexGuard, PoisonError};

use weir_model::{ErrorKind, SeamResult};

use crate::segment::{Encoding, Surveyed, merge, merge_bytes};
use crate::tables::{Buried, Grave, Live, Table, segment_ref};
use crate::{SegmentRef, Store};

pub(crate) use choose::{Choice, Sizes, choose, debt};

/// What a compaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactionReport {
    /// Which table.
    pub table: String,
    /// How many segments became one.
    pub segments: usize,
    /// The rows in them.
    pub rows: u64,
    /// Bytes before.
    pub bytes_before: u64,
    /// Bytes after.
    pub bytes_after: u64,
}

/// What to merge, as it was when it was chosen.
struct Job {
    encoding: Encoding,
    inputs: Vec<Live>,
}

impl Store {
    /// Merges small neighbouring segments of one table into one, if there are enough of them. Segments of commits that
    /// recovery may go back behind are left alone. Call it until it returns `None`, from a thread that may block; the
    /// files that it replaces are deleted by [`Store::sweep`].
    ///
    /// # Errors
    /// `Retry` when the disk is full. `Corrupt` when a segment is damaged: it was put aside, call it again.
    pub fn compact_once(&self) -> SeamResult<Option<CompactionReport>> {
        self.owned()?;
        let _one_at_a_time = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((job, surveyed)) = self.next_job_in_memory()? else { return Ok(None) };
        let merged = merge(&**self.vfs(), self.path(), &job.encoding, surveyed);
        let new = merged.or_else(|error| match error.kind {
            ErrorKind::Corrupt => self.read_through(&job).and(Err(error)),
            _ => Err(error),
        })?;
        let rows: Vec<_> = job.inputs.iter().map(|input| input.row.clone()).collect();
        assert_eq!(new.rows, rows.iter().map(|row| row.rows).sum::<u64>(), "a compaction keeps every row");
        let report = CompactionReport {
            table: new.table.clone(),
            segments: rows.len(),
            rows: new.rows,
            bytes_before: rows.iter().map(|row| row.bytes).sum(),
            bytes_after: new.bytes,
        };
        let mut catalog = self.catalog();
        let now = self.now();
        let Some(id) = catalog.replace(&rows, &new, 1, now)? else { return Ok(None) };
        let mut tables = self.tables();
        let table = tables.table(&new.table);
        let first = table.live.iter().position(|live| live.row.id == rows[0].id).unwrap_or(table.live.len());
        table.live.retain(|live| !rows.contains(&live.row));
        let newest = rows.iter().max_by_key(|row| (row.epoch, &row.pipeline)).unwrap_or(&rows[0]);
        let row = crate::catalog::CatalogSegment {
            id,
            path: new.path.clone(),
            rows: new.rows,
            bytes: new.bytes,
            checksum: new.checksum,
            time_range: new.time_range,
            ..newest.clone()
        };
        let segment = segment_ref(self.path(), &row);
        table.live.insert(first.min(table.live.len()), Live { row, segment });
        tables.graves.extend(job.inputs.into_iter().map(|input| Grave {
            buried: Buried::all_of(&input.segment),
            path: input.segment.path,
            relative: Some(input.row.path),
            since: now,
            pin: input.segment.pin,
        }));
        Ok(Some(report))
    }

    /// How many segments of each table wait to be merged with others.
    ///
    /// # Errors
    /// As the catalog says.
    pub fn compaction_debt(&self) -> SeamResult<BTreeMap<String, u64>> {
        let oldest = self.catalog().oldest_epochs()?;
        let tables = self.tables();
        let sizes = self.merges();
        let of = |table: &Table| settled(table, &oldest).map(|run| debt(&refs(run), &sizes)).sum();
        Ok(tables.by_name.iter().map(|(name, table)| (name.clone(), of(table))).collect())
    }

    /// The next job with its segments: no more of them than fit into memory together. One that does not even with its neighbour
    /// is left alone from then on.
    fn next_job_in_memory(&self) -> SeamResult<Option<(Job, Vec<Surveyed>)>> {
        let most = self.config().merge_bytes_max as u64;
        while let Some(mut job) = self.next_job()? {
            let survey = |Live { segment, .. }: &Live| {
                let packed = self.packed(segment)?;
                self.sound(segment, Surveyed::new(&job.encoding, packed))
            };
            let mut surveyed = job.inputs.iter().map(survey).collect::<SeamResult<Vec<_>>>()?;
            while surveyed.len() > 1 && merge_bytes(&surveyed) > most {
                surveyed.pop();
            }
            job.inputs.truncate(surveyed.len());
            if surveyed.len() > 1 {
                return Ok(Some((job, surveyed)));
            }
            let path = &job.inputs[0].segment.path;
            tracing::debug!(path = %path.display(), "with its neighbour it takes too much memory to be merged");
            self.too_large().insert(path.clone());
        }
        Ok(None)
    }

    /// Reads all rows of a job that failed: a segment that cannot be read is put aside.
    fn read_through(&self, job: &Job) -> SeamResult<()> {
        job.inputs.iter().try_for_each(|Live { segment, .. }| {
            self.each_batch(segment, &self.packed(segment)?, &job.encoding.schema, |_| Ok(()))
        })
    }

    /// How large merges may be.
    fn merges(&self) -> Sizes {
        Sizes::in_memory_of(self.config().merge_bytes_max).without(self.too_large().clone())
    }

    fn too_large(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.too_large.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first table with something to merge.
    fn next_job(&self) -> SeamResult<Option<Job>> {
        let sizes = self.merges();
        let oldest = self.catalog().oldest_epochs()?;
        let tables = self.tables();
        for (name, table) in &tables.by_name {
            for settled in settled(table, &oldest) {
                let Some(Choice { first, count }) = choose(&refs(settled), &sizes) else { continue };
                return Ok(Some(Job {
                    encoding: table.encoding(name),
                    inputs: settled[first..first + count].to_vec(),
                }));
            }
        }
        Ok(None)
    }
}

/// Neighbours on the local disk that no recovery will take back.
fn settled<'a>(table: &'a Table, oldest: &'a BTreeMap<String, u64>) -> impl Iterator<Item = &'a [Live]> {
    let is_settled = |live: &Live| {
        live.row.object.is_none() && oldest.get(&live.row.pipeline).is_none_or(|oldest| live.row.epoch <= *oldest)
    };
    table.live.chunk_by(move |one, next| is_settled(one) == is_settled(next)).filter(move |run| is_settled(&run[0]))
}

fn refs(live: &[Live]) -> Vec<SegmentRef> {
    live.iter().map(|live| live.segment.clone()).collect()
}
