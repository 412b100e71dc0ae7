//! `weir delete`: rows of a table go, by the Weir that is up on the data folder, or here when none is. It counts them first,
//! and asks.

use std::path::Path;
use std::sync::Arc;

use weir_query::{Limits, QueryEngine};
use weir_serve::{ChosenRows, DeletedRows, Deletions};

use super::dlq::agreed;
use super::folder;
use crate::cli::DeleteArgs;
use crate::client::{Client, escape};
use crate::deletions::{StoredRows, token};
use crate::exit::Failure;
use crate::running::Shared;

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
        if let Some(client) = Client::of(data)? {
            return Ok(Self::Instance(client.with_token(token(data)?)));
        }
        if !data.is_dir() {
            return Err(Failure::run(format!("{} holds no data: there is no such folder", data.display())));
        }
        let shared = folder::locked(data)?;
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
                client.ask(&format!("/api/v1/tables/{}/delete", escape(&args.table)), &chosen).await
            }
        }
    }
}
