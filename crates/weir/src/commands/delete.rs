//! `weir delete`: rows of a table go, by the Weir that is up on the data folder, or here when none is. It counts them first,
//! and asks.

use std::path::Path;
use std::sync::Arc;

use http_body_util::BodyExt;
use weir_disk::DataFolder;
use weir_log::LogConfig;
use weir_query::{Limits, QueryEngine};
use weir_serve::{ChosenRows, DeletedRows, Deletions};
use weir_sql::SqlCompiler;

use super::dlq::agreed;
use crate::cli::DeleteArgs;
use crate::client::Client;
use crate::deletions::{StoredRows, token};
use crate::exit::Failure;
use crate::running::Shared;

/// The longest answer of an instance.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Runs the command.
///
/// # Errors
/// When the condition is refused, nobody agrees, or rows cannot be deleted.
pub async fn run(args: &DeleteArgs) -> Result<(), Failure> {
    let rows = Rows::of(&args.data)?;
    let DeletedRows { left, .. } = rows.delete(args, true).await?;
    if args.dry_run || left == 0 {
        println!("{left} rows of {} would be deleted", args.table);
        return Ok(());
    }
    if !args.yes && !agreed(&format!("Delete {left} rows of {} for good?", args.table))? {
        return Err(Failure::run("nothing was deleted"));
    }
    let DeletedRows { deleted, left } = rows.delete(args, false).await?;
    println!("{deleted} rows of {} deleted", args.table);
    if left > 0 {
        println!("{left} such rows are there: they came meanwhile, or a moment before and are not committed yet");
    }
    Ok(())
}

/// Who deletes.
enum Rows {
    Instance(Client),
    /// This process, which keeps the folder locked.
    Here {
        rows: StoredRows,
        _locked: Shared,
    },
}

impl Rows {
    fn of(data: &Path) -> Result<Self, Failure> {
        if let Some(address) = DataFolder::peek(data)?.and_then(|occupant| occupant.http) {
            return Ok(Self::Instance(Client::new(address.to_string()).with_token(token(data)?)));
        }
        if !data.is_dir() {
            return Err(Failure::run(format!("{} holds no data: there is no such folder", data.display())));
        }
        let shared = Shared::open(data, LogConfig::default(), Arc::new(SqlCompiler::new()))?;
        let queries = QueryEngine::new(shared.store.clone(), Limits::for_machine())?;
        let rows = StoredRows::new(Arc::clone(&shared.store), Arc::new(queries));
        Ok(Self::Here { rows, _locked: shared })
    }

    async fn delete(&self, args: &DeleteArgs, dry_run: bool) -> Result<DeletedRows, Failure> {
        let chosen = ChosenRows { r#where: args.condition.clone(), dry_run };
        match self {
            Self::Here { rows, .. } => {
                rows.delete(&args.table, chosen).await.map_err(|error| Failure::run(error.to_string()))
            }
            Self::Instance(client) => {
                let broken =
                    |error: &dyn std::fmt::Display| Failure::run(format!("the answer cannot be read: {error}"));
                let path = format!("/api/v1/tables/{}/delete", encoded(&args.table));
                let body = serde_json::to_value(chosen).map_err(|error| broken(&error))?;
                let answer = client.post_json(&path, &body).await?;
                let body = http_body_util::Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
                serde_json::from_slice(&body.map_err(|error| broken(&error))?.to_bytes())
                    .map_err(|error| broken(&error))
            }
        }
    }
}

/// A name as a part of a path.
fn encoded(name: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    name.bytes().map(byte).collect()
}
