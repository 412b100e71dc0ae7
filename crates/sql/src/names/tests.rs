//! What columns an expression uses.
#![allow(clippy::unwrap_used)]

use super::columns;
use crate::SqlErrorKind;

/// The columns of `text`: `#` follows those used as numbers, `?` those used as truth values.
fn used(text: &str) -> String {
    let uses = columns(text).unwrap();
    let shown = uses.iter().map(|used| {
        let marks = [(used.numeric, "#"), (used.boolean, "?")];
        marks.iter().filter(|(is, _)| *is).fold(used.name.clone(), |name, (_, mark)| name + mark)
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn names_come_as_written_and_once() {
    assert_eq!(used("upper(App_Id) || app_id || \"Odd Name\" || App_Id"), "App_Id app_id Odd Name");
    assert_eq!(used("'text' || 1"), "");
}

#[test]
fn children_of_structs_have_dots_however_they_are_written() {
    assert_eq!(used("tags.env || tags['env'] || tags.\"zone\" || tags['a']['b']"), "tags.env tags.zone tags.a.b");
    assert_eq!(used("@timestamp IS NULL"), "@timestamp");
}

#[test]
fn arithmetic_and_numbers_beside_a_column_make_it_a_number() {
    for (text, expected) in [
        ("a > 5", "a#"),
        ("5 <= a", "a#"),
        ("a = 'x'", "a"),
        ("a = b", "a b"),
        ("a + b", "a# b#"),
        ("a = b * c", "a# b# c#"),
        ("-a", "a#"),
        ("a BETWEEN 1 AND b", "a# b#"),
        ("a IN (1, 2)", "a#"),
        ("a IN ('1', '2')", "a"),
        ("abs(a) = round(b, 2)", "a# b#"),
        ("length(a) > 5", "a"),
        ("coalesce(a, 0)", "a#"),
        ("coalesce(a, b) > 1", "a# b#"),
        ("coalesce(a, 'x')", "a"),
        ("CASE WHEN a > 1 THEN b ELSE c END + 1", "a# b# c#"),
        ("CASE a WHEN 1 THEN b END", "a# b"),
        ("(a) >= (-1)", "a#"),
        ("a || 1", "a"),
        ("substring(a, b + 1)", "a b#"),
        ("a LIKE 'x%' AND b > 1", "a b#"),
    ] {
        assert_eq!(used(text), expected, "{text}");
    }
}

#[test]
fn arithmetic_with_times_is_not_about_numbers() {
    assert_eq!(used("ts + INTERVAL '1 hour'"), "ts");
    assert_eq!(used("ts > TIMESTAMP '2026-01-01' - b"), "ts b");
    assert_eq!(used("date_trunc('hour', ts) = x"), "ts x");
    assert_eq!(used("extract(hour from ts) = x"), "ts x#", "but a part of a time is a number");
}

#[test]
fn logic_makes_truth_values() {
    assert_eq!(used("a AND NOT b OR c = 1"), "a? b? c#");
    assert_eq!(used("CASE WHEN a THEN 'x' END"), "a?");
    assert_eq!(used("a IS TRUE"), "a?");
}

#[test]
fn the_place_of_the_first_use_is_told() {
    let uses = columns("1 = 1 AND\n  tags.env = other").unwrap();
    assert_eq!(uses.iter().map(|used| used.column).collect::<Vec<_>>(), [13, 24]);
}

#[test]
fn what_is_not_about_one_row_is_refused() {
    for text in [
        "(SELECT 1)",
        "a IN (SELECT 1)",
        "EXISTS (SELECT 1)",
        "sum(a) OVER ()",
        "count(*)",
        "$1",
        "a > ?",
        "substring((SELECT 'x'), 1)",
        "*",
    ] {
        let error = columns(text).unwrap_err();
        assert!(matches!(error.kind, SqlErrorKind::NotAllowed | SqlErrorKind::Syntax), "{text}: {error}");
    }
}

/// What each word of SQL is, as a column, in places that decide it.
#[test]
fn every_word_of_sql_names_a_column_or_is_refused_with_the_advice_to_quote_it() {
    const LITERALS: [&str; 3] = ["NULL", "TRUE", "FALSE"];
    const TO_QUOTE: [&str; 21] = [
        "AND",
        "BETWEEN",
        "CURRENT_DATE",
        "CURRENT_TIME",
        "CURRENT_TIMESTAMP",
        "ELSE",
        "FROM",
        "ILIKE",
        "IN",
        "IS",
        "LIKE",
        "LOCALTIME",
        "LOCALTIMESTAMP",
        "NOT",
        "OR",
        "RLIKE",
        "SELECT",
        "SIMILAR",
        "THEN",
        "WHEN",
        "XOR",
    ];
    let shapes = [
        "{}",
        "{} = 'x'",
        "x = {}",
        "upper({})",
        "x || {} || y",
        "{} IN ('a', {})",
        "{} IS NOT NULL",
        "NOT {} > 1",
        "CASE WHEN {} = 'a' THEN {} ELSE {} END",
        "coalesce(x, {}, y)",
        "{} NOT LIKE 'a%'",
        "a.{} = 1",
        "{}::text",
        "CAST({} AS timestamp) > TIMESTAMP '2026-01-01'",
        "{}.a = 'x' AND x IS DISTINCT FROM {}",
    ];
    let mut wrong = Vec::new();
    // `END-EXEC` is two words and an operator.
    let words = datafusion::sql::sqlparser::keywords::ALL_KEYWORDS.iter().filter(|word| !word.contains('-'));
    for word in words {
        for shape in shapes {
            let text = shape.replace("{}", &word.to_lowercase());
            let quoted = shape.replace("{}", &format!("\"{}\"", word.to_lowercase()));
            match (columns(&text), columns(&quoted)) {
                (Ok(found), Ok(expected)) => {
                    let names =
                        |uses: &[super::ColumnUse]| uses.iter().map(|used| used.name.clone()).collect::<Vec<_>>();
                    let same = names(&found) == names(&expected);
                    if !same && !LITERALS.contains(word) && !TO_QUOTE.contains(word) {
                        wrong.push(format!("{text}: {:?}", names(&found)));
                    }
                }
                (Err(_), _) if LITERALS.contains(word) => {}
                (Err(error), _) if TO_QUOTE.contains(word) => {
                    let hint = error.hint.unwrap_or_default();
                    if error.kind == SqlErrorKind::Syntax && !hint.contains("double quotes") {
                        wrong.push(format!("{text}: {} ({hint})", error.message));
                    }
                }
                (Err(error), _) => wrong.push(format!("{text}: {error}")),
                (Ok(_), Err(error)) => panic!("{quoted}: {error}"),
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn words_keep_their_grammar_where_it_is_theirs() {
    for (text, expected) in [
        ("date '2026-01-01' < date", "date"),
        ("timestamp > timestamp '2026-01-01 00:00:00' - interval '1' day", "timestamp"),
        ("interval > 5 AND interval '1 day' = x", "interval# x"),
        ("CASE WHEN case = 'a' THEN case ELSE 'b' END", "case"),
        ("CASE -a WHEN 1 THEN end END", "a# end"),
        ("extract(year FROM year) > 5", "year"),
        ("substring(user FROM 2 FOR 3)", "user"),
        ("trim(both 'x' from both)", "both"),
        ("position('a' IN user) > 0", "user"),
        ("cast(user AS date) = date", "user date"),
        ("ts AT TIME ZONE 'UTC' > time", "ts time"),
        ("array[1, 2] = array", "array"),
        ("left(left, 1) = right", "left right"),
        ("user = 'a' AND current_user = \"session_user\"", "user current_user session_user"),
        ("order.group.table = value AND NOT level IN (end, start)", "order.group.table value level end start"),
        ("user['name'] = 'x'", "user.name"),
    ] {
        assert_eq!(used(text), expected, "{text}");
    }
}
