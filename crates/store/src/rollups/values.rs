//! The different values of a column, numbered as they come: texts, whole numbers, truths. Sums nothing up.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Int64Type};

use super::VALUES_MAX;

const REMEMBERED: usize = 256;
/// A view of at most so many bytes is the value itself.
const INLINE_BYTES_MAX: u32 = 12;

/// The values of a column; their numbers begin at 1, 0 is null.
#[derive(Debug)]
pub(super) struct Values {
    /// Its place in the schema.
    pub(super) column: usize,
    known: Known,
    /// The number of each row of the batch at work.
    pub(super) rows: Vec<u16>,
    /// There are more than are told apart, or of another type.
    pub(super) is_given_up: bool,
}

#[derive(Debug)]
enum Known {
    Texts(Texts),
    Wholes {
        values: Vec<i64>,
        numbers: HashMap<i64, u16>,
    },
    /// False is 1, true is 2.
    Truths,
}

impl Values {
    /// Those of a column of this type; `None` when values of it are not told apart.
    pub(super) fn new(column: usize, kind: &DataType) -> Option<Self> {
        let known = match kind {
            DataType::Utf8View => Known::Texts(Texts::new()),
            DataType::Int64 => Known::Wholes { values: Vec::new(), numbers: HashMap::new() },
            DataType::Boolean => Known::Truths,
            _ => return None,
        };
        Some(Self { column, known, rows: Vec::new(), is_given_up: false })
    }

    /// Numbers the rows of `batch`.
    pub(super) fn number(&mut self, batch: &RecordBatch) {
        self.rows.clear();
        if !self.is_given_up {
            self.is_given_up = self.number_all(batch.column(self.column)).is_none();
        }
    }

    fn number_all(&mut self, column: &ArrayRef) -> Option<()> {
        match &mut self.known {
            Known::Texts(known) => {
                let texts = column.as_string_view_opt()?;
                for row in 0..texts.len() {
                    self.rows.push(if texts.is_null(row) { 0 } else { known.number_of(texts, row)? });
                }
            }
            Known::Wholes { values, numbers } => {
                for whole in column.as_primitive_opt::<Int64Type>()? {
                    let Some(whole) = whole else {
                        self.rows.push(0);
                        continue;
                    };
                    let number = match numbers.get(&whole) {
                        Some(number) => *number,
                        None if values.len() >= VALUES_MAX => return None,
                        None => {
                            values.push(whole);
                            numbers.insert(whole, values.len() as u16);
                            values.len() as u16
                        }
                    };
                    self.rows.push(number);
                }
            }
            Known::Truths => {
                let truths = column.as_boolean_opt()?;
                self.rows.extend(truths.iter().map(|truth| truth.map_or(0, |truth| 1 + u16::from(truth))));
            }
        }
        Some(())
    }

    /// The values with these numbers.
    pub(super) fn named(&self, numbers: impl Iterator<Item = u16>) -> ArrayRef {
        let places = numbers.map(|number| number.checked_sub(1).map(usize::from));
        match &self.known {
            Known::Texts(known) => {
                Arc::new(places.map(|at| Some(known.texts[at?].as_str())).collect::<StringViewArray>())
            }
            Known::Wholes { values, .. } => Arc::new(places.map(|at| Some(values[at?])).collect::<Int64Array>()),
            Known::Truths => Arc::new(places.map(|at| Some(at? == 1)).collect::<BooleanArray>()),
        }
    }
}

#[derive(Debug)]
struct Texts {
    texts: Vec<String>,
    numbers: HashMap<String, u16>,
    /// Short values that came lately.
    remembered: Vec<(u128, u16)>,
}

impl Texts {
    fn new() -> Self {
        // A view of 12 bytes is never all ones.
        Self { texts: Vec::new(), numbers: HashMap::new(), remembered: vec![(u128::MAX, 0); REMEMBERED] }
    }

    fn number_of(&mut self, texts: &StringViewArray, row: usize) -> Option<u16> {
        let view = texts.views()[row];
        let is_short = view as u32 <= INLINE_BYTES_MAX;
        let place = ((view ^ (view >> 64)).wrapping_mul(0x9e37_79b9_7f4a_7c15) as u64 >> 56) as usize % REMEMBERED;
        if is_short && self.remembered[place].0 == view {
            return Some(self.remembered[place].1);
        }
        let text = texts.value(row);
        let number = match self.numbers.get(text) {
            Some(number) => *number,
            None if self.texts.len() >= VALUES_MAX => return None,
            None => {
                self.texts.push(text.to_owned());
                let number = self.texts.len() as u16;
                self.numbers.insert(text.to_owned(), number);
                number
            }
        };
        if is_short {
            self.remembered[place] = (view, number);
        }
        Some(number)
    }
}
