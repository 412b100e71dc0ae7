//! Whether the records of a buffer are UTF-8, found once per buffer and not once per value.

use weir_model::{Raw, RecordSpan};

/// What is known about all bytes of a [`Raw`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Utf8 {
    /// Every record is valid.
    All,
    /// Some record is not: each has to be looked at.
    Some,
}

impl Utf8 {
    /// Looks at the whole buffer once. ASCII, the common case, is found at memory speed.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        if bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() { Self::All } else { Self::Some }
    }

    /// Why `record` is not valid, or `None` if it is.
    pub(crate) fn fault(self, raw: &Raw, span: &RecordSpan) -> Option<String> {
        self.fault_in(raw.record(span))
    }

    /// The same of a record, or what of it should be text.
    pub(crate) fn fault_in(self, record: &[u8]) -> Option<String> {
        match self {
            Self::All => None,
            Self::Some => std::str::from_utf8(record).err().map(|error| crate::reject::not_utf8(record, error)),
        }
    }
}
