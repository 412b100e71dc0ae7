//! JSON when every field is wanted: columns appear as fields do, and take the type of the first value. What does not
//! fit a column's type, or goes beyond the limits, is kept as it is written in the column `_rest`; nothing is dropped.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatchOptions;
use hashbrown::HashMap;
use weir_model::{Batch, Decoded, Decoder, Raw, Remembers, SeamResult, Wanted, WantedField};

use super::clock::RecordClock;
use super::column::unknown_kind;
use super::fault::{Misfit, explain, span_of};
use super::members::text;
use super::paths::Paths;
use super::rest::Rest;
use super::scan::{Fault, Scanner, Span, Token};
use super::tree::{Cell, Declared, Group, Node, Place, Put};
use crate::reject::{rejected, too_long};
use crate::utf8::Utf8;
use crate::{JsonConfig, JsonFraming, Zone};

/// No more columns than this are made, those inside objects counted and not the objects; other fields go to `_rest`.
pub(crate) const COLUMNS_MAX: usize = 1_000;

/// No more fields than this are remembered, with or without a column; others go to `_rest`.
pub(crate) const FIELDS_MAX: usize = 4 * COLUMNS_MAX;

/// Objects nested deeper than this go to `_rest` whole; the record itself is the first.
pub(crate) const OBJECTS_DEPTH_MAX: usize = 8;

/// The column of what fits no other.
pub(crate) const REST: &str = "_rest";

/// Decodes every field.
///
/// | value | column |
/// |---|---|
/// | string | `Utf8View`, pointing into the record where nothing is escaped |
/// | whole number | `Int64`; one beyond 64 bits goes to `_rest` |
/// | number with a point or an exponent | `Float64`; an `Int64` column that meets one is `Float64` from then on; one too large for a float goes to `_rest` |
/// | `true`, `false` | `Boolean` |
/// | object | `Struct`; an empty one that has never had a field goes to `_rest` |
/// | array of strings, of numbers or of truth values, also with nulls | `List`; an empty one that has never had an element goes to `_rest`, as does any other array |
/// | `null` | null; a field that has never been anything else has no column |
/// | the time field | `Timestamp`, microseconds UTC |
///
/// A column keeps its type; a value of another goes to `_rest`, a JSON object from dotted names to values as they were
/// written. A field of the name `_rest` goes there too, and so does one with an empty name.
#[derive(Debug)]
pub(crate) struct AllDecoder {
    root: Group,
    fields: FieldCount,
    rest: Rest,
    /// Where the column `_rest` stands, once there is one.
    rest_at: Option<usize>,
    clock: Option<(RecordClock, u32)>,
    /// What the plan says that fields must be, by dotted name.
    declared: HashMap<Arc<str>, Declared>,
    /// Finds the time field, and checks a record before it adds fields.
    probe: Paths,
    zone: Zone,
    framing: Option<JsonFraming>,
    schema: SchemaRef,
    is_schema_old: bool,
    times: Vec<i64>,
    offsets: Vec<u64>,
}

/// How many fields are remembered, and how many of them have columns.
#[derive(Debug, Default)]
struct FieldCount {
    known: usize,
    columns: usize,
}

/// Why a record has no row.
enum Trouble {
    Fault(Fault),
    Reason(String),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A walk over one record.
struct Walk<'a> {
    scanner: Scanner<'a>,
    place: Place<'a>,
    row: usize,
    /// The dotted name of the object that is walked over, with a dot at its end.
    path: String,
    /// The record was checked, so that it may add fields.
    is_checked: bool,
    time: Option<Token>,
}

impl Walk<'_> {
    /// The dotted name of a member of the object that is walked over.
    fn name(&self, member: &str) -> String {
        format!("{}{member}", self.path)
    }
}

impl AllDecoder {
    pub(crate) fn new(config: &JsonConfig, wanted: &Wanted) -> SeamResult<Self> {
        let JsonConfig { zone, framing } = *config;
        let declared = |field: &WantedField| match Declared::new(&field.kind) {
            Some(declared) => Ok((field.name.clone(), declared)),
            None => Err(unknown_kind(&field.name, &field.kind)),
        };
        let declared = wanted.declared.iter().map(declared).collect::<SeamResult<_>>()?;
        let mut probe = Paths::default();
        let clock = wanted
            .time_field
            .as_ref()
            .map(|name| (RecordClock::new(name.clone(), wanted.not_before, zone), probe.add(name)));
        Ok(Self {
            root: Group::default(),
            declared,
            fields: FieldCount::default(),
            rest: Rest::default(),
            rest_at: None,
            clock,
            probe,
            zone,
            framing,
            schema: Arc::new(Schema::empty()),
            is_schema_old: false,
            times: Vec::new(),
            offsets: Vec::new(),
        })
    }

