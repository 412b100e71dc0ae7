//! Faults that others have or had when several tasks share the work, played with tasks that really are several.

use weir_engine::{Fold, Input, KeyGroup, Merge, Plan};
use weir_model::{PartitionId, ProcessingTime};

use crate::player::batch;
use crate::story::DAY;
use crate::{Columns, Commits, Outcome, Row, Story, Tasks, play_in_tasks, play_once};

const SECOND: i64 = 1_000_000;
/// Of how many key groups the stories are.
const KEY_GROUPS: u16 = 3;

/// Plays a story with every number of tasks, and compares each with what one engine says.
fn check(text: &str) -> Outcome {
    let story = Story::parse(text).expect("the story can be read");
    let alone = play_once(&story).expect("one engine plays it").sorted();
    for seed in 1..=24 {
        let (folds, merges) = (1 + seed as usize % 4, 1 + seed as usize % 3);
        let commits = if seed % 2 == 0 { Commits::Together } else { Commits::Each };
        let tasks = Tasks { folds, merges, key_groups: KEY_GROUPS, commits, crashes: 3, seed };
        let outcome = play_in_tasks(&story, tasks).unwrap_or_else(|error| panic!("{tasks:?}: {error}")).sorted();
        assert_eq!(outcome, alone, "{tasks:?}");
    }
    alone
}

/// Two partitions with a row per second each, of which the second is far behind the first.
fn skewed() -> String {
    let mut text = "time delay=1s\nwindow 10s by key compute n=count(*)\n---\nadded p0\nadded p1\n".to_owned();
    for (partition, behind) in [("p0", 0), ("p1", 600)] {
        for second in 0..200 {
            let at = 1_000 + second - behind;
            text.push_str(&format!(
                "rows {partition}: {:02}:{:02}:{:02} k{} 1\n",
                at / 3600,
                at / 60 % 60,
                at % 60,
                second % 5
            ));
        }
    }
    text.push_str("end\n");
    text
}

#[test]
fn catching_up_over_two_skewed_partitions_loses_no_row_that_is_on_time() {
    let outcome = check(&skewed());
    assert_eq!(outcome.late, Vec::<String>::new());
    assert_eq!(counted(&outcome), 400);
}

#[test]
fn reading_with_several_tasks_counts_nothing_twice() {
    let mut text = "time delay=2s\nwindow 1m by key compute n=count(*), total=sum(value)\n---\n".to_owned();
    (0..6).for_each(|partition| text.push_str(&format!("added p{partition}\n")));
    for row in 0..240 {
        text.push_str(&format!("rows p{}: 00:{:02}:{:02} k{} {row}\n", row % 6, row / 60, row % 60, row % 7));
    }
    text.push_str("end\n");
    assert_eq!(counted(&check(&text)), 240);
}

/// The rows that all results together count.
fn counted(outcome: &Outcome) -> u64 {
    let count = |text: &str| text.split_once(" n=").and_then(|(_, rest)| rest.split(' ').next()?.parse::<u64>().ok());
    outcome.results.iter().map(|(_, _, text)| count(text).expect("a result counts")).sum()
}

/// Folds and one owner of everything, told what happens line by line.
struct Scene {
    plan: Plan,
    merge: Merge,
    folds: Vec<(PartitionId, Fold, u64)>,
    outcome: Outcome,
}

impl Scene {
    fn new(plan: &str) -> Self {
        let plan = Story::parse(&format!("{plan}\n---\n")).expect("the plan can be read").plan;
        let mut merge = Merge::new(plan.clone(), std::sync::Arc::new(Columns), KEY_GROUPS).expect("it is right");
        (0..KEY_GROUPS).for_each(|group| merge.begin(KeyGroup(group)).expect("there is such a group"));
        Self { plan, merge, folds: Vec::new(), outcome: Outcome::default() }
    }

    /// Somebody begins to read a partition.
    fn added(&mut self, name: &str) {
        let id = PartitionId::new(name);
        let fold = Fold::new(self.plan.clone(), std::sync::Arc::new(Columns), KEY_GROUPS, (0, id.clone()));
        self.folds.push((id, fold.expect("the plan is right"), 0));
        self.send();
    }

