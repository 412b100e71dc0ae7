//! Bodies of ingest requests become records. Pure. Refuses half a body: either every record of it is good, or none
//! is taken.

#[cfg(test)]
mod tests;

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use serde_json::value::RawValue;

/// How large a body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Bytes after decompression.
    pub decoded_bytes_max: usize,
    /// How many times larger than on the wire a body of more than 1 MiB may be after decompression.
    pub ratio_max: usize,
    /// Bytes of one record.
    pub record_bytes_max: usize,
    /// Records of one body.
    pub records_max: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { decoded_bytes_max: 64 << 20, ratio_max: 200, record_bytes_max: 1 << 20, records_max: 1_000_000 }
    }
}

/// Why a body is refused, as the answer to the request says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BodyError {
    /// The HTTP status: 400, 413 or 415.
    pub status: u16,
    /// A word for programs: `invalid_json`, `invalid_encoding`, `too_large`, `unsupported_type`,
    /// `unsupported_encoding`.
    pub code: &'static str,
    /// What is wrong, where, and what would be right.
    pub message: String,
}

impl BodyError {
    fn invalid_json(message: String) -> Self {
        Self { status: 400, code: "invalid_json", message }
    }

    fn too_large(message: String) -> Self {
        Self { status: 413, code: "too_large", message }
    }
}

/// A small body may be larger by any factor: what it becomes is small too.
const RATIO_APPLIES_BEYOND_BYTES: usize = 1 << 20;
/// Windows over 8 MiB are refused.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Undoes the `Content-Encoding` of a body: `gzip`, `zstd` or none.
///
/// # Errors
/// 415 for an unknown encoding, 413 beyond a limit, 400 for a damaged body.
pub fn decompress(encoding: Option<&str>, body: Bytes, limits: &BodyLimits) -> Result<Bytes, BodyError> {
    let encoding = encoding.map(|encoding| encoding.trim().to_ascii_lowercase());
    match encoding.as_deref() {
        None | Some("" | "identity") if body.len() > limits.decoded_bytes_max => Err(too_long(limits)),
        None | Some("" | "identity") => Ok(body),
        Some("gzip" | "x-gzip") => decoded("gzip", MultiGzDecoder::new(&body[..]), body.len(), limits),
        Some("zstd") => {
            let decoder = zstd::stream::read::Decoder::with_buffer(&body[..]).and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Ok(decoder)
            });
            decoded("zstd", decoder.map_err(|error| damaged("zstd", &error))?, body.len(), limits)
        }
        Some(other) => Err(BodyError {
            status: 415,
            code: "unsupported_encoding",
            message: format!("content-encoding \"{other}\" is not understood: use gzip, zstd or none"),
        }),
    }
}

fn decoded(name: &str, decoder: impl Read, wire_bytes: usize, limits: &BodyLimits) -> Result<Bytes, BodyError> {
    let by_ratio = wire_bytes.saturating_mul(limits.ratio_max).max(RATIO_APPLIES_BEYOND_BYTES);
    let most = limits.decoded_bytes_max.min(by_ratio);
    let mut bytes = Vec::new();
    decoder.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| damaged(name, &error))?;
    if bytes.len() <= most {
        return Ok(bytes.into());
    }
    if most == limits.decoded_bytes_max {
        return Err(too_long(limits));
    }
    let ratio = limits.ratio_max;
    Err(BodyError::too_large(format!("the body is more than {ratio} times larger than it was sent: send it in parts")))
}

fn too_long(limits: &BodyLimits) -> BodyError {
    let most = limits.decoded_bytes_max;
    BodyError::too_large(format!("the body has more than {most} bytes after decompression: send it in parts"))
}

fn damaged(name: &str, error: &std::io::Error) -> BodyError {
    let message = format!("the body is not whole {name}: {error}");
    BodyError { status: 400, code: "invalid_encoding", message }
}

