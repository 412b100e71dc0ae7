//! Values as PostgreSQL writes them into texts: names and texts in quotes, lists of values (`{a,"b c",NULL}`), numbers of bytes.

use datafusion::sql::sqlparser::keywords::{ALL_KEYWORDS, ALL_KEYWORDS_INDEX, RESERVED_FOR_COLUMN_ALIAS};

/// Elements of a list that is written as a text.
const ELEMENTS_MAX: usize = 100_000;

/// A name as it has to be written: in quotes if it is not plain, or a word of SQL.
pub(super) fn identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !is_reserved(name);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn is_reserved(name: &str) -> bool {
    let found = ALL_KEYWORDS.binary_search(&name.to_ascii_uppercase().as_str());
    found.is_ok_and(|at| RESERVED_FOR_COLUMN_ALIAS.contains(&ALL_KEYWORDS_INDEX[at]))
}

/// A text as it has to be written, in quotes.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A number of bytes as people write it.
pub(super) fn bytes(bytes: i64) -> String {
    let mut left = bytes;
    for unit in ["bytes", "kB", "MB", "GB", "TB"] {
        if left.unsigned_abs() < 10 << 10 {
            return format!("{left} {unit}");
        }
        left = left.saturating_add(512) >> 10;
    }
    format!("{left} PB")
}

/// `format('%I.%s', ...)`: each place of `pattern` filled with its value.
///
/// # Errors
/// When a place has no value, or is none of `%s`, `%I`, `%L`.
pub(super) fn format(pattern: &str, values: &[Option<&str>]) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = pattern;
    let mut next = 0;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let numbered = after[..digits].parse::<usize>().ok().filter(|number| *number > 0);
        let after = match (numbered, after[digits..].strip_prefix('$')) {
            (Some(number), Some(after)) => {
                next = number - 1;
                after
            }
            _ => after,
        };
        let kind = after.chars().next().ok_or("format: % at the end of the text; %% is a percent sign")?;
        rest = &after[kind.len_utf8()..];
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value =
            values.get(next).ok_or_else(|| format!("format: there is no value for %{kind}, place {}", next + 1))?;
        next += 1;
        match (kind, value) {
            ('s', value) => out.push_str(value.unwrap_or_default()),
            ('I', Some(name)) => out.push_str(&identifier(name)),
            ('I', None) => return Err("format: null is no name for %I".to_owned()),
            ('L', Some(text)) => out.push_str(&literal(text)),
            ('L', None) => out.push_str("NULL"),
            (other, _) => return Err(format!("format: %{other} is none of %s, %I, %L")),
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The elements of a list that is written as PostgreSQL does: `{a,"b c",NULL}`.
///
/// # Errors
/// When it is none, is cut off, has lists in it, or too many elements.
pub(crate) fn elements(text: &str) -> Result<Vec<Option<String>>, String> {
    let wrong = |why: &str| format!("{text:?} is no list, {why}; one is written {{1,2}} or {{\"a b\",NULL}}");
    let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let inner = inner.ok_or_else(|| wrong("it does not stand in braces"))?;
    let mut found = Vec::new();
    let mut rest = inner.trim_start();
    if rest.is_empty() {
        return Ok(found);
    }
    loop {
        let (element, after) = element(rest).map_err(wrong)?;
        found.push(element);
        if found.len() > ELEMENTS_MAX {
            return Err(format!("a list has more than {ELEMENTS_MAX} elements"));
        }
        match after.trim_start() {
            "" => return Ok(found),
            after => {
                rest = after.strip_prefix(',').ok_or_else(|| wrong("a comma is missing"))?.trim_start();
            }
        }
    }
}

/// The first element, and what follows it.
fn element(text: &str) -> Result<(Option<String>, &str), &'static str> {
    let quoted = text.starts_with('"');
    let mut out = String::new();
    let mut letters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => out.push(letters.next().ok_or("it ends behind a backslash")?.1),
            '"' if quoted => return Ok((Some(out), &text[at + 1..])),
            ',' if !quoted => return plain(out, &text[at..]),
            '{' | '}' | '"' if !quoted => return Err("lists within lists are not read"),
            letter => out.push(letter),
        }
    }
    if quoted { Err("a quote is not closed") } else { plain(out, "") }
}

fn plain(text: String, rest: &str) -> Result<(Option<String>, &str), &'static str> {
    match text.trim_end() {
        "" => Err("an element is missing"),
        null if null.eq_ignore_ascii_case("null") => Ok((None, rest)),
        text => Ok((Some(text.to_owned()), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_are_quoted_where_they_have_to_be() {
        for (name, wanted) in
            [("logs", "logs"), ("a_1", "a_1"), ("1a", "\"1a\""), ("Logs", "\"Logs\""), ("select", "\"select\"")]
        {
            assert_eq!(identifier(name), wanted);
        }
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(
            format("%I.%I, %L, %s%%, %1$s", &[Some("live"), Some("a b"), Some("it's"), None]).expect("it fits"),
            "live.\"a b\", 'it''s', %, live"
        );
        assert!(format("%s %s", &[Some("a")]).is_err_and(|error| error.contains("place 2")));
        assert!(format("%d", &[Some("1")]).is_err_and(|error| error.contains("none of %s")));
        assert!(format("50%", &[]).is_err());
    }

    #[test]
    fn bytes_are_said_as_people_write_them() {
        assert_eq!(bytes(10_239), "10239 bytes");
        assert_eq!(bytes(10_240), "10 kB");
        assert_eq!(bytes(1 << 30), "1024 MB");
        assert_eq!(bytes(i64::MAX), "8192 PB");
    }

    #[test]
    fn a_list_is_taken_apart_as_postgresql_writes_it() {
        let read = |text: &str| {
            elements(text)
                .map(|all| all.into_iter().map(|one| one.unwrap_or("∅".to_owned())).collect::<Vec<_>>().join("|"))
        };
        assert_eq!(read("{}").expect("a list"), "");
        assert_eq!(read("{1, 2 ,NULL}").expect("a list"), "1|2|∅");
        assert_eq!(read(r#"{"a,b","NULL","q\"\\",é}"#).expect("a list"), r#"a,b|NULL|q"\|é"#);
        for wrong in ["", "1,2", "{1", "{1,}", "{{1},{2}}", "{\"a}", "{\"a\"b}", "{a\\"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
