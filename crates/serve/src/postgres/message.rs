//! The messages of PostgreSQL's protocol, version 3, as far as questions need them: bytes to requests, replies to bytes.
//! A message that says it is longer than it is, or than it may be, is an error, and nothing of it is believed.
//!
//! Source: PostgreSQL 17, chapter 53, "Frontend/Backend Protocol".

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes of a message of a client: a text of the size that questions may have, and its parameters.
pub(super) const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Bytes of the first message.
const STARTUP_BYTES_MAX: usize = 10_000;

const TLS_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
/// The version of the protocol that is spoken.
const MAJOR: u16 = 3;

/// Why a message cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) String);

/// The first thing that a client says.
#[derive(Debug, PartialEq)]
pub(super) enum Opening {
    /// May this connection be encrypted?
    Encryption,
    /// Stop what the session with this key is doing.
    Cancel(Key),
    /// A session, with what the client says of itself.
    Startup { parameters: Vec<(String, String)> },
}

/// What names a session to those who may cancel it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) process: u32,
    pub(super) secret: u32,
}

impl Key {
    /// The number below 2^63 of which a key is the halves: that of a process has to be positive.
    pub(super) fn number(self) -> u64 {
        u64::from(self.process) << 32 | u64::from(self.secret)
    }

    pub(super) fn of(number: u64) -> Self {
        Self { process: (number >> 32) as u32, secret: number as u32 }
    }
}

/// What a `Describe` or `Close` is about.
#[derive(Debug, PartialEq)]
pub(super) enum Target {
    Statement(String),
    Portal(String),
}

/// What a client asks within a session.
#[derive(Debug, PartialEq)]
pub(super) enum Request {
    Query(String),
    Parse {
        statement: String,
        sql: String,
        types: Vec<u32>,
    },
    Bind {
        portal: String,
        statement: String,
        formats: Vec<u16>,
        values: Vec<Option<Bytes>>,
        results: Vec<u16>,
    },
    Describe(Target),
    Close(Target),
    /// At most so many rows; 0: all.
    Execute {
        portal: String,
        rows: u32,
    },
    Flush,
    Sync,
    Terminate,
    /// A message that no question needs.
    Other(u8),
}

/// Takes the first message off `buffer`; `None` while it is not all there.
pub(super) fn opening(buffer: &mut BytesMut) -> Result<Option<Opening>, Malformed> {
    let Some(mut fields) = frame(buffer, 0, STARTUP_BYTES_MAX)? else { return Ok(None) };
    let code = fields.u32()?;
    match code {
        TLS_REQUEST | GSS_REQUEST => Ok(Some(Opening::Encryption)),
        CANCEL_REQUEST => Ok(Some(Opening::Cancel(Key { process: fields.u32()?, secret: fields.u32()? }))),
        _ if (code >> 16) as u16 == MAJOR => {
            let mut parameters = Vec::new();
            loop {
                let name = fields.text()?;
                if name.is_empty() {
                    return Ok(Some(Opening::Startup { parameters }));
                }
                parameters.push((name, fields.text()?));
            }
        }
        _ => Err(Malformed(format!("version {} of the protocol is not spoken here, only {MAJOR}", code >> 16))),
    }
}

/// Takes the next message off `buffer`; `None` while it is not all there.
pub(super) fn request(buffer: &mut BytesMut) -> Result<Option<Request>, Malformed> {
    let Some(&kind) = buffer.first() else { return Ok(None) };
    let Some(mut fields) = frame(buffer, 1, MESSAGE_BYTES_MAX)? else { return Ok(None) };
    let request = match kind {
        b'Q' => Request::Query(fields.text()?),
        b'P' => Request::Parse { statement: fields.text()?, sql: fields.text()?, types: fields.list(Fields::u32)? },
        b'B' => Request::Bind {
            portal: fields.text()?,
            statement: fields.text()?,
            formats: fields.list(Fields::u16)?,
            values: fields.list(Fields::value)?,
            results: fields.list(Fields::u16)?,
        },
        b'D' => Request::Describe(fields.target()?),
        b'C' => Request::Close(fields.target()?),
        b'E' => Request::Execute { portal: fields.text()?, rows: fields.u32()? },
        b'H' => Request::Flush,
        b'S' => Request::Sync,
        b'X' => Request::Terminate,
        other => Request::Other(other),
    };
    Ok(Some(request))
}

/// Takes a whole message off `buffer`: its length stands after `before` bytes, and counts itself.
fn frame(buffer: &mut BytesMut, before: usize, bytes_max: usize) -> Result<Option<Fields>, Malformed> {
    let Some(length) = buffer.get(before..before + 4) else { return Ok(None) };
    let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
    if !(4..=bytes_max).contains(&length) {
        return Err(Malformed(format!("a message of {length} bytes; it may have 4 to {bytes_max}")));
    }
    if buffer.len() < before + length {
        return Ok(None);
    }
    let mut whole = buffer.split_to(before + length).freeze();
    whole.advance(before + 4);
    Ok(Some(Fields(whole)))
}

