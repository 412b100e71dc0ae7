//! The memory of questions: how much all of them may hold together, and how much each does. It says no to who asks for more,
//! who then spills or fails; it takes from nobody what they hold.
//!
//! Spilling operators get equal parts, as in DataFusion's `FairSpillPool`. That one compares a spiller with its own part only:
//! of `n` that come one after the other, the first has taken all before the second is counted, the second half of it, and so
//! on, which makes 1 + 1/2 + … + 1/n of what there is. Here all together stay within it too.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::common::resources_datafusion_err;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use weir_model::{ByteSize, Pressure, PressureLevel};

/// A spiller may hold such a part of all even when others have taken everything: with nothing in memory it cannot spill.
const FLOOR_PART: usize = 8;

/// What all questions hold.
#[derive(Debug)]
pub(crate) struct FairPool {
    limit: usize,
    pressure: Pressure,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    spillers: usize,
    by_spillers: usize,
    by_others: usize,
}

impl FairPool {
    /// At most `limit` bytes; less of it while memory is scarce.
    pub(crate) fn new(limit: usize, pressure: Pressure) -> Self {
        Self { limit, pressure, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What may be held now. What is held already stays.
    fn allowed(&self) -> usize {
        match self.pressure.level() {
            PressureLevel::Calm => self.limit,
            PressureLevel::High => self.limit / 2,
            PressureLevel::Critical => self.limit / 4,
        }
    }

    /// How much more a reservation may take that holds `own`.
    fn room(&self, held: &Held, own: usize, spills: bool) -> usize {
        let allowed = self.allowed();
        let free = allowed.saturating_sub(held.by_spillers + held.by_others);
        if !spills {
            return free;
        }
        let part = allowed.saturating_sub(held.by_others) / held.spillers.max(1);
        let floor = part.min(self.limit / FLOOR_PART).saturating_sub(own);
        part.saturating_sub(own).min(free).max(floor)
    }
}

impl MemoryPool for FairPool {
    fn name(&self) -> &str {
        "fair"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.held().spillers += 1;
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.held().spillers -= 1;
        }
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        *of(&mut self.held(), reservation) += additional;
    }

    fn shrink(&self, reservation: &MemoryReservation, less: usize) {
        *of(&mut self.held(), reservation) -= less;
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut held = self.held();
        let room = self.room(&held, reservation.size(), reservation.consumer().can_spill());
        if additional > room {
            let (name, own) = (reservation.consumer().name(), reservation.size());
            let scarce = match self.pressure.level() {
                PressureLevel::Calm => String::new(),
                PressureLevel::High | PressureLevel::Critical => format!("; {}", self.pressure),
            };
            return Err(resources_datafusion_err!(
                "{name} holds {} and wants {} more, and {} are left of the {} that all queries may hold{scarce}",
                shown(own),
                shown(additional),
                shown(room),
                shown(self.allowed())
            ));
        }
        *of(&mut held, reservation) += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        let held = self.held();
        held.by_spillers + held.by_others
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

impl fmt::Display for FairPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fair({})", shown(self.limit))
    }
}

fn of<'a>(held: &'a mut Held, reservation: &MemoryReservation) -> &'a mut usize {
    match reservation.consumer().can_spill() {
        true => &mut held.by_spillers,
        false => &mut held.by_others,
    }
}

/// Whole kibibytes, or mebibytes.
fn shown(bytes: usize) -> ByteSize {
    let bits = if bytes < 1 << 20 { 10 } else { 20 };
    ByteSize((bytes >> bits << bits) as u64)
}

/// The part of one question in what all hold.
#[derive(Debug)]
pub(crate) struct OwnPool {
    pub(crate) shared: Arc<dyn MemoryPool>,
    /// What it holds.
    pub(crate) held: Arc<AtomicUsize>,
}

impl MemoryPool for OwnPool {
    fn name(&self) -> &str {
        self.shared.name()
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.shared.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.shared.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.shared.grow(reservation, additional);
        self.held.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, reservation: &MemoryReservation, less: usize) {
        self.shared.shrink(reservation, less);
        self.held.fetch_sub(less, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.shared.try_grow(reservation, additional)?;
        self.held.fetch_add(additional, Ordering::Relaxed);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.shared.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.shared.memory_limit()
    }
}

impl fmt::Display for OwnPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 64 << 20;

    fn pool() -> (Arc<dyn MemoryPool>, Pressure) {
        let pressure = Pressure::default();
        (Arc::new(FairPool::new(LIMIT, pressure.clone())), pressure)
    }

    fn spiller(pool: &Arc<dyn MemoryPool>) -> MemoryReservation {
        MemoryConsumer::new("a sort").with_can_spill(true).register(pool)
    }

    fn other(pool: &Arc<dyn MemoryPool>) -> MemoryReservation {
        MemoryConsumer::new("a join").register(pool)
    }

    /// How much a reservation gets, a MiB at a time.
    fn fill(reservation: &MemoryReservation) -> usize {
        (0..).take_while(|_| reservation.try_grow(1 << 20).is_ok()).count()
    }

    #[test]
    fn those_who_come_later_do_not_make_it_more() {
        let (pool, _) = pool();
        let first = spiller(&pool);
        assert_eq!(fill(&first), 64);
        let second = spiller(&pool);
        assert_eq!(fill(&second), 8, "enough to begin with");
        first.free();
        assert_eq!((fill(&second), fill(&first)), (24, 32), "then equal parts");
        let error = first.try_grow(1 << 20).expect_err("it is full").to_string();
        assert!(error.contains("a sort holds 32MiB and wants 1MiB more, and 0B are left of the 64MiB"), "{error}");
    }

    #[test]
    fn who_cannot_spill_gets_what_is_free() {
        let (pool, _) = pool();
        let (sort, join) = (spiller(&pool), other(&pool));
        assert_eq!((fill(&join), fill(&sort)), (64, 0));
        join.shrink(16 << 20);
        assert_eq!((fill(&sort), fill(&join)), (16, 0));
    }

    #[test]
    fn there_is_less_while_memory_is_scarce() {
        let (pool, pressure) = pool();
        let sort = spiller(&pool);
        sort.try_grow(48 << 20).expect("there is room");
        pressure.tell(PressureLevel::High, 500 << 20, 512 << 20);
        let error = sort.try_grow(1).expect_err("it has more than half").to_string();
        assert!(error.contains("the process takes 500MiB of the 512MiB of memory that it may"), "{error}");
        sort.free();
        assert_eq!(fill(&sort), 32, "after it has spilled");
        pressure.tell(PressureLevel::Critical, 510 << 20, 512 << 20);
        sort.free();
        assert_eq!(fill(&sort), 16);
    }

    #[test]
    fn what_one_question_holds_is_known() {
        let (pool, _) = pool();
        let held = Arc::new(AtomicUsize::default());
        let own: Arc<dyn MemoryPool> = Arc::new(OwnPool { shared: Arc::clone(&pool), held: Arc::clone(&held) });
        let (sort, elsewhere) = (spiller(&own), other(&pool));
        sort.try_grow(3 << 20).expect("there is room");
        elsewhere.try_grow(5 << 20).expect("there is room");
        assert_eq!((held.load(Ordering::Relaxed), pool.reserved()), (3 << 20, 8 << 20));
        drop(sort);
        assert_eq!((held.load(Ordering::Relaxed), pool.reserved()), (0, 5 << 20));
    }
}
