//! What the outside may say to the process: stop.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves when the process is asked to stop, by Ctrl-C or by SIGTERM. Never, if signals cannot be watched. From the call on,
/// and not only once it is awaited, the process does not simply end when it is asked.
pub(crate) fn stop() -> impl Future<Output = ()> {
    let watched = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        match watched {
            (Ok(mut interrupt), Ok(mut terminate)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            _ => std::future::pending().await,
        }
    }
}
