//! Runs that are not in memory: a disk of its own for every snapshot, which keeps what snapshots name and nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use weir_engine::{RunRows, RunStore, Snapshot};
use weir_model::{ErrorKind, SeamError, SeamResult};

use crate::player::through_bytes;
use crate::{Line, Outcome, PlayError, Story};

/// The runs of the last snapshot.
#[derive(Debug, Default)]
pub(crate) struct Away(Mutex<BTreeMap<u64, RecordBatch>>);

impl RunStore for Away {
    fn load(&self, id: u64) -> SeamResult<RecordBatch> {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = || SeamError::new(ErrorKind::Corrupt, format!("the last snapshot has no run {id}"));
        runs.get(&id).cloned().ok_or_else(missing)
    }
}

impl Away {
    /// Keeps what `snapshot` names, as it comes back from where it is kept, and forgets what it does not.
    pub(crate) fn keep(&self, snapshot: &Snapshot) {
        let rows = snapshot.runs.iter().map(|run| match run.rows.in_memory() {
            Some(batch) => (run.id, through_bytes(batch)),
            None => (run.id, run.rows.load(run.id).expect("it was kept before")),
        });
        let rows = rows.collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = rows;
    }
}

/// A snapshot as it comes back from where it is kept: nothing of it is in memory.
pub(crate) fn kept(mut snapshot: Snapshot) -> Snapshot {
    let away = Away::default();
    away.keep(&snapshot);
    let store: Arc<dyn RunStore> = Arc::new(away);
    for run in &mut snapshot.runs {
        run.rows = RunRows::Stored { store: Arc::clone(&store), bytes: run.rows.bytes() };
    }
    snapshot
}

/// Plays with a snapshot before every line, after which nothing stays in memory that need not.
pub(crate) fn play_away(story: &Story) -> Result<Outcome, PlayError> {
    let mut stage = crate::player::Stage::new(&story.plan)?;
    let (away, mut outcome) = (Arc::new(Away::default()), Outcome::default());
    let store: Arc<dyn RunStore> = away.clone();
    for (index, line) in story.lines.iter().enumerate() {
        let mut effects = Vec::new();
        stage.step(&Line::Barrier, &mut effects);
        let Some(weir_engine::Effect::Snapshot(snapshot)) = effects.pop() else {
            unreachable!("a barrier is answered by a snapshot")
        };
        away.keep(&snapshot);
        stage.engine.release(0, &store);
        stage.step(line, &mut effects);
        stage.check(index, "with nothing in memory")?;
        effects.iter().for_each(|effect| drop(outcome.add(effect)));
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use weir_engine::Effect;

    use super::*;

    const STORY: &str = "\
time delay=1m
window 10s by key compute n=count(*), middle=p50(value) lateness=1h
---
added p0
rows p0: 00:00:01 a 5 | 00:00:02 b 7 | 00:00:11 a 1
barrier
";

    fn stage(story: &Story) -> (crate::player::Stage, Snapshot) {
        let mut stage = crate::player::Stage::new(&story.plan).expect("a plan");
        let mut effects = Vec::new();
        story.lines.iter().for_each(|line| stage.step(line, &mut effects));
        let Some(Effect::Snapshot(snapshot)) = effects.pop() else { panic!("a barrier makes a snapshot") };
        (stage, snapshot)
    }

    #[test]
    fn what_a_snapshot_has_is_let_go_and_comes_back_when_a_window_fires() {
        let story = Story::parse(STORY).expect("a story");
        let (mut stage, snapshot) = stage(&story);
        let away = Arc::new(Away::default());
        away.keep(&snapshot);
        let store: Arc<dyn RunStore> = away.clone();
        let before = stage.engine.state_bytes();
        let freed = stage.engine.release(0, &store);
        assert!(freed > 0 && stage.engine.state_bytes() <= before - freed, "{before} bytes, {freed} of them let go");
        let mut effects = Vec::new();
        stage.step(&Line::End, &mut effects);
        let texts: Vec<String> = effects.iter().flat_map(|effect| Outcome::default().add(effect)).collect();
        assert_eq!(texts.len(), 3, "{texts:?}");
    }

    #[test]
    fn ten_times_as_much_state_as_may_be_in_memory_is_held_within_the_budget() {
        const BUDGET: usize = 100_000;
        let plan =
            "time delay=1d\nwindow 10s by key compute n=count(*), middle=p50(value), all=sum(value)\n---\nadded p0\n";
        let mut story = Story::parse(plan).expect("a story");
        for minute in 0..60 {
            let rows: Vec<String> = (0..80).map(|key| format!("10:{minute:02}:0{} k{key} {key}", key % 10)).collect();
            let more = Story::parse(&format!("{plan}rows p0: {}\n", rows.join(" | "))).expect("a story");
            story.lines.push(more.lines[1].clone());
        }
        let mut stage = crate::player::Stage::new(&story.plan).expect("a plan");
        let (away, mut largest, mut outcome) = (Arc::new(Away::default()), 0, Outcome::default());
        let store: Arc<dyn RunStore> = away.clone();
        for line in &story.lines {
            let mut effects = Vec::new();
            stage.step(line, &mut effects);
            largest = largest.max(stage.engine.state_bytes());
            if stage.engine.state_bytes() > BUDGET {
                stage.step(&Line::Barrier, &mut effects);
                let Some(Effect::Snapshot(snapshot)) = effects.pop() else { panic!("a barrier makes a snapshot") };
                away.keep(&snapshot);
                stage.engine.release(BUDGET / 4 * 3, &store);
            }
        }
        let stored: usize = away.0.lock().expect("one thread").values().map(RecordBatch::get_array_memory_size).sum();
        assert!(stored > 10 * BUDGET, "{stored} bytes in all");
        assert!(largest < 2 * BUDGET, "{largest} bytes in memory at a time");
        let mut effects = Vec::new();
        stage.step(&Line::End, &mut effects);
        let told: usize = effects.iter().map(|effect| outcome.add(effect).len()).sum();
        assert_eq!(told, 60 * 80, "every group of every window");
    }

    #[test]
    fn what_cannot_be_loaded_is_told_and_not_guessed() {
        let story = Story::parse(STORY).expect("a story");
        let (mut stage, _) = stage(&story);
        let empty: Arc<dyn RunStore> = Arc::new(Away::default());
        stage.engine.release(0, &empty);
        let mut effects = Vec::new();
        stage.step(&Line::End, &mut effects);
        let lost = effects.iter().any(|effect| matches!(effect, Effect::Lost { node: 0, .. }));
        assert!(lost, "{effects:?}");
    }
}
