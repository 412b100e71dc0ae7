//! Follows a plan through the bytes of a record and puts its values into columns.
//!
//! What a field is that comes several times: of scalars the last counts; lists grow; messages are merged, which is to read
//! their bytes one behind the other; of the entries of a map with one key the last counts. So messages and entries are kept
//! until the message around them ends.

use std::borrow::Cow;
use std::collections::HashSet;

use weir_schema::avro::TimeUnit;
use weir_schema::protobuf::Schema;

use super::json::json;
use super::limits::{CELLS_MAX, JSON_BYTES_MAX};
use super::plan::{Goes, Plan, Step, Value};
use super::reader::{Reader, WireType};
use super::wire::{Wire, scalar, seconds_and_nanos};
use crate::typed::{Cell, Fallible, Fault, Group, Scalar};

/// A record being read.
pub(crate) struct Run<'s, 'a> {
    schema: &'s Schema,
    /// What waits for the end of its message: which step, and its bytes. Messages within messages stand behind.
    waiting: Vec<(usize, Reader<'a>)>,
    /// Where what waits for the message at hand begins.
    base: usize,
    /// Cells that were made.
    cells: usize,
    /// Bytes of JSON that were made.
    json_bytes: usize,
}

impl<'s, 'a> Run<'s, 'a> {
    pub(crate) fn new(schema: &'s Schema) -> Self {
        Self { schema, waiting: Vec::new(), base: 0, cells: 0, json_bytes: 0 }
    }

    /// Puts the message at `reader` into the columns of `group`, of which a row is begun and not ended.
    pub(crate) fn message(&mut self, plan: &Plan, group: &mut Group, mut reader: Reader<'a>) -> Fallible {
        reader.enter()?;
        self.cells += plan.cells;
        if self.cells > CELLS_MAX {
            return reader.fault(format!("it becomes more than {CELLS_MAX} values"));
        }
        let outer = std::mem::replace(&mut self.base, self.waiting.len());
        while let Some((number, wire)) = reader.tag()? {
            match plan.find(number) {
                None => reader.skip(number, wire)?,
                Some(index) => {
                    let step = &plan.fields[index];
                    self.field(plan, index, wire, group, &mut reader).map_err(|fault| fault.inside(&step.name))?;
                }
            }
        }
        self.end(plan, group, reader)?;
        self.base = outer;
        Ok(())
    }

    fn field(
        &mut self,
        plan: &Plan,
        index: usize,
        wire: WireType,
        group: &mut Group,
        reader: &mut Reader<'a>,
    ) -> Fallible {
        let step = &plan.fields[index];
        for other in &step.others {
            self.clear(&plan.fields[*other].goes, *other, group);
        }
        if let Goes::One(cell, expected, _) = &step.goes
            && wire == step.wire
        {
            let rows = group.rows();
            return one(expected, &mut group.members[*cell as usize], rows, reader);
        }
        let is_packed = wire == WireType::Len && step.wire != WireType::Len && holds_list(&step.goes);
        if wire != step.wire && !is_packed {
            let (found, expected) = (wire.word(), step.wire.word());
            return reader.fault(format!("is {found}; expected {expected}: is it the right schema?"));
        }
        match wire {
            WireType::Len => {
                let bytes = reader.sized()?;
                self.bytes(&step.goes, index, is_packed, group, bytes)
            }
            WireType::Group => {
                let bytes = reader.group(step.number)?;
                self.bytes(&step.goes, index, false, group, bytes)
            }
            WireType::Varint | WireType::I64 | WireType::I32 | WireType::EndGroup => {
                let before = *reader;
                self.scalars(&step.goes, group, before)?;
                reader.skip(step.number, wire)
            }
        }
    }

