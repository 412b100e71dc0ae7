//! Takes a JSON object apart without making a tree of it: a value that nobody asked for is passed over.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use weir_model::Value;

use super::Slots;
use super::fields::{FieldSet, Wanted};
use super::plan::FIELDS_MAX;

/// Fills `slots` with the members of the object `text`. Of a name that comes twice the last value counts.
pub(super) fn members<'a>(text: &'a str, fields: &mut FieldSet, slots: &mut Slots<'a>) -> Result<(), String> {
    let mut members = Members { prefix: String::new(), fields, slots, problem: None };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Object(&mut members).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match (members.problem, read) {
        (Some(problem), _) => Err(problem),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => Err(format!("{} is no JSON object: {error}", Value(text.as_bytes()))),
    }
}

pub(super) fn too_many(name: &str) -> String {
    format!(
        "there are {FIELDS_MAX} fields already, the limit: `{name}` cannot be one more; name those you need in `types`"
    )
}

struct Members<'a, 'f> {
    /// The way to where we are: `user.`.
    prefix: String,
    fields: &'f mut FieldSet,
    slots: &'f mut Slots<'a>,
    problem: Option<String>,
}

struct Object<'m, 'a, 'f>(&'m mut Members<'a, 'f>);

impl<'a> DeserializeSeed<'a> for Object<'_, 'a, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Object<'_, 'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(members) = self;
        while let Some(place) = map.next_key_seed(Key(members))? {
            match place {
                Place::Nowhere => {
                    map.next_value::<IgnoredAny>()?;
                }
                Place::Field(place) => {
                    let value: &'a RawValue = map.next_value()?;
                    members.slots.resize(members.fields.len(), None);
                    members.slots[place] = text_of(value.get()).map_err(A::Error::custom)?;
                }
                Place::Inside(name) => {
                    let value: &'a RawValue = map.next_value()?;
                    if let Wanted::Field(place) = members.fields.place(&name) {
                        members.slots.resize(members.fields.len(), None);
                        members.slots[place] = text_of(value.get()).map_err(A::Error::custom)?;
                    }
                    if value.get().starts_with('{') {
                        let before = std::mem::replace(&mut members.prefix, format!("{name}."));
                        let mut inner = serde_json::Deserializer::from_str(value.get());
                        Object(members).deserialize(&mut inner).map_err(A::Error::custom)?;
                        members.prefix = before;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Where the value of a key goes.
enum Place {
    Field(usize),
    /// What is asked for is inside of this.
    Inside(String),
    Nowhere,
}

struct Key<'m, 'a, 'f>(&'m mut Members<'a, 'f>);

impl<'a> DeserializeSeed<'a> for Key<'_, 'a, '_> {
    type Value = Place;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Place, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_, '_> {
    type Value = Place;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Place, E> {
        let Self(members) = self;
        let full;
        let name = if members.prefix.is_empty() {
            key
        } else {
            full = format!("{}{key}", members.prefix);
            full.as_str()
        };
        if members.fields.is_outer(name) {
            return Ok(Place::Inside(name.to_owned()));
        }
        if !members.prefix.is_empty() && !members.fields.knows(name) {
            return Ok(Place::Nowhere);
        }
        match members.fields.place(name) {
            Wanted::Field(place) => Ok(Place::Field(place)),
            Wanted::No => Ok(Place::Nowhere),
            Wanted::TooMany => {
                members.problem = Some(too_many(name));
                Err(E::custom("too many fields"))
            }
        }
    }
}

/// A value as text: strings without quotes and escapes, null as nothing, anything else as it is written.
fn text_of(raw: &str) -> Result<Option<Cow<'_, str>>, serde_json::Error> {
    match raw.as_bytes() {
        b"null" => Ok(None),
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => Ok(Some(Cow::Borrowed(&raw[1..raw.len() - 1]))),
        [b'"', ..] => Ok(Some(Cow::Owned(serde_json::from_str(raw)?))),
        _ => Ok(Some(Cow::Borrowed(raw))),
    }
}