/// The rest of a message.
struct Fields(Bytes);

impl Fields {
    fn take(&mut self, bytes: usize) -> Result<Bytes, Malformed> {
        if bytes > self.0.len() {
            return Err(Malformed(format!("a message ends {} bytes too early", bytes - self.0.len())));
        }
        Ok(self.0.split_to(bytes))
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(self.take(2)?.get_u16())
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(self.take(4)?.get_u32())
    }

    /// Text up to a zero byte.
    fn text(&mut self) -> Result<String, Malformed> {
        let end =
            self.0.iter().position(|byte| *byte == 0).ok_or_else(|| Malformed("a text without an end".to_owned()))?;
        let text = self.take(end + 1)?.slice(..end);
        String::from_utf8(text.into()).map_err(|_| Malformed("a text that is not UTF-8".to_owned()))
    }

    fn list<T>(&mut self, one: fn(&mut Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        // Not reserved: the number is only said.
        (0..self.u16()?).map(|_| one(self)).collect()
    }

    /// A parameter; a length of -1 is null.
    fn value(&mut self) -> Result<Option<Bytes>, Malformed> {
        match self.u32()? {
            u32::MAX => Ok(None),
            length => Ok(Some(self.take(length as usize)?)),
        }
    }

    fn target(&mut self) -> Result<Target, Malformed> {
        let kind = self.take(1)?[0];
        let name = self.text()?;
        match kind {
            b'S' => Ok(Target::Statement(name)),
            b'P' => Ok(Target::Portal(name)),
            _ => Err(Malformed(format!("neither a statement nor a portal: {}", kind.escape_ascii()))),
        }
    }
}

/// Whether a session is in a transaction, as clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transaction {
    None,
    Open,
    Failed,
}

/// A column as clients are told of it.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) oid: u32,
    pub(super) size: i16,
    pub(super) modifier: i32,
    pub(super) format: u16,
}

/// How bad something is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Severity {
    Warning,
    Error,
    /// The connection ends.
    Fatal,
}

/// What went wrong, in the fields of the protocol.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) severity: Severity,
    /// SQLSTATE, five characters.
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) hint: Option<String>,
    /// The character of the question at which it went wrong, from 1.
    pub(super) position: Option<usize>,
}

/// Replies, until they are sent.
#[derive(Debug, Default)]
pub(super) struct Replies(pub(super) BytesMut);

