//! What is a question and what is not.
#![allow(clippy::unwrap_used)]

use super::{Question, parse};
use crate::{Limits, QueryError, QueryErrorCode};

fn parsed(sql: &str) -> Result<Question, QueryError> {
    parse(sql, &Limits::default())
}

#[test]
fn questions_are_taken() {
    for sql in [
        "SELECT 1",
        "select 1;",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "VALUES (1), (2)",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "-- a comment\nSELECT 1",
    ] {
        assert!(matches!(parsed(sql), Ok(Question::Query(_))), "{sql}");
    }
    assert!(matches!(parsed("SHOW TABLES"), Ok(Question::Tables)));
    for sql in ["DESCRIBE Logs", "DESC logs", "SHOW COLUMNS FROM logs", "describe public.logs"] {
        assert!(matches!(parsed(sql), Ok(Question::Columns(name)) if name == "logs"), "{sql}");
    }
}

#[test]
fn whatever_is_not_a_question_is_refused() {
    for sql in [
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "COPY logs TO '/tmp/x'",
        "CREATE TABLE x AS SELECT 1",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE VIEW x AS SELECT 1",
        "CREATE FUNCTION f() RETURNS INT RETURN 1",
        "DROP TABLE logs",
        "INSERT INTO logs VALUES (1)",
        "UPDATE logs SET a = 1",
        "DELETE FROM logs",
        "TRUNCATE TABLE logs",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "SHOW ALL",
        "SHOW datafusion.execution.batch_size",
        "SHOW FUNCTIONS",
        "EXPLAIN INSERT INTO logs VALUES (1)",
        "EXPLAIN ANALYZE COPY logs TO '/tmp/x'",
        "EXPLAIN EXPLAIN SELECT 1",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "BEGIN",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE logs",
    ] {
        let error = parsed(sql).unwrap_err();
        assert!(matches!(error.code, QueryErrorCode::ReadOnly | QueryErrorCode::SqlSyntax), "{sql}: {error}");
    }
    assert_eq!(parsed("DROP TABLE logs").unwrap_err().code, QueryErrorCode::ReadOnly);
    assert_eq!(parsed("COPY logs TO '/tmp/x'").unwrap_err().message, "COPY is not a question");
}

#[test]
fn syntax_errors_say_where() {
    let error = parsed("SELECT a FROM t\n  WHERE AND b").unwrap_err();
    assert_eq!(error.code, QueryErrorCode::SqlSyntax);
    assert_eq!(error.place.map(|place| place.line), Some(2), "{error}");
    assert_eq!(parsed("  ").unwrap_err().message, "the SQL text is empty");
    assert_eq!(parsed("SELECT 'open").unwrap_err().code, QueryErrorCode::SqlSyntax);
}
