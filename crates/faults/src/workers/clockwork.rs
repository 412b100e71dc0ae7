//! Processes in virtual time: each has a thread, and only one of them ever has the turn. Who waits gives the turn on to whatever
//! happens next, and time leaps there. Reads no clock, and leaves nothing to the machine's scheduler.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use weir_model::{Clock, ProcessingTime};
use weir_workers::Pace;

use super::cluster::Cluster;
use crate::random::Random;
use crate::scenario::DAY_SECONDS;

/// More than any simulation needs that comes to an end.
const HAPPENINGS_MAX: u64 = 2_000_000;
/// Who tells the others what becomes of them.
pub(super) const DIRECTOR: usize = 0;
/// What the clocks show at first: some hours after the first events.
const BEGIN_MICROS: i64 = (DAY_SECONDS + 6 * 3600) * 1_000_000;

/// Something that happens by itself.
pub(super) type Deed = Box<dyn FnOnce(&mut Cluster, &mut Agenda) + Send>;

/// What is still to happen, and to whom.
pub(super) struct Agenda {
    /// Since the beginning.
    pub(super) now: Duration,
    pub(super) random: Random,
    /// What went wrong so far, for whoever reads of a failure.
    pub(super) told: Vec<String>,
    queue: BTreeMap<(Duration, u64), Happening>,
    /// How many things were put into the queue.
    queued: u64,
    happened: u64,
    /// Follows from everything that happened.
    trace: u64,
    processes: Vec<Process>,
    /// Who has the turn.
    turn: usize,
    failure: Option<String>,
}

enum Happening {
    /// A process goes on, if it still waits for that.
    Turn {
        process: usize,
        token: u64,
    },
    Deed(Deed),
}

struct Process {
    gets_turn: Arc<Condvar>,
    /// What it waits for; turns of before are void.
    token: u64,
    is_killed: bool,
    has_ended: bool,
    frozen_until: Duration,
}

/// What a process that was killed unwinds with.
struct Killed;

impl Agenda {
    fn new(seed: u64) -> Self {
        let mut agenda = Self {
            now: Duration::ZERO,
            random: Random::new(seed),
            told: Vec::new(),
            queue: BTreeMap::new(),
            queued: 0,
            happened: 0,
            trace: 0,
            processes: Vec::new(),
            turn: DIRECTOR,
            failure: None,
        };
        agenda.process();
        agenda
    }

    fn process(&mut self) -> usize {
        self.processes.push(Process {
            gets_turn: Arc::default(),
            token: 0,
            is_killed: false,
            has_ended: false,
            frozen_until: Duration::ZERO,
        });
        self.processes.len() - 1
    }

    fn queue(&mut self, at: Duration, happening: Happening) {
        self.queued += 1;
        self.queue.insert((at.max(self.now), self.queued), happening);
    }

    /// Something happens after `pause`.
    pub(super) fn after(&mut self, pause: Duration, deed: impl FnOnce(&mut Cluster, &mut Agenda) + Send + 'static) {
        self.queue(self.now + pause, Happening::Deed(Box::new(deed)));
    }

    /// A time between the two, in milliseconds.
    pub(super) fn millis(&mut self, from: i64, to: i64) -> Duration {
        Duration::from_micros(self.random.between(from * 1000, to * 1000).unsigned_abs())
    }

    /// A process that waits goes on now.
    pub(super) fn wake(&mut self, process: usize) {
        let token = self.processes[process].token;
        self.queue(self.now, Happening::Turn { process, token });
    }

    /// A process does nothing more.
    pub(super) fn kill(&mut self, process: usize) {
        self.processes[process].is_killed = true;
        self.wake(process);
    }

    /// A process does nothing for so long.
    pub(super) fn freeze(&mut self, process: usize, pause: Duration) {
        self.processes[process].frozen_until = self.now + pause;
    }

    fn give_turn(&mut self, process: usize) {
        self.turn = process;
        self.processes[process].token += 1;
        self.processes[process].gets_turn.notify_one();
        self.trace("turn", process as u64);
    }

    /// How long a process still does nothing.
    pub(super) fn frozen_for(&self, process: usize) -> Duration {
        self.processes[process].frozen_until.saturating_sub(self.now)
    }

    pub(super) fn has_ended(&self, process: usize) -> bool {
        self.processes[process].has_ended
    }

    /// Notes what follows from the seed alone.
    pub(super) fn trace(&mut self, what: &str, number: u64) {
        let mut hash = self.trace ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for byte in what.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self.trace = hash.rotate_left(17) ^ self.now.as_micros() as u64;
    }

