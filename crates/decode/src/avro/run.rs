//! Follows a plan through the bytes of a record and puts its values into columns.

use std::sync::Arc;

use weir_schema::avro::Schema;

use super::plan::{Goes, Part, Step, Symbol, Value, Walk};
use super::reader::Reader;
use super::skip::Skips;
use super::text::{duration, json, uuid};
use crate::typed::{Cell, Fallible, Fault, Group, Scalar};

/// What is needed beside the plan.
pub(crate) struct Run<'a> {
    pub(crate) writer: &'a Schema,
    pub(crate) skips: &'a Skips,
    /// What defaults are written by.
    pub(crate) reader: &'a Schema,
    pub(crate) default_skips: &'a Skips,
}

impl Run<'_> {
    /// Does with the value at `bytes` what the plan says; a row of `columns` is begun and not ended.
    pub(crate) fn walk(&self, walk: &Walk, columns: &mut Group, bytes: &mut Reader<'_>) -> Fallible {
        match walk {
            Walk::Skip(skip) => self.skips.run(skip, bytes),
            Walk::Put(column, value) => self.value(value, &mut columns.members[*column as usize], bytes),
            Walk::Fields(steps) => {
                bytes.enter()?;
                for step in steps {
                    self.step(step, columns, bytes).map_err(|fault| fault.inside(&step.name))?;
                }
                bytes.leave();
                Ok(())
            }
            Walk::Branches(branches) => {
                let branch = bytes.choice(branches.len(), "branch")?;
                self.walk(&branches[branch], columns, bytes)
            }
            Walk::Several(walks) => {
                let start = *bytes;
                for walk in walks {
                    let mut again = start;
                    self.walk(walk, columns, &mut again)?;
                    bytes.go_to(&again);
                }
                Ok(())
            }
            Walk::Entries { wanted, other } => {
                bytes.enter()?;
                while let Some((count, _)) = bytes.block()? {
                    for _ in 0..count {
                        let (key, _) = bytes.text()?;
                        match wanted.iter().find(|entry| entry.key.as_bytes() == key) {
                            Some(entry) => {
                                // The same key again: the last wins.
                                let rows = columns.rows();
                                entry
                                    .columns
                                    .iter()
                                    .for_each(|column| columns.members[*column as usize].truncate(rows));
                                self.walk(&entry.walk, columns, bytes).map_err(|fault| fault.inside(&entry.key))?;
                            }
                            None => self.skips.run(other, bytes)?,
                        }
                    }
                }
                bytes.leave();
                Ok(())
            }
            Walk::Fault(reason) => bytes.fault(&**reason),
        }
    }

    fn step(&self, step: &Step, columns: &mut Group, bytes: &mut Reader<'_>) -> Fallible {
        match &step.default {
            None => self.walk(&step.walk, columns, bytes),
            Some(default) => self.of_reader().walk(&step.walk, columns, &mut Reader::new(default, None)),
        }
    }

    fn of_reader(&self) -> Run<'_> {
        Run { writer: self.reader, skips: self.default_skips, reader: self.reader, default_skips: self.default_skips }
    }

    /// Puts the value at `bytes` into `cell`.
    #[inline]
    fn value(&self, value: &Value, cell: &mut Cell, bytes: &mut Reader<'_>) -> Fallible {
        match value {
            Value::Scalar(wire) => {
                let at = bytes.at();
                let scalar = wire.read(bytes)?;
                cell.put(scalar).map_err(|expected| misfit(at, scalar, expected))
            }
            Value::Branches(branches) => {
                let branch = bytes.choice(branches.len(), "branch")?;
                self.value(&branches[branch], cell, bytes)
            }
            Value::Null => {
                cell.push_null();
                Ok(())
            }
            other => self.rare(other, cell, bytes),
        }
    }

    fn rare(&self, value: &Value, cell: &mut Cell, bytes: &mut Reader<'_>) -> Fallible {
        match (value, cell) {
            (Value::Record(parts), Cell::Struct(group)) => {
                bytes.enter()?;
                for part in parts {
                    self.part(part, group, bytes).map_err(|fault| fault.inside(&part.name))?;
                }
                group.end_row();
                bytes.leave();
            }
            (Value::Member(index, value), Cell::Struct(group)) => {
                self.value(value, &mut group.members[*index as usize], bytes)?;
                group.end_row();
            }
            (Value::List(item), Cell::List(list)) => {
                bytes.enter()?;
                let mut index = 0_u64;
                while let Some((count, _)) = bytes.block()? {
                    for _ in 0..count {
                        let start = bytes.at();
                        self.value(item, &mut list.items, bytes).map_err(|fault| fault.at_item(index))?;
                        bytes.item_since(start)?;
                        index += 1;
                    }
                }
                list.end_row();
                bytes.leave();
            }
            (Value::Map(item), Cell::Map(map)) => {
                bytes.enter()?;
                while let Some((count, _)) = bytes.block()? {
                    for _ in 0..count {
                        let (key, at) = bytes.text()?;
                        map.put_key(key, bytes.place(at));
                        self.value(item, &mut map.values, bytes)
                            .map_err(|fault| fault.inside(&String::from_utf8_lossy(key)))?;
                    }
                }
                map.end_row();
                bytes.leave();
            }
            (Value::Enum(symbols), cell) => {
                let at = bytes.at();
                match &symbols[bytes.choice(symbols.len(), "symbol")?] {
                    Symbol::Known(symbol) => {
                        let scalar = Scalar::Text(symbol.as_bytes(), None);
                        cell.put(scalar).map_err(|expected| misfit(at, scalar, expected))?;
                    }
                    Symbol::Unknown(symbol) => {
                        let what = format!("symbol \"{symbol}\" is not known to the reader, and it has no default");
                        return Err(Fault::new(at, what));
                    }
                }
            }
            (Value::Uuid, cell) => {
                let at = bytes.at();
                let mut text = [0; 36];
                uuid(bytes.take(16)?, &mut text);
                let scalar = Scalar::Text(&text, None);
                cell.put(scalar).map_err(|expected| misfit(at, scalar, expected))?;
            }
            (Value::Duration, Cell::Struct(group)) => {
                for (cell, part) in group.members.iter_mut().zip(duration(bytes.take(12)?)) {
                    cell.put(Scalar::Int(part)).expect("the parts of a duration are whole numbers");
                }
                group.end_row();
            }
            (Value::Json(node), Cell::Text(texts)) => {
                let mut done = Ok(());
                texts.push_made(|out| {
                    // The column's own text goes on growing; only this value's part of it is counted and kept apart.
                    let mut made = Vec::new();
                    done = json(self.writer, *node, bytes, &mut made);
                    out.extend_from_slice(&made);
                });
                done?;
            }
            (Value::Fault(reason), _) => return bytes.fault(&**reason),
            (value, _) => unreachable!("the plan was made for the columns: {value:?}"),
        }
        Ok(())
    }

    fn part(&self, part: &Part, group: &mut Group, bytes: &mut Reader<'_>) -> Fallible {
        match &part.goes {
            Goes::Nowhere(skip) => self.skips.run(skip, bytes),
            Goes::To(index, value) => self.value(value, &mut group.members[*index as usize], bytes),
            Goes::Default(index, default, value) => {
                let mut bytes = Reader::new(default, None);
                self.of_reader().value(value, &mut group.members[*index as usize], &mut bytes)
            }
        }
    }
}

#[cold]
fn misfit(at: usize, scalar: Scalar<'_>, expected: &'static str) -> Box<Fault> {
    Fault::new(at, format!("is {}; expected {expected}", scalar.show()))
}

/// The schema of a writer, ready to be followed.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) writer: Arc<Schema>,
    pub(crate) reader: Arc<Schema>,
    pub(crate) walk: Walk,
    pub(crate) skips: Skips,
    pub(crate) default_skips: Skips,
}

impl Program {
    pub(crate) fn run(&self, columns: &mut Group, bytes: &mut Reader<'_>) -> Fallible {
        let run =
            Run { writer: &self.writer, skips: &self.skips, reader: &self.reader, default_skips: &self.default_skips };
        run.walk(&self.walk, columns, bytes)?;
        bytes.finish()
    }
}
