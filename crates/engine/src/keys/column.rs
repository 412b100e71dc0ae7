//! The distinct values of one key column, each numbered once. Number 0 is null, which is a key like any other.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Float64Array, Int64Array, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float64Type, Int32Type, Int64Type};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};

/// The number of null.
const NULL: u32 = 0;
const UNKNOWN: u32 = u32::MAX;

/// The distinct values of a key column. Which type they have is decided by the first value.
#[derive(Debug, Default)]
pub(crate) enum KeyColumn {
    /// No value was seen, or only nulls.
    #[default]
    Unseen,
    Text(Texts),
    /// Anything that fits 64 bits: integers, instants, dates, booleans, floats (by their bits).
    Words(Words),
}

impl KeyColumn {
    /// Appends the number of each value of `array`.
    ///
    /// # Errors
    /// When the type cannot be a key, or is not the one of the values before.
    pub(crate) fn codes(&mut self, array: &ArrayRef, codes: &mut Vec<u32>) -> Result<(), String> {
        if array.logical_null_count() == array.len() {
            // Says nothing about the type: it may be what a snapshot made of nulls.
            codes.resize(codes.len() + array.len(), NULL);
            return Ok(());
        }
        if let Self::Unseen = self {
            *self = if is_text(array.data_type()) {
                Self::Text(Texts::default())
            } else {
                Self::Words(Words::new(array.data_type())?)
            };
        }
        match self {
            Self::Text(texts) if is_text(array.data_type()) => texts.codes(array, codes),
            Self::Words(words) if words.data_type == *array.data_type() => words.codes(array, codes),
            Self::Text(_) => Err(format!("a key of type {} came where text came before", array.data_type())),
            Self::Words(words) => {
                Err(format!("a key of type {} came where {} came before", array.data_type(), words.data_type))
            }
            Self::Unseen => unreachable!("its type was decided above"),
        }
    }

    /// The values with these numbers: text as `Utf8`, others of their own type.
    pub(crate) fn values(&self, codes: impl ExactSizeIterator<Item = u32>) -> ArrayRef {
        match self {
            Self::Unseen => new_null_array(&DataType::Utf8, codes.len()),
            Self::Text(texts) => {
                let text = |code: u32| code.checked_sub(1).map(|index| &*texts.values[index as usize]);
                Arc::new(codes.map(text).collect::<StringArray>())
            }
            Self::Words(words) => words.values(codes),
        }
    }

    /// Appends bytes that stand for the value: 0 for null, 1 and the length before text, 2 before 64 bits.
    pub(crate) fn write(&self, code: u32, bytes: &mut Vec<u8>) {
        match (code.checked_sub(1).map(|index| index as usize), self) {
            (None, _) | (_, Self::Unseen) => bytes.push(0),
            (Some(index), Self::Text(texts)) => {
                bytes.push(1);
                bytes.extend_from_slice(&(texts.values[index].len() as u64).to_le_bytes());
                bytes.extend_from_slice(texts.values[index].as_bytes());
            }
            (Some(index), Self::Words(words)) => {
                bytes.push(2);
                bytes.extend_from_slice(&words.values[index].to_le_bytes());
            }
        }
    }

    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Unseen => 0,
            Self::Text(texts) => {
                texts.values.iter().map(|text| text.len()).sum::<usize>() + texts.values.capacity() * 24
            }
            Self::Words(words) => words.values.capacity() * 24,
        }
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// Distinct strings.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    values: Vec<Box<str>>,
    numbers: HashTable<u32>,
    hasher: FixedState,
    /// The last dictionary and the number of each of its entries, [`UNKNOWN`] until an entry is used.
    dictionary: Option<(ArrayRef, Vec<u32>)>,
}

