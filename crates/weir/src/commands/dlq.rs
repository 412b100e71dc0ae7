//! `weir dlq`: records that could not be processed. It asks as `weir query` does.

use weir_query::RunOptions;

use super::query;
use crate::cli::{DlqArgs, DlqCommand};
use crate::exit::Failure;

/// Runs the command.
///
/// # Errors
/// As `weir query`.
pub async fn run(args: &DlqArgs) -> Result<(), Failure> {
    let DlqCommand::List { pipeline, data, table, limit, format } = &args.command;
    let table = format!("\"{}\"", table.replace('"', "\"\""));
    let only =
        pipeline.as_ref().map(|name| format!(" WHERE pipeline = '{}'", name.replace('\'', "''"))).unwrap_or_default();
    let sql = format!(
        "SELECT time, pipeline, source_file, source_offset, reason, payload FROM {table}{only} ORDER BY time DESC LIMIT {limit}"
    );
    query::ask_sql(data, &sql, RunOptions::default(), *format).await
}
