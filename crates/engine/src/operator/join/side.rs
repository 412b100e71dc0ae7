//! The rows of one side of a join: found by key and time, dropped by the bucket of event time they lie in.
//!
//! Each bucket has the runs of its rows in the order in which they came (`key`, 16 bytes; `time`, microseconds; then the
//! columns), and a run `counted` of the same length that says which of them the balance has settled. The index of keys is
//! made anew from the runs after a restore.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{interleave, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use weir_model::{EventTime, SeamError, SeamResult};

use super::columns::Columns;
use crate::keys::{Digest, digest_column, digests_of_column, times_of_column};
use crate::operator::runs::Runs;
use crate::run::{Run, RunRows, RunStore};
use crate::snapshot::run_id;

/// Stands for the key of a row that has none; no key has this digest, but for one in 2^128.
const NO_KEY: Digest = 0;
/// Columns of a run before those of the row.
const OWN_COLUMNS: usize = 2;

/// Where a row is: of the bucket that its time lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) time: i64,
    row: u32,
}

/// The rows of a key, by time and then as they came. Most keys have one: it needs no memory of its own.
#[derive(Debug)]
enum Places {
    One(Place),
    Many(Vec<Place>),
}

/// The rows of one side.
#[derive(Debug)]
pub(super) struct Side {
    width: i64,
    offset: i64,
    /// From the beginning of a bucket to the watermark at which it is dropped.
    held: i64,
    columns: Columns,
    /// An empty run that says which columns there are, until there are more: rows that were let go have told of some.
    columns_run: Option<(u64, RecordBatch)>,
    /// By the start of each bucket.
    buckets: BTreeMap<i64, Bucket>,
    /// Of each key the rows.
    index: HashMap<Digest, Places, FixedState>,
    rows: usize,
    open: usize,
    lost: Option<SeamError>,
}

#[derive(Debug, Default)]
struct Bucket {
    runs: Runs,
    keys: Vec<Digest>,
    times: Vec<i64>,
    /// Of each row whether the balance has settled it: it is in a pair, or nothing is expected any more.
    counted: Vec<bool>,
    /// The run that says the same, until one of them changes.
    counted_run: Option<(u64, RecordBatch)>,
}

/// What a snapshot keeps of a side besides runs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SideMeta {
    /// The name of the run that says which columns there are.
    columns: u64,
    /// Of each bucket its start, the names of its runs, and of the run of `counted`.
    buckets: Vec<(i64, Vec<u64>, u64)>,
}

