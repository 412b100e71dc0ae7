//! The rows of a batch while they are built: what a plan wants as columns, the event time, and how columns grow as schemas
//! come. Knows no format.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use weir_model::{Batch, ErrorKind, EventTime, FieldKind, Fields, Raw, SeamError, SeamResult, Wanted};

use super::cell::Group;
use super::shape::Shape;

/// A column that is built, and where its values are found.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: Arc<str>,
    /// What it holds.
    pub(crate) shape: Shape,
    /// Whether dots in its name lead into records.
    pub(crate) is_path: bool,
}

impl Column {
    /// Where its values are found.
    pub(crate) fn path(&self) -> Vec<&str> {
        if self.is_path { self.name.split('.').collect() } else { vec![&self.name] }
    }
}

/// Rows being built.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) group: Group,
    /// The columns of the group; the first holds the event time if there is one.
    columns: Vec<Column>,
    /// Which columns the batch shows, in order.
    shown: Vec<usize>,
    clock: Option<Clock>,
    /// What fields must be that are all wanted.
    declared: Vec<(Arc<str>, Shape)>,
    is_all: bool,
    schema: SchemaRef,
    times: Vec<i64>,
    offsets: Vec<u64>,
}

#[derive(Clone, Debug)]
struct Clock {
    field: Arc<str>,
    not_before: EventTime,
}

impl Rows {
    /// No rows of what is `wanted`.
    pub(crate) fn new(format: &str, wanted: &Wanted) -> SeamResult<Self> {
        let shape = |field: &weir_model::WantedField| match Shape::of_kind(&field.kind) {
            Some(shape) => Ok((Arc::clone(&field.name), shape)),
            None => Err(unknown_kind(format, &field.name, &field.kind)),
        };
        let clock = wanted.time_field.clone().map(|field| Clock { field, not_before: wanted.not_before });
        let mut columns: Vec<Column> = Vec::new();
        columns.extend(clock.iter().map(|clock| Column {
            name: Arc::clone(&clock.field),
            shape: Shape::TIME,
            is_path: true,
        }));
        let mut shown = Vec::new();
        if let Fields::These(these) = &wanted.fields {
            for (name, shape) in these.iter().map(shape).collect::<SeamResult<Vec<_>>>()? {
                let is_clock = shape == Shape::TIME && clock.as_ref().is_some_and(|clock| clock.field == name);
                shown.push(if is_clock { 0 } else { columns.len() });
                if !is_clock {
                    columns.push(Column { name, shape, is_path: true });
                }
            }
        }
        let declared = wanted.declared.iter().map(shape).collect::<SeamResult<_>>()?;
        let mut rows = Self {
            group: Group::default(),
            columns,
            shown,
            clock,
            declared,
            is_all: wanted.fields == Fields::All,
            schema: Arc::new(Schema::empty()),
            times: Vec::new(),
            offsets: Vec::new(),
        };
        rows.begin();
        Ok(rows)
    }

    /// Whether every field of a schema becomes a column.
    pub(crate) fn is_all(&self) -> bool {
        self.is_all
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn begin(&mut self) {
        let shapes = self.columns.iter().map(|column| (Arc::clone(&column.name), column.shape.clone()));
        self.group = Group::new(shapes.collect());
        let shown = self.shown.iter().map(|index| &self.columns[*index]);
        self.schema = Arc::new(Schema::new(
            shown.map(|column| Field::new(&*column.name, column.shape.data_type(), true)).collect::<Vec<_>>(),
        ));
    }

    /// Makes room for the `fields` of a schema whose every field is wanted. Rows of before are finished first, by what is
    /// returned, if columns are added or change.
    pub(crate) fn grow(&mut self, fields: Vec<(Arc<str>, Shape)>, raw: &Raw) -> Option<Batch> {
        let (mut columns, mut shown) = (self.columns.clone(), self.shown.clone());
        for (name, shape) in fields {
            let shape =
                self.declared.iter().find(|(declared, _)| *declared == name).map_or(shape, |(_, shape)| shape.clone());
            match shown.iter().copied().find(|index| columns[*index].name == name) {
                Some(index) if self.is_clock(index) => {}
                Some(index) => columns[index].shape = columns[index].shape.grown(&shape),
                None if self.clock.as_ref().is_some_and(|clock| clock.field == name) => shown.push(0),
                None => {
                    shown.push(columns.len());
                    columns.push(Column { name, shape, is_path: false });
                }
            }
        }
        let is_same = shown == self.shown
            && columns.iter().map(|column| &column.shape).eq(self.columns.iter().map(|column| &column.shape));
        if is_same {
            return None;
        }
        let batch = self.finish(raw);
        (self.columns, self.shown) = (columns, shown);
        self.begin();
        batch
    }

    fn is_clock(&self, index: usize) -> bool {
        self.clock.is_some() && index == 0
    }

    /// Forgets what was put of a record that turned out to be bad.
    #[cold]
    pub(crate) fn take_back(&mut self) {
        self.group.truncate(self.offsets.len());
    }

    /// The record at `offset` was put; or why it is rejected after all.
    #[inline]
    pub(crate) fn end_row(&mut self, offset: u64) -> Result<(), String> {
        if let Some(clock) = &self.clock {
            let cell = &self.group.members[0];
            let time = cell.last_time().filter(|_| cell.len() > self.offsets.len());
            match time {
                Some(micros) if micros >= clock.not_before.micros() => self.times.push(micros),
                time => return Err(clock.explain(time)),
            }
        }
        self.group.end_row();
        self.offsets.push(offset);
        Ok(())
    }

    /// The rows so far; begins anew. `None` when there are none.
    pub(crate) fn finish(&mut self, raw: &Raw) -> Option<Batch> {
        if self.offsets.is_empty() {
            return None;
        }
        let rows = self.offsets.len();
        let buffer = Buffer::from(raw.bytes.clone());
        let times = ScalarBuffer::from(std::mem::take(&mut self.times));
        let offsets = ScalarBuffer::from(std::mem::take(&mut self.offsets));
        let built: Vec<ArrayRef> = self.group.members.iter_mut().map(|cell| cell.finish(&buffer)).collect();
        self.group.forget_rows();
        let arrays = self.shown.iter().map(|index| Arc::clone(&built[*index])).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let columns = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .expect("columns are built for this schema, one entry per row");
        Some(Batch { partition: raw.partition.clone(), origin: raw.origin.clone(), columns, times, offsets })
    }
}

impl Clock {
    #[cold]
    fn explain(&self, time: Option<i64>) -> String {
        match time.map(EventTime::from_micros) {
            Some(time) => {
                format!("time field \"{}\" is {time}, which is before not_before {}", self.field, self.not_before)
            }
            None => format!("time field \"{}\" is missing or null; expected a time", self.field),
        }
    }
}

fn unknown_kind(format: &str, field: &str, kind: &FieldKind) -> SeamError {
    let wanted = match kind {
        FieldKind::Key => DataType::Utf8.to_string(),
        FieldKind::Value(data_type) => data_type.to_string(),
    };
    SeamError::new(ErrorKind::Config, format!("field \"{field}\" is wanted as {wanted}, which {format} does not give"))
}
