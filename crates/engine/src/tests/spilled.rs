//! State that is larger than the memory it may take: it is let go of, comes back when it is needed, and changes nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use weir_model::{Batch, Epoch, ErrorKind, SeamError, SeamResult, TimeDelta};

use super::{Names, batch, emitted, step, window_plan};
use crate::{
    Aggregate, Begin, Effect, Engine, GlobalPlan, Input, JoinKind, JoinLinesPlan, JoinPlan, JoinSpan, Node,
    OperatorPlan, Output, Plan, RowsPlan, RunRows, RunStore, Snapshot, Upstream, WindowKind,
};

/// Keys, each with a text that is long.
const KEYS: i64 = 4_000;
const KEYS_PER_BATCH: usize = 100;
const TEXT_BYTES: usize = 8_192;
/// A quarter of what the texts take.
const BUDGET: usize = KEYS as usize * TEXT_BYTES / 4;

/// The runs that the last snapshot named.
#[derive(Debug, Default)]
struct Files(Mutex<BTreeMap<u64, RecordBatch>>);

impl RunStore for Files {
    fn load(&self, id: u64) -> SeamResult<RecordBatch> {
        let found = self.0.lock().expect("one thread").get(&id).cloned();
        found.ok_or_else(|| SeamError::new(ErrorKind::Corrupt, format!("the last snapshot has no run {id}")))
    }
}

/// An engine that may hold so much, and what a shell has around it.
pub(super) struct Life {
    plan: Plan,
    pub(super) engine: Engine,
    files: Arc<Files>,
    budget: usize,
    /// The most that was held at a time.
    largest: usize,
}

impl Life {
    pub(super) fn new(plan: &Plan, budget: usize) -> Self {
        let engine = Engine::new(plan.clone(), Arc::new(Names)).expect("the plan is right");
        Self { plan: plan.clone(), engine, files: Arc::default(), budget, largest: 0 }
    }

    pub(super) fn take(&mut self, input: Input) -> Vec<RecordBatch> {
        let effects = step(&mut self.engine, input);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Lost { .. })), "every file is there");
        self.largest = self.largest.max(self.engine.state_bytes());
        if self.engine.state_bytes() > self.budget {
            self.snapshot();
            self.engine.release(self.budget / 4 * 3, &self.store());
        }
        emitted(effects)
    }

    pub(super) fn store(&self) -> Arc<dyn RunStore> {
        self.files.clone()
    }

    pub(super) fn snapshot(&mut self) -> Snapshot {
        let effects = step(&mut self.engine, Input::Barrier(Epoch(1)));
        let found = effects.into_iter().find_map(|effect| match effect {
            Effect::Snapshot(snapshot) => Some(snapshot),
            _ => None,
        });
        let snapshot = found.expect("a barrier is answered by a snapshot");
        let load = |run: &crate::Run| (run.id, run.rows.load(run.id).expect("it is somewhere"));
        let runs: BTreeMap<u64, RecordBatch> = snapshot.runs.iter().map(load).collect();
        *self.files.0.lock().expect("one thread") = runs;
        snapshot
    }

    /// From now on nothing can be loaded.
    pub(super) fn forget_files(&self) {
        self.files.0.lock().expect("one thread").clear();
    }

    /// Goes on from a snapshot in another life, that begins with nothing in memory.
    pub(super) fn crash(&mut self) {
        let mut snapshot = self.snapshot();
        for run in &mut snapshot.runs {
            run.rows = RunRows::Stored { store: self.store(), bytes: run.rows.bytes() };
        }
        self.engine = Engine::restore(self.plan.clone(), Arc::new(Names), snapshot).expect("it is its own snapshot");
    }
}

fn window(kind: WindowKind) -> Plan {
    let mut plan =
        window_plan(&["in"], &["key"], &[("n", Aggregate::Count, None), ("text", Aggregate::Last, Some("text"))]);
    if let OperatorPlan::Window(window) = &mut plan.nodes[0].operator {
        window.window = kind;
    }
    plan
}

