//! Which rows of a segment have texts of which shape: a text with every run of digits replaced by one byte. Programs write
//! few shapes of lines, whatever the numbers in them are. So for each rare shape its rows are kept, and a part of a text
//! without digits, which is in a text if and only if it is in its shape, is found without reading a row. Digits that are the
//! same in all texts of a shape are put back into it, so that a part with such digits is found in the same way. Says nothing
//! of a column with too many shapes.

use std::borrow::Cow;
use std::collections::HashMap;

use weir_disk::checksum_of;

use super::digits::{Run, find_runs};
use super::form::{DIGITS, shape_of};

/// A column with more shapes in a segment is left alone.
const SHAPES_MAX: usize = 4_096;
/// And so is one whose shapes have more bytes.
const SHAPES_BYTES_MAX: usize = 256 << 10;
/// And one whose texts are so short on average that all of them are read in no time.
const TEXT_BYTES_MIN: u64 = 16;
/// The rows of a shape are kept if at most one in so many has it.
const RARE: u64 = 32;
/// Says that the rows of a shape are not kept.
const NOT_KEPT: u32 = u32::MAX;
/// Bytes of a shape in the list, without its text.
const ENTRY_BYTES: usize = 18;
/// A longer run of digits is taken to differ from row to row: more digits than any number of 64 bits has.
const RUN_BYTES_MAX: usize = 20;

/// The shapes of a column, and the rows of each, while a segment is written.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    by_hash: HashMap<u64, u32>,
    found: Vec<Found>,
    bytes: usize,
    texts: u64,
    text_bytes: u64,
    is_given_up: bool,
    /// The number of the block at work.
    block: u32,
    /// The shape of the last text, and where its digits were.
    scratch: Vec<u8>,
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Found {
    shape: Box<[u8]>,
    /// The last block in which a text has it.
    block: Option<u32>,
    /// The digits of each run; none where texts differ.
    runs: Box<[Box<[u8]>]>,
    /// In how many runs texts do not differ.
    alike: usize,
    rows: u32,
    last: u32,
    /// How far each row is from the one before, as LEB128.
    places: Vec<u8>,
}

impl Found {
    /// The shape of `text`, which is the first that has it.
    fn of(shape: &[u8], text: &[u8], runs: &[Run]) -> Self {
        let kept = |run: &Run| if run.len() <= RUN_BYTES_MAX { text[run.clone()].into() } else { Box::default() };
        let runs: Box<[Box<[u8]>]> = runs.iter().map(kept).collect();
        let alike = runs.iter().filter(|run| !run.is_empty()).count();
        Self { shape: shape.into(), block: None, runs, alike, rows: 0, last: 0, places: Vec::new() }
    }

    /// Another text has the shape.
    fn compare(&mut self, text: &[u8], runs: &[Run]) {
        for (kept, run) in self.runs.iter_mut().zip(runs) {
            if !kept.is_empty() && **kept != text[run.clone()] {
                *kept = Box::default();
                self.alike -= 1;
            }
        }
    }

    /// The shape with the digits that all its texts have.
    fn with_digits(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.shape.len());
        let mut runs = self.runs.iter();
        for &byte in &self.shape {
            let run = if byte == DIGITS { runs.next() } else { None };
            match run.filter(|run| !run.is_empty()) {
                Some(run) => text.extend_from_slice(run),
                None => text.push(byte),
            }
        }
        text
    }

    fn memory_bytes(&self) -> usize {
        let runs: usize = self.runs.iter().map(|run| size_of::<Box<[u8]>>() + run.len()).sum();
        size_of::<Self>() + 16 + runs + self.places.capacity()
    }
}

impl Shapes {
    /// The text of the next row, and whether another text of this block has its shape: then they differ in their digits only,
    /// which are in [`runs`](Self::runs).
    pub(super) fn add(&mut self, row: u64, text: &[u8]) -> bool {
        if self.is_given_up {
            return false;
        }
        self.texts += 1;
        self.text_bytes += text.len() as u64;
        find_runs(text, &mut self.runs);
        self.scratch.clear();
        shape_of(text, &self.runs, &mut self.scratch);
        let hash = checksum_of(&self.scratch);
        let at = *self.by_hash.entry(hash).or_insert_with(|| {
            self.bytes += self.scratch.len();
            self.found.push(Found::of(&self.scratch, text, &self.runs));
            self.found.len() as u32 - 1
        });
        let found = &mut self.found[at as usize];
        // Two shapes of one hash are not worth telling apart.
        let row = u32::try_from(row).ok().filter(|_| *found.shape == *self.scratch);
        let Some(row) = row.filter(|_| self.bytes <= SHAPES_BYTES_MAX && self.by_hash.len() <= SHAPES_MAX) else {
            self.give_up();
            return false;
        };
        if found.alike > 0 {
            found.compare(text, &self.runs);
        }
        write_number(&mut found.places, row - found.last);
        found.last = row;
        found.rows += 1;
        found.block.replace(self.block) == Some(self.block)
    }

