//! A route: rows go different ways. Refuses the same branch twice.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::Named;

/// The key that is no branch.
const MATCH: &str = "match";
/// The condition of rows that no other branch takes.
const ELSE: &str = "else";

/// Branches by name, in the order in which they are tried. Later steps and outputs take from a branch with `from`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteConfig {
    /// A SQL condition for each branch; null is false. `else` is true for the rows that no other branch takes.
    pub branches: Named,
    /// Which of the branches take a row.
    pub matching: MatchConfig,
}

/// Which branches take a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MatchConfig {
    /// The first one whose condition is true.
    #[default]
    First,
    /// Every one whose condition is true.
    All,
}

impl RouteConfig {
    /// Whether this condition is that of the rows that no other branch takes.
    pub fn is_else(condition: &str) -> bool {
        condition.trim().eq_ignore_ascii_case(ELSE)
    }
}

impl Serialize for RouteConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.matching != MatchConfig::default() {
            map.serialize_entry(MATCH, &self.matching)?;
        }
        for (name, condition) in self.branches.iter() {
            map.serialize_entry(name, condition)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for RouteConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RouteVisitor)
    }
}

struct RouteVisitor;

impl<'de> Visitor<'de> for RouteVisitor {
    type Value = RouteConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from branches to SQL conditions")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RouteConfig, A::Error> {
        let mut route = RouteConfig::default();
        while let Some(name) = map.next_key::<String>()? {
            if name == MATCH {
                route.matching = map.next_value()?;
                continue;
            }
            let condition = map.next_value::<String>()?;
            if route.branches.get(&name).is_some() {
                return Err(A::Error::custom(format_args!("the branch `{name}` is given twice")));
            }
            route.branches.push(name, condition);
        }
        Ok(route)
    }
}

impl JsonSchema for RouteConfig {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Route".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": { "type": "string" } })
    }
}