    /// What is behind a length, or in a group.
    fn bytes(
        &mut self,
        goes: &Goes,
        index: usize,
        is_packed: bool,
        group: &mut Group,
        mut bytes: Reader<'a>,
    ) -> Fallible {
        match goes {
            Goes::One(cell, wire, _) => {
                let rows = group.rows();
                payload(wire, &mut group.members[*cell as usize], rows, bytes)
            }
            Goes::List(cell, Value::Scalar(wire)) => {
                let Cell::List(list) = &mut group.members[*cell as usize] else { unreachable!("the plan was made so") };
                let mut number = list.open_items();
                if !is_packed {
                    let rows = list.items.len();
                    return payload(wire, &mut list.items, rows, bytes).map_err(|fault| fault.at_item(number));
                }
                while !bytes.is_empty() {
                    let rows = list.items.len();
                    one(wire, &mut list.items, rows, &mut bytes).map_err(|fault| fault.at_item(number))?;
                    number += 1;
                }
                Ok(())
            }
            Goes::List(cell, value) => {
                let Cell::List(list) = &mut group.members[*cell as usize] else { unreachable!("the plan was made so") };
                let number = list.open_items();
                self.value(value, &mut list.items, bytes).map_err(|fault| fault.at_item(number))
            }
            Goes::Message(..) | Goes::Map(..) | Goes::Into(_) | Goes::Entries(..) => {
                self.waiting.push((index, bytes));
                Ok(())
            }
            Goes::Several(all) => {
                // Those that wait, wait once for all of them.
                let waits = self.waiting.len();
                for goes in all {
                    self.bytes(goes, index, is_packed, group, bytes)?;
                    self.waiting.truncate(waits + 1);
                }
                Ok(())
            }
            Goes::Nowhere => Ok(()),
            Goes::Fault(reason) => bytes.fault(&**reason),
        }
    }

    /// One number, which is not behind a length.
    fn scalars(&mut self, goes: &Goes, group: &mut Group, mut reader: Reader<'a>) -> Fallible {
        match goes {
            Goes::One(cell, wire, _) => {
                let rows = group.rows();
                one(wire, &mut group.members[*cell as usize], rows, &mut reader)
            }
            Goes::List(cell, Value::Scalar(wire)) => {
                let Cell::List(list) = &mut group.members[*cell as usize] else { unreachable!("the plan was made so") };
                let (number, rows) = (list.open_items(), list.items.len());
                one(wire, &mut list.items, rows, &mut reader).map_err(|fault| fault.at_item(number))
            }
            Goes::Several(all) => all.iter().try_for_each(|goes| self.scalars(goes, group, reader)),
            Goes::Nowhere => Ok(()),
            Goes::Fault(reason) | Goes::List(_, Value::Fault(reason)) => reader.fault(&**reason),
            Goes::List(..) | Goes::Message(..) | Goes::Map(..) | Goes::Into(_) | Goes::Entries(..) => {
                unreachable!("these are behind a length")
            }
        }
    }

    /// Another of its choice came: it was not there.
    fn clear(&mut self, goes: &Goes, index: usize, group: &mut Group) {
        match goes {
            Goes::One(cell, ..) => {
                let rows = group.rows();
                group.members[*cell as usize].truncate(rows);
            }
            Goes::Several(all) => all.iter().for_each(|goes| self.clear(goes, index, group)),
            Goes::Message(..) | Goes::Into(_) => {
                let (mut at, base) = (0, self.base);
                self.waiting.retain(|(step, _)| {
                    at += 1;
                    at <= base || *step != index
                });
            }
            // These are in no choice, or need nothing.
            Goes::List(..) | Goes::Map(..) | Goes::Entries(..) | Goes::Nowhere | Goes::Fault(_) => {}
        }
    }

