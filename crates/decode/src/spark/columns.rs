//! The columns of Spark log events: all of them, or those that a plan needs.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use weir_model::{ErrorKind, FieldKind, Fields, SeamError, SeamResult};

use super::event::Event;
use super::memory::Memory;
use crate::columns::{KeyColumn, Numbers, Texts, time_type};
use crate::keys::Keys;

/// A field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SparkField {
    Ts,
    Level,
    Logger,
    Thread,
    Message,
    ExceptionClass,
    Stack,
    AppId,
    ExecutorId,
    StageId,
    TaskId,
    Host,
    SourceFile,
    SourceOffset,
}

use SparkField::{
    AppId, ExceptionClass, ExecutorId, Host, Level, Logger, Message, SourceFile, SourceOffset, Stack, StageId, TaskId,
    Thread, Ts,
};

/// All fields in the order of the schema.
const FIELDS: [(&str, SparkField); 14] = [
    ("ts", Ts),
    ("level", Level),
    ("logger", Logger),
    ("thread", Thread),
    ("message", Message),
    ("exception_class", ExceptionClass),
    ("stack", Stack),
    ("app_id", AppId),
    ("executor_id", ExecutorId),
    ("stage_id", StageId),
    ("task_id", TaskId),
    ("host", Host),
    ("source_file", SourceFile),
    ("source_offset", SourceOffset),
];

impl SparkField {
    fn data_type(self) -> DataType {
        match self {
            Ts => time_type(),
            StageId | TaskId | SourceOffset => DataType::Int64,
            Level | Logger | Thread | Message | ExceptionClass | Stack | AppId | ExecutorId | Host | SourceFile => {
                DataType::Utf8View
            }
        }
    }
}

