//! The latest state of each of many keys: rows of immutable chunks, of which each key has one. A state that changes becomes
//! a row of a new chunk, so that a snapshot writes what has changed and not what there is. Knows nothing of time.
//!
//! A chunk is a run: the keys' columns, the states, and then the numbers of the group as `g0, g1 ...`. Neighbouring chunks
//! are merged when the younger one has become half as large as the older one, up to a size that is read for the sake of a few
//! rows: a row is written anew about as often as the logarithm of their number says.
//!
//! A chunk is in memory or where the last snapshot has it. One that is not is read for the rows that are wanted of it and not
//! kept: these are rows of a new chunk then, so that keys which are in use stay in memory, and the others do not come back.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::Int64Type;
use serde::{Deserialize, Serialize};
use weir_model::{EventTime, SeamError, SeamResult};

use super::pane::number_keys;
use super::shape::Shape;
use super::table::{Table, batch};
use crate::keys::{KeyId, Keys};
use crate::run::{Run, RunRows, RunStore, release_in_turn};
use crate::snapshot::run_id;

/// Dead rows that a chunk may have besides as many as are alive.
const DEAD_MAX: usize = 1024;
/// Chunks are not merged to more than this: all of one is read for the sake of a row.
const CHUNK_BYTES_MAX: u64 = 4 << 20;
/// How many numbers a group has.
const NUMBERS: usize = 7;

/// What is known of a key besides the states of its aggregates. Times are microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Tells it from an earlier group of the same key that was forgotten.
    pub(crate) born: i64,
    /// Rows that no results contain yet.
    pub(crate) open: i64,
    /// The earliest event time of the rows in the state; later than `last` when there are none.
    pub(crate) first: i64,
    /// The latest one.
    pub(crate) last: i64,
    /// The latest event time ever.
    pub(crate) seen: i64,
    /// The watermark at which it is forgotten.
    pub(crate) expires: i64,
    /// The revision of its next result.
    pub(crate) revision: i64,
}

impl Group {
    /// A group without rows.
    pub(crate) fn new(born: i64) -> Self {
        Self { born, open: 0, first: i64::MAX, last: i64::MIN, seen: i64::MIN, expires: i64::MAX, revision: 0 }
    }

    fn numbers(&self) -> [i64; NUMBERS] {
        [self.born, self.open, self.first, self.last, self.seen, self.expires, self.revision]
    }

    fn of([born, open, first, last, seen, expires, revision]: [i64; NUMBERS]) -> Self {
        Self { born, open, first, last, seen, expires, revision }
    }
}

/// A row of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    chunk: u32,
    row: u32,
}

#[derive(Debug)]
struct Chunk {
    /// Given when a snapshot first holds it.
    id: Option<u64>,
    rows: RunRows,
    keys: Vec<KeyId>,
    live: usize,
}

impl Chunk {
    fn load(&self) -> SeamResult<RecordBatch> {
        self.rows.load(self.id.unwrap_or(0))
    }

    /// About how many bytes those of its rows take that hold the state of their key.
    fn live_bytes(&self) -> u64 {
        self.rows.bytes() * self.live as u64 / self.keys.len().max(1) as u64
    }
}

/// Groups by their key, and their states.
#[derive(Debug, Default)]
pub(crate) struct States {
    /// By the id of the key.
    groups: Vec<Option<(Group, Option<Place>)>>,
    live: usize,
    chunks: BTreeMap<u32, Chunk>,
    next_chunk: u32,
    lost: Option<SeamError>,
}

/// What a snapshot keeps of a chunk besides its run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChunkMeta {
    run: u64,
    /// A bit per row, from the lowest of the first word: whether it is the state of its key. Empty if all are.
    live: Vec<u64>,
}