    pub(super) fn tell(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.trace(&what, 0);
        self.told.push(format!("{:8.3} {what}", self.now.as_secs_f64()));
    }

    pub(super) fn fail(&mut self, what: String) {
        self.failure.get_or_insert(what);
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.failure.clone()
    }

    /// What happened, as a number, and how much it was.
    pub(super) fn sum(&self) -> (u64, u64) {
        (self.trace, self.happened)
    }
}

/// The processes and the brokers between them. Clones are the same.
#[derive(Clone)]
pub(super) struct Clockwork(Arc<Mutex<(Cluster, Agenda)>>);

impl Clockwork {
    pub(super) fn new(cluster: Cluster, seed: u64) -> Self {
        Self(Arc::new(Mutex::new((cluster, Agenda::new(seed)))))
    }

    fn lock(&self) -> MutexGuard<'_, (Cluster, Agenda)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something at once. Only for whoever has the turn.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Cluster, &mut Agenda) -> T) -> T {
        let (cluster, agenda) = &mut *self.lock();
        act(cluster, agenda)
    }

    /// A new process, which gets its first turn soon: `work` runs in the thread that `start` gives it.
    pub(super) fn process(&self) -> usize {
        self.with(|_, agenda| {
            let process = agenda.process();
            agenda.wake(process);
            process
        })
    }

    /// The whole life of a process, in its own thread.
    pub(super) fn live(&self, process: usize, work: impl FnOnce()) {
        drop(self.gets_turn(process, self.lock()));
        let ended = catch_unwind(AssertUnwindSafe(|| {
            if !self.with(|_, agenda| agenda.processes[process].is_killed) {
                work();
            }
        }));
        let mut state = self.lock();
        if let Err(panic) = ended
            && !panic.is::<Killed>()
        {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            state.1.fail(format!("process {process} panicked: {}", text.unwrap_or("without words")));
        }
        state.1.processes[process].has_ended = true;
        hand_on(&mut state);
    }

    /// Waits until then, or until it is woken.
    pub(super) fn wait(&self, process: usize, pause: Duration) {
        let mut state = self.lock();
        let agenda = &mut state.1;
        let (at, token) = (agenda.now + pause, agenda.processes[process].token);
        agenda.queue(at, Happening::Turn { process, token });
        hand_on(&mut state);
        let state = self.gets_turn(process, state);
        let is_killed = state.1.processes[process].is_killed;
        drop(state);
        // Whoever unwinds already is not killed once more.
        if is_killed && !std::thread::panicking() {
            resume_unwind(Box::new(Killed));
        }
    }

    fn gets_turn<'a>(
        &'a self,
        process: usize,
        mut state: MutexGuard<'a, (Cluster, Agenda)>,
    ) -> MutexGuard<'a, (Cluster, Agenda)> {
        let gets_turn = Arc::clone(&state.1.processes[process].gets_turn);
        while state.1.turn != process {
            state = gets_turn.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }
}

/// Lets happen what happens next, until it is somebody's turn.
fn hand_on((cluster, agenda): &mut (Cluster, Agenda)) {
    loop {
        let ((at, _), happening) = agenda.queue.pop_first().expect("the director always waits for something");
        agenda.now = at;
        agenda.happened += 1;
        if agenda.happened > HAPPENINGS_MAX {
            agenda.fail("it goes on for ever".to_owned());
            agenda.happened = 0;
            agenda.give_turn(DIRECTOR);
            return;
        }
        let (process, token) = match happening {
            Happening::Deed(deed) => {
                deed(cluster, agenda);
                continue;
            }
            Happening::Turn { process, token } => (process, token),
        };
        let of = &mut agenda.processes[process];
        if of.has_ended || of.token != token {
            continue;
        }
        if of.frozen_until > at && !of.is_killed {
            let thaws = of.frozen_until;
            agenda.queue(thaws, Happening::Turn { process, token });
            continue;
        }
        agenda.give_turn(process);
        return;
    }
}

/// Time as a process sees it.
pub(super) struct Time {
    pub(super) clockwork: Clockwork,
    pub(super) process: usize,
}

impl Pace for Time {
    fn elapsed(&self) -> Duration {
        self.clockwork.with(|_, agenda| agenda.now)
    }

    fn rest(&self, pause: Duration) {
        self.clockwork.wait(self.process, pause);
    }
}

impl Clock for Time {
    fn now(&self) -> ProcessingTime {
        let passed = self.clockwork.with(|_, agenda| agenda.now.as_micros());
        ProcessingTime::from_micros(BEGIN_MICROS + i64::try_from(passed).unwrap_or(i64::MAX))
    }
}
