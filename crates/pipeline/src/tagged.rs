//! A map that has exactly one key out of an enum's variants beside keys of its own: `- window: {...}` with `name:`
//! next to it. serde's `flatten` would do it by copying everything, and errors would lose the line they belong to.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

/// The name under which a deserializer of located nodes learns that this map holds one of some variants; the fields
/// that come with it are the variants.
pub(crate) const ONE_OF: &str = "$one_of";

/// Takes a map apart into the variant `V` that one of its keys names and the struct `R` of all other keys.
pub(crate) fn deserialize<'de, V, R, D>(deserializer: D) -> Result<(V, R), D::Error>
where
    V: DeserializeOwned,
    R: DeserializeOwned,
    D: Deserializer<'de>,
{
    let variants = variants_of::<V>();
    deserializer.deserialize_struct(ONE_OF, variants, EntryVisitor { variants, types: PhantomData })
}

/// The names of an enum's variants, as its derived implementation tells any deserializer.
pub(crate) fn variants_of<V: DeserializeOwned>() -> &'static [&'static str] {
    let names = fields_of::<V>();
    assert!(!names.is_empty(), "an enum has variants");
    names
}

/// The names of a struct's fields or an enum's variants; nothing for other types.
pub(crate) fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let found = Cell::new(&[][..]);
    // It fails by design: the list has been seen by then.
    let _ = T::deserialize(Probe(&found));
    found.get()
}

/// The keys of a map that [`deserialize`] takes apart: the variants, then all others.
pub(crate) fn keys<V: DeserializeOwned, R: DeserializeOwned>() -> Vec<&'static str> {
    [variants_of::<V>(), fields_of::<R>()].concat()
}

struct Probe<'a>(&'a Cell<&'static [&'static str]>);

impl Probe<'_> {
    fn found<T>(self, names: &'static [&'static str]) -> Result<T, serde::de::value::Error> {
        self.0.set(names);
        Err(Error::custom("probed"))
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        self.found(&[])
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        self.found(variants)
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        self.found(fields)
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct EntryVisitor<V, R> {
    variants: &'static [&'static str],
    types: PhantomData<(V, R)>,
}

impl<'de, V: DeserializeOwned, R: DeserializeOwned> Visitor<'de> for EntryVisitor<V, R> {
    type Value = (V, R);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a map with one of {}", self.variants.join(", "))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(V, R), A::Error> {
        let mut variant = None;
        let others = Others { map, variants: self.variants, variant: &mut variant };
        let rest = R::deserialize(others)?;
        let missing = || A::Error::custom(format_args!("one of {} is missing", self.variants.join(", ")));
        Ok((variant.ok_or_else(missing)?, rest))
    }
}

/// The map without its variant key, which is taken out in passing.
struct Others<'a, A, E> {
    map: A,
    variants: &'static [&'static str],
    variant: &'a mut Option<E>,
}

impl<'de, A: MapAccess<'de>, E: DeserializeOwned> Deserializer<'de> for Others<'_, A, E> {
    type Error = A::Error;

    fn deserialize_any<T: Visitor<'de>>(self, visitor: T) -> Result<T::Value, A::Error> {
        visitor.visit_map(self)
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>, E: DeserializeOwned> MapAccess<'de> for Others<'_, A, E> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let mut seed = Some(seed);
        loop {
            let probe = KeySeed { variants: self.variants, seed: &mut seed };
            match self.map.next_key_seed(probe)? {
                None => return Ok(None),
                Some(Key::Own(key)) => return Ok(Some(key)),
                Some(Key::Variant(name)) => {
                    if self.variant.is_some() {
                        return Err(A::Error::custom(format_args!(
                            "only one of {} can be given",
                            self.variants.join(", ")
                        )));
                    }
                    *self.variant = Some(E::deserialize(VariantEntry { name, map: &mut self.map })?);
                }
            }
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

enum Key<K> {
    Variant(&'static str),
    Own(K),
}

/// Reads a key: a variant's name, or whatever the real seed makes of it.
struct KeySeed<'a, K> {
    variants: &'static [&'static str],
    seed: &'a mut Option<K>,
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for KeySeed<'_, K> {
    type Value = Key<K::Value>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'de, K: DeserializeSeed<'de>> Visitor<'de> for KeySeed<'_, K> {
    type Value = Key<K::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        if let Some(name) = self.variants.iter().find(|name| **name == key) {
            return Ok(Key::Variant(name));
        }
        let seed = self.seed.take().expect("a map ends its keys with the first one that is not a variant");
        let deserializer: StrDeserializer<'_, E> = key.into_deserializer();
        seed.deserialize(deserializer).map(Key::Own)
    }
}

/// One entry of a map, seen as an externally tagged enum.
struct VariantEntry<'a, A> {
    name: &'static str,
    map: &'a mut A,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for VariantEntry<'_, A> {
    type Error = A::Error;

    fn deserialize_any<T: Visitor<'de>>(self, visitor: T) -> Result<T::Value, A::Error> {
        visitor.visit_enum(self)
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, 'a, A: MapAccess<'de>> EnumAccess<'de> for VariantEntry<'a, A> {
    type Error = A::Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), A::Error> {
        let name: StrDeserializer<'_, A::Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for VariantEntry<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.map.next_value::<serde::de::IgnoredAny>().map(|_| ())
    }
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
    fn tuple_variant<T: Visitor<'de>>(self, _: usize, _: T) -> Result<T::Value, A::Error> {
        Err(A::Error::custom("a variant with several values has no place in a map"))
    }
    fn struct_variant<T: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: T,
    ) -> Result<T::Value, A::Error> {
        self.map.next_value_seed(StructSeed { fields, visitor })
    }
}

struct StructSeed<T> {
    fields: &'static [&'static str],
    visitor: T,
}

impl<'de, T: Visitor<'de>> DeserializeSeed<'de> for StructSeed<T> {
    type Value = T::Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        deserializer.deserialize_struct("", self.fields, self.visitor)
    }
}
