//! Columns while they are being built, row by row. A row that turns out to be bad is taken back by cutting every column
//! to the rows before it. Knows nothing of formats.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewArray, BooleanArray, Float64Array, Int64Array, NullBufferBuilder, StringViewArray,
    TimestampMicrosecondArray, make_view,
};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, TimeUnit};

use crate::keys::Keys;

/// The type of every time column.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A column of event times.
pub(crate) fn time_array(micros: ScalarBuffer<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::new(micros, nulls).with_timezone("UTC"))
}

/// Which rows have a value.
#[derive(Debug)]
pub(crate) struct Presence(NullBufferBuilder);

impl Default for Presence {
    fn default() -> Self {
        Self(NullBufferBuilder::new(0))
    }
}

impl Presence {
    #[inline]
    pub(crate) fn push(&mut self, is_present: bool) {
        self.0.append(is_present);
    }

    pub(crate) fn push_nulls(&mut self, rows: usize) {
        self.0.append_n_nulls(rows);
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        if rows < self.0.len() {
            self.0.truncate(rows);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the last row has a value.
    pub(crate) fn is_last(&self) -> bool {
        !self.0.is_empty() && self.0.is_valid(self.0.len() - 1)
    }

    pub(crate) fn finish(&mut self) -> Option<NullBuffer> {
        self.0.finish()
    }
}

/// A column of numbers, times or truth values.
#[derive(Debug)]
pub(crate) struct Numbers<T> {
    values: Vec<T>,
    presence: Presence,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self { values: Vec::new(), presence: Presence::default() }
    }
}

impl<T: Copy + Default> Numbers<T> {
    #[inline]
    pub(crate) fn push(&mut self, value: Option<T>) {
        self.values.push(value.unwrap_or_default());
        self.presence.push(value.is_some());
    }

    /// Null up to row `rows`.
    #[inline]
    pub(crate) fn pad(&mut self, rows: usize) {
        if self.values.len() < rows {
            self.presence.push_nulls(rows - self.values.len());
            self.values.resize(rows, T::default());
        }
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.presence.truncate(rows);
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The last value, if it is there.
    pub(crate) fn last(&self) -> Option<T> {
        self.values.last().copied().filter(|_| self.presence.is_last())
    }

    /// The values and which of them there are; begins anew.
    pub(crate) fn take(&mut self) -> (Vec<T>, Option<NullBuffer>) {
        let rows = self.values.len();
        (std::mem::replace(&mut self.values, Vec::with_capacity(rows)), self.presence.finish())
    }
}

impl Numbers<i64> {
    pub(crate) fn finish_ints(&mut self) -> ArrayRef {
        let (values, nulls) = self.take();
        Arc::new(Int64Array::new(values.into(), nulls))
    }

    pub(crate) fn finish_times(&mut self) -> ArrayRef {
        let (values, nulls) = self.take();
        time_array(values.into(), nulls)
    }

    /// The same rows as floats; none are left here.
    pub(crate) fn take_floats(&mut self) -> Numbers<f64> {
        let values = std::mem::take(&mut self.values).into_iter().map(|value| value as f64).collect();
        Numbers { values, presence: std::mem::take(&mut self.presence) }
    }
}

impl Numbers<f64> {
    pub(crate) fn finish_floats(&mut self) -> ArrayRef {
        let (values, nulls) = self.take();
        Arc::new(Float64Array::new(values.into(), nulls))
    }
}

impl Numbers<bool> {
    pub(crate) fn finish_bools(&mut self) -> ArrayRef {
        let (values, nulls) = self.take();
        Arc::new(BooleanArray::new(values.into(), nulls))
    }
}

/// A column of strings: views into the buffer that the records came in, or into text that was made for them.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    views: Vec<u128>,
    presence: Presence,
    /// Text that does not stand in the buffer as it is.
    made: Vec<u8>,
    /// Whether some view points into the buffer, which is then kept for as long as the column.
    is_buffer_used: bool,
}

/// The views' number of the buffer that the records came in, and of the text made for them.
const BUFFER: u32 = 0;
const MADE: u32 = 1;

/// Strings up to this long are held by the view itself.
const INLINE_BYTES_MAX: usize = 12;

impl Texts {
    /// `text`, which stands in the buffer at `at`.
    #[inline]
    pub(crate) fn push_view(&mut self, text: &[u8], at: u32) {
        self.is_buffer_used |= text.len() > INLINE_BYTES_MAX;
        self.views.push(make_view(text, BUFFER, at));
        self.presence.push(true);
    }

