//! Statements that are about the session and not about data: transactions that hold nothing, settings, and questions by
//! which Grafana looks around. Everything else is a question for the store.

use std::time::Duration;

use weir_query::SETTINGS;

/// What a session makes of a statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    /// Nothing: an empty text.
    Empty,
    /// A transaction begins.
    Begin,
    /// A transaction ends: `true` if its work is to be kept.
    End(bool),
    /// Something is set that changes how long questions may take; `None`: as long as by default.
    Timeout(Option<Duration>),
    /// Something is said that is accepted and changes nothing, with the tag of its answer.
    Noted(&'static str),
    /// Everything that was prepared under this name is forgotten; `None`: all.
    Forget(Option<String>),
    /// Everything that the session was told is forgotten.
    Discard,
    /// One text, under this name.
    Setting(String, String),
    /// A setting is asked for that there is none of.
    Unknown(String),
    /// A question, in words that the store understands.
    Question(String),
}

/// What `SHOW ALL` answers.
const ALL_SETTINGS: &str =
    "SELECT name, setting, short_desc AS description FROM pg_catalog.pg_settings ORDER BY lower(name)";

/// What Grafana asks for the tables that it offers, in our words.
const TABLES: &str = "SELECT CASE WHEN table_schema = 'public' THEN quote_ident(table_name) \
                      ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS \"table\" FROM information_schema.tables \
                      ORDER BY CASE WHEN table_schema = 'public' THEN 0 ELSE 1 END, 1";

/// What a statement is.
pub(super) fn read(sql: &str) -> Statement {
    let words: Vec<String> = words(sql).take(4).collect();
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    match word(0) {
        "" => Statement::Empty,
        "BEGIN" => Statement::Begin,
        "START" => Statement::Begin,
        "COMMIT" | "END" => Statement::End(true),
        "ROLLBACK" if word(1) == "TO" => Statement::Noted("ROLLBACK"),
        "ROLLBACK" | "ABORT" => Statement::End(false),
        "SAVEPOINT" => Statement::Noted("SAVEPOINT"),
        "RELEASE" => Statement::Noted("RELEASE"),
        "SET" => set(sql, word(1)),
        "RESET" if ["STATEMENT_TIMEOUT", "ALL"].contains(&word(1)) => Statement::Timeout(None),
        "RESET" => Statement::Noted("RESET"),
        "DISCARD" if word(1) == "ALL" => Statement::Discard,
        "DISCARD" => Statement::Noted("DISCARD"),
        "DEALLOCATE" => {
            let name = if word(1) == "PREPARE" { word(2) } else { word(1) };
            Statement::Forget((name != "ALL").then(|| name.to_lowercase()))
        }
        "LISTEN" => Statement::Noted("LISTEN"),
        "UNLISTEN" => Statement::Noted("UNLISTEN"),
        "SHOW" => show(sql, word(1), word(2)),
        "SELECT" => known(sql),
        _ => Statement::Question(sql.to_owned()),
    }
}

fn set(sql: &str, name: &str) -> Statement {
    let name =
        if name == "SESSION" || name == "LOCAL" { words(sql).nth(2).unwrap_or_default() } else { name.to_owned() };
    if name != "STATEMENT_TIMEOUT" {
        return Statement::Noted("SET");
    }
    let value = sql.rsplit(['=', ' ']).next().unwrap_or_default();
    timeout(value).map_or(Statement::Noted("SET"), Statement::Timeout)
}

/// A time as settings have it, `250`, `'5s'`, in milliseconds if no unit is said; without a bound if it is nothing. `None` if
/// it is no time.
pub(super) fn timeout(text: &str) -> Option<Option<Duration>> {
    let value = text.trim_matches(['\'', ';', ' ']);
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match value[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        _ => return None,
    };
    let millis = digits.trim().parse::<u64>().ok().filter(|millis| *millis > 0);
    Some(millis.map(|millis| Duration::from_millis(millis.saturating_mul(unit))))
}

