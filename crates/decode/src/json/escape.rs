//! The text of strings with escapes in them, which are known to be right. A half of a surrogate pair alone, which is
//! no character, becomes U+FFFD.

/// Appends the text of `escaped` (the inside of a string) to `out`.
pub(crate) fn unescape(escaped: &[u8], out: &mut Vec<u8>) {
    let mut rest = escaped;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (kind, after) = (rest.get(at + 1).copied(), &rest[(at + 2).min(rest.len())..]);
        rest = after;
        match kind {
            Some(b'u') => rest = unicode(after, out),
            Some(b'b') => out.push(0x08),
            Some(b'f') => out.push(0x0C),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out.extend_from_slice(rest);
}

/// Appends the character whose digits are at the front of `digits`, and yields what follows it.
fn unicode<'a>(digits: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let (first, mut rest) = (unit(digits), &digits[4.min(digits.len())..]);
    let mut code = first;
    if (0xD800..0xDC00).contains(&first) && rest.starts_with(b"\\u") {
        let second = unit(&rest[2..]);
        if (0xDC00..0xE000).contains(&second) {
            code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            rest = &rest[6.min(rest.len())..];
        }
    }
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}

fn unit(digits: &[u8]) -> u32 {
    digits.iter().take(4).fold(0, |code, digit| code << 4 | (*digit as char).to_digit(16).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(escaped: &str) -> String {
        let mut out = Vec::new();
        unescape(escaped.as_bytes(), &mut out);
        String::from_utf8(out).expect("always UTF-8")
    }

    #[test]
    fn escapes_become_what_they_stand_for() {
        assert_eq!(read(r#"a\"b\\c\/d\b\f\n\r\té\u00e9 \ud83d\ude00!"#), "a\"b\\c/d\u{8}\u{c}\n\r\té\u{e9} 😀!");
        assert_eq!(read(r"\u0000"), "\0");
    }

    #[test]
    fn half_a_surrogate_pair_is_the_replacement_character() {
        assert_eq!(read(r"\ud83dx"), "\u{FFFD}x");
        assert_eq!(read(r"\ude00"), "\u{FFFD}");
        assert_eq!(read(r"\ud83d\ud83d\ude00"), "\u{FFFD}😀");
        assert_eq!(read(r"\ud83dA"), "\u{FFFD}A");
    }
}
