//! Gathers what the texts of a segment are made of, block by block, while the segment is written. Writes nothing.

use std::ops::Range;

use arrow::array::{Array, AsArray, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Schema};

use crate::settings::IndexKind;
use crate::{TableSettings, rollups};

use super::digits::Run;
use super::shapes::Shapes;
use super::text::{GRAMS, WHOLE_BYTES_MAX, folds_to_ascii, take_apart, take_apart_around, whole};
use super::{BLOCK_ROWS, WORDS_PER_BLOCK_MAX};

/// A view of at most so many bytes is the value itself.
const INLINE_BYTES_MAX: u32 = 12;
/// How many short values are remembered, so that they are not taken apart again.
const REMEMBERED: usize = 1 << 10;

/// What is known of a segment's texts so far.
#[derive(Debug)]
pub(crate) struct Builder {
    columns: Vec<Column>,
    rollups: rollups::Builder,
    kind: IndexKind,
    rows: u64,
    /// The column of event times.
    time: Option<usize>,
    timeless: u64,
    /// Rows of the block that is not full yet.
    in_block: usize,
}

/// One column of texts.
pub(super) struct Column {
    pub(super) name: String,
    /// Its place in the schema.
    index: usize,
    pub(super) blocks: Vec<Block>,
    pub(super) shapes: Shapes,
    scratch: Scratch,
}

impl Column {
    /// The next rows, of which the first is number `row`.
    fn add(&mut self, texts: &StringViewArray, rows: Range<usize>, row: u64) {
        for (at, row) in rows.zip(row..) {
            if texts.is_null(at) {
                continue;
            }
            let text = texts.value(at).as_bytes();
            let is_like_another = self.shapes.add(row, text);
            if self.scratch.open || self.scratch.has_seen(texts.views()[at]) {
                continue;
            }
            match is_like_another {
                true => self.scratch.digits(text, self.shapes.runs()),
                false => self.scratch.value(text),
            }
        }
    }
}

impl std::fmt::Debug for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Column").field("name", &self.name).field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}

/// What the texts of one block are made of.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Pieces of three bytes, sorted.
    pub(super) grams: Vec<u32>,
    /// Hashes of words and whole values, each once, in no order that means anything.
    pub(super) words: Vec<u64>,
    /// Its texts are made of more than is kept: it may always match.
    pub(super) open: bool,
}

impl Block {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.grams.capacity() * 4 + self.words.capacity() * 8
    }
}

impl Builder {
    /// For rows with `schema`, whose column of event times is `time`, of a table of which `settings` are chosen.
    pub(crate) fn new(schema: &Schema, time: Option<&str>, settings: &TableSettings) -> Self {
        let texts = schema.fields().iter().enumerate().filter(|(_, field)| *field.data_type() == DataType::Utf8View);
        let columns = texts.take(settings.index.columns_max()).map(|(index, field)| Column {
            name: field.name().clone(),
            index,
            blocks: Vec::new(),
            shapes: Shapes::default(),
            scratch: Scratch::new(),
        });
        let rollups = rollups::Builder::new(schema, time, &settings.rollups);
        let time = time.and_then(|time| schema.index_of(time).ok());
        Self { columns: columns.collect(), rollups, kind: settings.index, rows: 0, time, timeless: 0, in_block: 0 }
    }

    /// The next rows, in the order in which they are written.
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        self.rollups.add(batch);
        let timeless = self.time.map_or(batch.num_rows(), |time| batch.column(time).null_count());
        self.timeless += timeless as u64;
        let mut from = 0;
        while from < batch.num_rows() {
            let count = (batch.num_rows() - from).min(BLOCK_ROWS - self.in_block);
            for column in &mut self.columns {
                if let Some(texts) = batch.column(column.index).as_string_view_opt() {
                    column.add(texts, from..from + count, self.rows);
                }
            }
            from += count;
            self.in_block += count;
            self.rows += count as u64;
            if self.in_block == BLOCK_ROWS {
                self.end_block();
            }
        }
    }

    fn end_block(&mut self) {
        self.in_block = 0;
        for column in &mut self.columns {
            column.blocks.push(column.scratch.take());
            column.shapes.end_block();
        }
        let bytes =
            |column: &Column| column.blocks.iter().map(Block::bytes).sum::<usize>() + column.shapes.memory_bytes();
        let mut all: usize = self.columns.iter().map(bytes).sum();
        while all > self.kind.gathered_bytes_max() {
            let Some(largest) = (0..self.columns.len()).max_by_key(|&at| bytes(&self.columns[at])) else { return };
            all -= bytes(&self.columns[largest]);
            let dropped = self.columns.remove(largest);
            tracing::debug!(column = dropped.name, "a column has too many words for the search index");
        }
    }

    /// Rows without an event time so far.
    pub(super) fn timeless(&self) -> u64 {
        self.timeless
    }

    /// How much of the texts is kept.
    pub(super) fn kind(&self) -> IndexKind {
        self.kind
    }

    /// The columns, each with all its blocks, the rollups, and the number of rows.
    pub(super) fn finish(mut self) -> (Vec<Column>, rollups::Builder, u64) {
        if self.in_block > 0 {
            self.end_block();
        }
        (self.columns, self.rollups, self.rows)
    }
}