/// A time as `SHOW` says it.
pub(super) fn shown(timeout: Option<Duration>) -> String {
    match timeout.map_or(0, |timeout| timeout.as_millis()) {
        0 => "0".to_owned(),
        millis if millis % 60_000 == 0 => format!("{}min", millis / 60_000),
        millis if millis % 1_000 == 0 => format!("{}s", millis / 1_000),
        millis => format!("{millis}ms"),
    }
}

fn show(sql: &str, name: &str, next: &str) -> Statement {
    let name = match (name, next) {
        ("TRANSACTION", _) => "TRANSACTION_ISOLATION",
        ("TIME", "ZONE") => "TIMEZONE",
        (name, _) => name,
    };
    let found = SETTINGS.iter().find(|setting| setting.name.eq_ignore_ascii_case(name));
    match (found, name) {
        (Some(setting), _) => Statement::Setting(setting.name.to_owned(), setting.value.to_owned()),
        (None, "ALL") => Statement::Question(ALL_SETTINGS.to_owned()),
        // What the store answers: `SHOW TABLES`, `SHOW COLUMNS FROM`.
        (None, "TABLES" | "COLUMNS") => Statement::Question(sql.to_owned()),
        (None, name) => Statement::Unknown(name.to_lowercase()),
    }
}

/// Questions of Grafana, which takes the search path apart to know which tables need no schema: those of `public`.
fn known(sql: &str) -> Statement {
    let asks = |all: &[&str]| all.iter().all(|part| sql.contains(part));
    if asks(&["parse_ident(", "information_schema.columns", "quote_ident(column_name)"]) {
        return match between(sql, "parse_ident('", "')") {
            Some(table) => Statement::Question(columns(table)),
            None => Statement::Question(sql.to_owned()),
        };
    }
    if asks(&["current_setting(", "'search_path'", "information_schema.tables", "quote_ident(table_name)"]) {
        return Statement::Question(TABLES.to_owned());
    }
    Statement::Question(sql.to_owned())
}

/// What asks for the columns of a table that is named as in SQL, with its schema or without; quotes within the name are
/// doubled already.
fn columns(table: &str) -> String {
    let (schema, name) = match table.split_once('.') {
        Some((schema, name)) if !table.starts_with('"') || schema.ends_with('"') => (schema, name),
        _ => ("public", table),
    };
    let plain = |name: &str| match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_owned(),
    };
    format!(
        "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\" FROM information_schema.columns \
         WHERE table_schema = '{}' AND table_name = '{}' ORDER BY ordinal_position",
        plain(schema),
        plain(name)
    )
}

/// What stands between two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// The words at the beginning of a statement in upper case, comments left out.
fn words(sql: &str) -> impl Iterator<Item = String> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';' || c == '=');
            if let Some(comment) = rest.strip_prefix("--") {
                rest = comment.split_once('\n').map_or("", |(_, after)| after);
            } else if let Some(comment) = rest.strip_prefix("/*") {
                rest = comment.split_once("*/").map_or("", |(_, after)| after);
            } else {
                break;
            }
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let end = if end == 0 { rest.chars().next()?.len_utf8() } else { end };
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word.to_uppercase())
    })
}

/// The statements of a text, which semicolons part: those outside of quotes, comments and dollar quotes.
pub(super) fn split(sql: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < sql.len() {
        let rest = &sql[at..];
        let first = rest.chars().next().expect("it is not the end");
        at += match first {
            '\'' | '"' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '$' => dollar_quoted(rest).unwrap_or(1),
            ';' => {
                statements.push(&sql[from..at]);
                from = at + 1;
                1
            }
            other => other.len_utf8(),
        };
    }
    statements.push(&sql[from..]);
    if statements.len() > 1 {
        statements.retain(|statement| words(statement).next().is_some());
    }
    statements
}

