//! Everything wired together: the command line, plans made of pipeline files, pipelines at work. What is interesting is
//! decided in the crates below; here it is connected.

pub mod backup;
pub mod cli;
pub mod client;
pub mod commands;
mod dead_letters;
mod deletions;
pub mod exit;
pub mod generate;
mod housekeeping;
mod ingest;
mod live;
mod memory;
pub mod plan;
mod progress;
mod registry;
pub mod replay;
mod retention;
mod signals;
mod snapshots;
pub mod story;
mod tables;
mod trust;
mod watch;

pub use weir_running as running;
