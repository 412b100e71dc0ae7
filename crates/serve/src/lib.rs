//! The HTTP API and the page, one file per resource, PostgreSQL's protocol and Arrow Flight SQL. It authenticates nobody
//! yet, and therefore refuses to listen where other machines could reach it unless told so in as many words.

mod accept;
mod app;
mod body;
mod connection;
mod dead_letters;
mod deletions;
mod error;
mod flight;
mod follow;
mod guard;
mod health;
mod ingest;
mod input;
mod limits;
mod listener;
mod logs;
mod metrics;
mod page;
mod pipelines;
mod postgres;
mod replays;
mod scan;
mod search;
mod server;
mod sql;
mod status;
mod stops;
mod tables;
mod tail;
#[cfg(test)]
mod tests;

pub use app::AppState;
pub use dead_letters::{ChosenLetters, DeadLetters, Purged, Replayed};
pub use deletions::{ChosenRows, DeletedRows, Deletions, TOKEN_FILE};
pub use flight::Flight;
pub use ingest::{Ack, Asked, Ingest, IngestError};
pub use limits::Limits;
pub use postgres::Postgres;
pub use replays::{ReplaySwap, ReplaySwapped, Replays, SwappedTable};
pub use server::{ServeConfig, Server};
