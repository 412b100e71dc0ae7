//! Plays a scenario: starts workers, writes for them, lets go wrong what is to go wrong, and looks at what comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Scope;
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use weir_disk::SimDisk;
use weir_model::{Clock, ErrorKind, Guarantee, SeamResult};
use weir_observe::{NewOutput, PipelineBoard};
use weir_sim::Columns;
use weir_state::Bundles;
use weir_workers::{Outgoing, Place, Share, Surroundings};

use super::broker::SimBroker;
use super::clockwork::{Clockwork, DIRECTOR, Time};
use super::cluster::Cluster;
use super::cluster::log::Log;
use super::oracle;
use super::pipeline::{IN, LATE, LETTERS, OUT, share};
use super::producer::Past;
use super::scenario::{Mishap, Scenario, Shape, What};
use crate::{Failure, Ran};

/// How soon everything must be there when nothing goes wrong any more.
const SOON: Duration = Duration::from_secs(120);
/// For so long it must stay as it is then: whatever is still on its way arrives.
const STAYS: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Partitions of outputs.
const OUT_PARTITIONS: i32 = 3;

/// Plays `scenario`.
///
/// # Errors
/// What did not hold.
pub fn run(scenario: &Scenario) -> Result<Ran, Failure> {
    let share = share(scenario);
    let clockwork = Clockwork::new(cluster(scenario, &share), scenario.seed);
    let disk = SimDisk::new(scenario.seed);
    let (played, mut ran) = std::thread::scope(|scope| {
        let mut play = Play {
            scenario,
            scope,
            share: &share,
            disk: &disk,
            clockwork: clockwork.clone(),
            lives: Vec::new(),
            ran: Ran::default(),
            written: BTreeSet::new(),
            deletable: BTreeSet::new(),
        };
        let played = play.script();
        play.end();
        (played, play.ran)
    });
    clockwork.with(|cluster, agenda| {
        (ran.trace, ran.operations) = agenda.sum();
        (ran.refused, ran.forgotten) = (cluster.group.fenced, cluster.forgotten);
        match agenda.failure().map_or(played, Err) {
            Ok(()) => Ok(ran),
            Err(what) => {
                Err(Failure { what, life: ran.lives.saturating_sub(1) as usize, mishaps: agenda.told.clone() })
            }
        }
    })
}

fn cluster(scenario: &Scenario, share: &Share) -> Cluster {
    let mut cluster = Cluster::new(share.sharing.session, share.sharing.transaction, scenario.weather);
    cluster.forgets = scenario.forgets;
    cluster.topic(IN, i32::try_from(scenario.partitions).unwrap_or(1));
    cluster.topic(OUT, OUT_PARTITIONS);
    cluster.topic(LATE, 1);
    cluster.topic(LETTERS, 1);
    cluster.read.push(IN.into());
    if share.is_keyed() {
        cluster.topic(&share.partials_topic(), i32::from(share.key_groups()));
        cluster.topic(&share.answers_topic(), 1);
        cluster.read.push(share.partials_topic().into());
    }
    cluster
}

/// What the director does at some time.
#[derive(Clone, Copy, Debug)]
enum Act {
    Write(u64),
    Mishap(What),
    Start(usize),
}

/// A worker from one start to its end.
struct Life {
    process: usize,
    worker: usize,
    stop: Arc<AtomicBool>,
    ended: Arc<Mutex<Option<SeamResult<()>>>>,
}

struct Play<'scope, 'env> {
    scenario: &'env Scenario,
    scope: &'scope Scope<'scope, 'env>,
    share: &'env Share,
    disk: &'env SimDisk,
    clockwork: Clockwork,
    lives: Vec<Life>,
    ran: Ran,
    /// The ids that were written.
    written: BTreeSet<u64>,
    /// The ids that retention has deleted, perhaps before they were read.
    deletable: BTreeSet<u64>,
}

