//! The inside of maps, lists and choices, one element at a time.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::{At, Fault, FaultKind, Trail};
use crate::tree::{Entry, Node, Place, Scalar, Style, Value};

/// Nothing: what stands below a bare word.
static NOTHING: Node = Node {
    place: Place { text: 0, start: 0, end: 0 },
    value: Value::Scalar(Scalar { text: String::new(), style: Style::Plain, secret: None }),
};

fn is_there(entry: &&Entry) -> bool {
    !matches!(entry.value.value, Value::Removed)
}

/// Which of `choices` a map decides for. Where an override names one and the file another, the override wins;
/// `None` when none is named.
fn chosen<'a>(at: At<'_>, entries: &'a [Entry], choices: &[&str]) -> Result<Option<&'a Entry>, Fault> {
    let mut found: Option<&Entry> = None;
    for entry in entries.iter().filter(is_there).filter(|entry| choices.contains(&entry.key.as_str())) {
        found = Some(match found {
            None => entry,
            Some(other) if other.touched_by < entry.touched_by => entry,
            Some(other) if other.touched_by > entry.touched_by => other,
            Some(other) => {
                let fault = Fault::new(FaultKind::TwoChoices { first: other.key.clone(), second: entry.key.clone() });
                return Err(fault.at(|| Trail::Key(&at.trail, &entry.key).path(), true));
            }
        });
    }
    Ok(found)
}

/// The entries of a map.
pub(super) struct Keys<'a> {
    at: At<'a>,
    entries: Vec<(&'a str, &'a Node)>,
    next: usize,
    one_of: Option<&'static [&'static str]>,
}

impl<'a> Keys<'a> {
    pub(super) fn of(at: At<'a>, entries: &'a [Entry], one_of: Option<&'static [&'static str]>) -> Result<Self, Fault> {
        let choices = one_of.unwrap_or_default();
        let chosen = chosen(at, entries, choices)?.map(|entry| entry.key.as_str());
        let is_live = |entry: &&Entry| !choices.contains(&entry.key.as_str()) || chosen == Some(entry.key.as_str());
        let live = entries.iter().filter(is_there).filter(is_live);
        Ok(Self { at, entries: live.map(|entry| (entry.key.as_str(), &entry.value)).collect(), next: 0, one_of })
    }

    pub(super) fn bare(at: At<'a>, word: &'a str, choices: &'static [&'static str]) -> Self {
        Self { at, entries: vec![(word, &NOTHING)], next: 0, one_of: Some(choices) }
    }

    pub(super) fn none(at: At<'a>, one_of: Option<&'static [&'static str]>) -> Self {
        Self { at, entries: Vec::new(), next: 0, one_of }
    }

    /// Of an error raised by a key or by the lack of one: the choices are allowed here as well.
    fn with_choices(&self, mut fault: Fault) -> Fault {
        if let (FaultKind::UnknownKey { allowed, .. }, Some(choices), None) =
            (&mut fault.kind, self.one_of, &fault.path)
        {
            allowed.splice(0..0, choices.iter().copied());
        }
        fault
    }
}

impl<'de> MapAccess<'de> for Keys<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((key, _)) = self.entries.get(self.next) else { return Ok(None) };
        let deserializer: StrDeserializer<'_, Fault> = key.into_deserializer();
        let path = || Trail::Key(&self.at.trail, key).path();
        seed.deserialize(deserializer).map(Some).map_err(|fault| self.with_choices(fault).at(path, true))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, node) = self.entries[self.next];
        self.next += 1;
        seed.deserialize(At { node, trail: Trail::Key(&self.at.trail, key) })
    }
}

/// The items of a list.
pub(super) struct Items<'a> {
    at: At<'a>,
    items: &'a [Node],
    next: usize,
}

impl<'a> Items<'a> {
    pub(super) fn of(at: At<'a>, items: &'a [Node]) -> Self {
        Self { at, items, next: 0 }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        while let Some(node) = self.items.get(self.next) {
            let index = self.next;
            self.next += 1;
            if !matches!(node.value, Value::Removed) {
                return seed.deserialize(At { node, trail: Trail::Item(&self.at.trail, index) }).map(Some);
            }
        }
        Ok(None)
    }
}

/// One of an enum's variants: a bare word, or a map with one key.
pub(super) struct Choice<'a> {
    at: At<'a>,
    word: &'a str,
    /// `None` below a bare word.
    value: Option<&'a Node>,
}

impl<'a> Choice<'a> {
    pub(super) fn of(at: At<'a>, variants: &'static [&'static str]) -> Result<Self, Fault> {
        if let Some(word) = at.text() {
            return Ok(Self { at, word, value: None });
        }
        let Value::Map(entries) = &at.node.value else {
            let expected = format!("one of {}", variants.join(", "));
            return Err(match at.node.is_null() {
                true => Fault::new(FaultKind::MissingChoice { allowed: variants.to_vec() }),
                false => Fault::invalid_type(at.came(), &expected.as_str()),
            });
        };
        let chosen = chosen(at, entries, variants)?;
        let stray = entries.iter().filter(is_there).find(|entry| !variants.contains(&entry.key.as_str()));
        match (chosen, stray) {
            (_, Some(stray)) => {
                let kind = FaultKind::UnknownKey { key: stray.key.clone(), allowed: variants.to_vec() };
                Err(Fault::new(kind).at(|| Trail::Key(&at.trail, &stray.key).path(), true))
            }
            (Some(entry), None) => Ok(Self { at, word: &entry.key, value: Some(&entry.value) }),
            (None, None) => Err(Fault::new(FaultKind::MissingChoice { allowed: variants.to_vec() })),
        }
    }

    fn inside<T>(&self, read: impl FnOnce(At<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        match self.value {
            Some(node) => read(At { node, trail: Trail::Key(&self.at.trail, self.word) }),
            None => read(At { node: &NOTHING, trail: self.at.trail }),
        }
    }
}

impl<'de> EnumAccess<'de> for Choice<'_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let word: StrDeserializer<'_, Fault> = self.word.into_deserializer();
        Ok((seed.deserialize(word)?, self))
    }
}

impl<'de> VariantAccess<'de> for Choice<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        self.inside(|at| {
            let empty = at.node.is_null() || matches!(&at.node.value, Value::Map(entries) if entries.is_empty());
            if empty { Ok(()) } else { at.locate(Err(Fault::invalid_type(at.came(), &"nothing"))) }
        })
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        self.inside(|at| seed.deserialize(at))
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.inside(|at| at.deserialize_seq(visitor))
    }
    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        self.inside(|at| at.deserialize_map(visitor))
    }
}