/// How long a text is that begins with `$tag$` and ends so, or goes on to the end.
fn dollar_quoted(text: &str) -> Option<usize> {
    let end = text[1..].find('$')? + 2;
    let tag = &text[..end];
    let named = tag[1..end - 1].chars().all(|c| c.is_alphanumeric() || c == '_');
    let parameter = tag[1..].starts_with(|c: char| c.is_ascii_digit());
    (named && !parameter).then(|| text[end..].find(tag).map_or(text.len(), |close| end + close + end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_where_a_statement_ends_and_nowhere_else() {
        assert_eq!(
            split("SELECT 1; SELECT ';' || \";\" -- ;\n; /* ; */ ;"),
            ["SELECT 1", " SELECT ';' || \";\" -- ;\n",]
        );
        assert_eq!(split("SELECT $a$;$a$, $1;SELECT 'it''s;'"), ["SELECT $a$;$a$, $1", "SELECT 'it''s;'"]);
        assert_eq!(split("SELECT 'open;"), ["SELECT 'open;"]);
        assert_eq!(split(""), [""]);
        assert_eq!(split("é;ü"), ["é", "ü"]);
    }

    #[test]
    fn what_grafana_asks_is_put_into_our_words() {
        let tables = "SELECT quote_ident(table_name) as \"table\" FROM information_schema.tables WHERE quote_ident(table_schema) IN \
                      (SELECT trim(s[i]) FROM string_to_array(current_setting('search_path'), ',') s)";
        assert_eq!(read(tables), Statement::Question(TABLES.to_owned()));
        let columns = |table: &str| {
            let asked = format!(
                "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\" FROM information_schema.columns \
                 WHERE CASE WHEN array_length(parse_ident('{table}'),1) = 2 THEN true ELSE false END"
            );
            let Statement::Question(asked) = read(&asked) else { panic!("it is a question") };
            between(&asked, "WHERE ", " ORDER").expect("there is a condition").to_owned()
        };
        assert_eq!(columns("logs"), "table_schema = 'public' AND table_name = 'logs'");
        assert_eq!(columns("live.logs"), "table_schema = 'live' AND table_name = 'logs'");
        assert_eq!(columns("live.\"a.b\""), "table_schema = 'live' AND table_name = 'a.b'");
        assert_eq!(columns("\"a.b\"\"it''s\""), "table_schema = 'public' AND table_name = 'a.b\"it''s'");
    }

    #[test]
    fn what_is_about_the_session_is_told_from_questions() {
        assert_eq!(read(" -- nothing\n ; "), Statement::Empty);
        assert_eq!(read("begin transaction read only"), Statement::Begin);
        assert_eq!(read("/* c */ COMMIT"), Statement::End(true));
        assert_eq!(read("ROLLBACK"), Statement::End(false));
        assert_eq!(read("set application_name = 'x'"), Statement::Noted("SET"));
        assert_eq!(read("SET statement_timeout = '5s'"), Statement::Timeout(Some(Duration::from_secs(5))));
        assert_eq!(read("SET statement_timeout TO 250"), Statement::Timeout(Some(Duration::from_millis(250))));
        assert_eq!(read("SET SESSION statement_timeout = 0"), Statement::Timeout(None));
        assert_eq!(read("DEALLOCATE ALL"), Statement::Forget(None));
        assert_eq!(read("deallocate Plan_1"), Statement::Forget(Some("plan_1".to_owned())));
        let isolation = Statement::Setting("transaction_isolation".to_owned(), "read committed".to_owned());
        assert_eq!(read("show transaction isolation level"), isolation);
        assert_eq!(read("SHOW Time Zone"), Statement::Setting("TimeZone".to_owned(), "UTC".to_owned()));
        assert_eq!(read("show search_path;"), Statement::Setting("search_path".to_owned(), "public".to_owned()));
        assert_eq!(read("SHOW ALL"), Statement::Question(ALL_SETTINGS.to_owned()));
        assert_eq!(read("SHOW Nothing"), Statement::Unknown("nothing".to_owned()));
        assert_eq!(read("DISCARD ALL"), Statement::Discard);
        assert_eq!(read("RESET ALL"), Statement::Timeout(None));
        assert_eq!(read("SHOW TABLES"), Statement::Question("SHOW TABLES".to_owned()));
        assert_eq!(read("DELETE FROM logs"), Statement::Question("DELETE FROM logs".to_owned()));
    }
}
