//! Group keys: the distinct values of a window's key columns, each combination numbered once, so that rows of a batch
//! become numbers without hashing a string per row.
//!
//! Each column numbers its distinct values ([`KeyColumn`]); pairs of numbers are numbered again ([`Pairs`]) until one
//! number per row is left. Nothing depends on the numbers: results are sorted by the keys themselves.

mod column;
mod digest;
mod index;
mod pairs;
#[cfg(test)]
mod tests;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{SortColumn, SortOptions, lexsort_to_indices};

use column::KeyColumn;
pub(crate) use digest::{Digest, digest_column, digests, digests_of_column, key_hashes, times_of_column};
pub(crate) use index::GroupIndex;
use pairs::Pairs;

/// The number of a combination of key values.
pub(crate) type KeyId = u32;

/// All combinations of key values that a window node has seen and not forgotten.
#[derive(Debug)]
pub(crate) struct Keys {
    columns: Vec<KeyColumn>,
    /// `pairs[n]` numbers (the number of columns 0 to n, the number of column n + 1).
    pairs: Vec<Pairs>,
    /// For each id its number in each column; an id is the index of its chunk.
    codes: Vec<u32>,
    ids: usize,
    scratch: Vec<u32>,
}

impl Keys {
    /// Keys of `columns` columns. Without columns every row has the id 0.
    pub(crate) fn new(columns: usize) -> Self {
        Self {
            columns: (0..columns).map(|_| KeyColumn::default()).collect(),
            pairs: (1..columns).map(|_| Pairs::default()).collect(),
            codes: Vec::new(),
            ids: usize::from(columns == 0),
            scratch: Vec::new(),
        }
    }

    /// How many ids there are.
    pub(crate) fn len(&self) -> usize {
        self.ids
    }

    /// The id of each row's keys, into `ids`.
    ///
    /// # Errors
    /// When a column is of a type that cannot be a key, or not of the one it had before.
    pub(crate) fn intern(&mut self, columns: &[ArrayRef], rows: usize, ids: &mut Vec<KeyId>) -> Result<(), String> {
        ids.clear();
        let [first, rest @ ..] = columns else {
            ids.resize(rows, 0);
            return Ok(());
        };
        self.columns[0].codes(first, ids)?;
        if rest.is_empty() {
            self.remember_codes(ids);
            return Ok(());
        }
        for (index, column) in rest.iter().enumerate() {
            self.scratch.clear();
            self.columns[index + 1].codes(column, &mut self.scratch)?;
            let pairs = &mut self.pairs[index];
            for (id, &code) in ids.iter_mut().zip(&self.scratch) {
                *id = pairs.number(*id, code);
            }
        }
        self.remember_pairs();
        Ok(())
    }

    fn remember_codes(&mut self, ids: &[KeyId]) {
        let highest = ids.iter().max().map_or(0, |id| *id as usize + 1);
        self.codes.extend(self.ids as u32..highest as u32);
        self.ids = self.ids.max(highest);
    }

    /// Writes down which codes the new ids of the last pairs stand for.
    fn remember_pairs(&mut self) {
        let last = self.pairs.last().expect("there are at least two columns");
        let start = self.codes.len();
        self.codes.resize(last.len() * self.columns.len(), 0);
        for (id, codes) in (self.ids as u32..).zip(self.codes[start..].chunks_exact_mut(self.columns.len())) {
            let mut number = id;
            for (index, pairs) in self.pairs.iter().enumerate().rev() {
                (number, codes[index + 1]) = pairs.pair(number);
            }
            codes[0] = number;
        }
        self.ids = last.len();
    }

    /// The key values of `ids`, a column per key.
    pub(crate) fn columns(&self, ids: &[KeyId]) -> Vec<ArrayRef> {
        let width = self.columns.len();
        let columns = self.columns.iter().enumerate();
        columns
            .map(|(place, column)| column.values(ids.iter().map(|id| self.codes[*id as usize * width + place])))
            .collect()
    }

    /// Appends bytes that stand for the key values of `id`, for hashing: equal values, equal bytes, for ever.
    pub(crate) fn write(&self, id: KeyId, bytes: &mut Vec<u8>) {
        let width = self.columns.len();
        for (place, column) in self.columns.iter().enumerate() {
            column.write(self.codes[id as usize * width + place], bytes);
        }
    }

    /// Forgets every id that is not in `live`, and gives the others new ones: those of `live`, in its order.
    pub(crate) fn keep(&mut self, live: &[KeyId]) -> Vec<KeyId> {
        let columns = self.columns(live);
        *self = Self::new(self.columns.len());
        let mut ids = Vec::new();
        self.intern(&columns, live.len(), &mut ids).expect("what was a key is a key");
        ids
    }

    /// About how many bytes it holds.
    pub(crate) fn size(&self) -> usize {
        let columns: usize = self.columns.iter().map(KeyColumn::size).sum();
        let pairs: usize = self.pairs.iter().map(Pairs::size).sum();
        columns + pairs + self.codes.capacity() * size_of::<u32>()
    }
}

/// The order of rows by `columns`: nulls first, then ascending.
pub(crate) fn sort_rows(columns: &[ArrayRef], rows: usize) -> arrow::array::UInt32Array {
    let options = Some(SortOptions { descending: false, nulls_first: true });
    let columns: Vec<SortColumn> =
        columns.iter().map(|values| SortColumn { values: values.clone(), options }).collect();
    if columns.is_empty() || rows < 2 {
        return (0..rows as u32).collect::<Vec<_>>().into();
    }
    lexsort_to_indices(&columns, None).expect("key columns are of types that sort")
}

/// The first `count` columns of a run: its keys.
pub(crate) fn key_columns(batch: &RecordBatch, count: usize) -> &[ArrayRef] {
    &batch.columns()[..count.min(batch.num_columns())]
}
