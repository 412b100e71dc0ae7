//! Stories over real sockets on loopback, told by a client that writes its bytes itself, so that it can misbehave.

mod answers;
mod connections;
mod ingest;
mod questions;
mod stage;
mod tail;