    /// The message is over: what waited goes to its place, and what was not there is what it is then.
    fn end(&mut self, plan: &Plan, group: &mut Group, reader: Reader<'a>) -> Fallible {
        let base = self.base;
        if self.waiting.len() > base {
            let mut mine: Vec<(usize, Reader<'a>)> = self.waiting.drain(base..).collect();
            mine.sort_by_key(|(index, _)| *index);
            for same in mine.chunk_by(|(one, _), (other, _)| one == other) {
                let step = &plan.fields[same[0].0];
                let bytes: Vec<Reader<'a>> = same.iter().map(|(_, bytes)| *bytes).collect();
                self.late(&step.goes, group, &bytes).map_err(|fault| fault.inside(&step.name))?;
            }
        }
        plan.fields.iter().try_for_each(|step| absent(step, &step.goes, group, reader.at()))
    }

    /// What waited: all that came of one field.
    fn late(&mut self, goes: &Goes, group: &mut Group, all: &[Reader<'a>]) -> Fallible {
        match goes {
            Goes::Message(cell, value) => {
                let cell = &mut group.members[*cell as usize];
                self.merged(all, |run, bytes| run.value(value, cell, bytes))
            }
            Goes::Into(plan) => self.merged(all, |run, bytes| run.message(plan, group, bytes)),
            Goes::Map(cell, entry) => {
                let Cell::Map(map) = &mut group.members[*cell as usize] else { unreachable!("the plan was made so") };
                for found in last_of_each(&entry.key, all)? {
                    map.put_key(&found.key, found.place);
                    self.entry(&entry.value, &mut map.values, found.bytes)
                        .map_err(|fault| fault.inside(&String::from_utf8_lossy(&found.key)))?;
                }
                Ok(())
            }
            Goes::Entries(key, wanted) => {
                for found in last_of_each(key, all)? {
                    if let Some((name, plan)) = wanted.iter().find(|(wanted, _)| wanted.as_bytes() == &*found.key) {
                        self.message(plan, group, found.bytes).map_err(|fault| fault.inside(name))?;
                    }
                }
                Ok(())
            }
            Goes::Several(several) => several.iter().try_for_each(|goes| self.late(goes, group, all)),
            Goes::One(..) | Goes::List(..) | Goes::Nowhere => Ok(()),
            Goes::Fault(reason) => all.first().map_or(Ok(()), |bytes| bytes.fault(&**reason)),
        }
    }

    /// Does with one message what `with` says, which may have come in several parts.
    fn merged(
        &mut self,
        parts: &[Reader<'a>],
        with: impl for<'b> FnOnce(&mut Run<'s, 'b>, Reader<'b>) -> Fallible,
    ) -> Fallible {
        match parts {
            [] => Ok(()),
            [one] => with(self, *one),
            [first, ..] => {
                let joined: Vec<u8> = parts.iter().flat_map(|part| part.rest()).copied().collect();
                let mut run = Run {
                    schema: self.schema,
                    waiting: Vec::new(),
                    base: 0,
                    cells: self.cells,
                    json_bytes: self.json_bytes,
                };
                with(&mut run, first.elsewhere(&joined))?;
                (self.cells, self.json_bytes) = (run.cells, run.json_bytes);
                Ok(())
            }
        }
    }

    /// The value of an entry.
    fn entry(&mut self, value: &Value, cell: &mut Cell, mut bytes: Reader<'a>) -> Fallible {
        let (rows, mut parts) = (cell.len(), Vec::new());
        let expected = match value {
            Value::Scalar(wire) => wire.wire_type(),
            _ => WireType::Len,
        };
        let whole = bytes;
        while let Some((number, wire)) = bytes.tag()? {
            match (number, value) {
                (2, _) if wire != expected => {
                    return bytes.fault(format!("is {}; expected {}", wire.word(), expected.word()));
                }
                (2, Value::Scalar(wire)) => one(wire, cell, rows, &mut bytes)?,
                (2, _) => parts.push(bytes.sized()?),
                (other, _) => bytes.skip(other, wire)?,
            }
        }
        match value {
            Value::Scalar(wire) if cell.len() == rows => put(cell, scalar(&wire.zero()), bytes.at()),
            Value::Scalar(_) => Ok(()),
            value if parts.is_empty() => self.value(value, cell, whole.elsewhere(&[])),
            value => self.merged(&parts, |run, bytes| run.value(value, cell, bytes)),
        }
    }

    /// Puts what is behind a length into a cell.
    fn value(&mut self, value: &Value, cell: &mut Cell, bytes: Reader<'a>) -> Fallible {
        let at = bytes.at();
        match (value, cell) {
            (Value::Message(plan), Cell::Struct(group)) => {
                self.message(plan, group, bytes)?;
                group.end_row();
                Ok(())
            }
            (Value::Scalar(wire), cell) => {
                let rows = cell.len();
                payload(wire, cell, rows, bytes)
            }
            (Value::Timestamp, cell) => put(cell, timestamp(bytes)?, at),
            (Value::Duration, cell) => put(cell, duration(bytes)?, at),
            (Value::Wrapper(wire), cell) => {
                let rows = cell.len();
                let mut bytes = bytes;
                while let Some((number, found)) = bytes.tag()? {
                    match number {
                        1 if found == wire.wire_type() => one(wire, cell, rows, &mut bytes)?,
                        1 => return bytes.fault(format!("is {}; expected {}", found.word(), wire.wire_type().word())),
                        other => bytes.skip(other, found)?,
                    }
                }
                if cell.len() == rows { put(cell, scalar(&wire.zero()), at) } else { Ok(()) }
            }
            (Value::Json(message), Cell::Text(texts)) => {
                let mut made = Vec::new();
                json(self.schema, *message, bytes, JSON_BYTES_MAX - self.json_bytes, &mut made)?;
                self.json_bytes += made.len();
                texts.push_made(|out| out.extend_from_slice(&made));
                Ok(())
            }
            (Value::Fault(reason), _) => bytes.fault(&**reason),
            (value, _) => unreachable!("the plan was made for the columns: {value:?}"),
        }
    }
}

/// What a field is that was not there, and the end of those that came one by one.
fn absent(step: &Step, goes: &Goes, group: &mut Group, at: usize) -> Fallible {
    let rows = group.rows();
    match goes {
        Goes::One(cell, _, Some(default)) => {
            let cell = &mut group.members[*cell as usize];
            if cell.len() == rows {
                put(cell, scalar(default), at).map_err(|fault| fault.inside(&step.name))?;
            }
        }
        Goes::List(cell, _) => {
            if let Cell::List(list) = &mut group.members[*cell as usize] {
                list.end_row();
            }
        }
        Goes::Map(cell, _) => {
            if let Cell::Map(map) = &mut group.members[*cell as usize] {
                map.end_row();
            }
        }
        Goes::Several(all) => all.iter().try_for_each(|goes| absent(step, goes, group, at))?,
        Goes::One(_, _, None)
        | Goes::Message(..)
        | Goes::Into(_)
        | Goes::Entries(..)
        | Goes::Nowhere
        | Goes::Fault(_) => {}
    }
    Ok(())
}

/// Whether numbers may come many behind one length.
fn holds_list(goes: &Goes) -> bool {
    match goes {
        Goes::List(_, Value::Scalar(_)) => true,
        Goes::Several(all) => all.iter().all(holds_list),
        _ => false,
    }
}

/// Reads a scalar into the row `rows` of a cell; the last one of several counts.
#[inline]
fn one(wire: &Wire, cell: &mut Cell, rows: usize, reader: &mut Reader<'_>) -> Fallible {
    let at = reader.at();
    let scalar = wire.read(reader)?;
    if cell.len() > rows {
        cell.truncate(rows);
    }
    put(cell, scalar, at)
}

/// The same of text and bytes whose length was read.
fn payload(wire: &Wire, cell: &mut Cell, rows: usize, bytes: Reader<'_>) -> Fallible {
    let scalar = wire.of_payload(bytes)?;
    if cell.len() > rows {
        cell.truncate(rows);
    }
    put(cell, scalar, bytes.at())
}

#[inline]
fn put(cell: &mut Cell, scalar: Scalar<'_>, at: usize) -> Fallible {
    cell.put(scalar).map_err(|expected| misfit(at, scalar, expected))
}

#[cold]
fn misfit(at: usize, scalar: Scalar<'_>, expected: &'static str) -> Box<Fault> {
    Fault::new(at, format!("is {}; expected {expected}", scalar.show()))
}

/// An entry of a map.
pub(super) struct Found<'a> {
    pub(super) key: Cow<'a, [u8]>,
    /// Where the key stands in the batch's buffer.
    place: Option<u32>,
    pub(super) bytes: Reader<'a>,
}

/// The last entry of each key, in their order.
pub(super) fn last_of_each<'a>(key: &Wire, all: &[Reader<'a>]) -> Fallible<Vec<Found<'a>>> {
    let mut found = Vec::with_capacity(all.len());
    let mut seen: HashSet<Cow<'a, [u8]>> = HashSet::new();
    for bytes in all.iter().rev() {
        let entry = entry(key, *bytes)?;
        if all.len() == 1 || seen.insert(entry.key.clone()) {
            found.push(entry);
        }
    }
    found.reverse();
    Ok(found)
}

