//! A data folder on which nobody runs, for a command that works on it itself. It runs no pipeline.

use std::path::Path;
use std::sync::Arc;

use weir_log::LogConfig;
use weir_sql::SqlCompiler;

use crate::exit::Failure;
use crate::running::Shared;

/// What is in the folder `data`, which nobody else has until the answer is dropped.
pub(super) fn locked(data: &Path) -> Result<Shared, Failure> {
    Ok(Shared::open(data, LogConfig::default(), Arc::new(SqlCompiler::new()))?)
}
