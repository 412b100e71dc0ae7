//! What short texts stand for.
#![allow(clippy::unwrap_used)]

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::{Cost, of};

fn cost(sql: &str) -> Cost {
    of(&Parser::parse_sql(&GenericDialect {}, sql).unwrap()[0])
}

#[test]
fn tables_are_counted_where_they_stand() {
    assert_eq!(cost("SELECT a FROM t"), Cost { tables: 1, growth: 1 });
    assert_eq!(cost("SELECT 1"), Cost { tables: 1, growth: 1 });
    assert_eq!(cost("SELECT * FROM a, b JOIN c USING (x) WHERE y IN (SELECT z FROM d)").tables, 4);
    assert_eq!(cost("SELECT * FROM a UNION SELECT * FROM a").tables, 2);
}

#[test]
fn common_table_expressions_that_double_are_written_out() {
    let sql = "WITH a AS (SELECT * FROM t, t AS u), b AS (SELECT * FROM a, a AS x), c AS (SELECT * FROM b, b AS y)
               SELECT * FROM c, c AS z";
    assert_eq!(cost(sql).tables, 16);
    assert_eq!(
        cost("WITH a AS (SELECT 1), b AS (SELECT 2 FROM t) SELECT * FROM t").tables,
        1,
        "what nobody reads is free"
    );
}

#[test]
fn columns_that_double_with_each_level_are_written_out() {
    let sql = "SELECT c + c FROM (SELECT b + b AS c FROM (SELECT a * a * a AS b FROM t))";
    assert_eq!(cost(sql).growth, 12);
    let sql = "WITH x AS (SELECT a + a AS a FROM t), y AS (SELECT a + a AS a FROM x) SELECT a, a, a FROM y";
    assert_eq!(cost(sql).growth, 4, "the same column in several expressions is no repetition");
}
