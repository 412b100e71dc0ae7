//! What the engine's share of workload A costs: 1-minute windows by service and level with count, sum, avg, min, max and
//! p95 over batches that were built before the clock starts; and beside it one hour's count and sum by service, in windows
//! of an hour, in windows of an hour that begin every second, per day of a calendar, and with every thousandth row of a key.
//! A case that ends in `rows` fires nothing: what is left is the cost of a row, which must not grow with the number of
//! windows that cover it.
//!
//! `cargo run --release -p weir-engine --example workload_a [MILLION_ROWS] [BATCH_ROWS]`, or `workload_a once CASE
//! [THOUSAND_ROWS]` for one run of one case: what `cargo xtask bench counts` counts the instructions of. `workload_a halves
//! [MILLION_ROWS] [FLUSH_BATCHES]` is workload A whole, and through a fold, bytes and owners of 64 key groups, sent every so
//! many batches.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, DictionaryArray, Float64Array, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use weir_engine::{
    Aggregate, AggregatePlan, CalendarUnit, Effect, EmitPlan, Engine, Fold, GlobalPlan, Input, KeyGroup, Limits, Merge,
    Node, OperatorPlan, Output, Partial, Plan, TimePlan, Upstream, WatermarkPlan, WindowKind, WindowPlan,
};
use weir_model::{Batch, Compiler, Epoch, ErrorKind, Expression, PartitionId, SeamError, SeamResult, TimeDelta};

const START: i64 = 1_767_225_600_000_000;
const ROWS_PER_SECOND: u64 = 1_389;
/// Longer than any stream here.
const NEVER: TimeDelta = TimeDelta::from_secs(365 * 86_400);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |index: usize, default: usize| arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(default);
    if let ["once", case, ..] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        let batches = batches(number(2, 100) * 1000, 8192);
        let (_, plan) = cases().into_iter().find(|(name, _)| *name == case).expect("the name of a case");
        println!("{:?}", run(&batches, plan));
        return;
    }
    if arguments.first().is_some_and(|word| word == "halves") {
        return measure_halves(number(1, 2) * 1_000_000, number(2, 200));
    }
    let (rows, batch_rows) = (number(0, 5) * 1_000_000, number(1, 8192));
    let batches = batches(rows, batch_rows);
    for round in 1..=3 {
        for (name, plan) in cases() {
            let (before, wall) = (cpu_nanos(), Instant::now());
            let (results, late, state) = run(&batches, plan);
            let cpu = (cpu_nanos() - before) as f64 / 1e9;
            println!(
                "round {round} {name}: {:.4} CPU-s per million rows ({:.1} M rows/s wall), {results} results, {late} late, state {} KiB",
                cpu / rows as f64 * 1e6,
                rows as f64 / wall.elapsed().as_secs_f64() / 1e6,
                state / 1024
            );
        }
    }
}

