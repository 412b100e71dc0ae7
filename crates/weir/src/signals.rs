//! What the outside may say to the process: stop.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves when the process is asked to stop, by Ctrl-C or by SIGTERM. Never, if signals cannot be watched.
pub(crate) async fn stop() {
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}
