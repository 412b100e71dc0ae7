//! The running pipeline under a seed, with everything going wrong that can: the real log, engine, snapshots, sinks, store
//! and loop on a simulated disk and a clock that stands still, against answers worked out by brute force. Refuses to
//! decide what is right by asking the code that it checks.
//!
//! A seed makes a [`Scenario`]: a pipeline, what is posted to it, and lives of the process that end by loss of power, kill,
//! failing or full disk after some operation of the disk, also while recovering from the one before. A last life has no
//! faults: everything must be there then, once. [ADR 0009](../../../docs/adr/0009-what-is-simulated.md) says what is real.

mod client;
mod damage;
mod life;
mod oracle;
mod pipeline;
mod random;
mod scenario;
mod shrink;
pub mod workers;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use weir_model::{ErrorKind, ProcessingTime};
use weir_observe::PipelineHandle;
use xxhash_rust::xxh3::xxh3_64;

pub use scenario::{Kind, Life, Mishap, Post, Record, Scenario, Setup};
pub use shrink::shrink;

use client::Client;
use damage::Damage;
use life::{End, Goal, live};
use world::World;

/// What a simulation that passed has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// A hash of every operation of the disk and of the results: for the same scenario the same.
    pub trace: u64,
    /// How many operations of the disk there were.
    pub operations: u64,
    /// How many lives the process had.
    pub lives: u64,
    /// How many of them did not end by themselves.
    pub deaths: u64,
    /// How many faults came to pass.
    pub mishaps: u64,
    /// How often damage made a start be refused, until it was undone.
    pub refused: u64,
    /// How many markers of commits that were granted brokers have forgotten.
    pub forgotten: u64,
}

/// What did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What, and what it should have been.
    pub what: String,
    /// In which life, from 0 on; those that follow all planned ones have no faults.
    pub life: usize,
    /// What had gone wrong until then.
    pub mishaps: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "in life {}: {}", self.life, self.what)?;
        self.mishaps.iter().try_for_each(|mishap| writeln!(f, "  after {mishap}"))
    }
}

/// Plays `scenario`; a panic of what it plays is a failure too.
///
/// # Errors
/// What did not hold.
pub fn run(scenario: &Scenario) -> Result<Ran, Failure> {
    let mut play = match Play::new(scenario) {
        Ok(play) => play,
        Err(error) => {
            return Err(Failure { what: format!("no place for the catalog: {error}"), life: 0, mishaps: Vec::new() });
        }
    };
    let played = catch_unwind(AssertUnwindSafe(|| play.until_over()));
    let what = match played {
        Ok(Ok(())) => return Ok(play.ran),
        Ok(Err(what)) => what,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            format!("panicked: {}", text.unwrap_or("without words"))
        }
    };
    Err(Failure { what, life: play.ran.lives.saturating_sub(1) as usize, mishaps: play.world.disk.mishaps() })
}

/// Every operation of the disk while `scenario` is played, to its end or to its failure.
pub fn journal(scenario: &Scenario) -> Vec<String> {
    let Ok(mut play) = Play::new(scenario) else { return Vec::new() };
    play.world.disk.keep_journal();
    // What it came to is for `run` to tell.
    let _ = catch_unwind(AssertUnwindSafe(|| play.until_over()));
    play.world.disk.journal()
}

/// A simulation on its way.
struct Play<'a> {
    scenario: &'a Scenario,
    world: World,
    client: Client,
    ran: Ran,
}

impl<'a> Play<'a> {
    fn new(scenario: &'a Scenario) -> std::io::Result<Self> {
        let client = Client::new(&scenario.posts, scenario.setup.sources);
        Ok(Self { scenario, world: World::new(scenario.seed)?, client, ran: Ran::default() })
    }

    fn until_over(&mut self) -> Result<(), String> {
        for life in &self.scenario.lives {
            self.disturbed(life)?;
        }
        let calm = Life::default();
        self.finished(&calm, Goal::CatchUp)?;
        let handle = self.finished(&calm, Goal::End)?;
        let setup = &self.scenario.setup;
        oracle::balance(&self.client, setup, &handle.status(ProcessingTime::from_micros(0)))?;
        let outputs = self.world.inspect(setup, |world, shared| oracle::outputs(world, shared, setup))?;
        oracle::complete(&self.client, setup, &outputs)?;
        self.finished(&calm, Goal::Recover)?;
        let again = self.world.inspect(setup, |world, shared| oracle::outputs(world, shared, setup))?;
        if again != outputs {
            return Err("recovering once more changed the results".to_owned());
        }
        self.ran.operations = self.world.disk.operations();
        self.ran.mishaps = self.world.disk.mishaps().len() as u64;
        self.ran.trace = xxh3_64(format!("{} {outputs:?}", self.world.disk.trace()).as_bytes());
        Ok(())
    }

    /// A life in which something may go wrong, and what must hold of how it ends.
    fn disturbed(&mut self, life: &Life) -> Result<(), String> {
        let damage = life.flip.and_then(|numbers| Damage::inflict(&self.world, &self.client, numbers));
        let before = self.world.disk.mishaps().len();
        let life = Life { flip: life.flip.filter(|_| damage.is_some()), ..life.clone() };
        match self.lived(&life, Goal::CatchUp)? {
            End::Finished(_) => {}
            End::Died => self.ran.deaths += 1,
            End::GaveUp(error) => {
                let has_reason = self.world.disk.mishaps().len() > before;
                let is_refusal = damage.as_ref().is_some_and(|damage| damage.is_named_by(&error));
                if !is_refusal && (!has_reason || error.kind == ErrorKind::Corrupt) {
                    return Err(format!("it gave up without a reason: {:?}: {}", error.kind, error.full()));
                }
                self.ran.refused += u64::from(is_refusal);
                self.ran.deaths += 1;
            }
        }
        self.world.disk.restart();
        damage.map_or(Ok(()), |damage| damage.undo(&self.world))
    }

    /// A life in which nothing goes wrong.
    fn finished(&mut self, life: &Life, goal: Goal) -> Result<Arc<PipelineHandle>, String> {
        let ended = self.lived(life, goal)?;
        self.world.disk.restart();
        match ended {
            End::Finished(handle) => Ok(handle),
            End::Died => Err("it died without a reason".to_owned()),
            End::GaveUp(error) => Err(format!("it gave up without a reason: {:?}: {}", error.kind, error.full())),
        }
    }

    fn lived(&mut self, life: &Life, goal: Goal) -> Result<End, String> {
        self.ran.lives += 1;
        let ended = live(&mut self.world, &mut self.client, &self.scenario.setup, (life, goal))?;
        self.world.contradiction().map_or(Ok(ended), Err)
    }
}
