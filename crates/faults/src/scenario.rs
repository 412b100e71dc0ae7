//! What is played: a pipeline, what is posted to it, and what goes wrong. All of it is data, made from a seed, so that it
//! can be shown, and shrunk to what a failure needs.

use weir_disk::Fault;

use crate::random::Random;

/// The first event's time: 1 January 2026, in seconds since 1970.
pub(crate) const DAY_SECONDS: i64 = 1_767_225_600;
/// Operations of the disk within which a life's mishap falls.
const MISHAP_WITHIN: [u64; 4] = [12, 40, 120, 400];

/// Less than the windows of most scenarios take.
const SMALL_STATE: usize = 2_000;

/// The kinds of operations that are singled out, as the disk calls them.
const MISHAP_KINDS: [&str; 8] =
    ["sync", "sync", "sync folder", "write to", "rename to", "remove", "truncate", "commit"];

/// Everything that happens in one simulation.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it was made from; decides what a loss of power takes.
    pub seed: u64,
    /// The pipeline and how it is kept.
    pub setup: Setup,
    /// What is posted, in this order.
    pub posts: Vec<Post>,
    /// What goes wrong in each life of the process. After these comes one in which nothing does.
    pub lives: Vec<Life>,
}

/// The pipeline and how it is kept.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many sources (topics of the log) there are.
    pub sources: usize,
    /// The watermark's delay in seconds.
    pub delay: i64,
    /// The size of windows in seconds.
    pub size: i64,
    /// The lateness of windows in seconds.
    pub lateness: i64,
    /// Rows with a smaller value are filtered.
    pub least: i64,
    /// How far ahead of the slowest source another may be, in seconds.
    pub drift: Option<i64>,
    /// Where rows, windows, late rows and dead letters go.
    pub kinds: [Kind; 4],
    /// How often an epoch commits.
    pub epoch_ms: u64,
    /// How large a segment of the log gets.
    pub segment_bytes: u64,
    /// Whether segments that everyone has read are deleted.
    pub retains: bool,
    /// How much memory the state may take.
    pub state_bytes_max: usize,
}

/// What an output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file of lines.
    Lines,
    /// A folder of Parquet files.
    Parts,
    /// A table of the store.
    Table,
}

/// Records that come together.
#[derive(Clone, Debug)]
pub struct Post {
    /// What it is known by when it is repeated.
    pub number: u64,
    /// To which source.
    pub source: usize,
    /// How long after the one before.
    pub pause_ms: u64,
    /// Its records.
    pub records: Vec<Record>,
    /// Whether the client sends it once more although it was acknowledged.
    pub again: bool,
}

/// A record.
#[derive(Clone, Debug)]
pub struct Record {
    /// Unique, except for duplicates.
    pub id: u64,
    /// Its event time in milliseconds after the first event's.
    pub time_ms: i64,
    /// What windows group by.
    pub key: u64,
    /// What windows add up.
    pub value: i64,
    /// Whether it is none that can be decoded.
    pub is_bad: bool,
}

impl Record {
    /// As it is posted.
    pub(crate) fn text(&self) -> String {
        if self.is_bad {
            return format!("{{\"id\": {} is not JSON", self.id);
        }
        let (seconds, millis) = (self.time_ms.div_euclid(1000), self.time_ms.rem_euclid(1000));
        let time = (DAY_SECONDS + seconds) * 1000 + millis;
        format!("{{\"id\":{},\"ts\":{time},\"key\":\"k{}\",\"value\":{}}}", self.id, self.key, self.value)
    }
}

/// A life of the process, and what goes wrong in it.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// What goes wrong with operations of the disk.
    pub mishaps: Vec<Mishap>,
    /// From this many milliseconds on, for so many, the disk has this many bytes left.
    pub full: Option<(u64, u64, u64)>,
    /// When it is asked to stop.
    pub stop_ms: Option<u64>,
    /// Whether a bit of a file is flipped before: numbers that choose the file, the byte and the bit.
    pub flip: Option<(u64, u64, u8)>,
}

/// Something that goes wrong with an operation of the disk.
#[derive(Clone, Copy, Debug)]
pub struct Mishap {
    /// Only operations of this kind count.
    pub kind: Option<&'static str>,
    /// How many there are before it in this life.
    pub after: u64,
    /// How it goes wrong.
    pub fault: Fault,
}

