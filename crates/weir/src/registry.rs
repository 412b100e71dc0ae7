//! The schema registry within Weir, at its own address. Refuses addresses that others can reach, unless that is meant.

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use weir_model::{ErrorKind, SeamError, SeamResult};
use weir_registry::{Shelf, serve};

/// A registry that answers.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<std::io::Result<()>>,
}

impl Serving {
    /// Starts answering at `address` with what is kept in `folder`.
    pub(crate) async fn start(folder: &Path, address: SocketAddr, allow_unauthenticated: bool) -> SeamResult<Self> {
        if !address.ip().to_canonical().is_loopback() && !allow_unauthenticated {
            let message = format!(
                "refusing to run a schema registry on {address}: other machines could reach it, and nobody is asked for a \
                 password; listen on 127.0.0.1:{} or, if everyone who can reach it may change schemas, say \
                 --allow-unauthenticated",
                address.port()
            );
            return Err(SeamError::new(ErrorKind::Config, message));
        }
        let cannot = |what: String| move |error: std::io::Error| SeamError::caused(ErrorKind::Config, what, error);
        std::fs::create_dir_all(folder).map_err(cannot(format!("{} cannot be made", folder.display())))?;
        let shelf = Shelf::open(folder)?;
        let unheard = || format!("the schema registry cannot listen on {address}; choose another port");
        let listener = TcpListener::bind(address).await.map_err(cannot(unheard()))?;
        let address = listener.local_addr().map_err(cannot(unheard()))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let served = serve(listener, shelf, async {
            let _ = stopped.await;
        });
        Ok(Self { address, stop, ended: tokio::spawn(served) })
    }

    /// Answers what was asked and stops.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.ended.await;
    }
}