impl Replies {
    fn frame(&mut self, kind: u8, body: impl FnOnce(&mut BytesMut)) {
        self.0.put_u8(kind);
        let at = self.0.len();
        self.0.put_u32(0);
        body(&mut self.0);
        let length = (self.0.len() - at) as u32;
        self.0[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// The answer to a wish for encryption, which is no message.
    pub(super) fn not_encrypted(&mut self) {
        self.0.put_u8(b'N');
    }

    pub(super) fn authenticated(&mut self) {
        self.frame(b'R', |body| body.put_u32(0));
    }

    pub(super) fn parameter(&mut self, name: &str, value: &str) {
        self.frame(b'S', |body| {
            put_text(body, name);
            put_text(body, value);
        });
    }

    pub(super) fn key(&mut self, key: Key) {
        self.frame(b'K', |body| {
            body.put_u32(key.process);
            body.put_u32(key.secret);
        });
    }

    pub(super) fn ready(&mut self, transaction: Transaction) {
        let state = match transaction {
            Transaction::None => b'I',
            Transaction::Open => b'T',
            Transaction::Failed => b'E',
        };
        self.frame(b'Z', |body| body.put_u8(state));
    }

    pub(super) fn columns(&mut self, columns: &[Described]) {
        self.frame(b'T', |body| {
            body.put_u16(columns.len() as u16);
            for column in columns {
                put_text(body, &column.name);
                body.put_u32(0); // of no table
                body.put_u16(0);
                body.put_u32(column.oid);
                body.put_i16(column.size);
                body.put_i32(column.modifier);
                body.put_u16(column.format);
            }
        });
    }

    /// A row, whose values `value` writes: column, and where to; whether there is one.
    pub(super) fn row(&mut self, columns: usize, mut value: impl FnMut(usize, &mut BytesMut) -> bool) {
        self.frame(b'D', |body| {
            body.put_u16(columns as u16);
            for column in 0..columns {
                let at = body.len();
                body.put_i32(-1);
                if value(column, body) {
                    let length = (body.len() - at - 4) as u32;
                    body[at..at + 4].copy_from_slice(&length.to_be_bytes());
                }
            }
        });
    }

    pub(super) fn complete(&mut self, tag: &str) {
        self.frame(b'C', |body| put_text(body, tag));
    }

    pub(super) fn parameters(&mut self, types: &[u32]) {
        self.frame(b't', |body| {
            body.put_u16(types.len() as u16);
            types.iter().for_each(|oid| body.put_u32(*oid));
        });
    }

    pub(super) fn trouble(&mut self, trouble: &Trouble) {
        let (kind, severity) = match trouble.severity {
            Severity::Warning => (b'N', "WARNING"),
            Severity::Error => (b'E', "ERROR"),
            Severity::Fatal => (b'E', "FATAL"),
        };
        self.frame(kind, |body| {
            let mut field = |kind: u8, text: &str| {
                body.put_u8(kind);
                put_text(body, text);
            };
            field(b'S', severity);
            field(b'V', severity);
            field(b'C', trouble.code);
            field(b'M', &trouble.message);
            trouble.hint.iter().for_each(|hint| field(b'H', hint));
            trouble.position.iter().for_each(|position| field(b'P', &position.to_string()));
            body.put_u8(0);
        });
    }

    pub(super) fn empty(&mut self) {
        self.frame(b'I', |_| {});
    }

    pub(super) fn parsed(&mut self) {
        self.frame(b'1', |_| {});
    }

    pub(super) fn bound(&mut self) {
        self.frame(b'2', |_| {});
    }

    pub(super) fn closed(&mut self) {
        self.frame(b'3', |_| {});
    }

    pub(super) fn no_rows(&mut self) {
        self.frame(b'n', |_| {});
    }

    /// There are more rows than were asked for now.
    pub(super) fn suspended(&mut self) {
        self.frame(b's', |_| {});
    }
}

/// A text ends at its first zero byte, so it must have none.
fn put_text(body: &mut BytesMut, text: &str) {
    body.extend(text.bytes().filter(|byte| *byte != 0));
    body.put_u8(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(kind: &[u8], body: &[u8]) -> BytesMut {
        let mut bytes = BytesMut::from(kind);
        bytes.put_u32(body.len() as u32 + 4);
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn a_message_is_read_once_it_is_all_there_and_what_follows_stays() {
        let mut whole = bytes(b"Q", b"SELECT 1\0");
        whole.extend_from_slice(&bytes(b"S", b""));
        let mut buffer = BytesMut::new();
        for byte in whole.split_to(13) {
            assert_eq!(request(&mut buffer), Ok(None));
            buffer.put_u8(byte);
        }
        buffer.unsplit(whole);
        assert_eq!(request(&mut buffer), Ok(Some(Request::Query("SELECT 1".to_owned()))));
        assert_eq!(request(&mut buffer), Ok(Some(Request::Sync)));
        assert_eq!(request(&mut buffer), Ok(None));
    }

    #[test]
    fn a_message_that_lies_about_its_length_or_its_fields_is_an_error() {
        let said = |mut buffer: BytesMut| request(&mut buffer).expect_err("it is an error").0;
        assert!(said(BytesMut::from(&b"Q\xff\xff\xff\xff"[..])).contains("bytes; it may have 4 to 1048576"));
        assert!(said(BytesMut::from(&b"Q\0\0\0\x03"[..])).starts_with("a message of 3 bytes"));
        assert_eq!(said(bytes(b"Q", b"SELECT 1")), "a text without an end");
        assert_eq!(said(bytes(b"Q", b"\xff\0")), "a text that is not UTF-8");
        assert_eq!(said(bytes(b"P", b"\0\0\xff\xff")), "a message ends 4 bytes too early");
        assert_eq!(said(bytes(b"B", b"\0\0\0\0\0\x01\x7f\xff\xff\xff")), "a message ends 2147483647 bytes too early");
        assert!(said(bytes(b"D", b"Qx\0")).starts_with("neither a statement nor a portal"));
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error_or_not_all_there() {
        let mut random = 7_u64;
        for _ in 0..20_000 {
            let mut next = || {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) as u8
            };
            let kind = b"QPBDCEHSXp"[next() as usize % 10];
            let body: Vec<u8> = (0..next() % 40).map(|_| if next() % 3 == 0 { next() } else { 0 }).collect();
            let mut whole = bytes(&[kind], &body);
            let _any = request(&mut whole);
            let _any = opening(&mut bytes(b"", &body));
        }
    }

    #[test]
    fn a_session_opens_with_what_the_client_says_of_itself() {
        let mut buffer = bytes(b"", b"\0\x03\0\0user\0ann\0database\0weir\0\0");
        let parameters = vec![("user".to_owned(), "ann".to_owned()), ("database".to_owned(), "weir".to_owned())];
        assert_eq!(opening(&mut buffer), Ok(Some(Opening::Startup { parameters })));
        assert_eq!(opening(&mut bytes(b"", &TLS_REQUEST.to_be_bytes())), Ok(Some(Opening::Encryption)));
        assert!(opening(&mut bytes(b"", b"\0\x02\0\0\0")).is_err());
    }
}
