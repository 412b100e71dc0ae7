//! Takes `key=value` apart. What has no `=` is a word of the sentence around it.

use std::borrow::Cow;

use weir_model::Value;

use super::Slots;
use super::fields::{FieldSet, Wanted};
use super::json::too_many;

/// Fills `slots` with the pairs of `text`. Of a key that comes twice the last value counts.
pub(super) fn pairs<'a>(
    text: &'a str,
    between: Option<char>,
    equals: char,
    fields: &mut FieldSet,
    slots: &mut Slots<'a>,
) -> Result<(), String> {
    let ends_pair = |c: char| between.map_or_else(|| c.is_whitespace(), |between| c == between);
    let (mut rest, mut found) = (text, false);
    loop {
        rest = rest.trim_start_matches(|c: char| ends_pair(c) || c.is_whitespace());
        if rest.is_empty() {
            break;
        }
        let end = rest.find(|c| c == equals || ends_pair(c) || c == '"').unwrap_or(rest.len());
        let Some(after) = rest[end..].strip_prefix(equals).filter(|_| end > 0) else {
            // A word; one in quotes ends with its quote.
            rest = match rest[end..].strip_prefix('"') {
                Some(quoted) => unquoted(quoted).map_or("", |(_, rest)| rest),
                None => rest[end..].strip_prefix(equals).unwrap_or(&rest[end..]),
            };
            continue;
        };
        let key = rest[..end].trim();
        let value;
        (value, rest) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)
                .ok_or_else(|| format!("the quotes after `{key}{equals}` do not end: {}", Value(text.as_bytes())))?,
            None => {
                let end = after.find(ends_pair).unwrap_or(after.len());
                (Cow::Borrowed(after[..end].trim_end()), &after[end..])
            }
        };
        found = true;
        match fields.place(key) {
            Wanted::Field(place) => {
                slots.resize(fields.len(), None);
                slots[place] = Some(value);
            }
            Wanted::No => {}
            Wanted::TooMany => return Err(too_many(key)),
        }
    }
    if found { Ok(()) } else { Err(format!("there is no `key{equals}value` in {}", Value(text.as_bytes()))) }
}

/// What stands before the closing quote, without escapes, and what follows it.
fn unquoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut owned: Option<String> = None;
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => {
                let value = owned.map_or(Cow::Borrowed(&text[..at]), Cow::Owned);
                return Some((value, &text[at + 1..]));
            }
            '\\' => {
                let owned = owned.get_or_insert_with(|| text[..at].to_owned());
                owned.push(match characters.next()?.1 {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
            }
            _ => {
                if let Some(owned) = &mut owned {
                    owned.push(c);
                }
            }
        }
    }
    None
}
