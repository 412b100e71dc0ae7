//! Which rows of a segment have texts of which shape: a text with every run of digits replaced by one byte. Programs write
//! few shapes of lines, whatever the numbers in them are. So for each rare shape its rows are kept, and a part of a text
//! without digits, which is in a text if and only if it is in its shape, is found without reading a row. Says nothing of a
//! column with too many shapes.

use std::collections::HashMap;
use std::ops::Range;

use arrow::array::{Array, StringViewArray};
use weir_disk::checksum_of;

use super::text::{folds_to_ascii, is_in_word};

/// Stands for digits: no text has this byte, because it is part of no character in UTF-8.
const DIGITS: u8 = 0xff;
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

/// `text` with a byte that texts never have for each run of digits.
fn shape_of(text: &[u8], shape: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(digit) = rest.iter().position(u8::is_ascii_digit) {
        shape.extend_from_slice(&rest[..digit]);
        shape.push(DIGITS);
        let end = rest[digit..].iter().position(|byte| !byte.is_ascii_digit());
        rest = end.map_or(&[], |end| &rest[digit + end..]);
    }
    shape.extend_from_slice(rest);
}

/// The shapes of a column, and the rows of each, while a segment is written.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    by_hash: HashMap<u64, u32>,
    found: Vec<Found>,
    bytes: usize,
    texts: u64,
    text_bytes: u64,
    is_given_up: bool,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Found {
    shape: Box<[u8]>,
    rows: u32,
    last: u32,
    /// How far each row is from the one before, as LEB128.
    places: Vec<u8>,
}

impl Shapes {
    /// The next rows, of which the first is number `row`. Those without a text are left out.
    pub(super) fn add_all(&mut self, texts: &StringViewArray, rows: Range<usize>, row: u64) {
        for (at, row) in rows.zip(row..) {
            if self.is_given_up {
                return;
            }
            if texts.is_valid(at) {
                self.add(row, texts.value(at).as_bytes());
            }
        }
    }

    fn add(&mut self, row: u64, text: &[u8]) {
        self.texts += 1;
        self.text_bytes += text.len() as u64;
        self.scratch.clear();
        shape_of(text, &mut self.scratch);
        let hash = checksum_of(&self.scratch);
        let at = *self.by_hash.entry(hash).or_insert_with(|| {
            self.bytes += self.scratch.len();
            self.found.push(Found { shape: self.scratch.as_slice().into(), rows: 0, last: 0, places: Vec::new() });
            self.found.len() as u32 - 1
        });
        let found = &mut self.found[at as usize];
        // Two shapes of one hash are not worth telling apart.
        let row = u32::try_from(row).ok().filter(|_| *found.shape == *self.scratch);
        let Some(row) = row.filter(|_| self.bytes <= SHAPES_BYTES_MAX && self.by_hash.len() <= SHAPES_MAX) else {
            self.give_up();
            return;
        };
        write_number(&mut found.places, row - found.last);
        found.last = row;
        found.rows += 1;
    }

    /// After the rows of a block: whether it is worth going on is seen then.
    pub(super) fn end_block(&mut self) {
        if self.texts > 0 && self.text_bytes / self.texts < TEXT_BYTES_MIN {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        *self = Self { is_given_up: true, ..Self::default() };
    }

    /// How many bytes of memory it takes, about.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes + self.found.iter().map(|found| size_of::<Found>() + 16 + found.places.capacity()).sum::<usize>()
    }