/// What is measured.
fn cases() -> [(&'static str, Plan); 12] {
    let minute = WindowKind::Tumbling { size: TimeDelta::from_secs(60), offset: TimeDelta::ZERO };
    let size = TimeDelta::from_secs(3600);
    let hour = WindowKind::Tumbling { size, offset: TimeDelta::ZERO };
    let sliding = |size: i64, slide| WindowKind::Sliding {
        size: TimeDelta::from_secs(size),
        slide: TimeDelta::from_secs(slide),
        offset: TimeDelta::ZERO,
    };
    let zone = "Europe/Berlin".parse().expect("a zone");
    let day = WindowKind::Calendar { unit: CalendarUnit::Day, zone, offset: TimeDelta::ZERO };
    let every = WindowKind::Global(GlobalPlan { every_rows: Some(1000), forget_after: None });
    let (both, service) = (["service", "level"], ["service"]);
    let rows = |window| silent(plan(2, window, &service));
    [
        ("A", plan(6, minute, &both)),
        ("A0", plan(5, minute, &both)),
        ("B", plan(1, sliding(10, 1), &service)),
        ("count", plan(1, minute, &both)),
        ("1h", plan(2, hour, &service)),
        ("1h by 1m", plan(2, sliding(3600, 60), &service)),
        ("1h by 1s", plan(2, sliding(3600, 1), &service)),
        ("1h rows", rows(hour)),
        ("1h by 1m rows", rows(sliding(3600, 60))),
        ("1h by 1s rows", rows(sliding(3600, 1))),
        ("a day in Berlin", plan(2, day, &service)),
        ("every 1000 of a key", plan(2, every, &service)),
    ]
}

/// The same plan with a watermark so far behind that nothing fires.
fn silent(mut plan: Plan) -> Plan {
    if let Some(time) = &mut plan.time {
        time.watermark = WatermarkPlan::Bounded { delay: NEVER };
    }
    plan
}

fn is_silent(plan: &Plan) -> bool {
    plan.time.as_ref().is_some_and(|time| time.watermark == WatermarkPlan::Bounded { delay: NEVER })
}

fn run(batches: &[Batch], plan: Plan) -> (usize, usize, usize) {
    let ends = !is_silent(&plan);
    let mut engine = Engine::new(plan, Arc::new(Names)).expect("the plan is right");
    let (mut results, mut late, mut state, mut effects) = (0, 0, 0, Vec::new());
    for (index, batch) in batches.iter().enumerate() {
        engine.step(Input::Batch { source: 0, batch: batch.clone() }, &mut effects);
        if index % 200 == 199 {
            engine.step(Input::Barrier(Epoch(index as u64)), &mut effects);
            state = state.max(engine.state_bytes());
        }
        count(&mut effects, &mut results, &mut late);
    }
    if ends {
        engine.step(Input::End, &mut effects);
        count(&mut effects, &mut results, &mut late);
    }
    assert!(engine.balances().iter().all(weir_model::Balance::holds), "{:?}", engine.balances());
    (results, late, state)
}

/// Counts results and late rows.
fn count(effects: &mut Vec<Effect>, results: &mut usize, late: &mut usize) {
    for effect in effects.drain(..) {
        match effect {
            Effect::Emit { rows, .. } => *results += rows.num_rows(),
            Effect::Late { rows, .. } => *late += rows.num_rows(),
            _ => {}
        }
    }
}

/// Workload A in one engine, and in halves.
fn measure_halves(rows: usize, flush_batches: usize) {
    let batches = batches(rows, 8192);
    let (_, plan) = cases().into_iter().next().expect("A comes first");
    let per_million = |before: u64| (cpu_nanos() - before) as f64 / 1e9 / rows as f64 * 1e6;
    for round in 1..=3 {
        let before = cpu_nanos();
        let whole = run(&batches, plan.clone());
        let (results, late, _) = whole;
        println!(
            "round {round} whole: {:.4} CPU-s per million rows, {results} results, {late} late",
            per_million(before)
        );
        for key_groups in [1, 64] {
            let before = cpu_nanos();
            let (results, late, bytes) = run_halves(&batches, plan.clone(), key_groups, flush_batches);
            assert_eq!((results, late), (whole.0, whole.1), "the halves say what one engine says");
            println!(
                "round {round} halves, {key_groups} key groups: {:.4} CPU-s per million rows, {results} results, {late} late, \
                 {:.1} bytes per row travelled",
                per_million(before),
                bytes as f64 / rows as f64
            );
        }
    }
}

/// The results, the late rows, and the bytes that travelled.
fn run_halves(batches: &[Batch], plan: Plan, key_groups: u16, flush_batches: usize) -> (usize, usize, usize) {
    let of = (0, PartitionId::new("p0"));
    let mut fold = Fold::new(plan.clone(), Arc::new(Names), key_groups, of).expect("the plan is right");
    let mut merge = Merge::new(plan, Arc::new(Names), key_groups).expect("the plan is right");
    (0..key_groups).for_each(|group| merge.begin(KeyGroup(group)).expect("there is such a group"));
    let (mut results, mut late, mut bytes, mut effects) = (0, 0, 0, Vec::new());
    let mut travel = |fold: &mut Fold, merge: &mut Merge, effects: &mut Vec<Effect>| {
        for partial in fold.flush() {
            let travelled = partial.to_bytes();
            bytes += travelled.len();
            let partial = Partial::from_bytes(&travelled).expect("what was just written can be read");
            let held = merge.take(partial, effects).expect("it is the next");
            held.iter().for_each(|held| fold.hear(held));
        }
        count(effects, &mut results, &mut late);
    };
    travel(&mut fold, &mut merge, &mut effects);
    for (index, batch) in batches.iter().enumerate() {
        fold.step(Input::Batch { source: 0, batch: batch.clone() }, &mut effects);
        if index % flush_batches == flush_batches - 1 {
            travel(&mut fold, &mut merge, &mut effects);
            merge.snapshot();
        }
    }
    fold.step(Input::End, &mut effects);
    travel(&mut fold, &mut merge, &mut effects);
    merge.end(&mut effects);
    travel(&mut fold, &mut merge, &mut effects);
    (results, late, bytes)
}

fn plan(aggregates: usize, window: WindowKind, by: &[&str]) -> Plan {
    let functions =
        [Aggregate::Count, Aggregate::Sum, Aggregate::Avg, Aggregate::Min, Aggregate::Max, Aggregate::Quantile(0.95)];
    let compute = functions[..aggregates].iter().enumerate().map(|(index, function)| AggregatePlan {
        name: format!("a{index}"),
        function: function.clone(),
        argument: (*function != Aggregate::Count).then(|| "duration_ms".to_owned()),
        filter: None,
    });
    let window = WindowPlan {
        window,
        by: by.iter().map(|key| (*key).to_owned()).collect(),
        compute: compute.collect(),
        lateness: TimeDelta::ZERO,
        emit: EmitPlan::default(),
    };
    Plan {
        pipeline: "a".to_owned(),
        time: Some(TimePlan {
            watermark: WatermarkPlan::Bounded { delay: TimeDelta::from_secs(10) },
            idle_after: TimeDelta::from_secs(30),
            future_limit: TimeDelta::from_secs(300),
            max_drift: None,
        }),
        sources: vec!["logs".to_owned()],
        nodes: vec![Node {
            name: "window".to_owned(),
            from: Upstream::AllSources,
            operator: OperatorPlan::Window(window),
        }],
        outputs: vec![Output { name: "out".to_owned(), from: Upstream::Node(0) }],
        limits: Limits::default(),
    }
}

/// Rows with the disorder and the skew of the workload; each batch has dictionaries of its own, as from a decoder.
fn batches(rows: usize, batch_rows: usize) -> Vec<Batch> {
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let key = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let schema = Arc::new(Schema::new(vec![
        field("service", key.clone()),
        field("level", key),
        field("duration_ms", DataType::Float64),
    ]));
    let mut made = Vec::new();
    for first in (0..rows).step_by(batch_rows) {
        let count = batch_rows.min(rows - first);
        let (mut services, mut levels, mut durations, mut times) = (vec![], vec![], vec![], vec![]);
        for row in first..first + count {
            let at = START + (row as u64 * 1_000_000 / ROWS_PER_SECOND) as i64;
            let disorder = match next() % 1000 {
                0 => 10_500_000 + next() % 110_000_000,
                1..300 => next() % 5_000_000,
                _ => next() % 500_000,
            };
            times.push((at - disorder as i64) / 1000 * 1000);
            services.push((50.0_f64.powf((next() % 10_000) as f64 / 10_000.0) - 1.0) as i32);
            levels.push([0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4][(next() % 11) as usize]);
            let normal: f64 = (0..12).map(|_| (next() % 10_000) as f64 / 10_000.0).sum::<f64>() - 6.0;
            durations.push(((3.5 + 1.2 * normal).exp() * 1000.0).round() / 1000.0);
        }
        let dictionary = |keys: Vec<i32>, prefix: &str, values: usize| -> ArrayRef {
            let values: StringArray = (0..values).map(|value| Some(format!("{prefix}-{value}"))).collect();
            Arc::new(DictionaryArray::<Int32Type>::new(Int32Array::from(keys), Arc::new(values)))
        };
        let columns = vec![
            dictionary(services, "service", 50),
            dictionary(levels, "level", 5),
            Arc::new(Float64Array::from(durations)) as ArrayRef,
        ];
        made.push(Batch {
            partition: PartitionId::new("p0"),
            origin: "p0".into(),
            columns: RecordBatch::try_new(schema.clone(), columns).expect("the columns fit the schema"),
            times: times.into(),
            offsets: (first as u64..(first + count) as u64).collect::<Vec<_>>().into(),
        });
    }
    made
}

/// Nanoseconds that this process was on a processor.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("Linux counts processor time");
    text.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("the first number is nanoseconds on a processor")
}

/// Expressions that are names of columns.
#[derive(Debug)]
struct Names;

impl Compiler for Names {
    fn compile(&self, text: &str, schema: &SchemaRef) -> SeamResult<Arc<dyn Expression>> {
        let index =
            schema.index_of(text).map_err(|error| SeamError::caused(ErrorKind::Config, "no such column", error))?;
        Ok(Arc::new(Name(index, schema.field(index).data_type().clone())))
    }
}

#[derive(Debug)]
struct Name(usize, DataType);

impl Expression for Name {
    fn data_type(&self) -> &DataType {
        &self.1
    }

    fn evaluate(&self, columns: &RecordBatch) -> SeamResult<ArrayRef> {
        Ok(columns.column(self.0).clone())
    }
}
