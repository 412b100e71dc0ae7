//! Arrow Flight SQL: what ADBC and JDBC drivers speak, over the same tables and under the same limits as SQL over HTTP,
//! with answers that stay columns. It reads only, authenticates nobody and encrypts nothing; so it listens where only this
//! machine can reach it unless told otherwise.
//!
//! [`grpc`] frames messages, [`message`] is their content, [`service`] answers the calls, [`catalog`] says what there is,
//! [`batches`] writes columns, [`prepared`] keeps statements.

mod batches;
mod catalog;
mod grpc;
mod message;
mod prepared;
mod service;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use weir_model::SeamResult;
use weir_observe::Metrics;
use weir_query::QueryEngine;

use crate::Limits;
use crate::body::Bodies;
use crate::connection::{Phase, Phases, WatchedIo};
use crate::listener::Listener;
use crate::stops::Stops;
use prepared::Statements;

/// Calls of one connection at once.
const CALLS_MAX: u32 = 32;

/// A server for clients of Arrow Flight SQL that listens.
#[derive(Debug)]
pub struct Flight {
    listener: Listener,
    shared: Arc<Shared>,
}

/// What all connections have in common.
#[derive(Debug)]
struct Shared {
    queries: Arc<QueryEngine>,
    metrics: Arc<Metrics>,
    limits: Arc<Limits>,
    bodies: Bodies,
    statements: Statements,
    /// The questions that are being answered, by their ids.
    running: Arc<Stops>,
}

impl Flight {
    /// Begins to listen; connections wait until [`Flight::run`].
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
        let limits = Arc::new(limits);
        let bodies = Bodies::new(Arc::clone(&limits), queries.pressure().clone());
        let (statements, running) = (Statements::default(), Arc::default());
        let shared = Shared { queries, metrics, limits, bodies, statements, running };
        Ok(Self { listener, shared: Arc::new(shared) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves until `shutdown`; connections that rest then end at once, and the others with their calls, or after
    /// [`Limits::shutdown_time_max`].
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, shared } = self;
        let (stop, stopping) = watch::channel(false);
        let serve = |socket| serve(socket, Arc::clone(&shared), stopping.clone());
        let with = (&*shared.limits, &shared.metrics);
        // A client that is turned away sees the connection close, which gRPC answers by trying again later.
        listener.run(with, &stop, shutdown, |_| {}, serve).await;
    }
}

/// The calls of a connection that are being answered.
#[derive(Debug)]
struct Calls {
    phases: Phases,
    open: Mutex<usize>,
}

impl Calls {
    fn begin(self: &Arc<Self>) -> Call {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if *open == 0 {
            self.phases.enter(Phase::Request);
        }
        *open += 1;
        Call(Arc::clone(self))
    }
}

/// One call; over when it is dropped.
#[derive(Debug)]
struct Call(Arc<Calls>);

impl Drop for Call {
    fn drop(&mut self) {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        *open -= 1;
        if *open == 0 {
            self.0.phases.enter(Phase::Idle);
        }
    }
}

async fn serve(socket: TcpStream, shared: Arc<Shared>, mut stopping: watch::Receiver<bool>) {
    let (phases, limits) = (Phases::new(), Arc::clone(&shared.limits));
    let calls = Arc::new(Calls { phases: phases.clone(), open: Mutex::default() });
    let service = service_fn({
        let shared = Arc::clone(&shared);
        move |request: Request<Incoming>| {
            let (shared, call) = (Arc::clone(&shared), calls.begin());
            async move { Ok::<_, Infallible>(service::answer(&shared, call, request).await) }
        }
    });
    // Pings keep a connection that rests alive for the network, not for us: the phases see calls only.
    let io = TokioIo::new(WatchedIo::new(socket, Phases::new(), limits.write_stall_max));
    let mut connection = pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(CALLS_MAX)
            .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
            // Whoever has gone without a word does not answer.
            .keep_alive_interval(limits.header_time_max)
            .keep_alive_timeout(limits.header_time_max)
            .serve_connection(io, service)
    );
    let told = async {
        // An error means that the server itself is gone, which says the same.
        let _stop = stopping.wait_for(|stop| *stop).await;
    };
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        limit = phases.overdue(&limits) => {
            shared.metrics.refused(limit);
            if limit == "header_time" {
                return;
            }
            // A client that only rests learns that it must connect again before it asks again.
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(limits.header_time_max, connection).await {
                Ok(outcome) => outcome,
                Err(_) => return,
            }
        }
        () = told => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "connection of Flight");
    }
}
