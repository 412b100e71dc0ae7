//! `top_k`: the most frequent values with their counts.
//!
//! Up to [`DISTINCT_MAX`] distinct values in a group all are counted, and the result is exact. Beyond, counts go into a
//! count-min sketch (Cormode, Muthukrishnan, 2005), and the values to choose from are a sample: every row draws a number
//! (a hash of its place and value), a value has the smallest number of its rows, and the [`DISTINCT_MAX`] values with the
//! smallest numbers are kept (sampling without replacement in proportion to frequency: Cohen, Kaplan, 2008). Both are
//! the same whatever the order of rows and merges. Then
//!
//! * a value that makes up the share p of the rows is missed with a probability below `(1 - p)^1000`: 1 in 20,000 for 1%;
//! * no count is too low, and one is too high by more than 0.14% of the group's rows with a probability below 2%.
//!
//! Layout of a state, little endian: `entries: u32`, per entry in the order of the values `count: u64, drawn: u64,
//! length: u32` and the value's bytes; then nothing, or the sketch's cells, a `u64` each.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Int64Type};
use hashbrown::HashTable;

use super::value::{Bytes, Value, shown};
use super::{Accumulator, ArgumentType, each_value, only_state};

/// Distinct values in one group up to which the result is exact, and values to choose from beyond.
pub(crate) const DISTINCT_MAX: usize = 1_000;
/// The largest k.
pub(crate) const K_MAX: u32 = 100;
/// Cells in a row of the sketch. The error is e / 2048 = 0.14% of the rows.
const WIDTH: usize = 2048;
/// Rows of the sketch. The error is larger with a probability below e^-4 = 2%.
const DEPTH: usize = 4;

#[derive(Debug)]
pub(crate) struct TopK {
    k: usize,
    argument: ArgumentType,
    tops: Vec<Top>,
}

/// What is known of a group.
#[derive(Debug, Default)]
struct Top {
    entries: HashTable<Entry>,
    /// The sketch, once there were too many values.
    cells: Option<Box<[u64]>>,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    value: Value,
    /// As long as there is no sketch.
    count: u64,
    /// The smallest number that its rows drew.
    drawn: u64,
}

impl Top {
    /// Adds rows with a value; `make` makes it.
    #[inline]
    fn add(
        &mut self,
        (hash, count, drawn): (u64, u64, u64),
        is_value: impl Fn(&Value) -> bool,
        make: impl FnOnce() -> Value,
    ) {
        if let Some(cells) = &mut self.cells {
            cells_of(hash).for_each(|cell| cells[cell] += count);
        }
        match self.entries.find_mut(hash, |entry| entry.hash == hash && is_value(&entry.value)) {
            Some(entry) => {
                entry.count += count;
                entry.drawn = entry.drawn.min(drawn);
            }
            None => {
                self.entries.insert_unique(hash, Entry { hash, value: make(), count, drawn }, |entry| entry.hash);
                if self.entries.len() > DISTINCT_MAX {
                    self.sketch();
                }
                // Those who are not among the first of so many never will be again, unless one of their rows draws better.
                if self.entries.len() >= DISTINCT_MAX * 3 / 2 {
                    self.keep_first();
                }
            }
        }
    }

    /// Counts in a sketch from now on.
    fn sketch(&mut self) {
        if self.cells.is_none() {
            let mut cells = vec![0; WIDTH * DEPTH].into_boxed_slice();
            for entry in &self.entries {
                cells_of(entry.hash).for_each(|cell| cells[cell] += entry.count);
            }
            self.cells = Some(cells);
        }
    }

    /// Forgets all but the values that drew the smallest numbers.
    fn keep_first(&mut self) {
        if self.entries.len() <= DISTINCT_MAX {
            return;
        }
        let mut drawn: Vec<(u64, &Value)> = self.entries.iter().map(|entry| (entry.drawn, &entry.value)).collect();
        let (_, last, _) = drawn.select_nth_unstable(DISTINCT_MAX - 1);
        let last = (last.0, last.1.clone());
        self.entries.retain(|entry| (entry.drawn, &entry.value) <= (last.0, &last.1));
    }

    fn write(&mut self) -> Vec<u8> {
        self.keep_first();
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_unstable_by(|left, right| left.value.cmp(&right.value));
        let mut bytes = (entries.len() as u32).to_le_bytes().to_vec();
        for entry in entries {
            // A count that depends on when the value was forgotten says nothing.
            let count = if self.cells.is_some() { 0 } else { entry.count };
            bytes.extend_from_slice(&count.to_le_bytes());
            bytes.extend_from_slice(&entry.drawn.to_le_bytes());
            entry.value.write(&mut bytes);
        }
        self.cells.iter().flatten().for_each(|cell| bytes.extend_from_slice(&cell.to_le_bytes()));
        bytes
    }

