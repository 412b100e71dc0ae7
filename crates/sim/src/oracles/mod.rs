//! Oracles of single steps: each decides the fate of every row by its rule, naively, and shares no code with the engine.

mod deduplicate;
mod join;
mod sessions;