fn entry<'a>(wire: &Wire, bytes: Reader<'a>) -> Fallible<Found<'a>> {
    let (mut rest, mut key, mut place) = (bytes, None, None);
    while let Some((number, found)) = rest.tag()? {
        match (number, wire) {
            (1, wire) if found != wire.wire_type() => {
                return rest.fault(format!("a key is {}; expected {}", found.word(), wire.wire_type().word()));
            }
            (1, Wire::Text) => {
                let text = rest.sized()?;
                wire.of_payload(text)?;
                (key, place) = (Some(Cow::Borrowed(text.rest())), text.place());
            }
            (1, wire) => {
                let mut made = Vec::new();
                wire.read(&mut rest)?.write(&mut made);
                key = Some(Cow::Owned(made));
            }
            (other, _) => rest.skip(other, found)?,
        }
    }
    let key = key.unwrap_or_else(|| {
        let mut made = Vec::new();
        scalar(&wire.zero()).write(&mut made);
        Cow::Owned(made)
    });
    Ok(Found { key, place, bytes })
}

/// The years that a `Timestamp` may lie in, 1 to 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A moment. As nanoseconds where they hold it: years 1678 to 2261.
pub(super) fn timestamp<'b>(bytes: Reader<'_>) -> Fallible<Scalar<'b>> {
    let (seconds, nanos) = seconds_and_nanos(bytes)?;
    if !SECONDS.contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return bytes.fault(format!("{seconds} seconds and {nanos} nanoseconds since 1970 are no Timestamp"));
    }
    let nanos = i64::from(nanos);
    Ok(match seconds.checked_mul(1_000_000_000).and_then(|whole| whole.checked_add(nanos)) {
        Some(time) => Scalar::Instant(time, TimeUnit::Nanos, false),
        None => Scalar::Instant(seconds * 1_000_000 + nanos / 1_000, TimeUnit::Micros, false),
    })
}

/// A span of time, in seconds to the nanosecond.
pub(super) fn duration<'b>(bytes: Reader<'_>) -> Fallible<Scalar<'b>> {
    let (seconds, nanos) = seconds_and_nanos(bytes)?;
    if seconds.unsigned_abs() > 315_576_000_000 || nanos.unsigned_abs() >= 1_000_000_000 {
        return bytes.fault(format!("{seconds} seconds and {nanos} nanoseconds are no Duration"));
    }
    Ok(Scalar::Decimal(i128::from(seconds) * 1_000_000_000 + i128::from(nanos), 9))
}
