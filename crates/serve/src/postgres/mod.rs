//! PostgreSQL's protocol: what psql, drivers and dashboards speak, over the same tables and under the same limits as SQL
//! over HTTP. It reads only, authenticates nobody and encrypts nothing; so it listens where only this machine can reach it
//! unless told otherwise.
//!
//! [`message`] reads and writes bytes, [`types`] brings columns into PostgreSQL's types, [`own`] tells statements about the
//! session from questions, `session` is one client, `extended` what it has prepared.

mod extended;
mod message;
mod own;
mod session;
mod trouble;
mod types;

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};
use weir_model::SeamResult;
use weir_observe::Metrics;
use weir_query::QueryEngine;

use crate::Limits;
use crate::listener::Listener;
use message::Key;
use session::Session;

/// A server for clients of PostgreSQL that listens.
#[derive(Debug)]
pub struct Postgres {
    listener: Listener,
    shared: Arc<Shared>,
}

/// What all sessions have in common.
#[derive(Debug)]
struct Shared {
    queries: Arc<QueryEngine>,
    metrics: Arc<Metrics>,
    limits: Limits,
    /// What stops the question of a session, by what the session was told of it.
    running: Mutex<HashMap<Key, Arc<Notify>>>,
}

impl Shared {
    /// A key that no other session has, and what rings when the session should stop.
    fn enter(&self) -> (Key, Arc<Notify>) {
        use std::hash::{BuildHasher, RandomState};
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let stop = Arc::new(Notify::new());
        loop {
            // Keys of the standard library's hasher are random: nobody can guess the secret of another.
            let drawn = RandomState::new().hash_one(running.len());
            let key = Key { process: (drawn >> 33) as u32, secret: drawn as u32 };
            if let std::collections::hash_map::Entry::Vacant(place) = running.entry(key) {
                place.insert(Arc::clone(&stop));
                return (key, stop);
            }
        }
    }

    fn leave(&self, key: Key) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    fn cancel(&self, key: Key) {
        if let Some(stop) = self.running.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            stop.notify_one();
        }
    }
}

impl Postgres {
    /// Begins to listen; connections wait until [`Postgres::run`].
    ///
    /// # Errors
    /// `Config` when the address is taken or not ours, or can be reached from other machines without that being allowed.
    pub async fn bind(
        address: SocketAddr,
        allow_unauthenticated: bool,
        limits: Limits,
        queries: Arc<QueryEngine>,
        metrics: Arc<Metrics>,
    ) -> SeamResult<Self> {
        let listener = Listener::bind(address, allow_unauthenticated).await?;
        let shared = Shared { queries, metrics, limits, running: Mutex::default() };
        Ok(Self { listener, shared: Arc::new(shared) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves until `shutdown`; sessions that rest then end at once, and the others with their question, or after
    /// [`Limits::shutdown_time_max`].
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, shared } = self;
        let (stop, stopping) = watch::channel(false);
        let serve = |socket| {
            let (shared, stopping) = (Arc::clone(&shared), stopping.clone());
            async move { Session::new(socket, &shared, stopping).run().await }
        };
        let with = (&shared.limits, &shared.metrics);
        listener.run(with, &stop, shutdown, session::turn_away, serve).await;
    }
}