    /// Adds what [`Top::write`] wrote; `None` if it is damaged.
    fn merge(&mut self, state: &[u8], argument: &ArgumentType) -> Option<()> {
        let (entries, mut rest) = state.split_first_chunk()?;
        let mut read = Vec::new();
        for _ in 0..u32::from_le_bytes(*entries) {
            let (count, drawn, length);
            (count, rest) = rest.split_first_chunk()?;
            (drawn, rest) = rest.split_first_chunk()?;
            (length, rest) = rest.split_first_chunk()?;
            let (bytes, others) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            read.push((u64::from_le_bytes(*count), u64::from_le_bytes(*drawn), bytes, Value::read(bytes, argument)?));
            rest = others;
        }
        let (cells, damaged) = rest.as_chunks::<8>();
        if !damaged.is_empty() || !(cells.is_empty() || cells.len() == WIDTH * DEPTH) {
            return None;
        }
        if !cells.is_empty() {
            self.sketch();
        }
        for (count, drawn, bytes, value) in read {
            let hash = Bytes::Text(bytes).hash();
            self.add((hash, count, drawn), |known| *known == value, || value.clone());
        }
        for (own, cell) in self.cells.iter_mut().flatten().zip(cells) {
            *own += u64::from_le_bytes(*cell);
        }
        Some(())
    }

    /// The `k` most frequent values and their counts; of equally frequent ones the smallest.
    fn most_frequent(mut self, k: usize) -> Vec<(Value, u64)> {
        self.keep_first();
        let cells = self.cells;
        let counted = self.entries.into_iter().map(|entry| {
            let cells = cells.as_ref().map(|cells| cells_of(entry.hash).map(|cell| cells[cell]));
            (entry.value, cells.and_then(Iterator::min).unwrap_or(entry.count))
        });
        let mut counted: Vec<(Value, u64)> = counted.collect();
        counted.sort_unstable_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        counted.truncate(k);
        counted
    }

    fn size(&self) -> usize {
        let text: usize = self.entries.iter().map(|entry| entry.value.text_bytes()).sum();
        let cells = if self.cells.is_some() { WIDTH * DEPTH * 8 } else { 0 };
        text + cells + self.entries.capacity() * (size_of::<Entry>() + 1)
    }
}

/// The cells of a value in each row of the sketch (Kirsch, Mitzenmacher, 2006: two hashes make any number of them).
fn cells_of(hash: u64) -> impl Iterator<Item = usize> {
    let (first, second) = (hash as u32, (hash >> 32) as u32 | 1);
    (0..DEPTH as u32).map(move |row| {
        let place = first.wrapping_add(row.wrapping_mul(second)) >> (32 - WIDTH.trailing_zeros());
        row as usize * WIDTH + place as usize
    })
}

/// What a row draws: the same in every life, and nothing of what its neighbours draw.
fn draw(place: i64, hash: u64) -> u64 {
    // The finalizer of splitmix64 (Steele, Lea, Flood, 2014).
    let mut mixed = (place as u64).wrapping_add(hash.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl TopK {
    pub(crate) fn new(k: u32, argument: ArgumentType) -> Self {
        Self { k: k as usize, argument, tops: Vec::new() }
    }
}

impl Accumulator for TopK {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        self.tops.resize_with(total_groups, Top::default);
        let (values, places) = (&arguments[0], arguments[1].as_primitive::<Int64Type>().values());
        each_value(values, groups, filter, |group, row| {
            let hash = Bytes::of(values, row).hash();
            let drawn = draw(places[row], hash);
            let is_value = |known: &Value| known.equals_row(values, row);
            self.tops[group].add((hash, 1, drawn), is_value, || Value::of(values, row).canonical());
        });
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        self.tops.resize_with(total_groups, Top::default);
        let states: &BinaryArray = only_state(states)?;
        for (row, &group) in groups.iter().enumerate().filter(|(row, _)| states.is_valid(*row)) {
            let state = states.value(row);
            let merged = self.tops[group as usize].merge(state, &self.argument);
            merged.ok_or_else(|| format!("counted values in {} bytes", state.len()))?;
        }
        Ok(())
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        self.tops.resize_with(total_groups, Top::default);
        vec![Arc::new(std::mem::take(&mut self.tops).iter_mut().map(|top| Some(top.write())).collect::<BinaryArray>())]
    }

    /// Lists of objects with a `value` and its `count`; null where there are no values.
    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        self.tops.resize_with(total_groups, Top::default);
        let (mut values, mut counts, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for top in std::mem::take(&mut self.tops) {
            let before = values.len();
            for (value, count) in top.most_frequent(self.k) {
                values.push(Some(value));
                counts.push(count as i64);
            }
            lengths.push(values.len() - before);
        }
        let some: NullBuffer = lengths.iter().map(|length| *length > 0).collect();
        let values = shown(values, &self.argument);
        let fields = Fields::from(vec![
            Field::new("value", values.data_type().clone(), true),
            Field::new("count", DataType::Int64, false),
        ]);
        let objects = StructArray::new(fields, vec![values, Arc::new(Int64Array::from(counts))], None);
        let item = Arc::new(Field::new_list_field(objects.data_type().clone(), true));
        Arc::new(ListArray::new(item, OffsetBuffer::from_lengths(lengths), Arc::new(objects), Some(some)))
    }

    fn size(&self) -> usize {
        self.tops.iter().map(Top::size).sum::<usize>() + self.tops.capacity() * size_of::<Top>()
    }
}
