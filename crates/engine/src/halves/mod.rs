//! A plan done by many: [`Fold`]s, one per source partition, that read, and [`Merge`]s that own keys. Between them travel
//! [`Partial`]s, with the partition's watermark in band. Both are the engine's own parts with other neighbours; how
//! partials travel, and when what is committed, is not decided here (ADR 0008).
//!
//! ```text
//!  partition ──▶ Fold: steps ─▶ fold into panes ──▶ Partial per key group ──▶ Merge: panes ─▶ windows ─▶ steps ─▶ Effect
//!                      (or send the rows as they are)      ◀── Held: how far event time was when it heard of a partition
//! ```
//!
//! A plan is cut at the first step on each path whose work depends on rows with equal keys. What is before it is done where
//! the partition is read, what is behind it by the owner of the key.

mod arrive;
mod bytes;
mod cut;
mod fold;
mod merge;
mod partial;

pub(crate) use cut::Half;
pub use fold::Fold;
pub use merge::{Merge, PartialError};
pub(crate) use partial::{Body, Groups, Part, Sent};
pub use partial::{Held, KeyGroup, Partial};
