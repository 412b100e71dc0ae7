//! HTTP connections, from the first byte to the last answer. It knows nothing of what is served.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::{Request, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tower::ServiceExt;
use weir_model::SeamResult;

use crate::app::App;
use crate::connection::{Phase, Phases, WatchedIo};
use crate::guard::Guard;
use crate::listener::Listener;
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
    listener: Listener,
    app: Arc<App>,
    stop: watch::Sender<bool>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl Server {
    /// Begins to listen; connections wait until [`Server::run`].
    ///
    /// # Errors
    /// `Config` when the address is taken or not ours, or can be reached from other machines without that being allowed.
    pub async fn bind(config: ServeConfig, state: AppState) -> SeamResult<Self> {
        let listener = Listener::bind(config.addr, config.allow_unauthenticated).await?;
        let (stop, stopping) = watch::channel(false);
        let guard = Guard { bound: listener.address().ip().to_canonical(), allowed_hosts: config.allowed_hosts };
        let app = App::new(state, Arc::new(config.limits), guard, stopping);
        Ok(Self { listener, app, stop })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves until `shutdown`. Then nothing new is accepted, resting connections are closed, streaming answers end,
    /// and open requests get [`Limits::shutdown_time_max`] to finish; what is left is cut off. Returns how many were.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> usize {
        let Self { listener, app, stop } = self;
        let router = app.router();
        let serve = |socket| serve(socket, Arc::clone(&app), router.clone());
        listener.run((&app.limits, &app.state.metrics), &stop, shutdown, turn_away, serve).await
    }
}

/// Says 503 without waiting: whoever does not take it at once does without.
fn turn_away(socket: &TcpStream) {
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

async fn serve(socket: TcpStream, app: Arc<App>, router: Router) {
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
