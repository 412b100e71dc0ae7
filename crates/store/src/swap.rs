//! Committed rows go and others come in their place, in several tables at once: one transaction of the catalog, so that
//! whoever asks sees all of it or nothing, and a crash leaves all of it or nothing. Touches only rows of one pipeline.

use std::collections::HashMap;
use std::sync::PoisonError;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use weir_model::{Epoch, ErrorKind, NewSegment, SeamError, SeamResult};

use crate::catalog::{CatalogSegment, SwapRow};
use crate::digest::digests;
use crate::rewrite::{Change, Rewritten, renewed};
use crate::schema::adapt;
use crate::segment::{Encoding, decode, encode, in_order_of_time};
use crate::tables::{Buried, Grave, Live, segment_ref};
use crate::{Store, check_table_name};

/// Which way rows are exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapWay {
    /// The new rows come in.
    In,
    /// What an earlier exchange did is taken back.
    Out,
}

/// An exchange of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    /// Its name, by which it is done once.
    pub id: String,
    /// The pipeline whose rows are exchanged.
    pub pipeline: String,
    /// The commit of the pipeline that the new rows are as old as: recovery cannot go back behind it afterwards.
    pub since: Epoch,
    /// Which way.
    pub way: SwapWay,
}

/// What is exchanged in one table.
pub struct TableSwap<'a> {
    /// The table; it is created if it is not there.
    pub table: String,
    /// The columns of the rows that come, and more.
    pub schema: SchemaRef,
    /// The column of event times.
    pub time: Option<String>,
    /// How many rows of each digest go.
    pub go: HashMap<u128, u64>,
    /// Gives the rows that come, a batch at a time.
    pub come: Box<dyn Iterator<Item = SeamResult<RecordBatch>> + 'a>,
}

/// How much was exchanged in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSwapped {
    /// Which table.
    pub table: String,
    /// Rows that went.
    pub gone: u64,
    /// Rows that came.
    pub come: u64,
}

/// What is prepared for one table.
struct Prepared {
    table: String,
    changes: Vec<(Live, Option<NewSegment>)>,
    added: Vec<NewSegment>,
    swapped: TableSwapped,
}

impl Store {
    /// Whether the exchange `id` was made and was not taken back; `None` when nobody ever made it.
    ///
    /// # Errors
    /// As the catalog says.
    pub fn is_swapped(&self, id: &str) -> SeamResult<Option<bool>> {
        self.catalog().is_swapped(id)
    }

    /// Gives `take` the committed rows of `pipeline` in `table`, in the table's columns, a batch at a time.
    ///
    /// # Errors
    /// As [`Store::each_committed`].
    pub fn each_of_pipeline(
        &self,
        table: &str,
        pipeline: &str,
        mut take: impl FnMut(&RecordBatch) -> SeamResult<()>,
    ) -> SeamResult<()> {
        let Some((encoding, live)) = self.as_it_is(table) else { return Ok(()) };
        for live in live.iter().filter(|live| live.row.pipeline == pipeline) {
            self.each_batch(&live.segment, &self.packed(&live.segment)?, &encoding.schema, &mut take)?;
        }
        Ok(())
    }

    /// The same, a segment at a time, and the rows of each in the order of their times; those of several overlap.
    ///
    /// # Errors
    /// As [`Store::each_committed`].
    pub fn each_segment_of_pipeline(
        &self,
        table: &str,
        pipeline: &str,
        mut take: impl FnMut(&[RecordBatch]) -> SeamResult<()>,
    ) -> SeamResult<()> {
        let Some((encoding, live)) = self.as_it_is(table) else { return Ok(()) };
        for live in live.iter().filter(|live| live.row.pipeline == pipeline) {
            let batches = decode(&**self.vfs(), &live.segment, &encoding.schema)?;
            take(&in_order_of_time(&encoding.schema, batches, encoding.time_column.as_deref())?)?;
        }
        Ok(())
    }

    /// Makes the exchange. Blocks; segments that hold rows that go are written anew, the others stay as they are.
    ///
    /// # Errors
    /// `Config` when it was made already, or was not made and is to be taken back, and when a row that goes is not there:
    /// somebody has changed the table since. Nothing has happened then. Else as [`Store::compact_once`].
    pub fn swap(&self, swap: &Swap, tables: Vec<TableSwap<'_>>) -> SeamResult<Vec<TableSwapped>> {
        self.owned()?;
        // Compaction replaces segments too.
        let _one_at_a_time = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        self.may_swap(swap)?;
        let prepared =
            tables.into_iter().map(|table| self.prepare_swap(swap, table)).collect::<SeamResult<Vec<_>>>()?;
        self.publish_swap(swap, prepared)
    }

    fn may_swap(&self, swap: &Swap) -> SeamResult<()> {
        let there = self.is_swapped(&swap.id)?;
        let message = match (swap.way, there) {
            (SwapWay::In, Some(true)) => format!("{} is swapped in already", swap.id),
            (SwapWay::Out, None | Some(false)) => format!("{} is not swapped in", swap.id),
            (SwapWay::In, None | Some(false)) | (SwapWay::Out, Some(true)) => return Ok(()),
        };
        Err(SeamError::new(ErrorKind::Config, message))
    }

