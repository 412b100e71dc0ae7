//! The front of a dated line: date, level, thread, logger, in the orders that log4j patterns and Python's logging
//! commonly have. What it cannot place belongs to the message.

use super::dates::{Stamp, stamp};

/// What stands at the front of a dated line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    pub(crate) stamp: Stamp,
    pub(crate) level: Option<&'static str>,
    pub(crate) logger: Option<&'a [u8]>,
    pub(crate) thread: Option<&'a [u8]>,
    /// What stood in brackets and names a task.
    pub(crate) task: Option<&'a [u8]>,
    pub(crate) message: &'a [u8],
}

/// Levels as they are written, and as they are called here.
const LEVELS: [(&[u8], &str); 13] = [
    (b"INFO", "INFO"),
    (b"WARN", "WARN"),
    (b"ERROR", "ERROR"),
    (b"DEBUG", "DEBUG"),
    (b"TRACE", "TRACE"),
    (b"FATAL", "FATAL"),
    (b"WARNING", "WARN"),
    (b"CRITICAL", "FATAL"),
    (b"SEVERE", "ERROR"),
    (b"NOTICE", "INFO"),
    (b"FINE", "DEBUG"),
    (b"FINER", "TRACE"),
    (b"FINEST", "TRACE"),
];

/// No more pieces than this stand between the date and the message.
const PIECES_MAX: usize = 8;

/// The level that `word` names.
pub(crate) fn level(word: &[u8]) -> Option<&'static str> {
    LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, level)| *level)
}

/// The front of `line`, if it begins with a date and a time of day, or with a level and then those.
pub(crate) fn head(line: &[u8]) -> Option<Head<'_>> {
    let (level_first, dated) = match stamp(line) {
        Some(_) => (None, line),
        None => before_date(line)?,
    };
    let in_brackets = dated.first() == Some(&b'[');
    let stamp = stamp(&dated[usize::from(in_brackets)..])?;
    let rest = &dated[usize::from(in_brackets) + stamp.bytes..];
    let rest = if in_brackets { rest.strip_prefix(b"]")? } else { rest };
    let mut head = Head { stamp, level: level_first, logger: None, thread: None, task: None, message: trim(rest) };
    head.take_pieces(trim(rest));
    Some(head)
}

/// A level that stands before the date, or the bracket that the date stands in.
fn before_date(line: &[u8]) -> Option<(Option<&'static str>, &[u8])> {
    match line.first()? {
        b'[' if line.get(1)?.is_ascii_alphanumeric() => {
            let inside = line.iter().take(12).position(|b| *b == b']').map_or(&[][..], |close| &line[1..close]);
            match level(inside.trim_ascii()) {
                Some(level) => Some((Some(level), trim(&line[inside.len() + 2..]))),
                None => Some((None, line)),
            }
        }
        b'A'..=b'Z' => {
            let word = word(line);
            let level = level(word.strip_suffix(b":").unwrap_or(word))?;
            Some((Some(level), trim(&line[word.len()..])))
        }
        _ => None,
    }
}

impl<'a> Head<'a> {
    fn take_pieces(&mut self, line: &'a [u8]) {
        let mut rest = line;
        let mut name: Option<&[u8]> = None;
        for _ in 0..PIECES_MAX {
            rest = skip_separators(rest);
            let Some(piece) = Piece::at(rest) else { break };
            match piece {
                Piece::Bracket(inside, after) => {
                    if let Some(level) = level(inside.trim_ascii()).filter(|_| self.level.is_none()) {
                        self.level = Some(level);
                    } else if self.level.is_some() && self.logger.is_none() && ends_head(after) && self.thread.is_some()
                    {
                        self.logger = Some(inside);
                    } else {
                        self.bracket(inside);
                    }
                    rest = after;
                }
                Piece::Word(word, after) => {
                    let bare = word.strip_suffix(b":").unwrap_or(word);
                    if let Some(level) = level(bare).filter(|_| self.level.is_none()) {
                        (self.level, self.logger) = (Some(level), name);
                        rest = after;
                        continue;
                    }
                    if self.level.is_some() {
                        rest = self.logger_or_message(word, rest, after);
                        break;
                    }
                    if !(is_name(bare)
                        && (bare.contains(&b'.') || bare.iter().all(u8::is_ascii_digit) || dash_follows(after)))
                    {
                        break;
                    }
                    name = Some(bare).filter(|bare| !bare.iter().all(u8::is_ascii_digit)).or(name);
                    rest = after;
                }
            }
        }
        if self.level.is_none() {
            (self.thread, self.task) = (None, None);
            return;
        }
        self.message = skip_separators(rest);
        self.take_logger_at_end();
    }

    fn bracket(&mut self, inside: &'a [u8]) {
        let inside = inside.trim_ascii();
        if inside.starts_with(b"task ") {
            self.task = Some(inside);
        } else if !inside.is_empty() && self.thread.is_none() {
            self.thread = Some(inside);
        }
    }

