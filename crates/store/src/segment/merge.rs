//! Makes one segment of many, or of a part of the rows of one, a batch at a time: of each no more is unpacked than is about to
//! be written. The bytes are those of [`encode`](super::encode) of all rows at once. Chooses nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use weir_model::{NewSegment, SeamResult, Vfs};

use super::encode::{CHUNK_ROWS, Encoding, in_order};
use super::keys::{Key, Keys};
use super::order::{SortedBy, time_range, unordered};
use super::packed::{BATCH_ROWS, Batches, Packed};
use super::profile::{looked_at, rows_looked_at};
use super::write::{Plan, ROW_GROUP_BYTES, SegmentWriter};

/// Batches of an open segment that are in memory: the one whose rows are taken, and pages of the next.
const OPEN_BATCHES: u64 = 2;

/// A segment to merge, and what is known of its rows after those columns were read that decide about their order.
#[derive(Debug)]
pub(crate) struct Surveyed {
    packed: Packed,
    /// The least and the greatest key.
    ends: Option<(Key, Key)>,
    /// Its rows lie in order already.
    is_sorted: bool,
    time_range: Option<(i64, i64)>,
    /// Where in the file each piece of [`BATCH_ROWS`] rows begins of which rows are left, and how many.
    pieces: Vec<(usize, usize)>,
}

impl Surveyed {
    /// Looks at the columns by which rows are sorted, and at their times.
    ///
    /// # Errors
    /// `Corrupt` when they cannot be read.
    pub(crate) fn new(encoding: &Encoding, packed: Packed) -> SeamResult<Self> {
        let by = SortedBy::of(encoding)?;
        let is_wanted = |name: &String| by.names().contains(name) || encoding.time_column.as_ref() == Some(name);
        let wanted = encoding.schema.fields().iter().filter(|field| is_wanted(field.name())).cloned();
        let schema: SchemaRef = Arc::new(Schema::new(wanted.collect::<Vec<_>>()));
        let time = encoding.time_column.as_deref().and_then(|name| schema.index_of(name).ok());
        let mut found = Self { ends: None, is_sorted: true, time_range: None, pieces: Vec::new(), packed };
        for piece in found.packed.pieces(&schema, BATCH_ROWS)? {
            let (first, batch) = piece?;
            let keys = by.keys(&batch)?;
            let Some((least, greatest)) = keys.ends(batch.num_rows()) else { continue };
            found.pieces.push((first, batch.num_rows()));
            found.time_range = [found.time_range, time_range(&[batch], time)].into_iter().flatten().reduce(both);
            let follows = found.ends.as_ref().is_none_or(|(_, before)| *before <= least);
            found.is_sorted = found.is_sorted && follows && keys.are_sorted();
            found.ends = Some(match found.ends.take() {
                Some((first, last)) => (first.min(least), last.max(greatest)),
                None => (least, greatest),
            });
        }
        Ok(found)
    }

    fn rows(&self) -> usize {
        self.pieces.iter().map(|(_, rows)| rows).sum()
    }

    /// Memory that it takes, beside its bytes, from its first row to its last.
    fn open_bytes(&self) -> u64 {
        let unpacked = self.packed.unpacked_bytes();
        if self.is_sorted { self.packed.batch_bytes().saturating_mul(OPEN_BATCHES).min(unpacked) } else { unpacked }
    }
}

fn both(one: (i64, i64), other: (i64, i64)) -> (i64, i64) {
    (one.0.min(other.0), one.1.max(other.1))
}