impl Scenario {
    /// The scenario of `seed`.
    pub fn of(seed: u64) -> Self {
        // Neighbouring seeds must have nothing in common.
        let mut random = Random::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5851_f42d_4c95_7f2d);
        let setup = setup(&mut random);
        let posts = posts(&mut random, &setup);
        let lives = (0..random.below(5)).map(|_| life(&mut random)).collect();
        let setup = Setup { state_bytes_max: if seed.is_multiple_of(2) { SMALL_STATE } else { usize::MAX }, ..setup };
        Self { seed, setup, posts, lives }
    }
}

fn setup(random: &mut Random) -> Setup {
    let mut kind = || if random.percent(25) { random.pick(&[Kind::Table, Kind::Parts]) } else { Kind::Lines };
    let kinds = [kind(), kind(), kind(), kind()];
    Setup {
        sources: random.pick(&[1, 1, 2, 3]),
        delay: random.between(0, 4),
        size: random.pick(&[2, 5, 10]),
        lateness: random.pick(&[0, 0, 4, 15]),
        least: random.pick(&[0, 0, 30]),
        drift: random.pick(&[None, None, Some(5)]),
        kinds,
        epoch_ms: random.pick(&[150, 400, 1000, 3000]),
        segment_bytes: random.pick(&[400, 1500, 1 << 20]),
        retains: random.percent(50),
        state_bytes_max: usize::MAX,
    }
}

fn posts(random: &mut Random, setup: &Setup) -> Vec<Post> {
    let (count, keys) = (random.between(4, 30) as u64, random.between(1, 4) as u64);
    let (bad, again, duplicate) = (random.pick(&[0, 5, 20]), random.pick(&[0, 20]), random.pick(&[0, 10]));
    let spread = random.pick(&[1_000, 4_000, 12_000]);
    let (mut id, mut now) = (0, 100_000);
    let mut sent: Vec<Vec<Record>> = vec![Vec::new(); setup.sources];
    let mut post = |number| {
        let source = random.below(setup.sources as u64) as usize;
        let mut records = Vec::new();
        for _ in 0..random.pick(&[1, 1, 3, 6]) {
            if random.percent(duplicate) && !sent[source].is_empty() {
                let of = random.below(sent[source].len() as u64) as usize;
                records.push(sent[source][of].clone());
                continue;
            }
            id += 1;
            now += random.between(0, 1_500);
            // What happens at the very end of a window must happen sometimes.
            let grain = random.pick(&[1, 1, 1_000]);
            let time_ms = now + random.between(-spread, spread / 4);
            let record = Record {
                id,
                time_ms: time_ms - time_ms.rem_euclid(grain),
                key: random.below(keys),
                value: random.between(0, 99),
                is_bad: random.percent(bad),
            };
            if !record.is_bad {
                sent[source].push(record.clone());
            }
            records.push(record);
        }
        let pause_ms = random.pick(&[0, 0, 30, 170, 700]);
        Post { number, source, pause_ms, records, again: random.percent(again) }
    };
    (0..count).map(&mut post).collect()
}

fn life(random: &mut Random) -> Life {
    let mut life = Life::default();
    let fault = match random.below(100) {
        0..25 => Some(Fault::PowerLoss),
        25..40 => Some(Fault::PowerLossAfter),
        40..52 => Some(Fault::Kill),
        52..64 => Some(Fault::KillAfter),
        64..74 => Some(Fault::Broken),
        74..82 => Some(Fault::Full),
        _ => None,
    };
    if let Some(fault) = fault {
        // By number most fall on what there is most of; by kind every kind has its share.
        let kind = random.percent(60).then(|| random.pick(&MISHAP_KINDS));
        let within = if kind.is_some() { random.pick(&[3, 12, 40]) } else { random.pick(&MISHAP_WITHIN) };
        let first = Mishap { kind, after: random.below(within), fault };
        life.mishaps.push(first);
        if fault == Fault::Full {
            // A full disk is full more than once; and then the power fails, perhaps.
            life.mishaps.extend((1..random.below(4)).map(|next| Mishap { after: first.after + next, ..first }));
            if random.percent(40) {
                let after = first.after + 5 + random.below(20);
                life.mishaps.push(Mishap { after, fault: Fault::PowerLoss, ..first });
            }
        }
    }
    match random.below(100) {
        0..10 => life.full = Some((random.below(2_000), random.below(3_000), random.below(4_000))),
        10..30 => life.stop_ms = Some(random.below(5_000)),
        _ => {}
    }
    if random.percent(12) {
        life.flip = Some((random.next(), random.next(), random.below(8) as u8));
    }
    life
}
