//! A pipeline that is run to its end while a person watches, who may interrupt it. It judges neither end.

use weir_observe::PipelineHandle;

use crate::progress::{self, Progress};
use crate::running::{Ended, Supervisor};
use crate::signals;

/// Waits until the only pipeline of `supervisor` has ended, by itself or because it was interrupted, and shows where it is
/// meanwhile. Returns how it ended, and whether it was interrupted.
pub(crate) async fn to_its_end(
    supervisor: &mut Supervisor,
    handle: &PipelineHandle,
    progress: &Progress,
) -> (Option<Ended>, bool) {
    let mut refresh = tokio::time::interval(progress::REFRESH);
    // One watch for the whole run: a signal between two of them would be lost.
    let stop = signals::stop();
    tokio::pin!(stop);
    let mut interrupted = false;
    let ended = loop {
        tokio::select! {
            ended = supervisor.next_end() => break ended,
            () = &mut stop, if !interrupted => {
                interrupted = true;
                supervisor.stop();
            }
            _ = refresh.tick() => progress.show(handle),
        }
    };
    progress.end();
    (ended, interrupted)
}