/// About how much memory is taken when `inputs` are merged: their bytes, and of those that are open at the same time what is
/// unpacked of them.
pub(crate) fn merge_bytes(inputs: &[Surveyed]) -> u64 {
    let packed: u64 = inputs.iter().map(|input| input.packed.bytes()).sum();
    if follow_each_other(inputs) {
        return packed + inputs.iter().map(Surveyed::open_bytes).max().unwrap_or(0);
    }
    let mut begins: Vec<_> =
        inputs.iter().filter_map(|input| Some((input.ends.as_ref()?, input.open_bytes()))).collect();
    begins.sort_by(|((one, _), _), ((other, _), _)| one.cmp(other));
    let (mut open, mut open_bytes, mut most) = (BinaryHeap::new(), 0, 0);
    for ((first, last), bytes) in begins {
        while let Some(Reverse((end, ended))) = open.peek()
            && *end < first
        {
            open_bytes -= *ended;
            open.pop();
        }
        open.push(Reverse((last, bytes)));
        open_bytes += bytes;
        most = most.max(open_bytes);
    }
    packed + most
}

/// Writes the rows of `inputs` (at least one row) as a new segment under the data folder `folder`, and returns when it is
/// durable. Those of one key stay in the order of the inputs.
///
/// # Errors
/// As [`encode`](super::encode); `Corrupt` when an input cannot be read.
pub(crate) fn merge(
    vfs: &dyn Vfs,
    folder: &Path,
    encoding: &Encoding,
    inputs: Vec<Surveyed>,
) -> SeamResult<NewSegment> {
    let by = SortedBy::of(encoding)?;
    let sample = sample(encoding, &inputs)?;
    let rows = inputs.iter().map(Surveyed::rows).sum();
    let time_range = inputs.iter().filter_map(|input| input.time_range).reduce(both);
    let mut writer =
        SegmentWriter::begin(vfs, folder, encoding, &Plan { rows, sample: &sample, row_group_bytes: ROW_GROUP_BYTES })?;
    drop(sample);
    if follow_each_other(&inputs) {
        for input in inputs {
            for batch in input.packed.read(&encoding.schema)? {
                writer.write(&batch?)?;
            }
        }
    } else {
        let mut merging = Merging::new(encoding, by, inputs);
        while let Some(chunk) = merging.next_chunk()? {
            writer.write(&chunk)?;
        }
    }
    writer.finish(time_range)
}

/// Rows that show what the columns are like: the same that are looked at of rows in memory.
fn sample(encoding: &Encoding, inputs: &[Surveyed]) -> SeamResult<Vec<RecordBatch>> {
    let pieces: Vec<_> =
        inputs.iter().flat_map(|input| input.pieces.iter().map(move |piece| (input, *piece))).collect();
    let most = rows_looked_at(pieces.len());
    let some = looked_at(pieces.len()).map(|at| {
        let (input, (first, rows)) = pieces[at];
        let count = rows.min(most);
        let range = if input.packed.keeps_all() { count } else { BATCH_ROWS };
        let found = input.packed.some(&encoding.schema, first..first + range)?;
        Ok(found.slice(0, count))
    });
    some.collect()
}

/// Whether they need only be written one behind the other.
fn follow_each_other(inputs: &[Surveyed]) -> bool {
    let ends: Vec<_> = inputs.iter().filter_map(|input| input.ends.as_ref()).collect();
    inputs.iter().all(|input| input.is_sorted) && ends.is_sorted_by(|(_, last), (first, _)| last <= first)
}

/// Segments whose rows are taken by their keys, those of one key in the order of the segments.
struct Merging<'a> {
    encoding: &'a Encoding,
    by: SortedBy,
    inputs: Vec<Input>,
    /// The next key of each input that has rows left.
    waiting: BinaryHeap<Reverse<(Key, usize)>>,
    /// Batches of which rows were taken for the chunk at work, or will be taken.
    held: Vec<RecordBatch>,
    /// Which of them each row of the chunk is in, and its place there.
    taken: Vec<(usize, usize)>,
    chunk_rows: usize,
}

enum Input {
    /// None of its rows was taken yet.
    Closed(Surveyed),
    Open(Cursor),
    Done,
}

/// The next row of a segment.
struct Cursor {
    batches: Batches,
    keys: Keys,
    rows: usize,
    row: usize,
    /// Which of the batches that are held has it.
    held: usize,
}

