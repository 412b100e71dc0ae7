//! The listening socket and its connections, from binding to the last answer. It knows nothing of what is served.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::{Request, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt;
use weir_model::{ErrorKind, SeamError, SeamResult};

use crate::accept::{Place, Places};
use crate::app::App;
use crate::connection::{Phase, Phases, WatchedIo};
use crate::guard::Guard;
use crate::{AppState, Limits};

/// Where and how to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeConfig {
    /// Where to listen; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Listen also where other machines can reach it, though nobody is authenticated.
    pub allow_unauthenticated: bool,
    /// Names besides localhost that browsers may use for this server, without a port.
    pub allowed_hosts: Vec<String>,
    /// What clients may do at most.
    pub limits: Limits,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 7280)),
            allow_unauthenticated: false,
            allowed_hosts: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    app: Arc<App>,
    stop: watch::Sender<bool>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

/// How long to wait when no connection can be accepted, mostly because file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Server {
    /// Begins to listen; connections wait until [`Server::run`].
    ///
    /// # Errors
    /// `Config` when the address is taken or not ours, or can be reached from other machines without that being allowed.
    pub async fn bind(config: ServeConfig, state: AppState) -> SeamResult<Self> {
        let (listener, local_addr) = listen(config.addr, config.allow_unauthenticated).await?;
        let (stop, stopping) = watch::channel(false);
        let guard = Guard { bound: local_addr.ip().to_canonical(), allowed_hosts: config.allowed_hosts };
        let app = App::new(state, Arc::new(config.limits), guard, stopping);
        Ok(Self { listener, local_addr, app, stop })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `shutdown`. Then nothing new is accepted, resting connections are closed, streaming answers end,
    /// and open requests get [`Limits::shutdown_time_max`] to finish; what is left is cut off. Returns how many were.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> usize {
        let Self { listener, app, stop, .. } = self;
        let (router, places) = (app.router(), Places::new(&app.limits));
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => match accepted {
                    Ok((socket, peer)) => match places.take(peer.ip()) {
                        Ok(place) => drop(connections.spawn(serve(socket, place, Arc::clone(&app), router.clone()))),
                        Err(limit) => {
                            app.state.metrics.refused(limit);
                            turn_away(socket);
                        }
                    },
                    Err(error) => {
                        tracing::warn!(%error, "no connection could be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        stop.send_replace(true);
        let all_closed = async { while connections.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(app.limits.shutdown_time_max, all_closed).await;
        let cut_off = if in_time.is_ok() { 0 } else { connections.len() };
        connections.shutdown().await;
        cut_off
    }
}

/// Begins to listen, and says where.
///
/// # Errors
/// As [`Server::bind`].
pub(crate) async fn listen(addr: SocketAddr, allow_unauthenticated: bool) -> SeamResult<(TcpListener, SocketAddr)> {
    if !addr.ip().to_canonical().is_loopback() && !allow_unauthenticated {
        let message = format!(
            "refusing to listen on {addr}: other machines could reach it, and nobody is asked for a password; \
             listen on 127.0.0.1:{} and put a proxy that authenticates in front, or, if everyone who can reach this \
             address may read and write all data, say --allow-unauthenticated",
            addr.port()
        );
        return Err(SeamError::new(ErrorKind::Config, message));
    }
    let cannot = |error: io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "; another program listens there: stop it, or choose another port",
            io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
            io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
            _ => "",
        };
        SeamError::caused(ErrorKind::Config, format!("cannot listen on {addr}{hint}"), error)
    };
    let listener = TcpListener::bind(addr).await.map_err(cannot)?;
    let local_addr = listener.local_addr().map_err(cannot)?;
    Ok((listener, local_addr))
}

/// Says 503 without waiting: whoever does not take it at once does without.
fn turn_away(socket: TcpStream) {
    const BODY: &str =
        r#"{"error":{"code":"too_many_connections","message":"too many connections are open","hint":null}}"#;
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{BODY}",
        BODY.len()
    );
    // The socket's buffer is empty, so the answer fits or the client is already gone.
    let _sent = socket.try_write(answer.as_bytes());
}

async fn serve(socket: TcpStream, _place: Place, app: Arc<App>, router: Router) {
    app.state.metrics.connections(1);
    let _open = Open(&app);
    let _delay_is_no_disaster = socket.set_nodelay(true);
    let phases = Phases::new();
    let service = service_fn({
        let phases = phases.clone();
        move |request: Request<Incoming>| {
            phases.enter(Phase::Request);
            let (phases, router) = (phases.clone(), router.clone());
            async move {
                let response = match router.oneshot(request.map(Body::new)).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                };
                Ok::<_, Infallible>(response.map(|body| phases.until_end(body)))
            }
        }
    });
    let io = TokioIo::new(WatchedIo::new(socket, phases.clone(), app.limits.write_stall_max));
    let mut connection = pin!(
        hyper::server::conn::http1::Builder::new()
            .max_headers(app.limits.headers_max)
            .max_header_size(app.limits.head_bytes_max)
            .serve_connection(io, service)
    );
    let mut stopping = app.stopping.clone();
    let told = async {
        // An error means that the server itself is gone, which says the same.
        let _stop = stopping.wait_for(|stop| *stop).await;
    };
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        limit = phases.overdue(&app.limits) => return app.state.metrics.refused(limit),
        () = told => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = connection => outcome,
                _ = phases.overdue(&app.limits) => return,
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "connection");
    }
}

/// Counts a connection as closed however its task ends.
struct Open<'a>(&'a App);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.state.metrics.connections(-1);
    }
}