    /// The text that `make` appends.
    pub(crate) fn push_made(&mut self, make: impl FnOnce(&mut Vec<u8>)) {
        let start = self.made.len();
        make(&mut self.made);
        let at = u32::try_from(start).expect("the text of a batch is shorter than 4 GiB");
        self.views.push(make_view(&self.made[start..], MADE, at));
        if self.made.len() - start <= INLINE_BYTES_MAX {
            self.made.truncate(start);
        }
        self.presence.push(true);
    }

    #[inline]
    pub(crate) fn push_null(&mut self) {
        self.views.push(0);
        self.presence.push(false);
    }

    /// Null up to row `rows`.
    #[inline]
    pub(crate) fn pad(&mut self, rows: usize) {
        if self.views.len() < rows {
            self.presence.push_nulls(rows - self.views.len());
            self.views.resize(rows, 0);
        }
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.views.truncate(rows);
        self.presence.truncate(rows);
    }

    pub(crate) fn len(&self) -> usize {
        self.views.len()
    }

    /// The column; `buffer` is what the records came in. All text in it must have been UTF-8.
    pub(crate) fn finish(&mut self, buffer: &Buffer) -> ArrayRef {
        let (views, buffers, presence) = self.take(buffer);
        let array = StringViewArray::try_new(views.into(), buffers, presence);
        Arc::new(array.expect("records were found to be UTF-8 and the views lie in them"))
    }

    /// The same of bytes that need not be text.
    pub(crate) fn finish_bytes(&mut self, buffer: &Buffer) -> ArrayRef {
        let (views, buffers, presence) = self.take(buffer);
        let array = BinaryViewArray::try_new(views.into(), buffers, presence);
        Arc::new(array.expect("the views lie in the records"))
    }

    fn take(&mut self, buffer: &Buffer) -> (Vec<u128>, Vec<Buffer>, Option<NullBuffer>) {
        let rows = self.views.len();
        let views = std::mem::replace(&mut self.views, Vec::with_capacity(rows));
        let made = std::mem::take(&mut self.made);
        let buffers: Vec<Buffer> = match (self.is_buffer_used, made.is_empty()) {
            (false, true) => Vec::new(),
            (true, true) => vec![buffer.clone()],
            (true, false) => vec![buffer.clone(), Buffer::from_vec(made)],
            (false, false) => vec![Buffer::from_vec(Vec::<u8>::new()), Buffer::from_vec(made)],
        };
        self.is_buffer_used = false;
        (views, buffers, self.presence.finish())
    }
}

/// A column of group keys.
#[derive(Debug, Default)]
pub(crate) struct KeyColumn {
    keys: Keys,
    ids: Vec<i32>,
    presence: Presence,
}

impl KeyColumn {
    #[inline]
    pub(crate) fn push(&mut self, key: &[u8]) {
        self.ids.push(self.keys.intern(key));
        self.presence.push(true);
    }

    #[inline]
    pub(crate) fn push_null(&mut self) {
        self.ids.push(0);
        self.presence.push(false);
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.ids.truncate(rows);
        self.presence.truncate(rows);
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        let rows = self.ids.len();
        let ids = std::mem::replace(&mut self.ids, Vec::with_capacity(rows));
        self.keys.array(ids, self.presence.finish())
    }
}
