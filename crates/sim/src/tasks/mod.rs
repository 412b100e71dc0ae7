//! A story played by several tasks: some read partitions and fold, others own keys and merge. Who goes on next, how much is
//! read at a time, when things are sent, taken, committed, lost and moved is decided by a seed. Whatever it decides, what
//! becomes visible must be what one engine says.
//!
//! Partials wait in a log per key group, as they would in topics. What was read is known by its place in the story.

mod feed;
mod owners;
mod readers;

use weir_engine::{Effect, Partial, Plan};
use weir_model::{Balance, PartitionId};

use crate::player::next_random;
use crate::{Outcome, PlayError, Story};
use feed::Feeds;
use owners::Owners;
use readers::Reader;

/// How many play, and how.
#[derive(Clone, Copy, Debug)]
pub struct Tasks {
    /// How many read.
    pub folds: usize,
    /// How many own keys.
    pub merges: usize,
    /// Of how many key groups all keys are.
    pub key_groups: u16,
    /// What is committed at once.
    pub commits: Commits,
    /// How often somebody dies.
    pub crashes: usize,
    /// Decides everything else; not 0.
    pub seed: u64,
}

/// What is committed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commits {
    /// Everything: positions, partials on their way, and state. Who dies takes all others back with it.
    Together,
    /// Each task for itself: what was read with the partials made of it, or the partials taken with what came of them.
    /// Who dies goes back alone; partials are seen once they are committed.
    Each,
}

/// Plays a story in tasks. Barriers are where the seed says, not where the story does.
///
/// # Errors
/// When the engine refuses something, or the balance over all tasks does not hold at an end.
///
/// # Panics
/// When the story has tables, or there is no task.
pub fn play_in_tasks(story: &Story, tasks: Tasks) -> Result<Outcome, PlayError> {
    let mut play = Play::new(story, tasks)?;
    play.run()?;
    Ok(play.outcome)
}

struct Play {
    plan: Plan,
    tasks: Tasks,
    key_groups: u16,
    seed: u64,
    crashes: usize,
    phase: usize,
    last: usize,
    ticks: Vec<(usize, i64)>,
    now: Option<i64>,
    readers: Vec<Reader>,
    logs: Vec<Vec<Partial>>,
    /// How much of each log was committed, where all is committed together.
    kept: Vec<usize>,
    owners: Owners,
    outcome: Outcome,
}

impl Play {
    fn new(story: &Story, tasks: Tasks) -> Result<Self, PlayError> {
        assert!(
            tasks.folds > 0 && tasks.merges > 0 && tasks.seed > 0,
            "somebody reads, somebody owns, and a seed is not 0"
        );
        let feeds = Feeds::of(story);
        let key_groups = story.plan.key_groups(tasks.key_groups);
        let reader =
            |(index, (partition, items)): (usize, (PartitionId, _))| Reader::new(partition, items, index % tasks.folds);
        Ok(Self {
            plan: story.plan.clone(),
            key_groups,
            seed: tasks.seed,
            crashes: tasks.crashes,
            phase: 0,
            last: feeds.last,
            ticks: feeds.ticks,
            now: None,
            readers: feeds.partitions.into_iter().enumerate().map(reader).collect(),
            logs: vec![Vec::new(); usize::from(key_groups)],
            kept: vec![0; usize::from(key_groups)],
            owners: Owners::new(&story.plan, key_groups, tasks.merges)?,
            outcome: Outcome::default(),
            tasks,
        })
    }

    fn random(&mut self, below: usize) -> usize {
        (next_random(&mut self.seed) % below.max(1) as u64) as usize
    }

    fn run(&mut self) -> Result<(), PlayError> {
        // Enough for every story to end, whatever is chosen.
        for _ in 0..1_000_000 {
            if self.readers.iter().all(|reader| reader.waits_for(self.phase)) {
                self.next_phase()?;
                if self.phase > self.last {
                    return self.close();
                }
            }
            let action = self.random(32);
            let reader = self.random(self.readers.len());
            match action {
                0..=9 => self.read(reader)?,
                10..=12 => self.flush(reader),
                13..=22 => self.deliver()?,
                23..=25 => self.answer(reader),
                26 => self.commit()?,
                27 => self.move_partition(reader)?,
                28 => self.move_group()?,
                29 => self.crash()?,
                _ => self.tick(),
            }
        }
        panic!("the play goes on for ever");
    }

    /// Everybody has come to the end of a phase, and that is committed: nobody goes back behind it.
    fn next_phase(&mut self) -> Result<(), PlayError> {
        self.commit_all()?;
        let ended = self.phase % 2 == 1;
        self.phase += 1;
        if ended {
            self.deliver_all()?;
            self.owners.end();
            self.check()?;
            self.commit_all()?;
        }
        Ok(())
    }

    /// The story is over.
    fn close(&mut self) -> Result<(), PlayError> {
        self.deliver_all()?;
        self.commit_all()?;
        self.check()
    }

    fn read(&mut self, reader: usize) -> Result<(), PlayError> {
        let (rows, phase) = (1 + self.random(6), self.phase);
        self.readers[reader].read(phase, rows, (&self.plan, self.key_groups, self.now))?;
        // What is announced is announced before anything else happens.
        if phase % 2 == 0 {
            self.flush(reader);
        }
        Ok(())
    }

    fn flush(&mut self, reader: usize) {
        let partials = self.readers[reader].flush();
        match self.tasks.commits {
            Commits::Together => self.append(partials),
            Commits::Each => self.readers[reader].pending.extend(partials),
        }
    }