impl Play<'_, '_> {
    fn script(&mut self) -> Result<(), String> {
        self.clockwork.with(|_, agenda| Cluster::begin(agenda));
        let mut acts = BTreeMap::<(Duration, u64), Act>::new();
        let mut count = 0;
        let mut add = |acts: &mut BTreeMap<_, _>, at: Duration, act: Act| {
            count += 1;
            acts.insert((at, count), act);
        };
        let millis = Duration::from_millis;
        (0..self.scenario.workers).for_each(|worker| add(&mut acts, millis(worker as u64 * 40), Act::Start(worker)));
        for portion in 0..self.scenario.portions {
            add(&mut acts, millis(self.scenario.written_ms(portion)), Act::Write(portion));
        }
        // What ends everything comes when everything else has happened.
        let (ends, mishaps): (Vec<&Mishap>, Vec<&Mishap>) =
            self.scenario.mishaps.iter().partition(|mishap| mishap.what == What::Recreate);
        for mishap in mishaps {
            add(&mut acts, millis(mishap.at_ms), Act::Mishap(mishap.what));
        }
        while let Some(((at, _), act)) = acts.pop_first() {
            self.until(at)?;
            match act {
                Act::Start(worker) => self.start(worker),
                Act::Write(portion) => self.write(portion),
                Act::Mishap(what) => {
                    if let Some((worker, pause)) = self.goes_wrong(what) {
                        add(&mut acts, at + pause, Act::Start(worker));
                    }
                }
            }
        }
        self.clockwork.with(|cluster, agenda| {
            cluster.weather = Default::default();
            agenda.tell("nothing goes wrong any more");
        });
        if !ends.is_empty() && self.recreate()? {
            return self.all_refuse();
        }
        self.write_last();
        self.complete()
    }

    /// Lets time pass until then.
    fn until(&mut self, at: Duration) -> Result<(), String> {
        loop {
            let (now, failure) = self.clockwork.with(|_, agenda| (agenda.now, agenda.failure()));
            if let Some(failure) = failure {
                return Err(failure);
            }
            self.none_gave_up()?;
            if now >= at {
                return Ok(());
            }
            self.clockwork.wait(DIRECTOR, (at - now).min(LOOK_EVERY * 4));
        }
    }

