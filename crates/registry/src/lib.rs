//! Schema registries: the one within Weir, and how others are asked. The API is that of the Confluent Schema Registry, so
//! that its clients work with Weir's registry and Weir with other registries.
//!
//! [`Registry`] decides everything and is pure; [`Shelf`] keeps what it decides; [`router`] speaks HTTP; [`Client`] asks.

mod api;
mod client;
mod core;
mod shelf;
#[cfg(test)]
mod tests;

pub use api::{router, serve};
pub use client::{Client, Registered};
pub use core::{
    Change, Level, Mode, NewSchema, REFERENCES_MAX, Reference, Refusal, Registry, SCHEMA_BYTES_MAX, SCHEMAS_MAX,
    Version,
};
pub use shelf::{REGISTRY_FILE, Shelf, copy_registry};
