//! From a text to the one question that it asks; refuses everything that is not a question.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParserBuilder, ExplainStatement, Statement};
use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, Statement as SqlStatement, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use weir_sql::nearest;

use crate::cost;
use crate::error::{QueryError, QueryErrorCode, listed};
use crate::limits::Limits;
use crate::pg_catalog::{self, PG_CATALOG};
use crate::snapshot::{Snapshot, Table};

/// What an SQL text asks for.
#[derive(Debug)]
pub(crate) enum Question {
    /// The rows of a query, or how it would be computed.
    Query(Box<Statement>),
    /// `SHOW TABLES`
    Tables,
    /// `DESCRIBE table`
    Columns(String),
}

/// Reads `sql`.
pub(crate) fn parse(sql: &str, limits: &Limits) -> Result<Question, QueryError> {
    limits.gate.check(sql).map_err(|error| QueryError::from_gate(error, sql))?;
    let mut statements = DFParserBuilder::new(sql)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(limits.gate.nesting_max * 2)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| QueryError::from_datafusion(&error, sql))?;
    let Some(statement) = statements.pop_front() else {
        return Err(QueryError::new(QueryErrorCode::SqlSyntax, "the SQL text is empty").hint("try SHOW TABLES"));
    };
    if !statements.is_empty() {
        let message = format!("the text has {} statements; send them one by one", statements.len() + 1);
        return Err(QueryError::new(QueryErrorCode::ReadOnly, message));
    }
    let mut question = question(statement)?;
    if let Question::Query(statement) = &mut question {
        pg_catalog::translate(query_of_mut(statement));
    }
    if let Question::Query(statement) = &question {
        cost::check(query_of(statement), limits.expansion_max)?;
    }
    Ok(question)
}

fn question(statement: Statement) -> Result<Question, QueryError> {
    match statement {
        Statement::Statement(inner) => match *inner {
            SqlStatement::Query(_) => Ok(Question::Query(Box::new(Statement::Statement(inner)))),
            SqlStatement::ShowTables { .. } => Ok(Question::Tables),
            SqlStatement::ShowColumns { show_options, .. } => {
                let name = show_options.show_in.and_then(|show_in| show_in.parent_name);
                name.map(|name| Question::Columns(table_name(&name)))
                    .ok_or_else(|| QueryError::new(QueryErrorCode::SqlSyntax, "SHOW COLUMNS FROM which table"))
            }
            SqlStatement::ExplainTable { table_name: name, .. } => Ok(Question::Columns(table_name(&name))),
            other => Err(read_only(&other.to_string())),
        },
        Statement::Explain(explain) if is_query(&explain.statement) => {
            Ok(Question::Query(Box::new(Statement::Explain(explain))))
        }
        Statement::Explain(ExplainStatement { statement, .. }) => Err(read_only(&statement.to_string())),
        other => Err(read_only(&other.to_string())),
    }
}

fn is_query(statement: &Statement) -> bool {
    matches!(statement, Statement::Statement(inner) if matches!(**inner, SqlStatement::Query(_)))
}

fn query_of(statement: &Statement) -> &SqlStatement {
    match statement {
        Statement::Statement(inner) => inner,
        Statement::Explain(explain) => query_of(&explain.statement),
        other => unreachable!("a question holds a query, not {other}"),
    }
}

pub(crate) fn query_of_mut(statement: &mut Statement) -> &mut SqlStatement {
    match statement {
        Statement::Statement(inner) => inner,
        Statement::Explain(explain) => query_of_mut(&mut explain.statement),
        other => unreachable!("a question holds a query, not {other}"),
    }
}

fn read_only(statement: &str) -> QueryError {
    let verb: String = statement.chars().take_while(|c| c.is_ascii_alphabetic()).collect();
    QueryError::new(QueryErrorCode::ReadOnly, format!("{} is not a question", verb.to_uppercase()))
        .hint("only SELECT, WITH, VALUES, EXPLAIN, SHOW TABLES, SHOW COLUMNS FROM and DESCRIBE are answered")
}

fn table_name(name: &ObjectName) -> String {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect();
    match parts.as_slice() {
        [schema, table] if schema == SCHEMA => table.clone(),
        parts => parts.join("."),
    }
}

fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The table called `name`, or what could have been meant.
pub(crate) fn find_table<'a>(name: &str, snapshot: &'a Snapshot, sql: &str) -> Result<&'a Table, QueryError> {
    snapshot.tables.get(name).ok_or_else(|| {
        let names: Vec<&str> = snapshot.tables.keys().map(String::as_str).collect();
        let message = match names.is_empty() {
            true => format!("there is no table \"{name}\"; there are no tables yet"),
            false => format!("there is no table \"{name}\"; there are {}", listed(&names)),
        };
        let error = QueryError::new(QueryErrorCode::UnknownTable, message).at_word(sql, name);
        match nearest(name, names) {
            Some(near) => error.hint(format!("did you mean \"{near}\"?")),
            None => error,
        }
    })
}

