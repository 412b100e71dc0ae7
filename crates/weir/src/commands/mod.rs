//! What each command does. One file per command; none of them knows another.

pub mod backup;
pub mod check;
pub mod delete;
pub mod dlq;
pub mod explain;
mod folder;
pub mod generate;
pub mod kafka;
pub mod lag;
mod load;
pub mod query;
pub mod registry;
pub mod replay;
pub mod run;
pub mod state;
pub mod tail;
pub mod test;
pub mod up;