    /// Walks over one record and appends its row, or says what is wrong with it and appends nothing.
    fn row(&mut self, record: &[u8], base: u32) -> Result<(), String> {
        let row = self.offsets.len();
        let place = Place { record, base, zone: self.zone };
        let mut walk =
            Walk { scanner: Scanner::new(record, 0), place, row, path: String::new(), is_checked: false, time: None };
        let mut root = std::mem::take(&mut self.root);
        let time = self.record(&mut root, &mut walk).and_then(|()| self.time(&walk));
        let result = match time {
            Ok(time) => {
                self.times.extend(time);
                self.rest.finish_row(row, record);
                Ok(())
            }
            Err(trouble) => {
                root.truncate(row);
                self.rest.take_back();
                Err(match trouble {
                    Trouble::Fault(fault) => explain(record, fault),
                    Trouble::Reason(reason) => reason,
                })
            }
        };
        self.root = root;
        result
    }

    /// The event time of the record that was walked over, if there is a time field.
    fn time(&mut self, walk: &Walk<'_>) -> Result<Option<i64>, Trouble> {
        let Some((clock, path)) = &mut self.clock else { return Ok(None) };
        let record = walk.place.record;
        let found = match walk.time {
            Some(token) => Some(token),
            None => {
                // beyond the limits of columns and depth
                self.probe.read(&mut Scanner::new(record, 0))?;
                self.probe.found(*path)
            }
        };
        clock.read(record, found).map(Some).map_err(Trouble::Reason)
    }

    fn record(&mut self, root: &mut Group, walk: &mut Walk<'_>) -> Result<(), Trouble> {
        walk.scanner.skip_space();
        walk.scanner.take(b'{', "a JSON object")?;
        self.object(root, walk, 1)?;
        Ok(walk.scanner.finish()?)
    }

    /// Walks over the object whose opening brace was taken.
    fn object(&mut self, group: &mut Group, walk: &mut Walk<'_>, depth: usize) -> Result<(), Trouble> {
        walk.scanner.skip_space();
        if walk.scanner.peek() == Some(b'}') {
            walk.scanner.advance(1);
            return Ok(());
        }
        let mut place = 0;
        loop {
            match group.order.recognise(place, walk.scanner.ahead()) {
                Some((bytes, index, next)) => {
                    walk.scanner.advance(bytes);
                    walk.scanner.skip_space();
                    place = next;
                    self.member(group, index as usize, walk, depth)?;
                }
                None => self.unfamiliar(group, walk, depth)?,
            }
            if !walk.scanner.comma_or(b'}', "\",\" or \"}\"")? {
                return Ok(());
            }
        }
    }

    /// A member whose key was not recognised: a new field, or one that is not remembered in its order.
    #[cold]
    fn unfamiliar(&mut self, group: &mut Group, walk: &mut Walk<'_>, depth: usize) -> Result<(), Trouble> {
        let key = walk.scanner.key()?;
        let name = text(walk.place.record, key).unwrap_or_default();
        let name = String::from_utf8_lossy(&name);
        let index = match group.find(&name) {
            Some(index) => index,
            None => {
                let path = walk.name(&name);
                let is_time = self.clock.as_ref().is_some_and(|(clock, _)| clock.field() == path);
                let is_apart = name.is_empty()
                    || path == REST
                    || self.fields.known >= FIELDS_MAX
                    || self.fields.columns >= COLUMNS_MAX;
                if is_apart || walk.scanner.peek() == Some(b'n') {
                    let token = walk.scanner.value(depth)?;
                    self.rest.remove(&path);
                    self.rest.put(path, token);
                    return Ok(());
                }
                self.check(walk)?;
                self.fields.known += 1;
                let declared = self.declared.get(path.as_str()).filter(|_| !is_time);
                self.fields.columns += usize::from(declared.is_some());
                self.is_schema_old |= declared.is_some();
                group.add(&name, is_time, declared)
            }
        };
        if let Token::Plain(_) = key {
            group.order.learn(name.as_bytes(), index as u32);
        }
        self.member(group, index, walk, depth)
    }

    /// Only a record that is right through to its end may add fields: checked before the first that it adds.
    fn check(&mut self, walk: &mut Walk<'_>) -> Result<(), Trouble> {
        if walk.is_checked {
            return Ok(());
        }
        let record = walk.place.record;
        self.probe.read(&mut Scanner::new(record, 0))?;
        if let Some((clock, path)) = &mut self.clock {
            clock.read(record, self.probe.found(*path)).map_err(Trouble::Reason)?;
        }
        walk.is_checked = true;
        Ok(())
    }

    /// The value ahead, which belongs to a known field.
    #[inline]
    fn member(&mut self, group: &mut Group, index: usize, walk: &mut Walk<'_>, depth: usize) -> Result<(), Trouble> {
        let node = group.node(index);
        if node.cell.len() > walk.row || self.rest.is_open() {
            // the same key again: the last wins
            node.cell.truncate(walk.row);
            self.rest.remove(&walk.name(&node.name));
        }
        let is_group = matches!(node.cell, Cell::Group(_)) || (matches!(node.cell, Cell::Unknown) && !node.is_time);
        if is_group && walk.scanner.peek() == Some(b'{') && depth < OBJECTS_DEPTH_MAX {
            return self.nested(group, index, walk, depth);
        }
        let token = walk.scanner.value(depth)?;
        if node.is_time {
            walk.time = Some(token);
        }
        if let Some(expected) = node.declared {
            return put_declared(node, expected, walk, token);
        }
        match node.cell.put(walk.place, walk.row, token) {
            Put::Done => Ok(()),
            Put::Misfit => {
                self.rest.put(walk.name(&node.name), token);
                Ok(())
            }
            Put::Untyped | Put::Wider => self.change(group, index, walk, token),
        }
    }