pub(super) fn join(span: JoinSpan) -> Plan {
    let join = JoinPlan {
        with: Upstream::Source(1),
        prefix: "right_".to_owned(),
        on: vec![("key".to_owned(), "key".to_owned())],
        span,
        kind: JoinKind::Inner,
        lateness: TimeDelta::ZERO,
        rows_max: 1_000_000,
        known: [Vec::new(), Vec::new()],
    };
    let node = Node { name: "j".to_owned(), from: Upstream::Source(0), operator: OperatorPlan::Join(join) };
    let output = Output { name: "out".to_owned(), from: Upstream::Node(0) };
    Plan { nodes: vec![node], outputs: vec![output], ..window_plan(&["in", "table"], &[], &[]) }
}

/// Rows of a source, or the end.
pub(super) type Fed = Option<(usize, Batch)>;

/// A row of each of these keys, whose text is about so long.
fn rows(source: usize, second: i64, keys: &[i64], length: usize) -> Fed {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(keys.iter().map(|key| {
        let text = key.to_string();
        format!("{}{text}", " ".repeat(length.saturating_sub(text.len())))
    })));
    let columns = vec![("key", Arc::new(Int64Array::from(keys.to_vec())) as ArrayRef), ("text", texts)];
    Some((source, batch(&format!("p{source}"), &vec![second; keys.len()], columns)))
}

pub(super) fn input(fed: &Fed) -> Input {
    fed.clone().map_or(Input::End, |(source, batch)| Input::Batch { source, batch })
}

/// Every key once with a long text, by this source; then the keys again in another order, short, by `other`.
fn feed((source, other): (usize, usize)) -> Vec<Fed> {
    let all: Vec<i64> = (0..KEYS).collect();
    let again: Vec<i64> = (0..KEYS).map(|key| key * 1_237 % KEYS).collect();
    let long = (0..).zip(all.chunks(KEYS_PER_BATCH)).map(|(at, keys)| rows(source, at, keys, TEXT_BYTES));
    let short = again.chunks(KEYS as usize / 4).map(|keys| rows(other, 60, keys, 1));
    long.chain(short).chain([rows(source, 200, &[KEYS], 1), None]).collect()
}

/// What remembers rows and may let go of them.
fn kinds() -> Vec<(&'static str, Plan, Vec<Fed>)> {
    let hour = TimeDelta::from_secs(3_600);
    let sessions = window(WindowKind::Session { gap: TimeDelta::from_secs(120) });
    let global = window(WindowKind::Global(GlobalPlan { every_rows: Some(2), forget_after: Some(hour) }));
    vec![
        ("sessions", sessions, feed((0, 0))),
        ("a global window", global, feed((0, 0))),
        ("a join with a table", join(JoinSpan::AsOf { ttl: None, deleted: None }), feed((1, 0))),
        ("a join of two streams", join(JoinSpan::Within { before: hour, after: hour }), feed((1, 0))),
    ]
}

#[test]
fn four_times_as_much_state_as_memory_is_held_within_it_and_says_the_same() {
    for (kind, plan, inputs) in kinds() {
        let (mut unbounded, mut bounded) = (Life::new(&plan, usize::MAX), Life::new(&plan, BUDGET));
        let crashes = [inputs.len() / 2, inputs.len() - 3];
        for (index, fed) in inputs.iter().enumerate() {
            if crashes.contains(&index) {
                bounded.crash();
            }
            let expected = unbounded.take(input(fed));
            assert!(bounded.take(input(fed)) == expected, "{kind}, input {index}");
        }
        assert!(unbounded.largest > 4 * BUDGET, "{kind} holds {} bytes", unbounded.largest);
        assert!(bounded.largest < 2 * BUDGET, "{kind} holds {} bytes of {BUDGET}", bounded.largest);
    }
}

