//! The bytes of one Avro value, read from front to back. Every read is checked against the end; nothing is allocated.

use super::limits::{DEPTH_MAX, EMPTY_VALUES_MAX};
use crate::typed::{Fallible, Fault};

/// A place in a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the first of `bytes` stands in the batch's buffer; `None` for bytes that came from elsewhere.
    base: Option<u32>,
    depth: usize,
    /// How many records, lists and maps were begun.
    entered: usize,
    /// How many items without any bytes were read.
    pub(super) empty_items: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], base: Option<u32>) -> Self {
        Self { bytes, at: 0, base, depth: 0, entered: 0, empty_items: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Where the byte `at` of the record stands in the batch's buffer.
    #[inline]
    pub(crate) fn place(&self, at: usize) -> Option<u32> {
        self.base.map(|base| base + at as u32)
    }

    /// What is wrong here.
    #[cold]
    pub(crate) fn fault<T>(&self, what: impl Into<String>) -> Fallible<T> {
        Err(Fault::new(self.at, what))
    }

    /// Nothing may be left.
    pub(crate) fn finish(&self) -> Fallible {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            left => self.fault(format!("{left} bytes are left after the value; is it the right schema?")),
        }
    }

    #[inline]
    pub(crate) fn take(&mut self, bytes: usize) -> Fallible<&'a [u8]> {
        match self.bytes[self.at..].get(..bytes) {
            Some(taken) => {
                self.at += bytes;
                Ok(taken)
            }
            None => self.fault(format!(
                "{bytes} bytes are needed and the record has {} left; it is cut off, or of another schema",
                self.bytes.len() - self.at
            )),
        }
    }

    /// A zig-zag number of up to 64 bits.
    #[inline]
    pub(crate) fn long(&mut self) -> Fallible<i64> {
        if let Some(&byte) = self.bytes.get(self.at)
            && byte < 0x80
        {
            self.at += 1;
            return Ok(i64::from(byte >> 1) ^ -i64::from(byte & 1));
        }
        self.long_slow()
    }

    fn long_slow(&mut self) -> Fallible<i64> {
        let (mut value, start) = (0_u64, self.at);
        for index in 0..10 {
            let Some(&byte) = self.bytes.get(start + index) else {
                return self.fault("the record ends within a number; it is cut off, or of another schema");
            };
            if index == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.at = start + index + 1;
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        self.fault("a number of more than 64 bits; is it the right schema?")
    }

    #[inline]
    pub(crate) fn int(&mut self) -> Fallible<i32> {
        let start = self.at;
        let value = self.long()?;
        match i32::try_from(value) {
            Ok(value) => Ok(value),
            Err(_) => Err(Fault::new(start, format!("int {value} is beyond 32 bits; is it the right schema?"))),
        }
    }

    #[inline]
    pub(crate) fn boolean(&mut self) -> Fallible<bool> {
        match self.take(1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            other => {
                let found = other[0];
                Err(Fault::new(self.at - 1, format!("boolean is {found:#04x}; expected 0x00 or 0x01")))
            }
        }
    }

    #[inline]
    pub(crate) fn float(&mut self) -> Fallible<f32> {
        Ok(f32::from_le_bytes(self.take(4)?.try_into().expect("four bytes were taken")))
    }

    #[inline]
    pub(crate) fn double(&mut self) -> Fallible<f64> {
        Ok(f64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes were taken")))
    }

    /// Bytes after their length, and where they begin.
    #[inline]
    pub(crate) fn sized(&mut self) -> Fallible<(&'a [u8], usize)> {
        let start = self.at;
        let length = self.long()?;
        match usize::try_from(length) {
            Ok(length) if length <= self.bytes.len() - self.at => {
                let at = self.at;
                Ok((self.take(length)?, at))
            }
            Ok(_) | Err(_) => {
                let left = self.bytes.len() - self.at;
                Err(Fault::new(start, format!("length {length} where {left} bytes are left; is it the right schema?")))
            }
        }
    }

    /// Text after its length, and where it begins.
    #[inline]
    pub(crate) fn text(&mut self) -> Fallible<(&'a [u8], usize)> {
        let (bytes, at) = self.sized()?;
        match std::str::from_utf8(bytes) {
            Ok(_) => Ok((bytes, at)),
            Err(error) => {
                let wrong = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
                Err(Fault::new(at + error.valid_up_to(), format!("string is not valid UTF-8 ({wrong:#04x})")))
            }
        }
    }

    /// Which of `choices`.
    #[inline]
    pub(crate) fn choice(&mut self, choices: usize, of: &str) -> Fallible<usize> {
        let start = self.at;
        let index = self.long()?;
        match usize::try_from(index) {
            Ok(index) if index < choices => Ok(index),
            Ok(_) | Err(_) => Err(Fault::new(start, format!("{of} {index} of {choices}; is it the right schema?"))),
        }
    }

    /// The head of a block of items: how many, and of how many bytes if that is written. None when there are no more.
    #[inline]
    pub(crate) fn block(&mut self) -> Fallible<Option<(u64, Option<usize>)>> {
        let start = self.at;
        let count = self.long()?;
        if count == 0 {
            return Ok(None);
        }
        if count > 0 {
            return Ok(Some((count.unsigned_abs(), None)));
        }
        let bytes = self.long()?;
        match usize::try_from(bytes) {
            Ok(bytes) if bytes <= self.bytes.len() - self.at => Ok(Some((count.unsigned_abs(), Some(bytes)))),
            Ok(_) | Err(_) => {
                let left = self.bytes.len() - self.at;
                Err(Fault::new(
                    start,
                    format!("a block of {bytes} bytes where {left} are left; is it the right schema?"),
                ))
            }
        }
    }

    /// One value deeper.
    #[inline]
    pub(crate) fn enter(&mut self) -> Fallible {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fault(format!("values are nested deeper than {DEPTH_MAX}"));
        }
        self.entered += 1;
        if self.entered > self.bytes.len() + EMPTY_VALUES_MAX {
            return self.fault(format!("more than {EMPTY_VALUES_MAX} values without bytes"));
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// An item that began at `start` was read: those that take no bytes are counted, for a few bytes can claim any number
    /// of them.
    #[inline]
    pub(crate) fn item_since(&mut self, start: usize) -> Fallible {
        if self.at == start {
            self.empty_items += 1;
            if self.empty_items > super::limits::EMPTY_ITEMS_MAX {
                return self.fault(format!("more than {} items without bytes", super::limits::EMPTY_ITEMS_MAX));
            }
        }
        Ok(())
    }

    /// Goes on at the place where `other` is.
    #[inline]
    pub(crate) fn go_to(&mut self, other: &Self) {
        self.at = other.at;
        self.entered = self.entered.max(other.entered);
        self.empty_items = self.empty_items.max(other.empty_items);
    }
}
