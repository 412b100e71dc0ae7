//! What an instance that stays up does beside its pipelines: heartbeat, compaction, rows whose time is over, sweeping, the
//! log's retention, looking for damage. It touches no pipeline. A sync that fails for it ends nothing: no commit names the file
//! that was made, and the next attempt makes another one under another name.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use weir_model::{Pressure, PressureLevel};
use weir_observe::{Health, resident_memory_bytes};
use weir_store::Store;

use crate::memory::Memory;
use crate::retention::{self, TopicReader};
use crate::running::Shared;

/// How often the heart beats and small segments are looked for.
const BEAT: Duration = Duration::from_secs(1);
/// Beats between two looks for small segments. Where some were merged, the next beat looks again: there may be a debt.
const COMPACT_EVERY: u64 = 5;
/// Beats between two looks for rows whose time is over.
const EXPIRE_EVERY: u64 = 10;
/// Segments that are moved in one go, at most.
const MOVES_MAX: usize = 8;
/// Beats for which merges wait while memory is scarce, before there is one all the same.
const WAIT_BEATS_MAX: u64 = 30;
/// Beats between two sweeps of files that no table names any more.
const SWEEP_EVERY: u64 = 60;
/// Beats between two looks for records that the log need not keep.
const RETAIN_EVERY: u64 = 10;
/// Beats between two looks for damaged segments, and how many bytes each compares with their checksums.
const SCRUB_EVERY: u64 = 5;
const SCRUB_BYTES: u64 = 64 << 20;

/// Goes on until it is aborted.
pub(crate) async fn run(shared: Shared, health: Arc<Health>, readers: Vec<TopicReader>, memory: (Memory, Pressure)) {
    let (memory, pressure) = memory;
    let readers = Arc::new(readers);
    let mut was_over = false;
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut has_debt, mut waited) = (false, 0);
    for beat in 1_u64.. {
        beats.tick().await;
        health.beat(shared.clock.now());
        if shared.folder.reserve_ok() {
            health.accept("disk");
        } else {
            health.refuse("disk", "the disk is almost full: new data is refused, queries go on");
        }
        was_over = tell_of_memory(memory, was_over);
        // What takes memory and may wait does, but not forever where memory is always a little scarce.
        let is_scarce = match pressure.level() {
            PressureLevel::Calm => false,
            PressureLevel::High => waited < WAIT_BEATS_MAX,
            PressureLevel::Critical => true,
        };
        waited = if is_scarce { waited + 1 } else { 0 };
        let (shared, readers) = (shared.clone(), Arc::clone(&readers));
        let work = tokio::task::spawn_blocking(move || {
            let is_due = has_debt || beat % COMPACT_EVERY == 0;
            let has_debt = is_due && (is_scarce || compact(&shared.store));
            if beat % EXPIRE_EVERY == 0 && !is_scarce {
                expire(&shared.store);
                move_old(&shared.store);
            }
            // What is damaged is put aside, which is logged, and every answer says so.
            if beat % SCRUB_EVERY == 1
                && let Err(error) = shared.store.scrub(SCRUB_BYTES)
            {
                tracing::warn!(error = error.full(), "segments could not be compared with their checksums");
            }
            if beat % SWEEP_EVERY == 0
                && let Err(error) = shared.store.sweep()
            {
                tracing::warn!(error = error.full(), "old segments were not removed; it is tried again");
            }
            if beat % RETAIN_EVERY == 0
                && let Err(error) = retention::delete_old(&shared, &readers)
            {
                tracing::warn!(error = error.full(), "old records were not deleted; it is tried again");
            }
            has_debt
        });
        has_debt = work.await.unwrap_or_else(|error| {
            tracing::error!(%error, "housekeeping panicked");
            false
        });
    }
}

/// Merges small segments of one table, or else makes an index that is missing; whether there may be more to merge.
fn compact(store: &Store) -> bool {
    match store.compact_once() {
        Ok(Some(report)) => {
            tracing::debug!(?report, "compacted");
            return true;
        }
        Ok(None) => {
            if let Err(error) = store.index_once() {
                tracing::warn!(error = error.full(), "a search index was not made; it is tried again");
            }
        }
        Err(error) => tracing::warn!(error = error.full(), "compaction failed; it is tried again"),
    }
    false
}

/// Says so when the process takes more memory than it may, once each time; whether it does.
fn tell_of_memory(memory: Memory, was_over: bool) -> bool {
    let resident = resident_memory_bytes().unwrap_or(0);
    let is_over = resident > memory.bytes();
    if is_over && !was_over {
        let (resident, may) = (resident >> 20, memory.bytes() >> 20);
        tracing::warn!("the process takes {resident} MiB of memory and may take {may} MiB (--memory)");
    }
    is_over
}

/// Takes out of all tables the rows whose time is over.
fn expire(store: &Store) {
    loop {
        match store.expire_once() {
            Ok(Some(expired)) => tracing::info!(?expired, "rows have gone whose time was over"),
            Ok(None) => return,
            Err(error) => {
                return tracing::warn!(
                    error = error.full(),
                    "rows whose time is over have not gone; it is tried again"
                );
            }
        }
    }
}

/// Moves old segments to where their tables want them, so many at a time: other work waits for it.
fn move_old(store: &Store) {
    for _ in 0..MOVES_MAX {
        match store.move_once() {
            Ok(Some(moved)) => tracing::info!(?moved, "old rows were moved"),
            Ok(None) => return,
            Err(error) => return tracing::warn!(error = error.full(), "old rows were not moved; it is tried again"),
        }
    }
}