impl<'a> Merging<'a> {
    fn new(encoding: &'a Encoding, by: SortedBy, inputs: Vec<Surveyed>) -> Self {
        let first = |(at, input): (usize, &Surveyed)| Some(Reverse((input.ends.as_ref()?.0.clone(), at)));
        let waiting = inputs.iter().enumerate().filter_map(first).collect();
        let at_once = inputs.iter().map(|input| input.packed.rows_at_once()).min().unwrap_or(BATCH_ROWS);
        let chunk_rows = CHUNK_ROWS.min(at_once * CHUNK_ROWS / BATCH_ROWS);
        let inputs = inputs.into_iter().map(Input::Closed).collect();
        Self { encoding, by, inputs, waiting, held: Vec::new(), taken: Vec::with_capacity(chunk_rows), chunk_rows }
    }

    /// The next rows; `None` when all were taken.
    fn next_chunk(&mut self) -> SeamResult<Option<RecordBatch>> {
        while self.taken.len() < self.chunk_rows
            && let Some(Reverse((_, at))) = self.waiting.pop()
        {
            let next = match std::mem::replace(&mut self.inputs[at], Input::Done) {
                Input::Closed(input) => self.open(input)?,
                Input::Open(cursor) => Some(cursor),
                Input::Done => None,
            };
            if let Some(cursor) = next {
                self.take(at, cursor)?;
            }
        }
        if self.taken.is_empty() {
            return Ok(None);
        }
        let chunk = in_order(&self.encoding.schema, &self.held, &self.taken).map_err(unordered)?;
        self.taken.clear();
        let open = self.inputs.iter_mut().filter_map(|input| match input {
            Input::Open(cursor) => Some(cursor),
            Input::Closed(_) | Input::Done => None,
        });
        let mut kept = Vec::new();
        for cursor in open {
            kept.push(self.held[cursor.held].clone());
            cursor.held = kept.len() - 1;
        }
        self.held = kept;
        Ok(Some(chunk))
    }

    fn open(&mut self, input: Surveyed) -> SeamResult<Option<Cursor>> {
        let batches = input.packed.read(&self.encoding.schema)?;
        let batches = if input.is_sorted { batches } else { self.put_in_order(batches)? };
        self.advance(batches)
    }

    /// All rows at once: the segment was written when the table was sorted in another way.
    fn put_in_order(&self, batches: Batches) -> SeamResult<Batches> {
        let (schema, batches) = (&self.encoding.schema, batches.collect::<SeamResult<Vec<_>>>()?);
        let Some(rows) = self.by.order(&batches)? else { return Ok(Box::new(batches.into_iter().map(Ok))) };
        let chunks = rows.chunks(self.chunk_rows).map(|chunk| in_order(schema, &batches, chunk).map_err(unordered));
        Ok(Box::new(chunks.collect::<Vec<_>>().into_iter()))
    }

    /// A cursor on the first row of the next batch.
    fn advance(&mut self, mut batches: Batches) -> SeamResult<Option<Cursor>> {
        let Some(batch) = batches.next().transpose()? else { return Ok(None) };
        let (keys, rows) = (self.by.keys(&batch)?, batch.num_rows());
        self.held.push(batch);
        Ok(Some(Cursor { batches, keys, rows, row: 0, held: self.held.len() - 1 }))
    }

    /// Takes rows of input `at` as long as no other input's next one comes before.
    fn take(&mut self, at: usize, mut cursor: Cursor) -> SeamResult<()> {
        loop {
            while cursor.row < cursor.rows {
                let is_behind = self.waiting.peek().is_some_and(|Reverse((key, other))| {
                    cursor.keys.compare(cursor.row, key).then_with(|| at.cmp(other)).is_gt()
                });
                if is_behind || self.taken.len() == self.chunk_rows {
                    self.waiting.push(Reverse((cursor.keys.at(cursor.row), at)));
                    self.inputs[at] = Input::Open(cursor);
                    return Ok(());
                }
                self.taken.push((cursor.held, cursor.row));
                cursor.row += 1;
            }
            match self.advance(cursor.batches)? {
                Some(next) => cursor = next,
                None => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