    fn none_gave_up(&self) -> Result<(), String> {
        let gave_up = |life: &Life| match &*life.ended.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Err(error)) => Some(format!("worker {} gave up: {:?}: {}", life.worker, error.kind, error.full())),
            Some(Ok(())) | None => None,
        };
        self.lives.iter().find_map(gave_up).map_or(Ok(()), Err)
    }

    fn start(&mut self, worker: usize) {
        if self.process(worker).is_some() {
            return;
        }
        let process = self.clockwork.process();
        let life = Life { process, worker, stop: Arc::default(), ended: Arc::default() };
        let (clockwork, share, disk) = (self.clockwork.clone(), self.share, self.disk);
        let (stop, ended) = (Arc::clone(&life.stop), Arc::clone(&life.ended));
        clockwork.with(|_, agenda| agenda.tell(format!("worker {worker} starts")));
        self.lives.push(life);
        self.ran.lives += 1;
        self.scope.spawn(move || {
            clockwork.live(process, || {
                let around = surroundings(&clockwork, process, share, disk);
                let instance = format!("worker-{worker}");
                let past = Past::default();
                let open = || SimBroker::open(&clockwork, process, (share, &instance), &past);
                let result = weir_workers::run_over(share, &around, &|| stop.load(Ordering::SeqCst), &open);
                *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            });
        });
    }

    /// The process of a worker, if it lives.
    fn process(&self, worker: usize) -> Option<usize> {
        let last = self.lives.iter().rev().find(|life| life.worker == worker)?;
        let has_ended = self.clockwork.with(|_, agenda| agenda.has_ended(last.process));
        (!has_ended).then_some(last.process)
    }

    fn write(&mut self, portion: u64) {
        let (ids, portions) = (self.scenario.ids, self.scenario.portions);
        for id in ids * portion / portions..ids * (portion + 1) / portions {
            let record = self.scenario.record(id);
            // A key stays where it is, whatever partitions come.
            self.put(record.key % self.scenario.partitions, record.text());
            self.written.insert(id);
        }
    }

    /// A record per partition that is so much later that every window is over; partitions that came later get one, too.
    fn write_last(&mut self) {
        if self.scenario.shape == Shape::Counts {
            for partition in 0..self.scenario.partitions {
                let last = super::scenario::Record { id: 0, key: 1000 + partition, second: 40_000, is_bad: false };
                self.put(partition, last.text());
            }
        }
    }

    fn put(&self, partition: u64, text: String) {
        let place = Place::new(IN, i32::try_from(partition).unwrap_or(0));
        let record = Outgoing { value: Some(text.into_bytes()), ..Outgoing::default() };
        self.clockwork.with(|cluster, _| cluster.log_mut(&place).expect("it is there").put(record));
    }

    /// What goes wrong; who starts again after what time.
    fn goes_wrong(&mut self, what: What) -> Option<(usize, Duration)> {
        let millis = Duration::from_millis;
        self.ran.mishaps += 1;
        self.clockwork.with(|_, agenda| agenda.tell(format!("{what:?}")));
        match what {
            What::Kill { worker, for_ms } => {
                let process = self.process(worker)?;
                self.clockwork.with(|_, agenda| agenda.kill(process));
                self.ran.deaths += 1;
                // It has to be gone before another one of its name starts.
                self.clockwork.wait(DIRECTOR, Duration::ZERO);
                Some((worker, millis(for_ms)))
            }
            What::Stop { worker, for_ms } => {
                self.process(worker)?;
                let last = self.lives.iter().rev().find(|life| life.worker == worker)?;
                last.stop.store(true, Ordering::SeqCst);
                // It ends when it has committed, and may be asked to start before.
                Some((worker, millis(for_ms + 20_000)))
            }
            What::Freeze { worker, for_ms } => {
                let process = self.process(worker)?;
                self.clockwork.with(|_, agenda| agenda.freeze(process, millis(for_ms)));
                None
            }
            What::Brokers { for_ms } => {
                self.clockwork.with(|cluster, agenda| cluster.restart(agenda, millis(for_ms)));
                None
            }
            What::Leaders => {
                self.clockwork.with(|cluster, _| cluster.leaders += 1);
                None
            }
            What::Grow => {
                self.clockwork.with(|cluster, _| cluster.grow(IN));
                None
            }
            What::Retain { partition, percent } => {
                self.retain(partition, percent);
                None
            }
            What::Recreate => None,
        }
    }

    fn retain(&mut self, partition: u64, percent: u64) {
        let place = Place::new(IN, i32::try_from(partition).unwrap_or(0));
        let deleted = self.clockwork.with(|cluster, _| {
            let Some(log) = cluster.log_mut(&place) else { return Vec::new() };
            log.start = log.start.max(log.end() * percent / 100);
            oracle::ids(&log.entries[..log.start as usize])
        });
        self.deletable.extend(deleted);
    }

    /// Once something of every partition is committed, they are there anew, and empty. Whether it came to that.
    fn recreate(&mut self) -> Result<bool, String> {
        let until = self.clockwork.with(|_, agenda| agenda.now) + SOON;
        loop {
            let (now, is_read) = self.clockwork.with(|cluster, agenda| {
                let count = cluster.topics.get(IN).map_or(0, Vec::len);
                let read = (0..count).all(|partition| {
                    let place = Place::new(IN, partition as i32);
                    let next = cluster.group.offsets.get(&place).map_or(0, |committed| committed.offset);
                    next > 0 && next == cluster.log(&place).map_or(0, Log::end)
                });
                (agenda.now, read)
            });
            if is_read {
                break;
            }
            if now >= until {
                return Ok(false);
            }
            self.until(now + LOOK_EVERY)?;
        }
        self.clockwork.with(|cluster, agenda| {
            agenda.tell("the topic is made anew");
            let logs = cluster.topics.get_mut(IN).expect("it is there");
            logs.iter_mut().for_each(|log| log.begin_anew());
        });
        Ok(true)
    }

    /// Every worker says that the topic was made anew, and stops.
    fn all_refuse(&mut self) -> Result<(), String> {
        let until = self.clockwork.with(|_, agenda| agenda.now) + SOON;
        loop {
            let living = (0..self.scenario.workers).filter(|worker| self.process(*worker).is_some()).count();
            if living == 0 {
                break;
            }
            let (now, failure) = self.clockwork.with(|_, agenda| (agenda.now, agenda.failure()));
            if let Some(failure) = failure {
                return Err(failure);
            }
            if now > until {
                return Err(format!("{living} workers go on although their topic was made anew"));
            }
            self.clockwork.wait(DIRECTOR, LOOK_EVERY);
        }
        for life in &self.lives {
            if let Some(Err(error)) = &*life.ended.lock().unwrap_or_else(PoisonError::into_inner)
                && (error.kind != ErrorKind::Corrupt || !error.full().contains("made anew"))
            {
                return Err(format!("worker {} gave up: {:?}: {}", life.worker, error.kind, error.full()));
            }
        }
        self.clockwork.with(|cluster, _| oracle::nothing_twice(cluster))
    }

    /// Everything is there soon, and stays as it is.
    fn complete(&mut self) -> Result<(), String> {
        let since = self.clockwork.with(|_, agenda| agenda.now);
        let (written, deletable) = (self.written.clone(), self.deletable.clone());
        let expected = oracle::Expected { scenario: self.scenario, written: &written, deletable: &deletable };
        loop {
            let (now, checked) = self.clockwork.with(|cluster, agenda| (agenda.now, expected.check(cluster)));
            match checked {
                Ok(()) => break,
                Err(missing) if now - since > SOON => return Err(format!("{SOON:?} after the last mishap: {missing}")),
                Err(_) => {}
            }
            self.clockwork.wait(DIRECTOR, LOOK_EVERY);
            self.none_gave_up()?;
            // Who was stopped late starts again, too.
            (0..self.scenario.workers).for_each(|worker| self.start(worker));
            if let Some(failure) = self.clockwork.with(|_, agenda| agenda.failure()) {
                return Err(failure);
            }
        }
        let now = self.clockwork.with(|_, agenda| agenda.now);
        while self.clockwork.with(|_, agenda| agenda.now) < now + STAYS {
            self.clockwork.wait(DIRECTOR, LOOK_EVERY);
            self.none_gave_up()?;
        }
        self.clockwork.with(|cluster, agenda| {
            expected.check(cluster)?;
            let seen = oracle::seen(cluster);
            agenda.trace(&seen, 0);
            Ok(())
        })
    }

    /// All processes are gone.
    fn end(&mut self) {
        for life in &self.lives {
            self.clockwork.with(|_, agenda| agenda.kill(life.process));
        }
        while self.lives.iter().any(|life| !self.clockwork.with(|_, agenda| agenda.has_ended(life.process))) {
            self.clockwork.wait(DIRECTOR, Duration::from_millis(1));
        }
    }
}

fn surroundings(clockwork: &Clockwork, process: usize, share: &Share, disk: &SimDisk) -> Surroundings {
    let time = Arc::new(Time { clockwork: clockwork.clone(), process });
    let output =
        |name: &str| NewOutput { name: name.to_owned(), kind: "kafka".to_owned(), guarantee: Guarantee::ExactlyOnce };
    let outputs = [OUT, "late", "dead_letters"].map(output).into();
    let remembers = share.plan.remembers().contains(&true);
    Surroundings {
        compiler: Arc::new(Columns),
        clock: Arc::clone(&time) as Arc<dyn Clock>,
        handle: PipelineBoard::new().add(&share.plan.pipeline, outputs, time.now()),
        pace: time,
        bundles: remembers.then(|| Bundles::in_folder(Arc::new(disk.clone()), Path::new("/state/shared"))),
        runtime: runtime(),
    }
}

/// Registries would be asked on it.
fn runtime() -> Handle {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let build = || tokio::runtime::Builder::new_current_thread().build().expect("a runtime that does nothing");
    RUNTIME.get_or_init(build).handle().clone()
}
