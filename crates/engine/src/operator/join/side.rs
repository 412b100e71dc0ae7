//! The rows of one side of a join: found by key and time, dropped by the bucket of event time they lie in.
//!
//! Each bucket has the runs of its rows in the order in which they came (`key`, 16 bytes; `time`, microseconds; then the
//! columns), and a run `counted` of the same length that says which of them the balance has settled. A row's key and time are
//! in its run and nowhere else. Rows in memory are found by an index ([`Cell`]), that is made anew from the runs after a
//! restore and when some were let go; of the others prints tell in which run they may be, and that is read once for a batch
//! of rows that ask.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, new_null_array};
use arrow::array::{ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{interleave, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use weir_model::{EventTime, SeamError, SeamResult};

use super::columns::Columns;
use super::index::{BUCKETS_PER_CELL_BITS, Cell, CellRow};
use super::partners::{Partner, Partners, Wanted};
use super::runs::{Runs, key_at, time_at};
use crate::keys::{Digest, digest_column, digests_of_column};
use crate::run::{Run, RunRows, RunStore};
use crate::snapshot::run_id;

/// Stands for the key of a row that has none; no key has this digest, but for one in 2^128.
pub(super) const NO_KEY: Digest = 0;
/// Columns of a run before those of the row.
pub(super) const OWN_COLUMNS: usize = 2;

/// Where a row is: the start of its bucket, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    start: i64,
    row: u32,
}

/// A row that waits for an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) time: i64,
    pub(super) key: Option<Digest>,
    pub(super) place: Place,
}

/// How rows of a side are found besides by the bucket they lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// By key, in many buckets at once.
    Neighbours,
    /// By key, in one bucket at a time.
    Bucket,
    /// Not at all.
    Never,
}

/// The rows of one side.
#[derive(Debug)]
pub(super) struct Side {
    width: i64,
    offset: i64,
    /// From the beginning of a bucket to the watermark at which it is dropped.
    held: i64,
    lookup: Lookup,
    columns: Columns,
    /// An empty run that says which columns there are, until there are more: rows that were let go have told of some.
    columns_run: Option<(u64, RecordBatch)>,
    /// By the start of each bucket.
    buckets: BTreeMap<i64, Bucket>,
    /// The index of rows in memory, by the number of each cell.
    cells: BTreeMap<i64, Cell>,
    rows: usize,
    open: usize,
    lost: Option<SeamError>,
}

#[derive(Debug)]
struct Bucket {
    runs: Runs,
    /// Of each row whether the balance has settled it: it is in a pair, or nothing is expected any more.
    counted: BooleanBufferBuilder,
    open: usize,
    /// The run that says the same as `counted`, until that changes.
    counted_run: Option<(u64, RecordBatch)>,
}

/// The run that was read last: places are mostly asked for in their order.
#[derive(Debug, Default)]
pub(super) struct LastRead(Option<((i64, usize), RecordBatch)>);

/// What a snapshot keeps of a side besides runs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SideMeta {
    /// The name of the run that says which columns there are.
    columns: u64,
    /// Of each bucket its start, the names of its runs, and of the run of `counted`.
    buckets: Vec<(i64, Vec<u64>, u64)>,
}

impl Side {
    pub(super) fn new((width, offset): (i64, i64), held: i64, lookup: Lookup, known: &[(String, DataType)]) -> Self {
        assert!(width > 0, "the plan was checked");
        Self {
            width,
            offset,
            held,
            lookup,
            columns: Columns::new(known),
            columns_run: None,
            buckets: BTreeMap::new(),
            cells: BTreeMap::new(),
            rows: 0,
            open: 0,
            lost: None,
        }
    }

    /// How many rows are held.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// How many of them the balance has not settled.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    pub(super) fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Takes up columns that are new; rows that are held have nulls there.
    ///
    /// # Errors
    /// When a column has another type than before. Nothing has happened then.
    pub(super) fn learn(&mut self, schema: &SchemaRef) -> Result<(), String> {
        if self.columns.learn(schema)? {
            self.columns_run = None;
            let schema = run_schema(self.columns.schema());
            self.buckets.values_mut().for_each(|bucket| bucket.runs.widen(&schema));
        }
        Ok(())
    }

