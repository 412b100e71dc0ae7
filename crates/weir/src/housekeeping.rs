//! What an instance that stays up does beside its pipelines: heartbeat, compaction, sweeping. It touches no pipeline.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use weir_observe::Health;

use crate::running::Shared;

/// How often the heart beats and small segments are looked for.
const BEAT: Duration = Duration::from_secs(1);
/// Beats between two looks for small segments.
const COMPACT_EVERY: u64 = 5;
/// Beats between two sweeps of files that no table names any more.
const SWEEP_EVERY: u64 = 60;

/// Goes on until it is aborted.
pub(crate) async fn run(shared: Shared, health: Arc<Health>) {
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for beat in 1_u64.. {
        beats.tick().await;
        health.beat(shared.clock.now());
        if shared.folder.reserve_ok() {
            health.accept("disk");
        } else {
            health.refuse("disk", "the disk is almost full: new data is refused, queries go on");
        }
        let store = Arc::clone(&shared.store);
        let work = tokio::task::spawn_blocking(move || {
            if beat % COMPACT_EVERY == 0 {
                match store.compact_once() {
                    Ok(Some(report)) => tracing::debug!(?report, "compacted"),
                    Ok(None) => {}
                    Err(error) => tracing::warn!(error = error.full(), "compaction failed; it is tried again"),
                }
            }
            if beat % SWEEP_EVERY == 0
                && let Err(error) = store.sweep()
            {
                tracing::warn!(error = error.full(), "old segments were not removed; it is tried again");
            }
        });
        if let Err(error) = work.await {
            tracing::error!(%error, "housekeeping panicked");
        }
    }
}