impl Texts {
    fn codes(&mut self, array: &ArrayRef, codes: &mut Vec<u32>) -> Result<(), String> {
        match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().iter().for_each(|text| codes.push(self.number(text))),
            DataType::Utf8View => array.as_string_view().iter().for_each(|text| codes.push(self.number(text))),
            DataType::LargeUtf8 => array.as_string::<i64>().iter().for_each(|text| codes.push(self.number(text))),
            DataType::Dictionary(key, _) if **key == DataType::Int32 => {
                self.dictionary_codes(array.as_dictionary(), codes)?
            }
            _ => {
                let plain = cast(array, &DataType::Utf8).map_err(|error| error.to_string())?;
                self.codes(&plain, codes)?;
            }
        }
        Ok(())
    }

    fn dictionary_codes(&mut self, array: &DictionaryArray<Int32Type>, codes: &mut Vec<u32>) -> Result<(), String> {
        let values = array.values();
        let mut numbers = match self.dictionary.take() {
            Some((known, numbers)) if Arc::ptr_eq(&known, values) => numbers,
            _ => vec![UNKNOWN; values.len()],
        };
        let keys = array.keys().values();
        let text = TextValues::of(values)?;
        match array.keys().nulls() {
            None => {
                for &key in keys {
                    codes.push(self.entry(&mut numbers, &text, key as usize));
                }
            }
            Some(nulls) => {
                for (row, &key) in keys.iter().enumerate() {
                    let code = if nulls.is_valid(row) { self.entry(&mut numbers, &text, key as usize) } else { NULL };
                    codes.push(code);
                }
            }
        }
        self.dictionary = Some((values.clone(), numbers));
        Ok(())
    }

    #[inline]
    fn entry(&mut self, numbers: &mut [u32], text: &TextValues<'_>, entry: usize) -> u32 {
        if numbers[entry] == UNKNOWN {
            numbers[entry] = self.number(text.get(entry));
        }
        numbers[entry]
    }

    fn number(&mut self, text: Option<&str>) -> u32 {
        let Some(text) = text else { return NULL };
        let hash = self.hasher.hash_one(text);
        let values = &mut self.values;
        if let Some(&number) = self.numbers.find(hash, |number| *values[*number as usize - 1] == *text) {
            return number;
        }
        values.push(text.into());
        let number = values.len() as u32;
        let hasher = &self.hasher;
        self.numbers.insert_unique(hash, number, |number| hasher.hash_one(&*values[*number as usize - 1]));
        number
    }
}

/// The entries of a dictionary of strings.
enum TextValues<'a> {
    Utf8(&'a StringArray),
    View(&'a arrow::array::StringViewArray),
    Large(&'a arrow::array::LargeStringArray),
}

impl<'a> TextValues<'a> {
    fn of(values: &'a ArrayRef) -> Result<Self, String> {
        match values.data_type() {
            DataType::Utf8 => Ok(Self::Utf8(values.as_string())),
            DataType::Utf8View => Ok(Self::View(values.as_string_view())),
            DataType::LargeUtf8 => Ok(Self::Large(values.as_string())),
            other => Err(format!("a dictionary of {other} cannot be a key")),
        }
    }

    fn get(&self, entry: usize) -> Option<&'a str> {
        match self {
            Self::Utf8(values) => values.is_valid(entry).then(|| values.value(entry)),
            Self::View(values) => values.is_valid(entry).then(|| values.value(entry)),
            Self::Large(values) => values.is_valid(entry).then(|| values.value(entry)),
        }
    }
}

/// Distinct values of 64 bits.
#[derive(Debug)]
pub(crate) struct Words {
    data_type: DataType,
    values: Vec<i64>,
    numbers: HashMap<i64, u32, FixedState>,
}

impl Words {
    fn new(data_type: &DataType) -> Result<Self, String> {
        let fits = data_type.is_integer() || data_type.is_floating();
        let ordered =
            matches!(data_type, DataType::Boolean | DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64);
        if !fits && !ordered {
            return Err(format!("a value of type {data_type} cannot be a key; text, numbers, booleans and times can"));
        }
        Ok(Self { data_type: data_type.clone(), values: Vec::new(), numbers: HashMap::default() })
    }

    fn codes(&mut self, array: &ArrayRef, codes: &mut Vec<u32>) -> Result<(), String> {
        if self.data_type.is_floating() {
            let floats = plain::<Float64Type>(array, &DataType::Float64)?;
            // Adding zero makes -0 the same key as 0; every NaN is one key.
            let word = |value: f64| if value.is_nan() { f64::NAN } else { value + 0.0 }.to_bits() as i64;
            floats.iter().for_each(|value| codes.push(self.number(value.map(word))));
        } else {
            let words = plain::<Int64Type>(array, &DataType::Int64)?;
            words.iter().for_each(|value| codes.push(self.number(value)));
        }
        Ok(())
    }

    fn number(&mut self, word: Option<i64>) -> u32 {
        let Some(word) = word else { return NULL };
        *self.numbers.entry(word).or_insert_with(|| {
            self.values.push(word);
            self.values.len() as u32
        })
    }

    fn values(&self, codes: impl Iterator<Item = u32>) -> ArrayRef {
        let words = codes.map(|code| code.checked_sub(1).map(|index| self.values[index as usize]));
        let words: ArrayRef = if self.data_type.is_floating() {
            Arc::new(words.map(|word| word.map(|bits| f64::from_bits(bits as u64))).collect::<Float64Array>())
        } else {
            Arc::new(words.collect::<Int64Array>())
        };
        cast(&words, &self.data_type).expect("values that came from this type go back to it")
    }
}

/// `array` cast to a plain type without losing a value.
fn plain<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    data_type: &DataType,
) -> Result<arrow::array::PrimitiveArray<T>, String> {
    let plain = cast(array, data_type).map_err(|error| error.to_string())?;
    if plain.null_count() != array.null_count() {
        return Err(format!("a key of type {} does not fit 64 bits", array.data_type()));
    }
    Ok(plain.as_primitive::<T>().clone())
}