    /// Where the digits of the last text were.
    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// After the rows of a block: whether it is worth going on is seen then.
    pub(super) fn end_block(&mut self) {
        self.block += 1;
        if self.texts > 0 && self.text_bytes / self.texts < TEXT_BYTES_MIN {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        *self = Self { is_given_up: true, ..Self::default() };
    }

    /// How many bytes of memory it takes, about.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes + self.found.iter().map(Found::memory_bytes).sum::<usize>()
    }

    /// The list with the number of shapes, and the rows behind it; of all shapes if `all`, else of the rare ones. `None` when
    /// it would take more than `bytes_max`, or says nothing.
    pub(super) fn encode(&self, rows: u64, all: bool, bytes_max: usize) -> Option<(u32, Vec<u8>, Vec<u8>)> {
        if self.is_given_up || self.found.is_empty() {
            return None;
        }
        let written = |with_digits| self.written(rows, all, with_digits);
        let fits = |(list, places): &(Vec<u8>, Vec<u8>)| list.len() + places.len() <= bytes_max;
        let (list, places) = written(true).filter(fits).or_else(|| written(false).filter(fits))?;
        Some((self.found.len() as u32, list, places))
    }

    /// The list, with the digits that all texts of a shape have or without them, and the rows.
    fn written(&self, rows: u64, all: bool, with_digits: bool) -> Option<(Vec<u8>, Vec<u8>)> {
        let (mut list, mut places) = (Vec::with_capacity(self.bytes + self.found.len() * ENTRY_BYTES), Vec::new());
        for found in &self.found {
            let is_kept = all || u64::from(found.rows) * RARE <= rows;
            let kept = if is_kept { found.places.as_slice() } else { &[] };
            let offset = if is_kept { u32::try_from(places.len()).ok()? } else { NOT_KEPT };
            for number in [found.rows, offset, u32::try_from(kept.len()).ok()?, checksum_of(kept) as u32] {
                list.extend_from_slice(&number.to_le_bytes());
            }
            let shape = if with_digits { found.with_digits().into() } else { Cow::Borrowed(&*found.shape) };
            // A longer one would have been too much.
            let length = u16::try_from(shape.len()).ok()?;
            list.extend_from_slice(&length.to_le_bytes());
            list.extend_from_slice(&shape);
            places.extend_from_slice(kept);
        }
        Some((list, places))
    }
}

fn write_number(to: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// A shape of a segment.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) text: Box<[u8]>,
    pub(super) rows: u32,
    /// Where its rows are behind the list.
    pub(super) places: Option<Places>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) offset: u32,
    pub(super) bytes: u32,
    checksum: u32,
}

impl Places {
    /// The rows that `bytes` say, which are `count` and smaller than `rows`; `None` when they are damaged.
    pub(super) fn read(self, bytes: &[u8], count: u32, rows: u64) -> Option<Vec<u32>> {
        if checksum_of(bytes) as u32 != self.checksum {
            return None;
        }
        let mut found = Vec::with_capacity(bytes.len().min(count as usize));
        let (mut row, mut number, mut shift) = (0_u32, 0_u32, 0);
        for byte in bytes {
            number |= u32::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                row = row.checked_add(number)?;
                found.push(row);
                (number, shift) = (0, 0);
            }
        }
        let is_sound = found.len() == count as usize && shift == 0 && u64::from(row) < rows.max(1);
        is_sound.then_some(found)
    }
}

/// The shapes in a list of `count`, which was compared with its checksum.
pub(super) fn parse(mut list: &[u8], count: usize) -> Option<Vec<Shape>> {
    let mut shapes = Vec::with_capacity(count.min(SHAPES_MAX));
    for _ in 0..count {
        let (head, rest) = list.split_at_checked(ENTRY_BYTES)?;
        let number = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
        let length = u16::from_le_bytes(head.get(16..)?.try_into().ok()?);
        let (text, rest) = rest.split_at_checked(usize::from(length))?;
        let places = Places { offset: number(4)?, bytes: number(8)?, checksum: number(12)? };
        let places = (places.offset != NOT_KEPT).then_some(places);
        shapes.push(Shape { text: text.into(), rows: number(0)?, places });
        list = rest;
    }
    list.is_empty().then_some(shapes)
}

/// How many bytes of memory shapes take.
pub(super) fn memory_bytes(shapes: &[Shape]) -> usize {
    shapes.iter().map(|shape| size_of::<Shape>() + shape.text.len()).sum()
}

/// Rows of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Each once, in the order of the segment.
    pub rows: Vec<u32>,
    /// Whether these are all that are meant and no others; else some of them may be others.
    pub is_exact: bool,
}