/// What the block at work is made of.
struct Scratch {
    /// One bit per piece.
    grams: Vec<u64>,
    words: Distinct,
    /// Short values that were taken apart in this block.
    remembered: Vec<u128>,
    open: bool,
}

impl Scratch {
    fn new() -> Self {
        Self {
            grams: vec![0; GRAMS / 64],
            words: Distinct::default(),
            remembered: vec![u128::MAX; REMEMBERED],
            open: false,
        }
    }

    /// Whether a short text was there in this block already, as far as that is remembered. Now it was.
    fn has_seen(&mut self, view: u128) -> bool {
        if view as u32 > INLINE_BYTES_MAX {
            return false;
        }
        // The low bits are the length, the others the bytes.
        let place = (view ^ (view >> 64)).wrapping_mul(0x9e37_79b9_7f4a_7c15) as u64 >> 54;
        std::mem::replace(&mut self.remembered[place as usize % REMEMBERED], view) == view
    }

    /// A text of which nothing is known.
    fn value(&mut self, text: &[u8]) {
        let Self { grams, words, .. } = self;
        take_apart(text, |piece| mark(grams, piece), |word| words.insert(word));
        self.open |= folds_to_ascii(text);
        self.whole(text);
    }

    /// A text of which another one was there, but for its digits.
    fn digits(&mut self, text: &[u8], runs: &[Run]) {
        let Self { grams, words, .. } = self;
        take_apart_around(text, runs, |piece| mark(grams, piece), |word| words.insert(word));
        self.whole(text);
    }

    fn whole(&mut self, text: &[u8]) {
        if text.len() <= WHOLE_BYTES_MAX {
            self.words.insert(whole(text));
        }
        self.open |= self.words.len > WORDS_PER_BLOCK_MAX;
    }

    /// The block, and an empty one instead.
    fn take(&mut self) -> Block {
        let mut grams = Vec::new();
        for (at, bits) in self.grams.iter_mut().enumerate() {
            while *bits != 0 {
                grams.push(at as u32 * 64 + bits.trailing_zeros());
                *bits &= *bits - 1;
            }
        }
        grams.shrink_to_fit();
        self.remembered.fill(u128::MAX);
        Block { grams, words: self.words.take(), open: std::mem::take(&mut self.open) }
    }
}

#[inline]
fn mark(grams: &mut [u64], piece: u32) {
    if let Some(word) = grams.get_mut(piece as usize / 64) {
        *word |= 1 << (piece % 64);
    }
}

/// A set of hashes that are not 0, by open addressing.
#[derive(Debug, Default)]
struct Distinct {
    /// 0 where there is none; a power of two of places, at most half of them taken.
    places: Vec<u64>,
    len: usize,
}

impl Distinct {
    #[inline]
    fn insert(&mut self, hash: u64) {
        if self.len * 2 >= self.places.len() {
            self.grow();
        }
        let mask = self.places.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            match self.places[at] {
                0 => {
                    self.places[at] = hash;
                    self.len += 1;
                    return;
                }
                there if there == hash => return,
                _ => at = (at + 1) & mask,
            }
        }
    }

    #[cold]
    fn grow(&mut self) {
        let old = std::mem::take(&mut self.places);
        self.places = vec![0; (old.len() * 2).max(64)];
        self.len = 0;
        old.into_iter().filter(|hash| *hash != 0).for_each(|hash| self.insert(hash));
    }

    /// What is in it; it stays as large as it is, for the next block will be alike.
    fn take(&mut self) -> Vec<u64> {
        let mut all = Vec::with_capacity(self.len);
        all.extend(self.places.iter().copied().filter(|hash| *hash != 0));
        self.places.fill(0);
        self.len = 0;
        all
    }
}