impl Side {
    pub(super) fn new((width, offset): (i64, i64), held: i64, known: &[(String, DataType)]) -> Self {
        assert!(width > 0, "the plan was checked");
        Self {
            width,
            offset,
            held,
            columns: Columns::new(known),
            columns_run: None,
            buckets: BTreeMap::new(),
            index: HashMap::default(),
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

    /// The key of a row that is held.
    pub(super) fn key(&self, place: Place) -> Option<Digest> {
        let bucket = self.buckets.get(&self.start(place.time)).expect("a place is of a bucket that is held");
        Some(bucket.keys[place.row as usize]).filter(|key| *key != NO_KEY)
    }

    /// The rows with this key and a time from `first` to `last`.
    pub(super) fn find(&self, key: Digest, first: i64, last: i64) -> &[Place] {
        let places = self.index.get(&key).map_or(&[][..], Places::as_slice);
        let from = places.partition_point(|place| place.time < first);
        let to = places.partition_point(|place| place.time <= last);
        &places[from..to.max(from)]
    }

    /// Notes that the balance has settled a row, and says whether it had not before.
    pub(super) fn count(&mut self, place: Place) -> bool {
        let start = self.start(place.time);
        let bucket = self.buckets.get_mut(&start).expect("a place is of a bucket that is held");
        let before = std::mem::replace(&mut bucket.counted[place.row as usize], true);
        if !before {
            bucket.counted_run = None;
            self.open -= 1;
        }
        !before
    }

    /// Holds rows with the columns of this side.
    pub(super) fn insert(&mut self, rows: &RecordBatch, keys: &[Option<Digest>], times: &[i64], counted: &[bool]) {
        let mut of_buckets: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for (time, row) in times.iter().zip(0u32..) {
            of_buckets.entry(self.start(*time)).or_default().push(row);
        }
        for (start, indices) in of_buckets {
            let bucket = self.buckets.entry(start).or_default();
            for row in &indices {
                let at = *row as usize;
                let place = Place { time: times[at], row: bucket.times.len() as u32 };
                bucket.push(keys[at].unwrap_or(NO_KEY), times[at], counted[at]);
                self.open += usize::from(!counted[at]);
                if let Some(key) = keys[at] {
                    index(&mut self.index, key, place);
                }
            }
            self.rows += indices.len();
            let from = bucket.times.len() - indices.len();
            let own = [digest_column(&bucket.keys[from..]), Arc::new(Int64Array::from(bucket.times[from..].to_vec()))];
            let indices = UInt32Array::from(indices);
            let taken = rows.columns().iter().map(|values| take(values, &indices, None).expect("rows of this batch"));
            let columns: Vec<ArrayRef> = own.into_iter().chain(taken).collect();
            let run = RecordBatch::try_new(run_schema(&rows.schema()), columns);
            bucket.runs.push(run.expect("the columns are of the fields' types"));
        }
    }

    fn start(&self, time: i64) -> i64 {
        (time - self.offset).div_euclid(self.width) * self.width + self.offset
    }

    /// The columns of the rows at these places; nulls when they cannot be loaded, which [`Side::lost`] tells.
    pub(super) fn gather(&mut self, places: &[Place]) -> Vec<ArrayRef> {
        self.try_to_gather(places).unwrap_or_else(|lost| {
            self.lost.get_or_insert(lost);
            self.columns.fields().iter().map(|field| new_null_array(field.data_type(), places.len())).collect()
        })
    }

    fn try_to_gather(&self, places: &[Place]) -> SeamResult<Vec<ArrayRef>> {
        let schema = run_schema(self.columns.schema());
        let (mut batches, mut known) = (Vec::new(), BTreeMap::new());
        let mut found = Vec::with_capacity(places.len());
        for place in places {
            let start = self.start(place.time);
            let runs = &self.buckets[&start].runs;
            let (run, row) = runs.find(place.row as usize);
            let batch = match known.entry((start, run)) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    batches.push(runs.load(run, &schema)?);
                    *new.insert(batches.len() - 1)
                }
            };
            found.push((batch, row));
        }
        let column = |index: usize| {
            let arrays: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(index).as_ref()).collect();
            interleave(&arrays, &found).expect("the runs of a side are of one kind")
        };
        Ok((OWN_COLUMNS..OWN_COLUMNS + self.columns.fields().len()).map(column).collect())
    }

    /// Why rows could not be loaded, if some could not.
    pub(super) fn lost(&mut self) -> Option<SeamError> {
        self.lost.take()
    }

    /// Lets go of the columns of rows that `store` has, until about `wanted` bytes are free; where they are found stays.
    /// Returns how many bytes are.
    pub(super) fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        let mut freed = 0;
        for bucket in self.buckets.values_mut() {
            if freed >= wanted {
                break;
            }
            freed += bucket.runs.release(wanted - freed, store);
        }
        freed
    }

    /// The watermark at which the next bucket is dropped.
    pub(super) fn next_gone(&self) -> Option<i64> {
        self.buckets.keys().next().map(|start| start.saturating_add(self.held))
    }

    /// The rows of the first bucket that the balance has not settled, if the watermark `reached` drops it.
    pub(super) fn alone_in_gone(&self, reached: i64) -> Option<Vec<Place>> {
        let (start, bucket) = self.buckets.first_key_value()?;
        (start.saturating_add(self.held) <= reached).then(|| bucket.uncounted().collect())
    }

    /// The rows that the balance has not settled in all buckets that the watermark `reached` drops, in the order of these.
    pub(super) fn gone(&self, reached: i64) -> Vec<Place> {
        let gone = self.buckets.iter().take_while(|(start, _)| start.saturating_add(self.held) <= reached);
        gone.flat_map(|(_, bucket)| bucket.uncounted()).collect()
    }

    /// Drops the first bucket.
    pub(super) fn drop_first(&mut self) {
        let Some((start, bucket)) = self.buckets.pop_first() else { return };
        self.rows -= bucket.times.len();
        self.open -= bucket.uncounted().count();
        let end = start.saturating_add(self.width);
        for key in &bucket.keys {
            // Of each key its places are the first ones, as they are the earliest; once is enough.
            if self.index.get_mut(key).is_some_and(|places| !places.keep_from(end)) {
                self.index.remove(key);
            }
        }
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
        let places: Vec<Place> = self.buckets.values().flat_map(Bucket::uncounted).collect();
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
                let counted: ArrayRef = Arc::new(BooleanArray::from(bucket.counted.clone()));
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

    /// Takes over what a snapshot holds.
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
            let mut bucket = Bucket::default();
            for id in ids {
                let batch = bucket.runs.restore(found(id)?).map_err(|error| error.full())?;
                let [keys, times, ..] = batch.columns() else {
                    return Err(format!("a run of rows has {} columns", batch.num_columns()));
                };
                bucket.keys.extend(digests_of_column(keys)?);
                bucket.times.extend(times_of_column(times)?);
            }
            let run = loaded(counted)?;
            bucket.counted_run = Some((run.id, run.batch().clone()));
            let flags = run.batch().columns().first().and_then(|column| column.as_boolean_opt());
            let flags = flags.filter(|flags| flags.len() == bucket.times.len());
            let flags = flags.ok_or_else(|| format!("the run {counted} does not fit its bucket"))?;
            bucket.counted = flags.values().iter().collect();
            for (row, (key, time)) in (0u32..).zip(bucket.keys.iter().zip(&bucket.times)) {
                if *key != NO_KEY {
                    index(&mut self.index, *key, Place { time: *time, row });
                }
            }
            self.rows += bucket.times.len();
            self.open += bucket.uncounted().count();
            self.buckets.insert(start, bucket);
        }
        self.learn(known.schema())
    }

    /// About how many bytes it holds.
    pub(super) fn size(&self) -> usize {
        let row = size_of::<Digest>() + size_of::<i64>() + 1;
        // Lists of places are about half full.
        let listed = self.rows.saturating_sub(self.index.len()) * 2 * size_of::<Place>();
        let runs: usize = self.buckets.values().map(|bucket| bucket.runs.size()).sum();
        runs + self.rows * row + listed + self.index.capacity() * (size_of::<(Digest, Places)>() + 1)
    }
}

