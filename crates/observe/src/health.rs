//! Whether this process lives, has started, and accepts. Liveness looks at the own loop only: a sink or a broker that
//! is down is no reason to be restarted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use weir_model::{ProcessingTime, TimeDelta};

/// How old the last heartbeat may be before the process counts as stuck.
pub const HEARTBEAT_AGE_MAX: TimeDelta = TimeDelta::from_secs(10);

/// The answer to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// As it should be.
    Ok,
    /// Not (yet, or any more).
    NotReady,
}

/// The answer to a probe, with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthReport {
    /// The answer.
    pub status: HealthStatus,
    /// Why it is not `ok`; empty when it is.
    pub reasons: Vec<String>,
    /// What is not as it should be and no reason to restart or avoid this process: an output that takes no rows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl HealthReport {
    fn of(reasons: Vec<String>) -> Self {
        let status = if reasons.is_empty() { HealthStatus::Ok } else { HealthStatus::NotReady };
        Self { status, reasons, notes: Vec::new() }
    }

    /// Whether the answer is `ok`.
    pub fn is_ok(&self) -> bool {
        self.status == HealthStatus::Ok
    }
}

#[derive(Debug, Default)]
struct Reasons {
    /// What has to be done before the process has started.
    starting: BTreeMap<String, String>,
    /// What keeps it from accepting, by whoever says so.
    refusing: BTreeMap<String, String>,
    /// What waits for somebody else, by its name.
    waiting: BTreeMap<String, String>,
}

/// What the probes answer, written by those who know.
#[derive(Debug)]
pub struct Health {
    heartbeat_micros: AtomicI64,
    reasons: Mutex<Reasons>,
}

impl Health {
    /// A process that has just begun: it lives, and has not started until all that [`Health::starting`] names is done.
    pub fn new(now: ProcessingTime) -> Self {
        Self { heartbeat_micros: AtomicI64::new(now.micros()), reasons: Mutex::default() }
    }

    /// The own loop has come round.
    pub fn beat(&self, now: ProcessingTime) {
        self.heartbeat_micros.fetch_max(now.micros(), Relaxed);
    }

    /// `what` (a pipeline, the catalog) has to be done before this process has started; `why` is shown meanwhile.
    pub fn starting(&self, what: &str, why: impl Into<String>) {
        self.reasons().starting.insert(what.to_owned(), why.into());
    }

    /// `what` has started.
    pub fn started(&self, what: &str) {
        self.reasons().starting.remove(what);
    }

    /// `who` cannot accept more, because of `why`; until [`Health::accept`].
    pub fn refuse(&self, who: &str, why: impl Into<String>) {
        self.reasons().refusing.insert(who.to_owned(), why.into());
    }

    /// `who` accepts again.
    pub fn accept(&self, who: &str) {
        self.reasons().refusing.remove(who);
    }

    /// `who` (an output of a pipeline) waits for somebody else, because of `why`; until [`Health::goes_on`].
    pub fn waits(&self, who: &str, why: impl Into<String>) {
        self.reasons().waiting.insert(who.to_owned(), why.into());
    }

    /// `who` waits no longer.
    pub fn goes_on(&self, who: &str) {
        self.reasons().waiting.remove(who);
    }

    /// Whether the own loop still goes round.
    pub fn live(&self, now: ProcessingTime) -> HealthReport {
        let age = now - ProcessingTime::from_micros(self.heartbeat_micros.load(Relaxed));
        HealthReport::of(if age > HEARTBEAT_AGE_MAX {
            vec![format!(
                "the main loop has not moved for {} s (at most {HEARTBEAT_AGE_MAX})",
                age.micros() / 1_000_000
            )]
        } else {
            Vec::new()
        })
    }

    /// Whether everything that was running before is restored.
    pub fn startup(&self) -> HealthReport {
        HealthReport::of(self.reasons().starting.values().cloned().collect())
    }

    /// Whether new data and questions are welcome: started, and nobody refuses.
    pub fn ready(&self) -> HealthReport {
        let reasons = self.reasons();
        let report = HealthReport::of(reasons.starting.values().chain(reasons.refusing.values()).cloned().collect());
        HealthReport { notes: reasons.waiting.values().cloned().collect(), ..report }
    }

    fn reasons(&self) -> MutexGuard<'_, Reasons> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> ProcessingTime {
        ProcessingTime::from_micros(secs * 1_000_000)
    }

    #[test]
    fn a_process_lives_as_long_as_its_loop_goes_round() {
        let health = Health::new(at(0));
        assert!(health.live(at(10)).is_ok());
        assert_eq!(health.live(at(11)).reasons, ["the main loop has not moved for 11 s (at most 10s)"]);
        health.beat(at(9));
        assert!(health.live(at(19)).is_ok());
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_undo_a_heartbeat() {
        let health = Health::new(at(100));
        health.beat(at(1));
        assert!(health.live(at(105)).is_ok());
    }

    #[test]
    fn it_is_ready_when_it_has_started_and_nobody_refuses() {
        let health = Health::new(at(0));
        health.starting("spark-logs", "pipeline spark-logs is restoring its state");
        health.refuse("disk", "the disk is full");
        assert_eq!(health.startup().reasons, ["pipeline spark-logs is restoring its state"]);
        assert_eq!(health.ready().reasons, ["pipeline spark-logs is restoring its state", "the disk is full"]);
        health.started("spark-logs");
        assert!(health.startup().is_ok());
        assert_eq!(health.ready().reasons, ["the disk is full"]);
        health.accept("disk");
        assert!(health.ready().is_ok());
    }

    #[test]
    fn waiting_for_somebody_else_is_said_and_no_reason_to_be_avoided() {
        let health = Health::new(at(0));
        health.waits("p/hook", "output hook of p takes no rows");
        assert!(health.ready().is_ok());
        assert_eq!(health.ready().notes, ["output hook of p takes no rows"]);
        health.goes_on("p/hook");
        assert!(health.ready().notes.is_empty());
    }

    #[test]
    fn refusing_is_no_reason_to_be_restarted() {
        let health = Health::new(at(0));
        health.refuse("shutdown", "shutting down");
        assert!(health.live(at(1)).is_ok());
        assert!(!health.ready().is_ok());
    }
}