/// The fields of every event, in order.
pub(crate) fn schema() -> SchemaRef {
    let fields = FIELDS.iter().map(|(name, field)| Field::new(*name, field.data_type(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The columns that are wanted, being built.
#[derive(Debug)]
pub(crate) struct SparkColumns {
    columns: Vec<(SparkField, Column)>,
    pub(crate) schema: SchemaRef,
}

#[derive(Debug)]
enum Column {
    Key(Box<KeyColumn>),
    Text(Texts),
    Int(Numbers<i64>),
    Time(Numbers<i64>),
}

/// One row: an event, where it stands, and what is remembered of its partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) event: &'a Event<'a>,
    pub(crate) micros: Option<i64>,
    pub(crate) memory: &'a Memory,
    pub(crate) origin: &'a str,
    pub(crate) offset: u64,
}

impl SparkColumns {
    pub(crate) fn new(fields: &Fields) -> SeamResult<Self> {
        let Fields::These(these) = fields else {
            let columns = FIELDS.iter().map(|(_, field)| (*field, Column::of(&field.data_type()))).collect();
            return Ok(Self { columns, schema: schema() });
        };
        let (mut columns, mut schema) = (Vec::with_capacity(these.len()), Vec::with_capacity(these.len()));
        for wanted in these {
            let field = FIELDS.iter().find(|(name, _)| *name == &*wanted.name).map(|(_, field)| *field);
            let field = field.ok_or_else(|| no_such_field(&wanted.name))?;
            let column = match &wanted.kind {
                FieldKind::Key if field != Ts => Column::Key(Box::default()),
                FieldKind::Value(kind) if fits(field, kind) => Column::of(&field.data_type()),
                FieldKind::Key | FieldKind::Value(_) => return Err(wrong_kind(&wanted.name, field, &wanted.kind)),
            };
            let data_type = if matches!(column, Column::Key(_)) { Keys::data_type() } else { field.data_type() };
            schema.push(Field::new(&*wanted.name, data_type, true));
            columns.push((field, column));
        }
        Ok(Self { columns, schema: Arc::new(Schema::new(schema)) })
    }

    pub(crate) fn push(&mut self, row: Row<'_>, buffer: &[u8]) {
        for (field, column) in &mut self.columns {
            column.push(*field, row, buffer);
        }
    }

    pub(crate) fn finish(&mut self, buffer: &Buffer) -> Vec<ArrayRef> {
        let finish = |column: &mut Column| match column {
            Column::Key(column) => column.finish(),
            Column::Text(texts) => texts.finish(buffer),
            Column::Int(column) => column.finish_ints(),
            Column::Time(column) => column.finish_times(),
        };
        self.columns.iter_mut().map(|(_, column)| finish(column)).collect()
    }
}

fn fits(field: SparkField, kind: &DataType) -> bool {
    match field.data_type() {
        DataType::Utf8View => matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
        DataType::Timestamp(..) => matches!(kind, DataType::Timestamp(..)),
        other => other == *kind,
    }
}

fn no_such_field(name: &str) -> SeamError {
    let known: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
    SeamError::new(
        ErrorKind::Config,
        format!("a spark_log has no field \"{name}\"; its fields are {}", known.join(", ")),
    )
}

fn wrong_kind(name: &str, field: SparkField, kind: &FieldKind) -> SeamError {
    let wanted = match kind {
        FieldKind::Key => "a group key".to_owned(),
        FieldKind::Value(kind) => kind.to_string(),
    };
    SeamError::new(
        ErrorKind::Config,
        format!("field \"{name}\" of a spark_log is {}, it cannot be had as {wanted}", field.data_type()),
    )
}

impl Column {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Int64 => Self::Int(Numbers::default()),
            DataType::Timestamp(..) => Self::Time(Numbers::default()),
            _ => Self::Text(Texts::default()),
        }
    }

    fn push(&mut self, field: SparkField, row: Row<'_>, buffer: &[u8]) {
        match self {
            Self::Int(column) | Self::Time(column) => column.push(number(field, row)),
            Self::Text(texts) => match text(field, row) {
                Some(text) => push_text(texts, text, buffer),
                None => texts.push_null(),
            },
            Self::Key(column) => match (text(field, row), number(field, row)) {
                (Some(text), _) => column.push(text),
                (None, Some(number)) => column.push(number.to_string().as_bytes()),
                (None, None) => column.push_null(),
            },
        }
    }
}

/// Points into the buffer if the text stands in it, else keeps a copy.
fn push_text(texts: &mut Texts, text: &[u8], buffer: &[u8]) {
    let at = (text.as_ptr() as usize).wrapping_sub(buffer.as_ptr() as usize);
    if at < buffer.len() && text.len() <= buffer.len() - at {
        texts.push_view(text, at as u32);
    } else {
        texts.push_made(|out| out.extend_from_slice(text));
    }
}

fn number(field: SparkField, row: Row<'_>) -> Option<i64> {
    match field {
        Ts => row.micros,
        StageId => row.event.facts.stage,
        TaskId => row.event.facts.task,
        SourceOffset => i64::try_from(row.offset).ok(),
        Level | Logger | Thread | Message | ExceptionClass | Stack | AppId | ExecutorId | Host | SourceFile => None,
    }
}

fn text<'a>(field: SparkField, row: Row<'a>) -> Option<&'a [u8]> {
    let Row { event, memory, .. } = row;
    match field {
        Level => event.level.as_deref(),
        Logger => event.logger.as_deref(),
        Thread => event.thread.as_deref(),
        Message => Some(&event.message),
        ExceptionClass => event.exception_class.as_deref(),
        Stack => event.stack.as_deref(),
        AppId => event.facts.app.as_deref().or(memory.app().map(str::as_bytes)),
        ExecutorId => event.facts.executor.as_deref().or(memory.executor().map(str::as_bytes)),
        Host => match (&event.facts.host, &event.facts.executor) {
            (Some(host), _) => Some(host),
            // what is said of another executor is not said of this machine
            (None, Some(executor)) if memory.executor().map(str::as_bytes) != Some(executor) => None,
            (None, _) => memory.host.as_deref().map(str::as_bytes),
        },
        SourceFile => Some(row.origin.as_bytes()),
        Ts | StageId | TaskId | SourceOffset => None,
    }
}