    fn step(&mut self, name: &str, input: impl Fn(&PartitionId, &mut u64) -> Input) {
        let (id, fold, offset) = self.folds.iter_mut().find(|(id, ..)| id.as_str() == name).expect("it was added");
        let mut effects = Vec::new();
        fold.step(input(id, offset), &mut effects);
        effects.iter().for_each(|effect| drop(self.outcome.add(effect)));
    }

    fn rows(&mut self, name: &str, seconds: &[i64]) {
        let row =
            |second: &i64| Row { time: DAY + second * SECOND, key: Some(format!("k{}", second % 3)), value: None };
        let rows: Vec<Row> = seconds.iter().map(row).collect();
        self.step(name, |id, offset| {
            *offset += rows.len() as u64;
            Input::Batch { source: 0, batch: batch(id, *offset - rows.len() as u64, &rows) }
        });
        self.send();
    }

    fn caught_up(&mut self, name: &str) {
        self.step(name, |id, _| Input::CaughtUp(id.clone()));
        self.send();
    }

    fn tick(&mut self, second: i64) {
        let now = ProcessingTime::from_micros(DAY + second * SECOND);
        let names: Vec<PartitionId> = self.folds.iter().map(|(id, ..)| id.clone()).collect();
        names.iter().for_each(|id| self.step(id.as_str(), |_, _| Input::Tick(now)));
        let mut effects = Vec::new();
        self.merge.tick(now, &mut effects);
        effects.iter().for_each(|effect| drop(self.outcome.add(effect)));
        self.send();
    }

    /// What was read travels, and answers travel back.
    fn send(&mut self) {
        let mut effects = Vec::new();
        for (_, fold, _) in &mut self.folds {
            for partial in fold.flush() {
                let held = self.merge.take(partial, &mut effects).expect("it is the next");
                held.iter().for_each(|held| fold.hear(held));
            }
        }
        effects.iter().for_each(|effect| drop(self.outcome.add(effect)));
    }

    /// How many rows results count so far, and how many are late.
    fn so_far(&self) -> (u64, usize) {
        (counted(&self.outcome), self.outcome.late.len())
    }
}

#[test]
fn a_partition_that_appears_late_loses_no_row_of_a_window_that_is_there_and_what_it_missed_is_late() {
    let mut scene = Scene::new("time delay=0s idle_after=5s\nwindow 10s by key compute n=count(*) lateness=20s");
    scene.added("p0");
    scene.tick(1_000);
    scene.rows("p0", &[1, 4, 8, 12, 45]);
    // Windows up to 25 are gone, and those up to 45 have fired.
    assert_eq!(scene.so_far(), (4, 0));
    scene.added("p1");
    scene.rows("p1", &[3, 16, 17, 27, 44, 52, 71]);
    assert_eq!(scene.so_far().1, 3, "3, 16 and 17 miss their windows");
    scene.rows("p0", &[90]);
    // 27 and 44 are in windows that have fired, without a row so far; 52 is where the watermark of p0 was.
    assert_eq!(scene.so_far(), (4 + 3 + 1, 3));
}

#[test]
fn a_partition_that_is_expected_holds_time_back_before_somebody_reads_it() {
    let mut scene = Scene::new("time delay=0s idle_after=5s\nwindow 10s by key compute n=count(*)");
    scene.merge.expect(0, &PartitionId::new("p1"), &mut Vec::new());
    scene.added("p0");
    scene.rows("p0", &[1, 4, 25]);
    assert_eq!(scene.so_far(), (0, 0));
    scene.added("p1");
    scene.rows("p1", &[2, 21]);
    assert_eq!(scene.so_far(), (3, 0));
}

