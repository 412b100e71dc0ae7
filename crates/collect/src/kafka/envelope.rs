//! A record of Kafka with everything that it has beside its value, as a JSON object. Pure. Refuses to look into the value.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// How the value of a record stands in its envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// As it is: it is JSON already. A value that is none comes without an envelope, and so goes to the dead letters as it is.
    Json,
    /// As text; bytes that are no text are replaced.
    Text,
    /// As base64.
    Base64,
}

/// What a record has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: u64,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; nothing for a tombstone.
    pub value: Option<&'a [u8]>,
}

impl Envelope {
    /// Writes the object in the place of what is in `out`: `topic`, `partition`, `offset`, `timestamp` (milliseconds), `key` (text,
    /// or base64 where it is none), `headers` (texts by name; of a name that is there twice the last), `value`.
    pub fn write<'h>(
        self,
        parts: Parts<'_>,
        headers: impl Iterator<Item = (&'h str, Option<&'h [u8]>)>,
        out: &mut Vec<u8>,
    ) {
        let Parts { topic, partition, offset, timestamp, key, value } = parts;
        // What is not one value could say it is something else: another key, another topic.
        if let (Self::Json, Some(value)) = (self, value)
            && serde_json::from_slice::<IgnoredAny>(value).is_err()
        {
            out.clear();
            return out.extend_from_slice(value);
        }
        let timestamp = timestamp.map_or_else(|| "null".to_owned(), |time| time.to_string());
        out.clear();
        let head = format!("\",\"partition\":{partition},\"offset\":{offset},\"timestamp\":{timestamp},\"key\":");
        out.extend_from_slice(b"{\"topic\":\"");
        out.extend_from_slice(topic.as_bytes());
        out.extend_from_slice(head.as_bytes());
        or_null(key, out, text);
        out.extend_from_slice(b",\"headers\":{");
        for (index, (name, value)) in headers.enumerate() {
            if index > 0 {
                out.push(b',');
            }
            text(name.as_bytes(), out);
            out.push(b':');
            or_null(value, out, text);
        }
        out.extend_from_slice(b"},\"value\":");
        or_null(value, out, |value, out| match self {
            Self::Json => out.extend_from_slice(value),
            Self::Text => string(&String::from_utf8_lossy(value), out),
            Self::Base64 => string(&STANDARD.encode(value), out),
        });
        out.push(b'}');
    }
}

fn or_null(bytes: Option<&[u8]>, out: &mut Vec<u8>, write: impl FnOnce(&[u8], &mut Vec<u8>)) {
    match bytes {
        Some(bytes) => write(bytes, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// Text, or what is none as base64.
fn text(bytes: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => string(text, out),
        Err(_) => string(&STANDARD.encode(bytes), out),
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, text).expect("a vector takes everything");
}

#[cfg(test)]
mod tests;