    fn prepare_swap(&self, swap: &Swap, of: TableSwap<'_>) -> SeamResult<Prepared> {
        let TableSwap { table, schema, time, mut go, come } = of;
        check_table_name(&table)?;
        self.declare(&table, &schema, time.as_deref())?;
        let (encoding, live) = self.as_it_is(&table).expect("it was declared just now");
        let (mut changes, mut gone) = (Vec::new(), 0);
        for live in live.into_iter().filter(|live| live.row.pipeline == swap.pipeline) {
            if go.is_empty() {
                break;
            }
            let rewritten = self.rewritten(&encoding, live, &mut |batch| {
                Ok(digests(batch)?.into_iter().map(|digest| Some(take_one(&mut go, digest))).collect())
            });
            if let Some(Rewritten { change: Change { old, new }, removed }) = rewritten? {
                gone += removed;
                changes.push((old, new));
            }
        }
        let missing: u64 = go.values().sum();
        if missing > 0 {
            let message = format!(
                "{missing} rows of the table {table} are not there any more that were compared: it was changed since; nothing \
                 was exchanged, begin the replay again"
            );
            return Err(SeamError::new(ErrorKind::Config, message));
        }
        let added = self.write_coming(&encoding, come)?;
        let come = added.iter().map(|segment| segment.rows).sum();
        Ok(Prepared { changes, added, swapped: TableSwapped { table: table.clone(), gone, come }, table })
    }

    /// Writes rows that belong to nobody yet.
    fn write_coming(
        &self,
        encoding: &Encoding,
        come: impl Iterator<Item = SeamResult<RecordBatch>>,
    ) -> SeamResult<Vec<NewSegment>> {
        let (mut added, mut waiting, mut rows) = (Vec::new(), Vec::new(), 0);
        for batch in come {
            let batch = adapt(&batch?, &encoding.schema)?;
            rows += batch.num_rows();
            waiting.push(batch);
            if rows >= self.config().segment_rows_max {
                added.push(encode(&**self.vfs(), self.path(), encoding, &waiting)?);
                (waiting, rows) = (Vec::new(), 0);
            }
        }
        if rows > 0 {
            added.push(encode(&**self.vfs(), self.path(), encoding, &waiting)?);
        }
        Ok(added)
    }

    fn publish_swap(&self, swap: &Swap, prepared: Vec<Prepared>) -> SeamResult<Vec<TableSwapped>> {
        let mut catalog = self.catalog();
        let now = self.now();
        let changes: Vec<_> = prepared
            .iter()
            .flat_map(|of| of.changes.iter().map(|(live, new)| (live.row.clone(), new.as_ref())))
            .collect();
        let added: Vec<&NewSegment> = prepared.iter().flat_map(|of| &of.added).collect();
        let row = SwapRow {
            id: &swap.id,
            pipeline: &swap.pipeline,
            since: swap.since.0,
            is_in: swap.way == SwapWay::In,
            now,
        };
        let Some((changed, ids)) = catalog.swap(&row, &changes, &added)? else {
            return Err(SeamError::new(ErrorKind::Retry, "the tables were changed meanwhile: try again"));
        };
        // Under one lock, with the catalog's still held: readers of this process see all of it at once as well.
        let mut tables = self.tables();
        let (mut changed, mut ids) = (changed.into_iter(), ids.into_iter());
        let mut swapped = Vec::new();
        for of in prepared {
            let mut graves = Vec::new();
            let live = &mut tables.table(&of.table).live;
            for ((old, new), id) in of.changes.into_iter().zip(changed.by_ref()) {
                let row = new.zip(id).map(|(new, id)| renewed(&old.row, new, id));
                let found = live.iter().position(|live| live.row.id == old.row.id);
                match (found, row) {
                    (Some(at), Some(row)) => live[at] = Live { segment: segment_ref(self.path(), &row), row },
                    (None, Some(row)) => live.push(Live { segment: segment_ref(self.path(), &row), row }),
                    (Some(at), None) => drop(live.remove(at)),
                    (None, None) => {}
                }
                let (buried, pin) = (Buried::all_of(&old.segment), old.segment.pin);
                let (path, relative) = (old.segment.path, Some(old.row.path));
                graves.push(Grave { path, relative, since: now, pin, buried });
            }
            for (new, id) in of.added.into_iter().zip(ids.by_ref()) {
                let row = owned_by(swap, new, id);
                live.push(Live { segment: segment_ref(self.path(), &row), row });
            }
            tables.graves.extend(graves);
            swapped.push(of.swapped);
        }
        Ok(swapped)
    }
}

/// Takes one of that digest, if there is one.
fn take_one(go: &mut HashMap<u128, u64>, digest: u128) -> bool {
    let Some(left) = go.get_mut(&digest) else { return false };
    *left -= 1;
    if *left == 0 {
        go.remove(&digest);
    }
    true
}

/// The catalog's row of a segment that came.
fn owned_by(swap: &Swap, new: NewSegment, id: i64) -> CatalogSegment {
    let NewSegment { table, path, rows, bytes, checksum, time_range, .. } = new;
    let (pipeline, epoch) = (swap.pipeline.clone(), swap.since.0);
    CatalogSegment { id, table, path, rows, bytes, checksum, time_range, pipeline, epoch, trouble: None, object: None }
}
