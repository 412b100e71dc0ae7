//! From the tree to types by serde, so that every error knows its key or value. Refuses to guess: text is text,
//! a number is a number, except where an override or a reference gave the value.

mod access;
mod fault;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use crate::tagged::ONE_OF;
use crate::tree::{Core, Node, Scalar, Segment, Style, Value};
use access::{Choice, Items, Keys};
pub(crate) use fault::{Fault, FaultKind};

/// Makes a `T` of the whole tree.
pub(crate) fn from_tree<'de, T: Deserialize<'de>>(root: &Node) -> Result<T, Fault> {
    T::deserialize(At { node: root, trail: Trail::Root })
}

/// The way from the root to a node, kept on the stack.
#[derive(Clone, Copy)]
enum Trail<'a> {
    Root,
    Key(&'a Trail<'a>, &'a str),
    Item(&'a Trail<'a>, usize),
}

impl Trail<'_> {
    fn path(&self) -> Vec<Segment> {
        match self {
            Self::Root => Vec::new(),
            Self::Key(parent, key) => {
                let mut path = parent.path();
                path.push(Segment::key(key));
                path
            }
            Self::Item(parent, index) => {
                let mut path = parent.path();
                path.push(Segment::item(*index));
                path
            }
        }
    }
}

/// A node and how it was reached.
#[derive(Clone, Copy)]
struct At<'a> {
    node: &'a Node,
    trail: Trail<'a>,
}

impl<'a> At<'a> {
    /// What is here, for an error.
    fn came(&self) -> Unexpected<'_> {
        match &self.node.value {
            Value::List(_) => Unexpected::Seq,
            Value::Map(_) => Unexpected::Map,
            Value::Removed => Unexpected::Unit,
            Value::Scalar(scalar) => match scalar.core() {
                Core::Null => Unexpected::Unit,
                Core::Bool(value) => Unexpected::Bool(value),
                Core::Int(value) => Unexpected::Signed(value),
                Core::Float(value) => Unexpected::Float(value),
                Core::Text => Unexpected::Str(&scalar.text),
            },
        }
    }

    /// Adds this place to an error that has none, and takes a secret out of it.
    fn locate<T>(&self, result: Result<T, Fault>) -> Result<T, Fault> {
        result.map_err(|mut fault| {
            if let Value::Scalar(Scalar { text, secret: Some(reference), .. }) = &self.node.value
                && fault.path.is_none()
            {
                fault.hide(text, reference);
            }
            fault.at(|| self.trail.path(), false)
        })
    }

    fn scalar(&self) -> Option<&'a Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::List(_) | Value::Map(_) | Value::Removed => None,
        }
    }

    /// The text here, where text is meant: plain numbers and booleans are not, unless an override gave them.
    fn text(&self) -> Option<&'a str> {
        let scalar = self.scalar()?;
        let core = scalar.core();
        let text = core == Core::Text || (scalar.style == Style::Given && core != Core::Null);
        text.then_some(scalar.text.as_str())
    }

    /// A number or boolean here, in `T`'s own reading; quoted text is none.
    fn parsed<T: std::str::FromStr>(&self) -> Option<T> {
        let scalar = self.scalar()?;
        (scalar.style != Style::Quoted).then(|| scalar.text.parse().ok()).flatten()
    }

    fn visit_map<'de, V: Visitor<'de>>(
        self,
        one_of: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if let (Some(choices), Some(word)) = (one_of, self.text()) {
            // A bare word is the word with nothing below it.
            let keys = Keys::bare(self, word, choices);
            return self.locate(visitor.visit_map(keys));
        }
        match &self.node.value {
            Value::Map(entries) => {
                let keys = self.locate(Keys::of(self, entries, one_of))?;
                self.locate(visitor.visit_map(keys))
            }
            Value::Scalar(_) if self.node.is_null() => self.locate(visitor.visit_map(Keys::none(self, one_of))),
            Value::Scalar(_) | Value::List(_) | Value::Removed => {
                self.locate(Err(Fault::invalid_type(self.came(), &visitor)))
            }
        }
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.parsed::<$type>() {
                Some(value) => self.locate(visitor.$visit(value)),
                None => self.locate(Err(Fault::invalid_type(self.came(), &visitor))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for At<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
            Value::Removed => self.locate(visitor.visit_unit()),
            Value::Scalar(scalar) => self.locate(match scalar.core() {
                Core::Null => visitor.visit_unit(),
                Core::Bool(value) => visitor.visit_bool(value),
                Core::Int(value) => visitor.visit_i64(value),
                Core::Float(value) => visitor.visit_f64(value),
                Core::Text => visitor.visit_str(&scalar.text),
            }),
        }
    }

    numbers! {
        deserialize_bool visit_bool bool, deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
        deserialize_f32 visit_f32 f32, deserialize_f64 visit_f64 f64, deserialize_char visit_char char
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.text() {
            Some(text) => self.locate(visitor.visit_str(text)),
            None => self.locate(Err(Fault::invalid_type(self.came(), &visitor))),
        }
    }
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.node.is_null() { self.locate(visitor.visit_none()) } else { visitor.visit_some(self) }
    }
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_any(visitor)
    }
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_any(visitor)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::List(items) => self.locate(visitor.visit_seq(Items::of(self, items))),
            Value::Scalar(_) | Value::Map(_) | Value::Removed => {
                self.locate(Err(Fault::invalid_type(self.came(), &visitor)))
            }
        }
    }
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit_map(None, visitor)
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.visit_map((name == ONE_OF).then_some(fields), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let choice = self.locate(Choice::of(self, variants))?;
        self.locate(visitor.visit_enum(choice))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }
}
