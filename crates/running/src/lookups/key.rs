//! What is asked for: the keys of rows as texts, and the URL that they make.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use weir_engine::EnrichPlan;
use weir_model::{Compiler, Expression, SeamResult};

/// The values of a row's keys, in the order of the plan.
pub(super) type Key = Vec<String>;

/// Finds the keys of rows.
pub(super) struct Keys {
    texts: Vec<String>,
    compiler: Arc<dyn Compiler>,
    /// The expressions for the last schema.
    compiled: Option<(SchemaRef, Vec<Arc<dyn Expression>>)>,
}

impl Keys {
    pub(super) fn new(plan: &EnrichPlan, compiler: &Arc<dyn Compiler>) -> Self {
        let texts = plan.on.iter().map(|(text, _)| text.clone()).collect();
        Self { texts, compiler: Arc::clone(compiler), compiled: None }
    }

    /// Of each row its keys; `None` where one is null or cannot be computed, which the engine will say.
    pub(super) fn of(&mut self, rows: &RecordBatch) -> Vec<Option<Key>> {
        if let Some(keys) = self.try_of(rows) {
            return keys;
        }
        let single = |row| self.try_of(&rows.slice(row, 1)).and_then(|mut keys| keys.remove(0));
        (0..rows.num_rows()).map(single).collect()
    }

    fn try_of(&mut self, rows: &RecordBatch) -> Option<Vec<Option<Key>>> {
        let schema = rows.schema();
        if self.compiled.as_ref().is_none_or(|(known, _)| *known != schema) {
            let compiled = self.texts.iter().map(|text| self.compiler.compile(text, &schema));
            let compiled = compiled.collect::<SeamResult<_>>().ok()?;
            self.compiled = Some((schema, compiled));
        }
        let (_, expressions) = self.compiled.as_ref()?;
        let texts = |expression: &Arc<dyn Expression>| -> Option<ArrayRef> {
            cast(&expression.evaluate(rows).ok()?, &DataType::Utf8).ok()
        };
        let columns: Vec<ArrayRef> = expressions.iter().map(texts).collect::<Option<_>>()?;
        let key = |row| {
            let value =
                |column: &ArrayRef| column.is_valid(row).then(|| column.as_string::<i32>().value(row).to_owned());
            columns.iter().map(value).collect()
        };
        Some((0..rows.num_rows()).map(key).collect())
    }
}

/// The URL that asks for a key; `None` when there can be no row: a value that is nothing, or would lead elsewhere (`..`).
pub(super) fn url_of(template: &str, plan: &EnrichPlan, key: &Key) -> Option<String> {
    let mut url = template.to_owned();
    for ((_, column), value) in plan.on.iter().zip(key) {
        if matches!(value.as_str(), "" | "." | "..") {
            return None;
        }
        url = url.replace(&format!("{{{column}}}"), &encoded(value));
    }
    Some(url)
}

/// A value as a part of a path or a query (RFC 3986, 2.3): everything that could mean something else is written in hex.
fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(byte.into()),
            _ => write!(text, "%{byte:02X}").expect("writing to a string cannot fail"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use weir_engine::Missing;

    use super::*;

    #[test]
    fn a_key_is_a_part_of_the_url_and_never_more() {
        let on = ["id", "zone"].map(|name| (name.to_owned(), name.to_owned())).to_vec();
        let plan = EnrichPlan { on, take: vec!["team".to_owned()], missing: Missing::Keep };
        let url = |id: &str| url_of("http://h/{zone}/{id}?q={id}", &plan, &vec![id.to_owned(), "eu".to_owned()]);
        assert_eq!(url("u-1").as_deref(), Some("http://h/eu/u-1?q=u-1"));
        assert_eq!(url("../a?b#c/é").as_deref(), Some("http://h/eu/..%2Fa%3Fb%23c%2F%C3%A9?q=..%2Fa%3Fb%23c%2F%C3%A9"));
        assert_eq!((url(".."), url("."), url("")), (None, None, None));
        assert_eq!(url("{zone}").as_deref(), Some("http://h/eu/%7Bzone%7D?q=%7Bzone%7D"));
    }
}
