//! The real binary, as people and scripts use it: its contract, its answers to bad input, its death and return.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod aggregates;
mod asking;
mod attacks;
mod backup;
mod bad_input;
mod bucket;
mod budget;
mod changes;
mod cold_state;
mod contract;
mod corruption;
mod cuts;
mod decisions;
mod delivery;
mod dlq;
mod endpoint;
mod examples;
mod explain;
mod failover;
mod fallback;
mod flight;
mod formats;
mod harness;
mod kafka;
mod kill;
mod lag;
mod lookups;
mod operators;
mod postgres;
mod replay;
mod replay_topics;
mod sharing;
mod staging;
mod stories;
mod tables;
mod tasks;
mod team;
mod time;
mod topics;
mod trouble;
mod up;
mod windows;
mod workers;