    /// After the level: a word with a colon or before a dash is the logger, any other word begins the message.
    fn logger_or_message(&mut self, word: &'a [u8], here: &'a [u8], after: &'a [u8]) -> &'a [u8] {
        if word.iter().all(u8::is_ascii_digit) && dashes_follow(after) {
            let rest = skip_separators(after);
            return match Piece::at(rest) {
                Some(Piece::Bracket(inside, after)) => {
                    self.bracket(inside);
                    let rest = skip_separators(after);
                    let word = self::word(rest);
                    self.logger_or_message(word, rest, &rest[word.len()..])
                }
                Some(Piece::Word(..)) | None => rest,
            };
        }
        match word.strip_suffix(b":") {
            Some(logger) if is_name(logger) && self.logger.is_none() => {
                self.logger = Some(logger);
                after
            }
            _ if is_name(word) && self.logger.is_none() && ends_head(after) => {
                self.logger = Some(word);
                after
            }
            // `o.a.s.SparkContext [main]: text`, `SparkContext [main] - text`
            _ if is_name(word) && self.logger.is_none() => match Piece::at(skip_separators(after)) {
                Some(Piece::Bracket(inside, rest)) if rest.starts_with(b":") || ends_head(rest) => {
                    self.logger = Some(word);
                    self.bracket(inside);
                    rest
                }
                Some(Piece::Word(..)) => self.logger_with_id(here),
                Some(_) | None => here,
            },
            _ => here,
        }
    }

    /// `RocksDB StateStoreProviderId[ storeId=... ]: text`: some of Spark's loggers add to their name what they work on.
    fn logger_with_id(&mut self, here: &'a [u8]) -> &'a [u8] {
        let Some(open) = memchr::memchr(b'[', here) else { return here };
        let is_id = here[..open].ends_with(b"Id") && here[..open].iter().filter(|b| **b == b' ').count() == 1;
        match closing(&here[open..], b'[').map(|close| open + close + 1) {
            Some(end) if is_id && here[end..].starts_with(b":") => {
                self.logger = Some(&here[..end]);
                &here[end + 1..]
            }
            Some(_) | None => here,
        }
    }

    /// `[date] LEVEL text (logger)`, the pattern of Kafka.
    fn take_logger_at_end(&mut self) {
        if self.logger.is_some() || self.message.last() != Some(&b')') {
            return;
        }
        let Some(open) = memchr::memrchr(b'(', self.message) else { return };
        let name = &self.message[open + 1..self.message.len() - 1];
        if open > 0 && self.message[open - 1] == b' ' && name.contains(&b'.') && is_name(name) {
            self.logger = Some(name);
            self.message = &self.message[..open - 1];
        }
    }
}

enum Piece<'a> {
    /// What stands in brackets or braces, and what follows.
    Bracket(&'a [u8], &'a [u8]),
    /// A word and what follows.
    Word(&'a [u8], &'a [u8]),
}

impl<'a> Piece<'a> {
    fn at(text: &'a [u8]) -> Option<Self> {
        match text.first()? {
            open @ (b'[' | b'{') => {
                let close = closing(text, *open)?;
                Some(Self::Bracket(&text[1..close], &text[close + 1..]))
            }
            _ => {
                let word = word(text);
                Some(Self::Word(word, &text[word.len()..]))
            }
        }
    }
}

/// Where the bracket at the front of `text` closes; thread names have brackets of their own.
fn closing(text: &[u8], open: u8) -> Option<usize> {
    let mut depth = 0;
    for (i, byte) in text.iter().enumerate() {
        if *byte == open {
            depth += 1;
        } else if *byte == open + 2 {
            depth -= 1;
            if depth == 0 {
                return Some(i);
            }
        }
    }
    None
}

/// A word ends at a space, or before a bracket: `INFO[main]`.
fn word(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|b| matches!(b, b' ' | b'\t' | b'[' | b'|')).unwrap_or(text.len());
    &text[..end]
}

/// Whether `word` can be the name of a logger.
fn is_name(word: &[u8]) -> bool {
    let is_part =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$' | b'-' | b'/' | b'<' | b'>' | b'@' | b'*');
    !word.is_empty() && word.iter().all(is_part) && word.iter().any(u8::is_ascii_alphanumeric)
}

fn dash_follows(text: &[u8]) -> bool {
    trim(text).starts_with(b"- ")
}

fn dashes_follow(text: &[u8]) -> bool {
    trim(text).starts_with(b"---")
}

/// Whether the message begins after a separator here: ` - text`, ` : text`, ` | text`.
fn ends_head(text: &[u8]) -> bool {
    matches!(trim(text), [b'-' | b':' | b'|', b' ', ..] | [b'-' | b':' | b'|']) && text.first() != Some(&b':')
}

fn skip_separators(text: &[u8]) -> &[u8] {
    let mut rest = trim(text);
    if let [b'-' | b'|' | b':' | b',', after @ ..] = rest {
        if after.is_empty() || after[0] == b' ' {
            rest = trim(after);
        } else if rest.starts_with(b"--- ") {
            rest = trim(&rest[3..]);
        }
    }
    rest
}

/// Without spaces at its front.
fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(text.len());
    &text[start..]
}

#[cfg(test)]
mod tests;
