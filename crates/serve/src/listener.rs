//! A listening socket, from binding to the last connection. It knows nothing of what is spoken.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use weir_model::{ErrorKind, SeamError, SeamResult};
use weir_observe::Metrics;

use crate::Limits;
use crate::accept::Places;

/// How long to wait when no connection can be accepted, mostly because file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Begins to listen; connections wait until [`Listener::run`].
    ///
    /// # Errors
    /// `Config` when the address is taken or not ours, or can be reached from other machines without that being allowed.
    pub(crate) async fn bind(address: SocketAddr, allow_unauthenticated: bool) -> SeamResult<Self> {
        if !address.ip().to_canonical().is_loopback() && !allow_unauthenticated {
            let message = format!(
                "refusing to listen on {address}: other machines could reach it, and nobody is asked for a password; \
                 listen on 127.0.0.1:{} and put a proxy that authenticates in front, or, if everyone who can reach this \
                 address may read and write all data, say --allow-unauthenticated",
                address.port()
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
            SeamError::caused(ErrorKind::Config, format!("cannot listen on {address}{hint}"), error)
        };
        let listener = TcpListener::bind(address).await.map_err(cannot)?;
        let bound = listener.local_addr().map_err(cannot)?;
        Ok(Self { socket: listener, address: bound })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives every connection for which there is a place to `serve`, and others to `turn_away`, until `shutdown`. Then
    /// nothing new is accepted, `stop` becomes true, and what is open gets [`Limits::shutdown_time_max`] to end; what is
    /// left is cut off. Returns how many were.
    pub(crate) async fn run<F: Future<Output = ()> + Send + 'static>(
        self,
        (limits, metrics): (&Limits, &Arc<Metrics>),
        stop: &watch::Sender<bool>,
        shutdown: impl Future<Output = ()>,
        turn_away: fn(&TcpStream),
        mut serve: impl FnMut(TcpStream) -> F,
    ) -> usize {
        let places = Places::new(limits);
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = self.socket.accept() => match accepted {
                    Ok((socket, peer)) => match places.take(peer.ip()) {
                        Ok(place) => {
                            let _delay_is_no_disaster = socket.set_nodelay(true);
                            let (open, serving) = (Open::new(metrics), serve(socket));
                            connections.spawn(async move {
                                let _until_the_end = (place, open);
                                serving.await;
                            });
                        }
                        Err(limit) => {
                            metrics.refused(limit);
                            turn_away(&socket);
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
        drop(self.socket);
        stop.send_replace(true);
        let all_closed = async { while connections.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(limits.shutdown_time_max, all_closed).await;
        let cut_off = if in_time.is_ok() { 0 } else { connections.len() };
        connections.shutdown().await;
        cut_off
    }
}

/// Counts a connection as closed however its task ends.
struct Open(Arc<Metrics>);

impl Open {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.connections(1);
        Self(Arc::clone(metrics))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections(-1);
    }
}
