//! The bytes of a message, field by field: <https://protobuf.dev/programming-guides/encoding/>. Every read is checked against
//! the end; nothing is allocated. Knows no schema.

use super::limits::DEPTH_MAX;
use crate::typed::{Fallible, Fault};

/// A place in a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the first of `bytes` stands in its record, for messages of faults.
    offset: usize,
    /// Where it stands in the batch's buffer; `None` for bytes that came from elsewhere.
    base: Option<u32>,
    depth: usize,
}

/// What follows a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint,
    I64,
    Len,
    Group,
    EndGroup,
    I32,
}

impl WireType {
    /// What people call it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Varint => "a varint",
            Self::I64 => "8 bytes",
            Self::Len => "bytes behind their length",
            Self::Group => "a group",
            Self::EndGroup => "the end of a group",
            Self::I32 => "4 bytes",
        }
    }
}

impl<'a> Reader<'a> {
    /// `bytes` stand at `offset` of their record, and at `base` of the batch's buffer.
    pub(crate) fn new(bytes: &'a [u8], offset: usize, base: Option<u32>) -> Self {
        Self { bytes, at: 0, offset, base, depth: 0 }
    }

    /// The same bytes from elsewhere, as deep as this.
    pub(crate) fn elsewhere<'b>(&self, bytes: &'b [u8]) -> Reader<'b> {
        Reader { bytes, at: 0, offset: self.offset, base: None, depth: self.depth }
    }

    /// The byte of the record that is next.
    pub(crate) fn at(&self) -> usize {
        self.offset + self.at
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Where what is left stands in the batch's buffer.
    pub(crate) fn place(&self) -> Option<u32> {
        self.base.map(|base| base + self.at as u32)
    }

    /// What is wrong here.
    #[cold]
    pub(crate) fn fault<T>(&self, what: impl Into<String>) -> Fallible<T> {
        Err(Fault::new(self.at(), what))
    }

    /// The number of the next field and what follows; `None` at the end.
    #[inline]
    pub(crate) fn tag(&mut self) -> Fallible<Option<(u32, WireType)>> {
        if self.is_empty() {
            return Ok(None);
        }
        let start = *self;
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => WireType::Varint,
            1 => WireType::I64,
            2 => WireType::Len,
            3 => WireType::Group,
            4 => WireType::EndGroup,
            5 => WireType::I32,
            other => return start.fault(format!("wire type {other} does not exist; is it the right schema?")),
        };
        match u32::try_from(tag >> 3) {
            Ok(number @ 1..=0x1fff_ffff) => Ok(Some((number, wire))),
            Ok(_) | Err(_) => start.fault(format!("field number {} does not exist; is it the right schema?", tag >> 3)),
        }
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Fallible<u64> {
        if let Some(&byte) = self.bytes.get(self.at)
            && byte < 0x80
        {
            self.at += 1;
            return Ok(u64::from(byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Fallible<u64> {
        let (mut value, start) = (0_u64, self.at);
        for index in 0..10 {
            let Some(&byte) = self.bytes.get(start + index) else {
                return self.fault("it ends within a number; it is cut off, or of another schema");
            };
            if index == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.at = start + index + 1;
                return Ok(value);
            }
        }
        self.fault("a number of more than 64 bits; is it the right schema?")
    }

    #[inline]
    pub(crate) fn four(&mut self) -> Fallible<[u8; 4]> {
        Ok(self.take(4)?.try_into().expect("four bytes were taken"))
    }

    #[inline]
    pub(crate) fn eight(&mut self) -> Fallible<[u8; 8]> {
        Ok(self.take(8)?.try_into().expect("eight bytes were taken"))
    }

    #[inline]
    fn take(&mut self, bytes: usize) -> Fallible<&'a [u8]> {
        match self.rest().get(..bytes) {
            Some(taken) => {
                self.at += bytes;
                Ok(taken)
            }
            None => {
                let left = self.rest().len();
                self.fault(format!("{bytes} bytes are needed and {left} are left; it is cut off, or of another schema"))
            }
        }
    }

    /// The bytes behind their length, one level deeper.
    #[inline]
    pub(crate) fn sized(&mut self) -> Fallible<Reader<'a>> {
        let start = *self;
        let length = self.varint()?;
        match usize::try_from(length) {
            Ok(length) if length <= self.rest().len() => {
                let mut inner = *self;
                inner.at = 0;
                inner.offset = self.at();
                inner.base = self.place();
                inner.bytes = self.take(length)?;
                inner.depth += 1;
                Ok(inner)
            }
            Ok(_) | Err(_) => start
                .fault(format!("length {length} where {} bytes are left; is it the right schema?", self.rest().len())),
        }
    }

    /// A message begins: it may not be too deep.
    #[inline]
    pub(crate) fn enter(&self) -> Fallible {
        if self.depth > DEPTH_MAX {
            return self.fault(format!("messages are nested deeper than {DEPTH_MAX}"));
        }
        Ok(())
    }

    /// The message within a group, whose beginning was read; it goes on behind its end.
    pub(crate) fn group(&mut self, number: u32) -> Fallible<Reader<'a>> {
        let mut inner = *self;
        inner.at = 0;
        inner.offset = self.at();
        inner.base = self.place();
        inner.depth += 1;
        let start = self.at;
        let end = self.end_of_group(number)?;
        inner.bytes = &self.bytes[start..end];
        Ok(inner)
    }

    /// Passes over a group, and tells where the tag of its end begins.
    fn end_of_group(&mut self, number: u32) -> Fallible<usize> {
        self.depth += 1;
        self.enter()?;
        loop {
            let before = self.at;
            match self.tag()? {
                Some((end, WireType::EndGroup)) if end == number => {
                    self.depth -= 1;
                    return Ok(before);
                }
                Some((other, wire)) => self.skip(other, wire)?,
                None => return self.fault(format!("group {number} does not end; it is cut off, or of another schema")),
            }
        }
    }

    /// Passes over a value.
    pub(crate) fn skip(&mut self, number: u32, wire: WireType) -> Fallible {
        match wire {
            WireType::Varint => self.varint().map(drop),
            WireType::I64 => self.take(8).map(drop),
            WireType::I32 => self.take(4).map(drop),
            WireType::Len => self.sized().map(drop),
            WireType::Group => self.end_of_group(number).map(drop),
            WireType::EndGroup => self.fault(format!("group {number} ends, which did not begin")),
        }
    }
}