    /// The rows that are wanted: for each that asks those of its key and its times, by time and then as they came. None, if
    /// some cannot be loaded, which [`Side::lost`] tells.
    pub(super) fn find(&mut self, wanted: &[Wanted]) -> Partners {
        self.try_to_find(wanted).unwrap_or_else(|lost| {
            self.lost.get_or_insert(lost);
            Partners::default()
        })
    }

    fn try_to_find(&self, wanted: &[Wanted]) -> SeamResult<Partners> {
        let schema = run_schema(self.columns.schema());
        let mut partners = Partners::default();
        let mut in_batch: HashMap<(i64, usize), u32, FixedState> = HashMap::default();
        let printed: Vec<(i64, &Runs)> = self
            .buckets
            .iter()
            .map(|(start, bucket)| (*start, &bucket.runs))
            .filter(|(_, runs)| runs.any_printed())
            .collect();
        // By the run, who asks for a row that may be in it.
        let mut asked: BTreeMap<(i64, usize), Vec<&Wanted>> = BTreeMap::new();
        for wanted in wanted {
            let begin = partners.found.len();
            let (first, last) = (self.ordinal(wanted.first), self.ordinal(wanted.last));
            for (number, cell) in self.cells.range(self.cell(first)..=self.cell(last)) {
                for place in cell.rows(wanted.key) {
                    let ordinal = self.first_of_cell(*number) + place.bucket();
                    if ordinal < first || ordinal > last {
                        continue;
                    }
                    let start = self.start_of(ordinal);
                    // What was dropped is in the index until all of its cell is.
                    let Some(bucket) = self.buckets.get(&start) else { continue };
                    let (run, at) = bucket.runs.at(place.row());
                    let batch = bucket.runs.held_run(run).expect("the index is of runs in memory");
                    let time = time_at(batch, at);
                    if time < wanted.first || time > wanted.last || key_at(batch, at) != wanted.key {
                        continue;
                    }
                    let batch = *in_batch.entry((start, run)).or_insert_with(|| partners.take_batch(batch.clone()));
                    let (index, row) = (wanted.index, place.row() as u32);
                    partners.found.push(Partner { index, time, row, batch, at: at as u32 });
                }
            }
            partners.sort_from(begin);
            let (first, last) = (self.start_of(first), self.start_of(last));
            let from = printed.partition_point(|(start, _)| *start < first);
            for (start, runs) in printed[from..].iter().take_while(|(start, _)| *start <= last) {
                for run in runs.printed_with(wanted.key) {
                    asked.entry((*start, run)).or_default().push(wanted);
                }
            }
        }
        if !asked.is_empty() {
            for ((start, run), wanted) in asked {
                let runs = &self.buckets[&start].runs;
                partners.pick(&runs.load(run, &schema)?, runs.first_row(run), wanted)?;
            }
            partners.sort_from(0);
        }
        Ok(partners)
    }

    /// Notes that the balance has settled a row, and says whether it had not before.
    pub(super) fn count(&mut self, place: Place) -> bool {
        let bucket = self.buckets.get_mut(&place.start).expect("a place is of a bucket that is held");
        let before = bucket.counted.get_bit(place.row as usize);
        if !before {
            bucket.counted.set_bit(place.row as usize, true);
            bucket.counted_run = None;
            bucket.open -= 1;
            self.open -= 1;
        }
        !before
    }

    /// Where the row is that was found.
    pub(super) fn place(&self, partner: &Partner) -> Place {
        Place { start: self.start_of(self.ordinal(partner.time)), row: partner.row }
    }

    /// Holds rows with the columns of this side.
    pub(super) fn insert(&mut self, rows: &RecordBatch, keys: &[Option<Digest>], times: &[i64], counted: &[bool]) {
        let mut of_buckets: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for (time, row) in times.iter().zip(0u32..) {
            of_buckets.entry(self.ordinal(*time)).or_default().push(row);
        }
        for (ordinal, indices) in of_buckets {
            let of_bucket: Vec<Digest> = indices.iter().map(|row| keys[*row as usize].unwrap_or(NO_KEY)).collect();
            let bucket = self.buckets.entry(self.start_of(ordinal)).or_insert_with(Bucket::new);
            let first = bucket.runs.len();
            for row in &indices {
                bucket.counted.append(counted[*row as usize]);
                bucket.open += usize::from(!counted[*row as usize]);
                self.open += usize::from(!counted[*row as usize]);
            }
            bucket.counted_run = None;
            let indices = UInt32Array::from(indices);
            let of_times = Int64Array::from(times.to_vec());
            let of_times = take(&of_times, &indices, None).expect("rows of this batch");
            let taken = rows.columns().iter().map(|values| take(values, &indices, None).expect("rows of this batch"));
            let columns: Vec<ArrayRef> = [digest_column(&of_bucket), of_times].into_iter().chain(taken).collect();
            let run = RecordBatch::try_new(run_schema(&rows.schema()), columns);
            bucket.runs.push(run.expect("the columns are of the fields' types"));
            if let Err(lost) = bucket.runs.merge_short(&run_schema(&rows.schema())) {
                self.lost.get_or_insert(lost);
            }
            self.rows += of_bucket.len();
            self.index(ordinal, first, &of_bucket);
        }
    }

