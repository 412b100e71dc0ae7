//! Tables of tenants: named by two parts, told apart, and no way to another's.

use std::sync::Arc;

use crate::testing::{Stage, ask, logs_schema, many, value};
use crate::{QueryEngine, QueryErrorCode};

fn engine() -> (Arc<Stage>, QueryEngine) {
    let stage = Stage::new();
    stage.table("logs", logs_schema(), &[many(0, 3)], &[]);
    stage.table("acme.logs", logs_schema(), &[many(0, 10)], &[many(10, 2)]);
    stage.table("other.logs", logs_schema(), &[many(0, 5)], &[]);
    let engine = stage.engine();
    (stage, engine)
}

#[test]
fn a_tenants_table_is_named_by_two_parts_quoted_or_not() {
    let (_stage, engine) = engine();
    for (sql, count) in [
        ("SELECT count(*) FROM acme.logs", "12"),
        ("SELECT count(*) FROM ACME.Logs", "12"),
        ("SELECT count(*) FROM \"acme\".\"logs\" WHERE acme.logs.n >= 0", "12"),
        ("SELECT count(*) FROM \"acme.logs\"", "12"),
        ("SELECT count(*) FROM other.logs", "5"),
        ("SELECT count(*) FROM public.logs", "3"),
        ("SELECT count(*) FROM logs", "3"),
        ("SELECT count(*) FROM acme.logs a JOIN other.logs b ON a.n = b.n WHERE a.level = 'INFO'", "2"),
        ("WITH x AS (SELECT n FROM acme.logs) SELECT count(*) FROM x WHERE n IN (SELECT n FROM other.logs)", "5"),
        ("SELECT max(acme.logs.n) FROM acme.logs", "11"),
    ] {
        assert_eq!(value(&engine, sql), count, "{sql}");
    }
    assert_eq!(ask(&engine, "DESCRIBE acme.logs").expect("described").num_rows(), logs_schema().fields().len());
}

#[test]
fn a_name_that_is_no_table_is_refused_whatever_it_looks_like() {
    let (_stage, engine) = engine();
    for sql in [
        "SELECT * FROM nobody.logs",
        "SELECT * FROM acme.other",
        "SELECT * FROM \"acme/../other\".logs",
        "SELECT * FROM \"../acme.logs\"",
        "SELECT * FROM \"acme.logs/../../catalog\"",
        "SELECT * FROM acme.acme.logs",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"file:///etc/passwd\"",
    ] {
        let error = ask(&engine, sql).expect_err(sql);
        let expected = [QueryErrorCode::UnknownTable, QueryErrorCode::SqlSyntax, QueryErrorCode::InvalidQuery];
        assert!(expected.contains(&error.code), "{sql}: {error:?}");
    }
}
