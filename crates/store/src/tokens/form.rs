//! What a text must be like, and what the shape of a text says of that: a text with a byte in the place of each run of digits,
//! but for digits that all texts of the shape have. Reads no text.

use super::digits::{Run, find_runs};
use super::text::{folds_to_ascii, is_in_word};

/// Stands for digits: no text has this byte, because it is part of no character in UTF-8.
pub(super) const DIGITS: u8 = 0xff;

/// Puts `text` with [`DIGITS`] for each of its runs of digits behind `shape`.
pub(super) fn shape_of(text: &[u8], runs: &[Run], shape: &mut Vec<u8>) {
    let mut from = 0;
    for run in runs {
        shape.extend_from_slice(&text[from..run.start]);
        shape.push(DIGITS);
        from = run.end;
    }
    shape.extend_from_slice(&text[from..]);
}

/// [`shape_of`] a text of which nothing is known yet.
fn shaped(text: &[u8]) -> Vec<u8> {
    let (mut runs, mut shape) = (Vec::new(), Vec::with_capacity(text.len()));
    find_runs(text, &mut runs);
    shape_of(text, &runs, &mut shape);
    shape
}

/// The runs of digits of a text or of a shape, in their order; [`DIGITS`] where a shape has any.
pub(super) fn runs_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_run = |byte: &u8| byte.is_ascii_digit() || *byte == DIGITS;
    text.split(move |byte| !is_run(byte)).filter(|run| !run.is_empty())
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
    InOrder { parts: Vec<Part>, from_start: bool, to_end: bool, ignores_case: bool },
    /// These words, as a whole, whatever the case of their ASCII letters.
    Words(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    text: Vec<u8>,
    shape: Vec<u8>,
}

impl Part {
    fn new(text: &str) -> Self {
        Self { text: text.as_bytes().to_vec(), shape: shaped(text.as_bytes()) }
    }

    /// Whether the runs of digits of a shape, from one of them on, may be those of the part. Behind an open end are perhaps
    /// more digits.
    fn may_have_runs<'a>(&self, runs: impl Iterator<Item = &'a [u8]>, [open_start, open_end]: [bool; 2]) -> bool {
        let last = runs_of(&self.text).count().wrapping_sub(1);
        let starts_open = open_start && self.shape.first() == Some(&DIGITS);
        let ends_open = open_end && self.shape.last() == Some(&DIGITS);
        runs_of(&self.text).zip(runs).enumerate().all(|(at, (asked, there))| {
            there == [DIGITS]
                || match (starts_open && at == 0, ends_open && at == last) {
                    (true, true) => find(there, asked, false).is_some(),
                    (true, false) => there.ends_with(asked),
                    (false, true) => there.starts_with(asked),
                    (false, false) => there == asked,
                }
        })
    }

    /// Whether a text of the shape may have it; `general` is the shape without its digits.
    fn may_be_in(&self, shape: &[u8], general: &[u8], ignores_case: bool) -> bool {
        if self.shape.is_empty() {
            return true;
        }
        let windows = general.windows(self.shape.len()).enumerate();
        let mut places = windows.filter(|(_, there)| is_equal(there, &self.shape, ignores_case));
        places.any(|(at, _)| self.may_have_runs(runs_of(shape).skip(runs_in(&general[..at])), [true; 2]))
    }

    /// Whether a text of the shape may have it as a word.
    fn may_be_a_word_of(&self, shape: &[u8], general: &[u8]) -> bool {
        let mut before = 0;
        general.split(|byte| !is_in_word(*byte)).any(|there| {
            let first = before;
            before += runs_in(there);
            there.eq_ignore_ascii_case(&self.shape) && self.may_have_runs(runs_of(shape).skip(first), [false; 2])
        })
    }
}

/// How many runs of digits a part of a shape without digits stands for.
fn runs_in(general: &[u8]) -> usize {
    general.iter().filter(|byte| **byte == DIGITS).count()
}

impl Form {
    /// A text that has `parts` in their order; the first of them at its beginning, the last at its end, if that is said.
    /// `None` when shapes cannot say it.
    pub fn of_parts(parts: &[String], ends: [bool; 2], ignores_case: bool) -> Option<Self> {
        if ignores_case && !parts.iter().all(|part| part.is_ascii()) {
            return None;
        }
        let [from_start, to_end] = ends;
        let is_plain = parts.iter().all(|part| is_plain(part));
        let parts = parts.iter().map(|part| Part::new(part)).collect();
        Some(Self { parts: Parts::InOrder { parts, from_start, to_end, ignores_case }, is_plain })
    }

    /// A text with all these words.
    pub fn of_words<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let words: Vec<&str> = words.collect();
        let is_plain = words.iter().all(|word| is_plain(word));
        Self { parts: Parts::Words(words.into_iter().map(Part::new).collect()), is_plain }
    }

    /// What `shape` says of its texts.
    pub(super) fn test(&self, shape: &[u8]) -> Verdict {
        let may_fold = |ignores_case: bool| ignores_case && folds_to_ascii(shape);
        let is_there = match &self.parts {
            Parts::Words(words) => words
                .iter()
                .all(|word| shape.split(|byte| !is_in_word(*byte)).any(|there| there.eq_ignore_ascii_case(&word.text))),
            Parts::InOrder { ignores_case, .. } if may_fold(*ignores_case) => return Verdict::Maybe,
            Parts::InOrder { parts, from_start, to_end, ignores_case } => {
                in_order(shape, parts, [*from_start, *to_end], *ignores_case)
            }
        };
        match is_there {
            // What is in the shape is in all its texts.
            true => Verdict::Yes,
            false if !self.is_plain && self.may_be_in(shape) => Verdict::Maybe,
            false => Verdict::No,
        }
    }

    /// Whether digits that the shape does not say may be those that are wanted.
    fn may_be_in(&self, shape: &[u8]) -> bool {
        let general = shaped(shape);
        match &self.parts {
            Parts::Words(words) => words.iter().all(|word| word.may_be_a_word_of(shape, &general)),
            // Two parts may be in one run of digits.
            Parts::InOrder { parts, ignores_case, .. } => {
                parts.iter().all(|part| part.may_be_in(shape, &general, *ignores_case))
            }
        }
    }
}

fn is_plain(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_digit())
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

/// Whether all texts of `shape` have the parts in their order.
fn in_order(shape: &[u8], parts: &[Part], [from_start, to_end]: [bool; 2], ignores_case: bool) -> bool {
    let mut rest = shape;
    let mut parts = parts;
    if from_start && let [first, others @ ..] = parts {
        let Some((there, behind)) = rest.split_at_checked(first.text.len()) else { return false };
        if !is_equal(there, &first.text, ignores_case) {
            return false;
        }
        if to_end && others.is_empty() {
            return behind.is_empty();
        }
        (rest, parts) = (behind, others);
    }
    if to_end && let [others @ .., last] = parts {
        let Some(at) = rest.len().checked_sub(last.text.len()) else { return false };
        if !is_equal(&rest[at..], &last.text, ignores_case) {
            return false;
        }
        (rest, parts) = (&rest[..at], others);
    }
    parts.iter().all(|part| {
        let found = find(rest, &part.text, ignores_case);
        found.inspect(|at| rest = &rest[at + part.text.len()..]).is_some()
    })
}