    /// Makes rows in memory known by their keys: those of a bucket from the row `first` on.
    fn index(&mut self, ordinal: i64, first: usize, keys: &[Digest]) {
        if self.lookup == Lookup::Never {
            return;
        }
        let number = self.cell(ordinal);
        let bucket = ordinal - self.first_of_cell(number);
        let cell = self.cells.entry(number).or_default();
        for (row, key) in (first..).zip(keys).filter(|(_, key)| **key != NO_KEY) {
            cell.add(*key, CellRow::new(bucket, row));
        }
    }

    /// Makes the index anew from the runs that are in memory.
    fn index_anew(&mut self) {
        self.cells.clear();
        if self.lookup == Lookup::Never {
            return;
        }
        let buckets = std::mem::take(&mut self.buckets);
        for (start, bucket) in &buckets {
            for (first, batch) in bucket.runs.indexed() {
                let keys = digests_of_column(batch.column(0)).expect("the first column has the keys");
                self.index(self.ordinal(*start), first, &keys);
            }
        }
        self.buckets = buckets;
    }

    /// The number of the bucket that this time lies in.
    fn ordinal(&self, time: i64) -> i64 {
        time.saturating_sub(self.offset).div_euclid(self.width)
    }

    /// Where the bucket of this number begins.
    fn start_of(&self, ordinal: i64) -> i64 {
        ordinal.saturating_mul(self.width).saturating_add(self.offset)
    }

    /// The number of the cell that has the bucket of this number.
    fn cell(&self, ordinal: i64) -> i64 {
        if self.lookup == Lookup::Neighbours { ordinal >> BUCKETS_PER_CELL_BITS } else { ordinal }
    }

    fn first_of_cell(&self, cell: i64) -> i64 {
        if self.lookup == Lookup::Neighbours { cell << BUCKETS_PER_CELL_BITS } else { cell }
    }

    /// The times and the columns of the rows at these places; nulls when they cannot be loaded, which [`Side::lost`] tells.
    pub(super) fn read(&mut self, places: &[Place], last: &mut LastRead) -> (Vec<i64>, Vec<ArrayRef>) {
        self.try_to_read(places, last).unwrap_or_else(|lost| {
            self.lost.get_or_insert(lost);
            let nulls = |field: &Arc<Field>| new_null_array(field.data_type(), places.len());
            (vec![0; places.len()], self.columns.fields().iter().map(nulls).collect())
        })
    }

    fn try_to_read(&self, places: &[Place], last: &mut LastRead) -> SeamResult<(Vec<i64>, Vec<ArrayRef>)> {
        let schema = run_schema(self.columns.schema());
        let (mut batches, mut known): (Vec<RecordBatch>, HashMap<_, usize, FixedState>) = Default::default();
        let (mut found, mut times) = (Vec::with_capacity(places.len()), Vec::with_capacity(places.len()));
        for place in places {
            let runs = &self.buckets[&place.start].runs;
            let (run, at) = runs.at(place.row as usize);
            let batch = match known.get(&(place.start, run)) {
                Some(batch) => *batch,
                None => {
                    batches.push(last.load((place.start, run), runs, &schema)?.clone());
                    known.insert((place.start, run), batches.len() - 1);
                    batches.len() - 1
                }
            };
            times.push(time_at(&batches[batch], at));
            found.push((batch, at));
        }
        Ok((times, columns_of(&batches, &found, self.columns.fields().len())))
    }

