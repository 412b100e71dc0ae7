//! Puts something else in the place of what was found. Never tells the key.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::MaskWith;
use super::find::{Finder, Found};

/// Bytes of a hash that are kept: 128 bits, so that two texts do not share a token by chance.
const HASH_BYTES: usize = 16;

/// Replaces what was found.
pub(super) enum Replacer {
    Name,
    Text(String),
    KeepLast(usize),
    Hash(Box<Hmac<Sha256>>),
}

impl fmt::Debug for Replacer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "Name",
            Self::Text(_) => "Text",
            Self::KeepLast(_) => "KeepLast",
            Self::Hash(_) => "Hash",
        })
    }
}

impl Replacer {
    pub(super) fn new(with: &MaskWith) -> Self {
        match with {
            MaskWith::Name => Self::Name,
            MaskWith::Text(text) => Self::Text(text.clone()),
            MaskWith::KeepLast(count) => Self::KeepLast(*count),
            MaskWith::Hash { key } => {
                let hash = Hmac::new_from_slice(key.expose().as_bytes());
                Self::Hash(Box::new(hash.expect("this hash takes keys of any length")))
            }
        }
    }

    /// `text` with everything that was found in it replaced.
    pub(super) fn replace(&self, text: &str, found: &[Found], finder: &Finder) -> String {
        let (mut replaced, mut done) = (String::with_capacity(text.len()), 0);
        for (span, pattern) in found {
            replaced.push_str(&text[done..span.start]);
            let secret = &text[span.clone()];
            match self {
                Self::Name => {
                    replaced.push('<');
                    replaced.push_str(finder.name(*pattern));
                    replaced.push('>');
                }
                Self::Text(with) => replaced.push_str(with),
                Self::KeepLast(count) => keep_last(secret, *count, &mut replaced),
                Self::Hash(hash) => {
                    let mut hash = hash.as_ref().clone();
                    hash.update(secret.as_bytes());
                    for byte in &hash.finalize().into_bytes()[..HASH_BYTES] {
                        replaced.push_str(&format!("{byte:02x}"));
                    }
                }
            }
            done = span.end;
        }
        replaced.push_str(&text[done..]);
        replaced
    }
}

/// `*` for letters and digits but the last `count`; for all of them when there are not more than that.
fn keep_last(secret: &str, count: usize, replaced: &mut String) {
    let all = secret.chars().filter(|c| c.is_alphanumeric()).count();
    let hidden = if all > count { all - count } else { all };
    let mut seen = 0;
    replaced.extend(secret.chars().map(|c| {
        seen += usize::from(c.is_alphanumeric());
        if c.is_alphanumeric() && seen <= hidden { '*' } else { c }
    }));
}