#[test]
fn what_cannot_be_loaded_is_told_and_not_guessed() {
    for (kind, plan, inputs) in kinds() {
        let mut life = Life::new(&plan, usize::MAX);
        let half = KEYS as usize / KEYS_PER_BATCH;
        for fed in &inputs[..half] {
            life.take(input(fed));
        }
        life.snapshot();
        life.engine.release(0, &life.store());
        life.forget_files();
        let mut effects = Vec::new();
        for fed in &inputs[half..] {
            life.engine.step(input(fed), &mut effects);
        }
        let lost = effects.iter().any(|effect| matches!(effect, Effect::Lost { node: 0, .. }));
        assert!(lost, "{kind} says nothing of it");
    }
}

/// The rows of a run have columns of the operator's own before those of the row, some of which are called alike.
#[test]
fn a_column_that_is_new_leaves_those_as_they_are_that_are_called_like_the_operators_own() {
    let names = ["key", "time", "deleted", "record"];
    let long = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
    let hour = TimeDelta::from_secs(3_600);
    for span in [JoinSpan::Within { before: hour, after: hour }, JoinSpan::AsOf { ttl: None, deleted: None }] {
        for away in [false, true] {
            let mut life = Life::new(&join(span.clone()), usize::MAX);
            let columns = |value: i64, names: &[&'static str]| -> Vec<(&'static str, ArrayRef)> {
                names.iter().map(|name| (*name, long(if *name == "key" { 1 } else { value }))).collect()
            };
            let row = |source, second, columns| {
                let batch = batch(&format!("p{source}"), &[second], columns);
                Input::Batch { source, batch }
            };
            life.take(row(1, 1, columns(7, &names)));
            if away {
                life.snapshot();
                life.engine.release(0, &life.store());
            }
            let mut more = columns(8, &names);
            more.push(("more", long(9)));
            life.take(row(1, 5, more));
            let mut told = life.take(row(0, 2, columns(0, &["key"])));
            told.extend(life.take(Input::End));
            let first = told.first().expect("the rows have partners");
            for (name, value) in [("key", 1), ("time", 7), ("deleted", 7), ("record", 7)] {
                let found = first[format!("right_{name}").as_str()].slice(0, 1);
                assert_eq!(found.as_ref(), long(value).as_ref(), "{span:?}: {name}");
            }
            assert!(first["right_more"].is_null(0), "{span:?}");
        }
    }
}

#[test]
fn records_of_lines_that_may_go_on_are_as_long_together_as_their_limit_says() {
    const LINE_BYTES: usize = 16 << 20;
    let lines = JoinLinesPlan {
        column: "text".to_owned(),
        begin: Begin::StartsWith("x".to_owned()),
        by: vec!["key".to_owned()],
        lines_max: 1_000,
        bytes_max: 2 * LINE_BYTES,
        max_wait: None,
    };
    let operator = OperatorPlan::Rows(RowsPlan::JoinLines(lines));
    let mut plan = window_plan(&["in"], &[], &[]);
    plan.nodes = vec![Node { name: "lines".to_owned(), from: Upstream::Source(0), operator }];
    let mut life = Life::new(&plan, usize::MAX);
    let mut told = Vec::new();
    // Two of one key, then four others: 112 MiB, of which 64 may be open.
    for (second, key) in [(1, 1), (2, 2), (3, 1), (4, 3), (5, 4), (6, 5), (7, 6)] {
        let (source, mut batch) = rows(0, second, &[key], LINE_BYTES - 1).expect("a row");
        batch.offsets = vec![second.unsigned_abs()].into();
        let rows = life.take(Input::Batch { source, batch });
        told.extend(rows.iter().map(|rows| rows["key"].as_primitive::<Int64Type>().value(0)));
        assert!(life.engine.state_bytes() < (64 << 20) + 100_000, "{} bytes", life.engine.state_bytes());
    }
    assert_eq!(told, [1, 2], "the oldest make room, with all that they have");
}