    /// A value that gives its field a type, or makes its whole numbers floats.
    #[cold]
    fn change(&mut self, group: &mut Group, index: usize, walk: &mut Walk<'_>, token: Token) -> Result<(), Trouble> {
        self.check(walk)?;
        let node = group.node(index);
        if !matches!(node.cell, Cell::Unknown) {
            node.cell.widen();
        } else if self.fields.columns < COLUMNS_MAX {
            let typed = if node.is_time {
                Some(Cell::Time(Default::default()))
            } else {
                Cell::for_value(walk.place.record, token)
            };
            if let Some(cell) = typed {
                node.cell = cell;
                self.fields.columns += 1;
            }
        }
        self.is_schema_old = true;
        if node.cell.put(walk.place, walk.row, token) != Put::Done {
            self.rest.put(walk.name(&node.name), token);
        }
        Ok(())
    }

    /// The object ahead, whose members are fields.
    fn nested(&mut self, group: &mut Group, index: usize, walk: &mut Walk<'_>, depth: usize) -> Result<(), Trouble> {
        let node = group.node(index);
        if matches!(node.cell, Cell::Unknown) {
            self.check(walk)?;
            node.cell = Cell::Group(Box::default());
        }
        let Cell::Group(inner) = &mut node.cell else { unreachable!("it is a group or was just made one") };
        let (start, length) = (walk.scanner.at(), walk.path.len());
        walk.path.push_str(&node.name);
        walk.path.push('.');
        walk.scanner.advance(1);
        inner.begin(walk.row);
        let walked = self.object(inner, walk, depth + 1);
        walk.path.truncate(length);
        walked?;
        if !inner.has_columns() {
            let name = walk.name(&node.name);
            if !self.rest.has_below(&name) {
                let span = Span { start: start as u32, end: walk.scanner.at() as u32 };
                self.rest.put(name, Token::Object(span));
            }
        }
        Ok(())
    }

    fn finish(&mut self, raw: &Raw) -> Batch {
        let rows = self.offsets.len();
        let buffer = Buffer::from(raw.bytes.clone());
        let times = ScalarBuffer::from(std::mem::replace(&mut self.times, Vec::with_capacity(rows)));
        let offsets = ScalarBuffer::from(std::mem::replace(&mut self.offsets, Vec::with_capacity(rows)));
        let (mut fields, mut arrays) = self.root.finish(rows, &buffer);
        if let Some(rest) = self.rest.finish(rows, &buffer) {
            // it stands where it came in: after the columns that there were then
            let at = *self.rest_at.get_or_insert(fields.len());
            fields.insert(at, Field::new(REST, DataType::Utf8View, true));
            arrays.insert(at, rest);
        }
        if self.is_schema_old || fields.len() != self.schema.fields().len() {
            self.schema = Arc::new(Schema::new(fields));
            self.is_schema_old = false;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let columns = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .expect("columns are built for this schema, one entry per row");
        Batch { partition: raw.partition.clone(), origin: raw.origin.clone(), columns, times, offsets }
    }
}

/// Puts a value in its column, which has the type that the plan declares; numbers and truth values are also text.
fn put_declared(node: &mut Node, expected: &'static str, walk: &Walk<'_>, token: Token) -> Result<(), Trouble> {
    let as_text = match (&node.cell, token) {
        (Cell::Text(_), Token::Number(span) | Token::Bool(span)) => Token::Plain(span),
        _ => token,
    };
    if node.cell.put(walk.place, walk.row, as_text) == Put::Done {
        return Ok(());
    }
    let misfit = Misfit { span: span_of(token), expected };
    Err(Trouble::Reason(misfit.explain(&walk.name(&node.name), walk.place.record)))
}

impl Decoder for AllDecoder {
    /// The first value of a field decides the type of its column.
    fn remembers(&self) -> Remembers {
        Remembers::Everything
    }

    fn decode(&mut self, raw: &Raw) -> Decoded {
        let mut decoded = Decoded::default();
        let utf8 = Utf8::of(&raw.bytes);
        for span in &raw.records {
            let row = if span.is_truncated() {
                Err(too_long(span))
            } else {
                JsonConfig::payload(self.framing, raw.record(span)).and_then(|(record, before)| {
                    match utf8.fault_in(record) {
                        Some(fault) => Err(fault),
                        None => self.row(record, span.start + before as u32),
                    }
                })
            };
            match row {
                Ok(()) => self.offsets.push(span.offset.0),
                Err(reason) => decoded.rejected.push(rejected(raw, span, reason)),
            }
        }
        if !self.offsets.is_empty() {
            decoded.batches.push(self.finish(raw));
        }
        decoded
    }
}