    /// Time and key of rows that wait at these places; nothing, if some cannot be loaded, which [`Side::lost`] tells.
    pub(super) fn waiting(&mut self, places: &[Place]) -> Vec<Waiting> {
        let schema = run_schema(self.columns.schema());
        let mut last = LastRead::default();
        let read = |place: &Place| -> SeamResult<Waiting> {
            let runs = &self.buckets[&place.start].runs;
            let (run, at) = runs.at(place.row as usize);
            let batch = last.load((place.start, run), runs, &schema)?;
            let key = Some(key_at(batch, at)).filter(|key| *key != NO_KEY);
            Ok(Waiting { time: time_at(batch, at), key, place: *place })
        };
        let read: SeamResult<Vec<Waiting>> = places.iter().map(read).collect();
        read.unwrap_or_else(|lost| {
            self.lost.get_or_insert(lost);
            Vec::new()
        })
    }

    /// Why rows could not be loaded, if some could not.
    pub(super) fn lost(&mut self) -> Option<SeamError> {
        self.lost.take()
    }

    /// Lets go of rows that `store` has, oldest first, until about `wanted` bytes are free: what stays tells which run may
    /// have a key, and which rows the balance has settled. Returns how many bytes are free.
    pub(super) fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        let before = self.size();
        let mut freed = 0;
        for bucket in self.buckets.values_mut() {
            if freed >= wanted {
                break;
            }
            freed += bucket.runs.release(wanted - freed, self.lookup != Lookup::Never, store);
        }
        if freed > 0 {
            self.index_anew();
        }
        before.saturating_sub(self.size())
    }

    /// The watermark at which the next bucket is dropped.
    pub(super) fn next_gone(&self) -> Option<i64> {
        self.buckets.keys().next().map(|start| start.saturating_add(self.held))
    }

    /// The rows of the first bucket that the balance has not settled, if the watermark `reached` drops it.
    pub(super) fn alone_in_gone(&self, reached: i64) -> Option<Vec<Place>> {
        let (start, bucket) = self.buckets.first_key_value()?;
        (start.saturating_add(self.held) <= reached).then(|| bucket.uncounted(*start).collect())
    }

    /// The rows that the balance has not settled in all buckets that the watermark `reached` drops, in the order of these.
    pub(super) fn gone(&self, reached: i64) -> Vec<Place> {
        let gone = self.buckets.iter().take_while(|(start, _)| start.saturating_add(self.held) <= reached);
        gone.flat_map(|(start, bucket)| bucket.uncounted(*start)).collect()
    }

    /// Drops the first bucket.
    pub(super) fn drop_first(&mut self) {
        let Some((_, bucket)) = self.buckets.pop_first() else { return };
        self.rows -= bucket.runs.len();
        self.open -= bucket.open;
        let first = self.buckets.keys().next().map(|start| self.cell(self.ordinal(*start)));
        self.cells = first.map_or_else(BTreeMap::new, |first| self.cells.split_off(&first));
    }

    /// Drops what the watermark `reached` lets go of, and says how many of these rows the balance had not settled.
    pub(super) fn drop_gone(&mut self, reached: i64) -> usize {
        let before = self.open;
        while self.next_gone().is_some_and(|gone| gone <= reached) {
            self.drop_first();
        }
        before - self.open
    }

    /// The rows that the balance has not settled; it has then.
    pub(super) fn settle_all(&mut self) -> Vec<Place> {
        let places: Vec<Place> = self.buckets.iter().flat_map(|(start, bucket)| bucket.uncounted(*start)).collect();
        for place in &places {
            self.count(*place);
        }
        places
    }

    pub(super) fn seal(&mut self, node: usize, next_run: &mut u64) -> Vec<Run> {
        let columns = self.columns.schema().clone();
        let (id, batch) = self.columns_run.get_or_insert_with(|| {
            let batch = RecordBatch::new_empty(columns);
            *next_run += 1;
            (run_id(*next_run, node, 0, &batch), batch)
        });
        let mut runs = vec![Run { id: *id, node, pane: EventTime::from_micros(0), rows: RunRows::Held(batch.clone()) }];
        for (start, bucket) in &mut self.buckets {
            runs.extend(bucket.runs.seal((node, *start), next_run));
            let (id, batch) = bucket.counted_run.get_or_insert_with(|| {
                let counted: ArrayRef = Arc::new(BooleanArray::from(bucket.counted.finish_cloned()));
                let batch = RecordBatch::try_from_iter([("counted", counted)]).expect("a column");
                *next_run += 1;
                (run_id(*next_run, node, *start, &batch), batch)
            });
            runs.push(Run { id: *id, node, pane: EventTime::from_micros(*start), rows: RunRows::Held(batch.clone()) });
        }
        runs
    }

    pub(super) fn meta(&self) -> SideMeta {
        let buckets = self.buckets.iter().map(|(start, bucket)| {
            let counted = bucket.counted_run.as_ref().expect("it is named when it is sealed").0;
            (*start, bucket.runs.ids(), counted)
        });
        let columns = self.columns_run.as_ref().expect("it is named when it is sealed").0;
        SideMeta { columns, buckets: buckets.collect() }
    }

    /// Takes over what a snapshot holds. Runs that are not in memory stay where they are.
    ///
    /// # Errors
    /// What is damaged.
    pub(super) fn restore(&mut self, meta: SideMeta, runs: &[Run]) -> Result<(), String> {
        let runs: BTreeMap<u64, &Run> = runs.iter().map(|run| (run.id, run)).collect();
        let found = |id: u64| runs.get(&id).copied().ok_or_else(|| format!("the run {id} is missing"));
        let loaded = |id: u64| found(id)?.loaded().map_err(|error| error.full());
        let columns = loaded(meta.columns)?.batch().clone();
        let known = std::mem::replace(&mut self.columns, Columns::of_schema(columns.schema()));
        self.columns_run = Some((meta.columns, columns));
        for (start, ids, counted) in meta.buckets {
            let mut bucket = Bucket::new();
            for id in ids {
                bucket.runs.restore(found(id)?, self.lookup != Lookup::Never).map_err(|error| error.full())?;
            }
            let run = loaded(counted)?;
            bucket.counted_run = Some((run.id, run.batch().clone()));
            let flags = run.batch().columns().first().and_then(|column| column.as_boolean_opt());
            let flags = flags.filter(|flags| flags.len() == bucket.runs.len());
            let flags = flags.ok_or_else(|| format!("the run {counted} does not fit its bucket"))?;
            bucket.counted.append_buffer(flags.values());
            bucket.open = flags.len() - flags.values().count_set_bits();
            self.rows += flags.len();
            self.open += bucket.open;
            self.buckets.insert(start, bucket);
        }
        self.index_anew();
        self.learn(known.schema())
    }

    /// About how many bytes it holds.
    pub(super) fn size(&self) -> usize {
        let buckets: usize = self.buckets.values().map(Bucket::size).sum();
        buckets + self.cells.values().map(Cell::size).sum::<usize>()
    }
}