#[test]
fn an_idle_partition_does_not_stall_for_ever_and_drops_no_row_when_it_speaks_again() {
    let mut scene = Scene::new("time delay=0s idle_after=5s\nwindow 10s by key compute n=count(*)");
    scene.added("p0");
    scene.added("p1");
    scene.tick(1_000);
    scene.rows("p0", &[1, 2, 25]);
    scene.rows("p1", &[3]);
    assert_eq!(scene.so_far(), (0, 0), "p1 may be about to say something of the first window");
    scene.caught_up("p1");
    scene.tick(1_006);
    assert_eq!(scene.so_far(), (3, 0), "p1 is idle");
    // It was silent while p0 went on to 25: 4 is of a window that is gone, 22 of one that is there.
    scene.rows("p1", &[4, 22, 41]);
    assert_eq!(scene.so_far(), (3, 1));
    scene.rows("p0", &[43]);
    assert_eq!(scene.so_far(), (5, 1));
}

#[test]
fn a_reader_that_was_frozen_is_refused_once_another_one_reads_and_a_gap_is_noticed() {
    let mut scene = Scene::new("time delay=0s\nwindow 10s by key compute n=count(*)");
    scene.added("p0");
    scene.rows("p0", &[1]);
    let mut effects = Vec::new();
    let (id, mut frozen, offset) = scene.folds.remove(0);
    frozen.step(Input::Barrier(weir_model::Epoch(1)), &mut effects);
    let Some(weir_engine::Effect::Snapshot(snapshot)) = effects.pop() else { panic!("a barrier makes a snapshot") };
    let of = (0, id.clone());
    let again = Fold::restore(scene.plan.clone(), std::sync::Arc::new(Columns), KEY_GROUPS, of, snapshot);
    scene.folds.push((id.clone(), again.expect("it was just made"), offset));
    scene.rows("p0", &[2, 3, 4]);

    let rows = [Row { time: DAY + 5 * SECOND, key: Some("k".to_owned()), value: None }];
    frozen.step(Input::Batch { source: 0, batch: batch(&id, 1, &rows) }, &mut effects);
    for partial in frozen.flush() {
        let refused = scene.merge.take(partial, &mut effects).expect_err("somebody else reads p0");
        assert_eq!(
            refused.to_string(),
            "a partial of partition p0 is of generation 1, and 2 reads it: its reader must stop"
        );
    }

    let (_, fold, _) = &mut scene.folds[0];
    let mut sent = Vec::new();
    for second in [30, 60] {
        let rows = [Row { time: DAY + second * SECOND, key: Some("k".to_owned()), value: None }];
        fold.step(Input::Batch { source: 0, batch: batch(&id, 4, &rows) }, &mut effects);
        sent.push(fold.flush());
    }
    let (second, first) = (sent.remove(1).swap_remove(0), sent.remove(0).swap_remove(0));
    assert_eq!(first.key_group, second.key_group);
    let missing = scene.merge.take(second, &mut effects).expect_err("the one before did not come");
    assert_eq!(missing.to_string(), "of partition p0 partial 1 did not come, but 2: go back to the last commit");
    // Once is enough.
    scene.merge.take(first.clone(), &mut effects).expect("it is the next");
    let before = scene.merge.balances();
    scene.merge.take(first, &mut effects).expect("it came before");
    assert_eq!(scene.merge.balances(), before);
}

#[test]
fn a_row_that_is_late_is_told_apart_from_those_before_it_although_they_travel_together() {
    let mut scene = Scene::new("time delay=0s\nwindow 10s by name compute n=count(*) lateness=60s late=10s");
    scene.added("p0");
    scene.rows("p0", &[0, 3, 6, 12, 9, 21, 15, 34]);
    let told: Vec<&str> = scene.outcome.results.iter().map(|(_, _, text)| text.as_str()).collect();
    assert_eq!(
        told,
        [
            "00:00:00..00:00:10 name=k0 n=3 on_time revision=0",
            "00:00:00..00:00:10 name=k0 n=4 late revision=1",
            "00:00:10..00:00:20 name=k0 n=1 on_time revision=0",
            "00:00:10..00:00:20 name=k0 n=2 late revision=1",
            "00:00:20..00:00:30 name=k0 n=1 on_time revision=0",
        ]
    );
}
