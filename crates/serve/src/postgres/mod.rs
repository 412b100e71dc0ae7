//! PostgreSQL's protocol: what psql, drivers and dashboards speak, over the same tables and under the same limits as SQL
//! over HTTP. It reads only, authenticates nobody and encrypts nothing; so it listens where only this machine can reach it
//! unless told otherwise.
//!
//! [`message`] reads and writes bytes, [`types`] brings columns into PostgreSQL's types and [`parameters`] reads values of
//! clients, [`own`] tells statements about the session from questions, `session` is one client, `extended` what it has prepared.

mod extended;
mod message;
mod own;
mod parameters;
mod session;
mod trouble;
mod types;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use weir_model::SeamResult;
use weir_observe::Metrics;
use weir_query::QueryEngine;

use crate::Limits;
use crate::listener::Listener;
use crate::stops::Stops;
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
    /// The sessions whose questions may be stopped.
    running: Arc<Stops>,
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
        let shared = Shared { queries, metrics, limits, running: Arc::default() };
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
