//! Walks over JSON text: where values begin and end, and whether the text is JSON at all (RFC 8259). Builds nothing;
//! expects text that is UTF-8.

use super::plain::plain_end;

/// Objects and arrays may not be nested deeper than this.
pub(crate) const DEPTH_MAX: usize = 64;

/// A stretch of the record, in bytes from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// The bytes of this stretch.
    #[inline]
    pub(crate) fn of(self, record: &[u8]) -> &[u8] {
        &record[self.start as usize..self.end as usize]
    }

    /// Its length in bytes.
    #[inline]
    pub(crate) fn len(self) -> u32 {
        self.end - self.start
    }
}

/// A value, not yet turned into anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Null,
    /// `true` or `false`.
    Bool(Span),
    /// The text of a number.
    Number(Span),
    /// A string without its quotes, in which nothing is escaped.
    Plain(Span),
    /// A string without its quotes, with escapes in it.
    Escaped(Span),
    /// The text of an object.
    Object(Span),
    /// The text of an array.
    Array(Span),
}

/// Where and why text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The byte at which it stops being JSON.
    pub(crate) at: usize,
    /// What would have been right there.
    pub(crate) expected: &'static str,
}

/// A place in a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner<'a> {
    record: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(record: &'a [u8], at: usize) -> Self {
        Self { record, at }
    }

    /// The record that is walked over.
    #[inline]
    pub(crate) fn record(&self) -> &'a [u8] {
        self.record
    }

    /// How far it is walked over.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Steps over `bytes` that the caller has recognised.
    #[inline]
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// The bytes ahead.
    #[inline]
    pub(crate) fn ahead(&self) -> &'a [u8] {
        &self.record[self.at..]
    }

    /// The next byte.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.record.get(self.at).copied()
    }

    #[cold]
    pub(crate) fn fault<T>(&self, expected: &'static str) -> Result<T, Fault> {
        Err(Fault { at: self.at, expected })
    }

    #[inline]
    pub(crate) fn skip_space(&mut self) {
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.skip_spaces();
        }
    }

    fn skip_spaces(&mut self) {
        while matches!(self.record.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Steps over `byte`.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return self.fault(expected);
        }
        self.at += 1;
        Ok(())
    }

    /// Steps over a `,` (true) or the `close` of the object or array (false).
    #[inline]
    pub(crate) fn comma_or(&mut self, close: u8, expected: &'static str) -> Result<bool, Fault> {
        self.skip_space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.skip_space();
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            Some(_) | None => self.fault(expected),
        }
    }

    /// Nothing but space may follow.
    #[inline]
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        self.skip_space();
        if self.at < self.record.len() { self.fault("nothing after the object") } else { Ok(()) }
    }

    /// Steps over a value that is nested `depth` deep.
    #[inline]
    pub(crate) fn value(&mut self, depth: usize) -> Result<Token, Fault> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number().map(Token::Number),
            Some(b'{') => self.nested(depth).map(Token::Object),
            Some(b'[') => self.nested(depth).map(Token::Array),
            Some(_) | None => self.word(),
        }
    }

    fn word(&mut self) -> Result<Token, Fault> {
        for word in ["null", "true", "false"] {
            if self.ahead().starts_with(word.as_bytes()) {
                let span = Span::new(self.at, self.at + word.len());
                self.at += word.len();
                return Ok(if word == "null" { Token::Null } else { Token::Bool(span) });
            }
        }
        self.fault("a value")
    }

    /// Steps over a string, whose opening quote is ahead.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Token, Fault> {
        let start = self.at + 1;
        let end = plain_end(self.record, start);
        if self.record.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(Token::Plain(Span::new(start, end)));
        }
        self.escaped_string(start, end)
    }

    fn escaped_string(&mut self, start: usize, special: usize) -> Result<Token, Fault> {
        self.at = special;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Token::Escaped(Span::new(start, self.at - 1)));
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return self.fault("no unescaped control character in a string"),
                None => return self.fault("the closing quote of a string"),
            }
            self.at = plain_end(self.record, self.at);
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        match self.record.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match self.record.get(self.at + 2..self.at + 6) {
                Some(hex) if hex.iter().all(u8::is_ascii_hexdigit) => self.at += 6,
                Some(_) | None => return self.fault("\\u and four hexadecimal digits"),
            },
            Some(_) | None => return self.fault("one of the escapes of JSON after \\"),
        }
        Ok(())
    }

    #[inline]
    fn number(&mut self) -> Result<Span, Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            Some(_) | None => return self.fault("a digit"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(Span::new(start, self.at))
    }

    #[inline]
    fn digits(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    #[inline]
    fn some_digits(&mut self) -> Result<(), Fault> {
        let from = self.at;
        self.digits();
        if self.at == from { self.fault("a digit") } else { Ok(()) }
    }

    /// Steps over the key of a member and its colon, and yields the key.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<Token, Fault> {
        if self.peek() != Some(b'"') {
            return self.fault("a key in quotes");
        }
        let key = self.string()?;
        self.skip_space();
        self.take(b':', "\":\" after the key")?;
        self.skip_space();
        Ok(key)
    }

    /// Steps over the object or array ahead, which is nested `depth` deep, without recursion: the kinds of the open
    /// containers are the bits of a word.
    fn nested(&mut self, depth: usize) -> Result<Span, Fault> {
        let start = self.at;
        let (mut level, mut objects) = (depth, 0_u64);
        loop {
            let is_open = match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    if level == DEPTH_MAX {
                        return self.fault("objects and arrays nested at most 64 deep");
                    }
                    let is_object = open == b'{';
                    self.at += 1;
                    self.skip_space();
                    objects = objects << 1 | u64::from(is_object);
                    level += 1;
                    if self.peek() == Some(open + 2) {
                        false
                    } else {
                        if is_object {
                            self.key()?;
                        }
                        true
                    }
                }
                Some(_) | None => {
                    self.value(level)?;
                    false
                }
            };
            if is_open {
                continue;
            }
            loop {
                if level == depth {
                    return Ok(Span::new(start, self.at));
                }
                let (close, expected) =
                    if objects & 1 == 1 { (b'}', "\",\" or \"}\"") } else { (b']', "\",\" or \"]\"") };
                if self.comma_or(close, expected)? {
                    if objects & 1 == 1 {
                        self.key()?;
                    }
                    break;
                }
                objects >>= 1;
                level -= 1;
            }
        }
    }
}