/// Splits a body into records: one JSON object each, without a newline inside.
///
/// Lines are taken for `application/x-ndjson` (also `application/ndjson`, `application/jsonl`,
/// `application/x-jsonlines`), an array of objects or one object for `application/json`; without a content type the
/// first character decides. Empty lines are no records.
///
/// # Errors
/// 415 for an unknown content type, 413 beyond a limit, 400 where the body is not lines or an array of objects.
pub fn split_body(content_type: Option<&str>, body: Bytes, limits: &BodyLimits) -> Result<Vec<Bytes>, BodyError> {
    let body = if body.starts_with(b"\xEF\xBB\xBF") { body.slice(3..) } else { body };
    let media_type = content_type.map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    match media_type.as_deref() {
        Some("application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines") => {
            lines(&body, limits)
        }
        Some("application/json") => document(&body, limits),
        None | Some("") if body.trim_ascii_start().starts_with(b"[") => document(&body, limits),
        None | Some("") => lines(&body, limits),
        Some(other) => Err(BodyError {
            status: 415,
            code: "unsupported_type",
            message: format!(
                "content-type \"{other}\" is not understood: use application/x-ndjson for one JSON object per line, \
                 or application/json for an array of objects"
            ),
        }),
    }
}

fn lines(body: &Bytes, limits: &BodyLimits) -> Result<Vec<Bytes>, BodyError> {
    let mut records = Vec::new();
    for (index, line) in body.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let number = index + 1;
        let place = || format!("line {number}");
        check_count(records.len(), limits)?;
        check_length(line.len(), &place, limits)?;
        serde_json::from_slice::<&RawValue>(line).map_err(|error| {
            let (what, column) = (without_place(&error), error.column());
            BodyError::invalid_json(format!("line {number}, column {column}: {what}; every line must be a JSON object"))
        })?;
        check_object(line, &place)?;
        records.push(body.slice_ref(line));
    }
    Ok(records)
}

fn document(body: &Bytes, limits: &BodyLimits) -> Result<Vec<Bytes>, BodyError> {
    let text = body.trim_ascii();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let parsed = match text[0] {
        b'{' => serde_json::from_slice::<&RawValue>(text).map(|object| vec![object]),
        _ => serde_json::from_slice::<Vec<&RawValue>>(text),
    };
    let elements = parsed.map_err(|error| {
        let (what, line, column) = (without_place(&error), error.line(), error.column());
        BodyError::invalid_json(format!(
            "line {line}, column {column}: {what}; application/json must be an array of objects or one object \
             (for one object per line use application/x-ndjson)"
        ))
    })?;
    if elements.len() > limits.records_max {
        check_count(elements.len(), limits)?;
    }
    let mut records = Vec::with_capacity(elements.len());
    for (index, element) in elements.into_iter().enumerate() {
        let element = element.get().as_bytes();
        let place = || format!("element {} of the array", index + 1);
        check_length(element.len(), &place, limits)?;
        check_object(element, &place)?;
        records.push(on_one_line(body, element));
    }
    Ok(records)
}

/// A JSON text without line ends. In valid JSON they only stand between tokens, where a blank means the same.
fn on_one_line(body: &Bytes, element: &[u8]) -> Bytes {
    if !element.iter().any(|&byte| matches!(byte, b'\n' | b'\r')) {
        return body.slice_ref(element);
    }
    element.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }).collect()
}

fn check_count(records: usize, limits: &BodyLimits) -> Result<(), BodyError> {
    let most = limits.records_max;
    if records < most {
        return Ok(());
    }
    Err(BodyError::too_large(format!("the body has more than {most} records: send it in parts")))
}

fn check_length(bytes: usize, place: &dyn Fn() -> String, limits: &BodyLimits) -> Result<(), BodyError> {
    let most = limits.record_bytes_max;
    if bytes <= most {
        return Ok(());
    }
    Err(BodyError::too_large(format!("{} has {bytes} bytes: a record may have {most}", place())))
}

fn check_object(json: &[u8], place: &dyn Fn() -> String) -> Result<(), BodyError> {
    let what = match json.first() {
        Some(b'{') => return Ok(()),
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    };
    Err(BodyError::invalid_json(format!("{} is {what}: every record must be a JSON object", place())))
}

/// What `serde_json` says, without the place, which it counts inside one record.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}
