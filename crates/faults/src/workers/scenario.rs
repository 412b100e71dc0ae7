//! What is played: how many workers share what, what is written for them, and what goes wrong. All of it is data, made from a
//! seed, so that it can be shown, and shrunk to what a failure needs.

use super::cluster::Weather;
use crate::random::Random;
use crate::scenario::DAY_SECONDS;

/// Within so many milliseconds everything is written and goes wrong.
const SPAN_MS: u64 = 25_000;
/// Within so many milliseconds workers have their first partitions.
const FIRST_LOOKS_MS: u64 = 400;
/// Brokers that forget die once more within so many milliseconds.
const AGAIN_WITHIN_MS: u64 = 7_000;
/// How many keys there are.
const KEYS: u64 = 12;
/// How many records a second of event time has.
const PER_SECOND: u64 = 4;

/// In disorder every so many-th record is so much older.
const OLD_EVERY: u64 = 5;
const OLD_SECONDS: u64 = 25;

/// Everything that happens in one simulation.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it was made from; decides how long everything takes.
    pub seed: u64,
    /// What the pipeline does.
    pub shape: Shape,
    /// How many workers there are.
    pub workers: usize,
    /// How many partitions the topic has.
    pub partitions: u64,
    /// How many key groups there are.
    pub key_groups: u16,
    /// How often workers commit.
    pub epoch_ms: u64,
    /// How many records are written.
    pub ids: u64,
    /// In how many portions.
    pub portions: u64,
    /// Whether some records are much older than those before them, so that windows may be over when they come.
    pub is_disordered: bool,
    /// Every so many-th record cannot be decoded; 0: none.
    pub bad_every: u64,
    /// How requests fare as long as things go wrong.
    pub weather: Weather,
    /// Whether brokers that die forget the markers of granted commits that were on their way to the group (ADR 0018). Only
    /// whoever knows that its commit was granted can help: workers who are killed then, or do not hear the answer, would wait
    /// for ever, so nothing of that goes wrong beside it.
    pub forgets: bool,
    /// What goes wrong, and when.
    pub mishaps: Vec<Mishap>,
}

/// What the pipeline does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Rows pass through.
    Through,
    /// Windows count rows by key.
    Counts,
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Mishap {
    /// When.
    pub at_ms: u64,
    /// What.
    pub what: What,
}

/// What goes wrong. Workers are numbered from 0 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A worker is killed, and starts again after so long.
    Kill {
        /// Which.
        worker: usize,
        /// How long it is away.
        for_ms: u64,
    },
    /// A worker stops as it should, and starts again after so long.
    Stop {
        /// Which.
        worker: usize,
        /// How long it is away.
        for_ms: u64,
    },
    /// A worker does nothing for so long, and goes on.
    Freeze {
        /// Which.
        worker: usize,
        /// How long.
        for_ms: u64,
    },
    /// The brokers are killed, and are back after so long.
    Brokers {
        /// How long they are away.
        for_ms: u64,
    },
    /// Partitions get other leaders.
    Leaders,
    /// The topic gets one more partition.
    Grow,
    /// Retention deletes so many percent of what a partition holds.
    Retain {
        /// Which.
        partition: u64,
        /// How much.
        percent: u64,
    },
    /// The topic is deleted and made anew, empty. Nothing is written or goes wrong after that.
    Recreate,
}

/// A record of the topic.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: u64,
    pub(super) key: u64,
    /// Its event time, in seconds after the first event's.
    pub(super) second: u64,
    pub(super) is_bad: bool,
}

impl Record {
    pub(super) fn text(&self) -> String {
        if self.is_bad {
            return format!("{{\"id\": {} is not JSON", self.id);
        }
        let millis = (DAY_SECONDS as u64 + self.second) * 1000;
        format!("{{\"id\":{},\"ts\":{millis},\"key\":\"k{}\"}}", self.id, self.key)
    }
}