/// What the open windows called `name` say, or what could have been meant.
pub(crate) fn live_table(name: &str, snapshot: &Snapshot, sql: &str) -> Result<Table, QueryError> {
    let made = snapshot.live.as_ref().map(|live| live.table(name)).transpose().map_err(|error| match error.kind {
        weir_model::ErrorKind::Config => QueryError::new(QueryErrorCode::Failed, error.full()),
        _ => error.into(),
    })?;
    made.flatten().ok_or_else(|| {
        let declared = snapshot.live.as_ref().map(|live| live.declared()).unwrap_or_default();
        let names: Vec<&str> = declared.iter().map(|(name, _)| name.as_str()).collect();
        let message = match names.is_empty() {
            true => format!("there is no table {LIVE_SCHEMA}.\"{name}\"; no pipeline that runs here has windows"),
            false => format!("there is no table {LIVE_SCHEMA}.\"{name}\"; there are {}", listed(&names)),
        };
        let error = QueryError::new(QueryErrorCode::UnknownTable, message).at_word(sql, name);
        match nearest(name, names) {
            Some(near) => error.hint(format!("did you mean {LIVE_SCHEMA}.\"{near}\"?")),
            None => error,
        }
    })
}

/// Writes columns whose names are not lower case, or have dots in them, as quoted names, so that they are found as
/// people write them: SQL would fold `appId` to `appid`. A name that fits a column as SQL reads it is left alone.
pub(crate) fn mend_names(statement: &mut Statement, tables: &[&Table]) {
    let columns: BTreeSet<&str> =
        tables.iter().flat_map(|table| table.schema.fields().iter().map(|field| field.name().as_str())).collect();
    if columns.iter().all(|name| name.to_lowercase() == **name && !name.contains('.')) {
        return;
    }
    let _ = VisitMut::visit(query_of_mut(statement), &mut Mend { columns });
}

struct Mend<'a> {
    columns: BTreeSet<&'a str>,
}

impl Mend<'_> {
    fn mended(&self, written: &str) -> Option<Ident> {
        let folded = written.to_lowercase();
        if self.columns.contains(folded.as_str()) && !folded.contains('.') {
            return None;
        }
        let exact = self.columns.get(written).copied();
        let mut alike = self.columns.iter().filter(|name| name.to_lowercase() == folded);
        let name = exact.or_else(|| match (alike.next(), alike.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        })?;
        Some(Ident::with_quote('"', name))
    }
}

impl VisitorMut for Mend<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        match expression {
            Expr::Identifier(ident) if ident.quote_style.is_none() => {
                if let Some(mended) = self.mended(&ident.value) {
                    *ident = mended;
                }
            }
            Expr::CompoundIdentifier(parts) => {
                let joined = parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
                if let Some(mended) = self.mended(&joined) {
                    *expression = Expr::Identifier(mended);
                } else {
                    for part in parts.iter_mut().filter(|part| part.quote_style.is_none()) {
                        if let Some(mended) = self.mended(&part.value) {
                            *part = mended;
                        }
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The tables that a query names.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// Tables of ours.
    pub(crate) tables: BTreeSet<String>,
    /// Tables of the schema [`LIVE_SCHEMA`].
    pub(crate) live: BTreeSet<String>,
    /// Whether it asks the standard's tables which tables and columns there are.
    pub(crate) asks_information: bool,
    /// Whether it asks PostgreSQL's catalog.
    pub(crate) asks_catalog: bool,
}

/// The schema of all our tables, for clients that think in schemas.
pub const SCHEMA: &str = "public";
/// The schema of what the open windows of pipelines say.
pub const LIVE_SCHEMA: &str = "live";
/// The schema of the standard's tables about tables.
pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";

/// The tables that a query reads, common table expressions left out.
pub(crate) fn tables_of(statement: &Statement, snapshot: &Snapshot, sql: &str) -> Result<Named, QueryError> {
    let query = Statement::Statement(Box::new(query_of(statement).clone()));
    let (tables, _) = datafusion::sql::resolve::resolve_table_references(&query, true)
        .map_err(|error| QueryError::from_datafusion(&error, sql))?;
    let mut named = Named::default();
    for table in tables {
        match table.schema() {
            Some(PG_CATALOG) => named.asks_catalog = true,
            None if pg_catalog::has(table.table()) && !snapshot.tables.contains_key(table.table()) => {
                named.asks_catalog = true;
            }
            None | Some(SCHEMA) => drop(named.tables.insert(table.table().to_owned())),
            Some(LIVE_SCHEMA) => drop(named.live.insert(table.table().to_owned())),
            Some(INFORMATION_SCHEMA) => named.asks_information = true,
            Some(schema) => {
                let message = format!("there is no schema \"{schema}\"; tables are named by themselves");
                return Err(QueryError::new(QueryErrorCode::UnknownTable, message).at_word(sql, schema));
            }
        }
    }
    Ok(named)
}

#[cfg(test)]
mod tests;