impl Bucket {
    fn new() -> Self {
        Self { runs: Runs::default(), counted: BooleanBufferBuilder::new(0), open: 0, counted_run: None }
    }

    fn uncounted(&self, start: i64) -> impl Iterator<Item = Place> {
        let rows = (0..self.counted.len()).filter(|row| !self.counted.get_bit(*row));
        rows.map(move |row| Place { start, row: row as u32 })
    }

    fn size(&self) -> usize {
        // What says which rows are settled is there twice after a snapshot.
        self.runs.size() + 2 * self.counted.capacity() / 8 + size_of::<Self>()
    }
}

impl LastRead {
    fn load(&mut self, key: (i64, usize), runs: &Runs, schema: &SchemaRef) -> SeamResult<&RecordBatch> {
        let known = self.0.take().filter(|(known, _)| *known == key).map(|(_, batch)| batch);
        let batch = known.map_or_else(|| runs.load(key.1, schema), Ok)?;
        Ok(&self.0.insert((key, batch)).1)
    }
}

/// The columns of rows, as they lie in runs: which of the batches, and which of its rows.
pub(super) fn columns_of(batches: &[RecordBatch], found: &[(usize, usize)], columns: usize) -> Vec<ArrayRef> {
    let column = |index: usize| {
        let arrays: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(index).as_ref()).collect();
        interleave(&arrays, found).expect("the runs of a side are of one kind")
    };
    (OWN_COLUMNS..OWN_COLUMNS + columns).map(column).collect()
}

pub(super) fn run_schema(columns: &SchemaRef) -> SchemaRef {
    let own = [Field::new("key", DataType::FixedSizeBinary(16), false), Field::new("time", DataType::Int64, false)];
    let fields = own.into_iter().map(Arc::new).chain(columns.fields().iter().cloned());
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
