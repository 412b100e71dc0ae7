//! How much per second, over a sliding span. Time is a parameter: it never looks at a clock and needs no sampling task.

use weir_model::{ProcessingTime, TimeDelta};

/// The span that a rate looks back.
pub(super) const RATE_SPAN: TimeDelta = TimeDelta::from_secs(5);

const SLOT: TimeDelta = TimeDelta::from_millis(500);
/// The span, and the slot that is still being filled.
const SLOTS: usize = (RATE_SPAN.micros() / SLOT.micros()) as usize + 1;

/// Records and bytes in slots of half a second.
#[derive(Debug)]
pub(super) struct Rate {
    since: ProcessingTime,
    /// The number of the slot that is held at each place, and what was added in it.
    slots: [(i64, u64, u64); SLOTS],
}

impl Rate {
    pub(super) fn starting(now: ProcessingTime) -> Self {
        Self { since: now, slots: [(i64::MIN, 0, 0); SLOTS] }
    }

    pub(super) fn add(&mut self, now: ProcessingTime, records: u64, bytes: u64) {
        let number = now.micros().div_euclid(SLOT.micros());
        let slot = &mut self.slots[number.rem_euclid(SLOTS as i64) as usize];
        if slot.0 != number {
            *slot = (number, 0, 0);
        }
        slot.1 += records;
        slot.2 += bytes;
    }

    /// Records and bytes per second over the last [`RATE_SPAN`], or since the start if that is shorter ago. At least
    /// one second is taken, so that the first batch does not look like a flood.
    pub(super) fn per_second(&self, now: ProcessingTime) -> (f64, f64) {
        let newest = now.micros().div_euclid(SLOT.micros());
        let oldest = newest - (SLOTS as i64 - 1);
        let (records, bytes) = self
            .slots
            .iter()
            .filter(|(number, ..)| (oldest..=newest).contains(number))
            .fold((0, 0), |(records, bytes), slot| (records + slot.1, bytes + slot.2));
        let covered = now.micros() - oldest.saturating_mul(SLOT.micros());
        let seconds = covered.min((now - self.since).micros()).max(1_000_000) as f64 / 1e6;
        (records as f64 / seconds, bytes as f64 / seconds)
    }
}