    fn append(&mut self, partials: Vec<Partial>) {
        for partial in partials {
            let travelled = Partial::from_bytes(&partial.to_bytes()).expect("what was just written can be read");
            self.logs[usize::from(partial.key_group.0)].push(travelled);
        }
    }

    /// An owner takes what is next for one of its key groups.
    fn deliver(&mut self) -> Result<(), PlayError> {
        let group = self.random(self.logs.len());
        for _ in 0..=self.random(3) {
            self.deliver_next(group)?;
        }
        Ok(())
    }

    fn deliver_next(&mut self, group: usize) -> Result<bool, PlayError> {
        let (taken, held) = self.owners.take_next(group, &self.logs[group])?;
        // Answers are not part of any commit, and one or the other is lost.
        if let Some(held) = held
            && self.random(4) > 0
            && let Some(reader) = self.readers.iter_mut().find(|reader| reader.partition == held.partition)
        {
            reader.answers.push(held);
        }
        Ok(taken)
    }

    fn deliver_all(&mut self) -> Result<(), PlayError> {
        for group in 0..self.logs.len() {
            while self.deliver_next(group)? {}
        }
        Ok(())
    }

    fn answer(&mut self, reader: usize) {
        self.readers[reader].hear();
    }

    fn tick(&mut self) {
        if self.ticks.first().is_some_and(|(phase, _)| *phase <= self.phase) {
            let (_, now) = self.ticks.remove(0);
            self.now = Some(now);
            self.readers.iter_mut().for_each(|reader| reader.tick(now));
            self.owners.tick(now);
        }
    }

    fn commit(&mut self) -> Result<(), PlayError> {
        match self.tasks.commits {
            Commits::Together => self.commit_all(),
            Commits::Each => match self.random(2) {
                0 => {
                    let reader = self.random(self.readers.len());
                    self.commit_reader(reader);
                    Ok(())
                }
                _ => {
                    let merge = self.random(self.tasks.merges);
                    self.owners.commit(merge, &mut self.outcome);
                    Ok(())
                }
            },
        }
    }

    fn commit_all(&mut self) -> Result<(), PlayError> {
        (0..self.readers.len()).for_each(|reader| self.commit_reader(reader));
        (0..self.tasks.merges).for_each(|merge| self.owners.commit(merge, &mut self.outcome));
        self.kept = self.logs.iter().map(Vec::len).collect();
        Ok(())
    }

    fn commit_reader(&mut self, reader: usize) {
        let partials = self.readers[reader].commit(&mut self.outcome);
        self.append(partials);
    }

    /// Another task reads a partition from now on, from where it was committed.
    fn move_partition(&mut self, reader: usize) -> Result<(), PlayError> {
        let task = self.random(self.tasks.folds);
        if self.tasks.commits == Commits::Together {
            // What it sent since is on its way: it moves with all that it knows.
            let partials = self.readers[reader].hand_over(&self.plan, self.key_groups, task)?;
            self.append(partials);
            return Ok(());
        }
        self.commit_reader(reader);
        self.readers[reader].task = task;
        self.readers[reader].restore(&self.plan, self.key_groups, self.now)
    }

    fn move_group(&mut self) -> Result<(), PlayError> {
        let (group, to) = (self.random(self.logs.len()), self.random(self.tasks.merges));
        // A key group moves when what came of it is committed.
        match self.tasks.commits {
            Commits::Together => self.commit_all()?,
            Commits::Each => (0..self.tasks.merges).for_each(|merge| self.owners.commit(merge, &mut self.outcome)),
        }
        self.owners.hand_over(group, to)
    }

    fn crash(&mut self) -> Result<(), PlayError> {
        // As long as the story is young: its end is played often enough.
        if self.crashes == 0 || self.random(3) > 0 {
            return Ok(());
        }
        self.crashes -= 1;
        if self.tasks.commits == Commits::Together {
            for reader in 0..self.readers.len() {
                self.readers[reader].task = self.random(self.tasks.folds);
                self.readers[reader].restore(&self.plan, self.key_groups, self.now)?;
            }
            self.logs.iter_mut().zip(&self.kept).for_each(|(log, kept)| log.truncate(*kept));
            return (0..self.tasks.merges).try_for_each(|merge| self.owners.restore(merge, self.now));
        }
        if self.random(2) == 0 {
            let task = self.random(self.tasks.folds);
            let (plan, key_groups, now) = (self.plan.clone(), self.key_groups, self.now);
            let mut of_task = self.readers.iter_mut().filter(|reader| reader.task == task);
            return of_task.try_for_each(|reader| reader.restore(&plan, key_groups, now));
        }
        let merge = self.random(self.tasks.merges);
        self.owners.restore(merge, self.now)
    }

    /// With everything taken that was sent, the balance over all tasks holds.
    fn check(&self) -> Result<(), PlayError> {
        for output in 0..self.plan.outputs.len() {
            let mut sum = Balance::default();
            self.readers
                .iter()
                .filter_map(|reader| reader.fold.as_ref())
                .for_each(|fold| sum += fold.balances()[output]);
            sum += self.owners.balance(output);
            if !sum.holds() {
                let play = format!("in tasks, {:?}", self.tasks);
                return Err(PlayError::Balance { play, line: self.phase, balance: format!("{sum:?}") });
            }
        }
        Ok(())
    }
}

/// Effects that become visible.
fn publish(effects: &mut Vec<Effect>, outcome: &mut Outcome) {
    effects.drain(..).for_each(|effect| {
        outcome.add(&effect);
    });
}