impl Bucket {
    fn push(&mut self, key: Digest, time: i64, counted: bool) {
        self.keys.push(key);
        self.times.push(time);
        self.counted.push(counted);
        self.counted_run = None;
    }

    fn uncounted(&self) -> impl Iterator<Item = Place> {
        let rows = (0u32..).zip(self.times.iter().zip(&self.counted)).filter(|(_, (_, counted))| !**counted);
        rows.map(|(row, (time, _))| Place { time: *time, row })
    }
}

/// Puts a place behind those that are not later.
fn index(index: &mut HashMap<Digest, Places, FixedState>, key: Digest, place: Place) {
    index.entry(key).and_modify(|places| places.insert(place)).or_insert(Places::One(place));
}

impl Places {
    fn as_slice(&self) -> &[Place] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Many(places) => places,
        }
    }

    fn insert(&mut self, place: Place) {
        if let Self::One(first) = self {
            *self = Self::Many(vec![*first]);
        }
        let Self::Many(places) = self else { unreachable!("it has just become many") };
        let at = places.partition_point(|known| known.time <= place.time);
        places.insert(at, place);
    }

    /// Forgets what is before `end`; false when nothing is left.
    fn keep_from(&mut self, end: i64) -> bool {
        match self {
            Self::One(place) => place.time >= end,
            Self::Many(places) => {
                places.drain(..places.partition_point(|place| place.time < end));
                !places.is_empty()
            }
        }
    }
}

fn run_schema(columns: &SchemaRef) -> SchemaRef {
    let own = [Field::new("key", DataType::FixedSizeBinary(16), false), Field::new("time", DataType::Int64, false)];
    let fields = own.into_iter().map(Arc::new).chain(columns.fields().iter().cloned());
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