impl States {
    /// How many groups there are.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    pub(crate) fn get(&self, key: KeyId) -> Option<&Group> {
        self.groups.get(key as usize)?.as_ref().map(|(group, _)| group)
    }

    /// The group of a key, made if there is none.
    pub(crate) fn group(&mut self, key: KeyId, born: i64) -> &mut Group {
        let index = key as usize;
        if self.groups.len() <= index {
            self.groups.resize(index + 1, None);
        }
        let live = &mut self.live;
        let slot = self.groups[index].get_or_insert_with(|| {
            *live += 1;
            (Group::new(born), None)
        });
        &mut slot.0
    }

    /// Every group, by the id of its key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (KeyId, &Group)> {
        let groups = (0..).zip(&self.groups);
        groups.filter_map(|(key, slot)| slot.as_ref().map(|(group, _)| (key, group)))
    }

    /// Adds the states of `wanted` to a table; those that cannot be loaded are missing, which [`States::lost`] tells.
    pub(crate) fn load(&mut self, wanted: impl Iterator<Item = KeyId>, table: &mut Table, shape: &Shape) {
        let mut rows: BTreeMap<u32, (Vec<u32>, Vec<KeyId>)> = BTreeMap::new();
        for key in wanted {
            if let Some((_, Some(place))) = self.groups.get(key as usize).copied().flatten() {
                let (rows, keys) = rows.entry(place.chunk).or_default();
                rows.push(place.row);
                keys.push(key);
            }
        }
        for (chunk, (rows, keys)) in rows {
            match self.chunks[&chunk].load() {
                Ok(batch) => absorb(&batch, rows, &keys, table, shape),
                Err(lost) => {
                    self.lost.get_or_insert(lost);
                    keys.iter().for_each(|key| {
                        table.groups.group(*key);
                    });
                }
            }
        }
    }

    /// Why states could not be loaded, if some could not.
    pub(crate) fn lost(&mut self) -> Option<SeamError> {
        self.lost.take()
    }

    /// Lets go of chunks that `store` has, oldest first, until about `wanted` bytes are free; all were in a snapshot. Returns
    /// how many are.
    pub(crate) fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        let kept = self.chunks.values_mut().filter(|chunk| chunk.id.is_some());
        release_in_turn(kept.map(|chunk| &mut chunk.rows), wanted, store)
    }

    /// The states in `table`, and the groups as they are now, are what is known of the table's keys from now on.
    pub(crate) fn store(&mut self, table: Table, keys: &Keys, shape: &Shape) {
        self.store_one(table, keys, shape);
        while let Some(merged) = self.to_merge() {
            let batches: SeamResult<Vec<RecordBatch>> = merged.iter().map(|chunk| self.chunks[chunk].load()).collect();
            let batches = match batches {
                Ok(batches) => batches,
                Err(lost) => {
                    self.lost.get_or_insert(lost);
                    return;
                }
            };
            let mut table = Table::default();
            for (chunk, batch) in merged.iter().zip(batches) {
                let live = (0..).zip(&self.chunks[chunk].keys).filter(|(row, key)| self.is_live(*chunk, *row, **key));
                let (rows, keys): (Vec<u32>, Vec<KeyId>) = live.unzip();
                absorb(&batch, rows, &keys, &mut table, shape);
            }
            self.store_one(table, keys, shape);
        }
    }

    fn store_one(&mut self, table: Table, keys: &Keys, shape: &Shape) {
        let (states, ids) = table.seal(keys, shape);
        let numbers: Vec<[i64; NUMBERS]> =
            ids.iter().map(|key| self.get(*key).expect("a state is of a group").numbers()).collect();
        let mut names: Vec<String> = states.schema().fields().iter().map(|field| field.name().clone()).collect();
        let mut columns = states.columns().to_vec();
        for number in 0..NUMBERS {
            names.push(format!("g{number}"));
            columns.push(Arc::new(numbers.iter().map(|numbers| numbers[number]).collect::<Int64Array>()) as ArrayRef);
        }
        let chunk = self.next_chunk;
        self.next_chunk += 1;
        for (row, key) in (0..).zip(&ids) {
            self.leave(*key);
            if let Some(Some((_, place))) = self.groups.get_mut(*key as usize) {
                *place = Some(Place { chunk, row });
            }
        }
        let rows = RunRows::Held(batch(names, columns, ids.len()));
        self.chunks.insert(chunk, Chunk { id: None, rows, live: ids.len(), keys: ids });
        self.chunks.retain(|_, chunk| chunk.live > 0);
    }

    /// The chunks that are to become one: one with many dead rows, or the youngest two if they are not too large.
    fn to_merge(&self) -> Option<Vec<u32>> {
        let dead = |chunk: &Chunk| chunk.keys.len() - chunk.live > chunk.live + DEAD_MAX;
        if let Some((stale, _)) = self.chunks.iter().find(|(_, chunk)| dead(chunk)) {
            return Some(vec![*stale]);
        }
        let mut youngest = self.chunks.iter().rev();
        let ((young, last), (old, before)) = (youngest.next()?, youngest.next()?);
        let fits = last.live_bytes() + before.live_bytes() <= CHUNK_BYTES_MAX;
        (last.live * 2 >= before.live && fits).then(|| vec![*old, *young])
    }

    fn is_live(&self, chunk: u32, row: u32, key: KeyId) -> bool {
        let slot = self.groups.get(key as usize).copied().flatten();
        slot.is_some_and(|(_, place)| place == Some(Place { chunk, row }))
    }

    /// The row that held the state of a key holds it no longer.
    fn leave(&mut self, key: KeyId) {
        let place = self.groups.get(key as usize).copied().flatten().and_then(|(_, place)| place);
        if let Some(chunk) = place.and_then(|place| self.chunks.get_mut(&place.chunk)) {
            chunk.live -= 1;
        }
    }

    /// Forgets a key.
    pub(crate) fn forget(&mut self, key: KeyId) {
        self.leave(key);
        self.live -= usize::from(self.groups[key as usize].take().is_some());
        self.chunks.retain(|_, chunk| chunk.live > 0);
    }

    pub(crate) fn renumber(&mut self, ids: &[KeyId]) {
        let old = std::mem::take(&mut self.groups);
        for (group, id) in old.into_iter().zip(ids).filter(|(group, _)| group.is_some()) {
            // Ids need not be without gaps.
            let index = *id as usize;
            self.groups.resize(self.groups.len().max(index + 1), None);
            self.groups[index] = group;
        }
        let keys = self.chunks.values_mut().flat_map(|chunk| &mut chunk.keys);
        keys.for_each(|key| *key = ids.get(*key as usize).copied().unwrap_or(KeyId::MAX));
    }

    /// Every chunk as a run, with an id.
    pub(crate) fn runs(&mut self, node: usize, next_run: &mut u64) -> Vec<Run> {
        let name = |chunk: &mut Chunk| {
            let id = *chunk.id.get_or_insert_with(|| {
                *next_run += 1;
                run_id(*next_run, node, 0, chunk.rows.held())
            });
            Run { id, node, pane: EventTime::from_micros(0), rows: chunk.rows.clone() }
        };
        self.chunks.values_mut().map(name).collect()
    }

    /// What a snapshot keeps besides; after [`States::runs`].
    pub(crate) fn meta(&self) -> Vec<ChunkMeta> {
        let meta = |(serial, chunk): (&u32, &Chunk)| {
            let mut live = vec![0_u64; chunk.keys.len().div_ceil(64)];
            for (row, key) in (0..).zip(&chunk.keys) {
                live[row as usize / 64] |= u64::from(self.is_live(*serial, row, *key)) << (row % 64);
            }
            let run = chunk.id.expect("runs were named before");
            ChunkMeta { run, live: if chunk.live == chunk.keys.len() { Vec::new() } else { live } }
        };
        self.chunks.iter().map(meta).collect()
    }

    /// Takes over what a snapshot holds.
    ///
    /// # Errors
    /// What is damaged.
    pub(crate) fn restore(
        &mut self,
        chunks: Vec<ChunkMeta>,
        runs: &[Run],
        keys: &mut Keys,
        shape: &Shape,
    ) -> Result<(), String> {
        for (chunk, meta) in (0..).zip(chunks) {
            let run = runs.iter().find(|run| run.id == meta.run);
            let run = run.ok_or_else(|| format!("the run {} is missing", meta.run))?;
            let batch = run.rows.load(run.id).map_err(|error| error.full())?;
            let mut ids = number_keys(run.id, &batch, keys, shape)?;
            let numbers = numbers_of(run.id, &batch)?;
            let mut live = 0;
            for (row, id) in (0..).zip(&mut ids) {
                let word = meta.live.get(row as usize / 64);
                if word.is_some_and(|word| word >> (row % 64) & 1 == 0) {
                    *id = KeyId::MAX;
                    continue;
                }
                *self.group(*id, 0) = Group::of(numbers.map(|numbers| numbers.value(row as usize)));
                let slot = self.groups[*id as usize].as_mut().expect("it was made");
                if slot.1.replace(Place { chunk, row }).is_some() {
                    return Err(format!("the run {} has a second state of a key", run.id));
                }
                live += 1;
            }
            self.chunks.insert(chunk, Chunk { id: Some(run.id), rows: run.rows.clone(), keys: ids, live });
            self.next_chunk = chunk + 1;
        }
        Ok(())
    }

    pub(crate) fn size(&self) -> usize {
        let chunk = |chunk: &Chunk| chunk.rows.size() + chunk.keys.capacity() * 4;
        self.chunks.values().map(chunk).sum::<usize>()
            + self.groups.capacity() * size_of::<Option<(Group, Option<Place>)>>()
    }
}

/// The numbers of the groups that the rows of a run are of.
fn numbers_of(id: u64, batch: &RecordBatch) -> Result<[&Int64Array; NUMBERS], String> {
    let columns: Vec<&Int64Array> = (0..NUMBERS)
        .filter_map(|index| batch.column_by_name(&format!("g{index}"))?.as_primitive_opt::<Int64Type>())
        .collect();
    columns.try_into().map_err(|_| format!("the run {id} has no numbers of groups"))
}

/// Adds rows of states, which are of these keys, to a table.
pub(crate) fn absorb(states: &RecordBatch, rows: Vec<u32>, keys: &[KeyId], table: &mut Table, shape: &Shape) {
    let states = take_record_batch(states, &UInt32Array::from(rows)).expect("the rows are of this batch");
    let absorbed = table.absorb(&states, keys, false, shape);
    absorbed.expect("the states were made by this node, or checked when they were restored");
}