impl Scenario {
    /// The scenario of `seed`.
    pub fn of(seed: u64) -> Self {
        // Neighbouring seeds must have nothing in common.
        let mut random = Random::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x3c6e_f372_fe94_f82b);
        let shape = random.pick(&[Shape::Through, Shape::Counts]);
        let workers = random.pick(&[1, 2, 2, 3, 3]);
        let partitions = random.between(1, 4).unsigned_abs();
        let weather = Weather {
            way_ms: random.pick(&[2, 4, 40, 120]),
            late: random.pick(&[0, 0, 1, 4]),
            lost: random.pick(&[0, 0, 1, 4]),
            unanswered: random.pick(&[0, 0, 1, 4]),
            redelivered: random.pick(&[0, 50]),
        };
        let mut scenario = Self {
            seed,
            shape,
            workers,
            partitions,
            key_groups: random.pick(&[1, 2, 4]),
            epoch_ms: random.pick(&[100, 200, 700]),
            ids: random.pick(&[40, 120, 240]),
            portions: random.pick(&[1, 4, 10, 30]),
            bad_every: random.pick(&[0, 0, 7]),
            is_disordered: false,
            weather,
            forgets: false,
            mishaps: Vec::new(),
        };
        scenario.mishaps = (0..random.pick(&[1, 3, 5, 8])).map(|_| scenario.mishap(&mut random)).collect();
        if shape == Shape::Through && random.percent(4) {
            scenario.mishaps.push(Mishap { at_ms: SPAN_MS, what: What::Recreate });
        }
        scenario.is_disordered = shape == Shape::Counts && random.percent(30);
        if random.percent(4) {
            scenario.forgets(&mut random);
        }
        scenario
    }

    /// Brokers die, perhaps once more while what they forgot is being decided, and forget what was granted; nothing else goes wrong.
    fn forgets(&mut self, random: &mut Random) {
        self.forgets = true;
        self.weather = Weather { way_ms: self.weather.way_ms.min(40), ..Weather::default() };
        let at_ms = self.written_ms(random.below(self.portions)) + random.below(self.epoch_ms + 200);
        let for_ms = random.pick(&[300, 4_500]) + random.below(300);
        self.mishaps = vec![Mishap { at_ms, what: What::Brokers { for_ms } }];
        if random.percent(50) {
            // Shorter than a transaction may last.
            let (at_ms, for_ms) = (at_ms + for_ms + random.below(AGAIN_WITHIN_MS), 300 + random.below(2_000));
            self.mishaps.push(Mishap { at_ms, what: What::Brokers { for_ms } });
        }
    }

    /// Record `id`. In a partition event time never goes back, but for disorder.
    pub(super) fn record(&self, id: u64) -> Record {
        let is_bad = self.bad_every > 0 && id % self.bad_every == self.bad_every - 1;
        let before = if self.is_disordered && id.is_multiple_of(OLD_EVERY) { OLD_SECONDS } else { 0 };
        Record { id, key: id % KEYS, second: (id / PER_SECOND).saturating_sub(before), is_bad }
    }

    /// When portion `at` is written.
    pub(super) fn written_ms(&self, at: u64) -> u64 {
        SPAN_MS * 4 / 5 * at / self.portions
    }

    /// Mostly it goes wrong while something is read or committed.
    fn mishap(&self, random: &mut Random) -> Mishap {
        let worker = random.below(self.workers as u64) as usize;
        let for_ms = random.pick(&[10, 300, 2_500, 4_000, 9_000]) + random.below(300);
        let what = match random.below(20) {
            0..=6 => What::Kill { worker, for_ms },
            7..=8 => What::Stop { worker, for_ms },
            9..=13 => What::Freeze { worker, for_ms },
            14..=15 => What::Brokers { for_ms },
            16..=17 => What::Leaders,
            18 if self.shape == Shape::Through => What::Grow,
            19 if self.shape == Shape::Through => {
                What::Retain { partition: random.below(self.partitions), percent: random.pick(&[30, 100]) }
            }
            _ => What::Kill { worker, for_ms: 0 },
        };
        let at_ms = match random.below(20) {
            0..=14 => self.written_ms(random.below(self.portions)) + random.below(self.epoch_ms + 200),
            // While workers look for the first time where they go on.
            15 => random.below(FIRST_LOOKS_MS),
            _ => random.below(SPAN_MS),
        };
        Mishap { at_ms, what }
    }
}