    /// The list with the number of shapes, and the rows behind it; of all shapes if `all`, else of the rare ones. `None` when
    /// it would take more than `bytes_max`, or says nothing.
    pub(super) fn encode(&self, rows: u64, all: bool, bytes_max: usize) -> Option<(u32, Vec<u8>, Vec<u8>)> {
        if self.is_given_up || self.found.is_empty() {
            return None;
        }
        let (mut list, mut places) = (Vec::with_capacity(self.bytes + self.found.len() * ENTRY_BYTES), Vec::new());
        for found in &self.found {
            let is_kept = all || u64::from(found.rows) * RARE <= rows;
            let kept = if is_kept { found.places.as_slice() } else { &[] };
            let offset = if is_kept { u32::try_from(places.len()).ok()? } else { NOT_KEPT };
            for number in [found.rows, offset, u32::try_from(kept.len()).ok()?, checksum_of(kept) as u32] {
                list.extend_from_slice(&number.to_le_bytes());
            }
            // A longer one would have been too much.
            let length = u16::try_from(found.shape.len()).ok()?;
            list.extend_from_slice(&length.to_le_bytes());
            list.extend_from_slice(&found.shape);
            places.extend_from_slice(kept);
        }
        (list.len() + places.len() <= bytes_max).then_some((self.found.len() as u32, list, places))
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

/// What a shape says of the texts that have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    No,
    /// Some of them may be meant.
    Maybe,
    Yes,
}

/// What a text must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    parts: Parts,
    /// Whether there are no digits in it: then a shape says all.
    is_plain: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Parts {
    /// These, one after the other, with anything between them.
    InOrder { parts: Vec<Vec<u8>>, from_start: bool, to_end: bool, ignores_case: bool },
    /// These words, as a whole, whatever the case of their ASCII letters.
    Words(Vec<Vec<u8>>),
}

impl Form {
    /// A text that has `parts` in their order; the first of them at its beginning, the last at its end, if that is said.
    /// `None` when shapes cannot say it.
    pub fn of_parts(parts: &[String], ends: [bool; 2], ignores_case: bool) -> Option<Self> {
        if ignores_case && !parts.iter().all(|part| part.is_ascii()) {
            return None;
        }
        let [from_start, to_end] = ends;
        let is_plain = parts.iter().all(|part| is_plain(part.as_bytes()));
        let parts = parts.iter().map(|part| in_shape(part.as_bytes())).collect();
        Some(Self { parts: Parts::InOrder { parts, from_start, to_end, ignores_case }, is_plain })
    }

    /// A text with all these words.
    pub fn of_words<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let words: Vec<&str> = words.collect();
        let is_plain = words.iter().all(|word| is_plain(word.as_bytes()));
        Self { parts: Parts::Words(words.into_iter().map(|word| in_shape(word.as_bytes())).collect()), is_plain }
    }

    pub(super) fn test(&self, shape: &[u8]) -> Verdict {
        let may_fold = |ignores_case: bool| ignores_case && folds_to_ascii(shape);
        let matches = match &self.parts {
            Parts::Words(words) => words
                .iter()
                .all(|word| shape.split(|byte| !is_in_word(*byte)).any(|there| there.eq_ignore_ascii_case(word))),
            Parts::InOrder { ignores_case, .. } if may_fold(*ignores_case) => return Verdict::Maybe,
            Parts::InOrder { parts, from_start, to_end, ignores_case } => match self.is_plain {
                true => in_order(shape, parts, [*from_start, *to_end], *ignores_case),
                // Two parts may be in one run of digits.
                false => parts.iter().all(|part| find(shape, part, *ignores_case).is_some()),
            },
        };
        match (matches, self.is_plain) {
            (false, _) => Verdict::No,
            (true, true) => Verdict::Yes,
            (true, false) => Verdict::Maybe,
        }
    }
}

fn is_plain(text: &[u8]) -> bool {
    !text.iter().any(u8::is_ascii_digit)
}

fn in_shape(text: &[u8]) -> Vec<u8> {
    let mut shape = Vec::with_capacity(text.len());
    shape_of(text, &mut shape);
    shape
}

fn is_equal(one: &[u8], other: &[u8], ignores_case: bool) -> bool {
    if ignores_case { one.eq_ignore_ascii_case(other) } else { one == other }
}

/// Where `part` begins in `shape` first.
fn find(shape: &[u8], part: &[u8], ignores_case: bool) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    shape.windows(part.len()).position(|there| is_equal(there, part, ignores_case))
}

fn in_order(shape: &[u8], parts: &[Vec<u8>], [from_start, to_end]: [bool; 2], ignores_case: bool) -> bool {
    let mut rest = shape;
    let mut parts = parts;
    if from_start && let [first, others @ ..] = parts {
        let Some((there, behind)) = rest.split_at_checked(first.len()) else { return false };
        if !is_equal(there, first, ignores_case) {
            return false;
        }
        if to_end && others.is_empty() {
            return behind.is_empty();
        }
        (rest, parts) = (behind, others);
    }
    if to_end && let [others @ .., last] = parts {
        let Some(at) = rest.len().checked_sub(last.len()) else { return false };
        if !is_equal(&rest[at..], last, ignores_case) {
            return false;
        }
        (rest, parts) = (&rest[..at], others);
    }
    parts.iter().all(|part| {
        let found = find(rest, part, ignores_case);
        found.inspect(|at| rest = &rest[at + part.len()..]).is_some()
    })
}

/// Rows of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Each once, in the order of the segment.
    pub rows: Vec<u32>,
    /// Whether these are all that are meant and no others; else some of them may be others.
    pub is_exact: bool,
}
