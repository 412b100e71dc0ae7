//! Questions: SQL over the tables of a snapshot, the log views of the page, and the results in every format; writes to
//! no table.
//!
//! A query's way: [`statement`] parses it behind the gate and refuses what is not a question, [`cost`] refuses what a
//! short text blows up to, `plan` plans it on a thread of its own, `engine` runs it on a runtime of its own under
//! limits, [`QueryResult`] hands out the batches, [`encode`] writes them.

mod abreast;
mod caseless;
mod condition;
mod cost;
mod door;
pub mod encode;
mod engine;
mod error;
mod gather;
mod guard;
mod indexes;
mod language;
mod late;
mod limits;
mod local;
pub mod logs;
mod needle;
mod newest;
mod parameter;
mod pattern;
mod pg_catalog;
mod plan;
mod pool;
mod prune;
mod reader;
mod result;
mod rollup;
mod running;
mod shapes;
mod show;
mod size;
mod snapshot;
mod statement;
mod table;
mod tenant;
#[cfg(test)]
mod testing;
mod width;
mod words;

pub use condition::{RowCondition, count_of, quoted_table};
pub use engine::QueryEngine;
pub use error::{Place, QueryError, QueryErrorCode};
pub use indexes::Cost;
pub use language::{Candidate, CandidateKind, Completion, Search};
pub use limits::{Limits, Parameter, RunOptions, machine_memory_bytes};
pub use pg_catalog::{SETTINGS, Setting, modifier_of_type, oid_of_type};
pub use plan::Description;
pub use result::QueryResult;
pub use running::Relief;
pub use snapshot::{Keep, LiveTables, Segment, Snapshot, Table, TableSource};
pub use statement::{LIVE_SCHEMA, SCHEMA};
