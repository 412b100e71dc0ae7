//! Measures the store and the queries alone: takes the rows of a file of the benchmarks into a table, then asks questions.
//! Says what `bench/rivals/store.py ask` says, so that `store.py table` shows it beside others.
//! A folder that has rows already is asked and not filled.
//! `cargo run --release -p weir-query --example store_alone -- FILE FOLDER QUESTIONS RUNS [ROWS_PER_COMMIT]`

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::json::ReaderBuilder;
use serde_json::{Map, Value, json};
use weir_disk::{DataFolder, Disk};
use weir_model::{CommitPoint, Epoch, EpochCommit};
use weir_query::encode::Values;
use weir_query::{Limits, QueryEngine, RunOptions, TableSource};
use weir_store::{Store, StoreConfig, TableConfig};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Warm runs go on for so many seconds: the clock of a process ticks a hundred times in one.
const WARM_SECS: f64 = 1.0;
const WARM_RUNS_MAX: usize = 200;

/// The columns; rows of many rows have traces.
fn schema(has_traces: bool) -> Schema {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    let tags = DataType::Struct(["env", "region", "team", "v"].into_iter().map(text).collect());
    let texts = ["level", "service", "host", "app_id", "executor_id", "message"];
    let time = Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, None), true);
    let mut fields = vec![time];
    fields.extend(texts.map(text));
    fields.push(Field::new("duration_ms", DataType::Float64, true));
    fields.push(Field::new("status", DataType::Int64, true));
    fields.push(Field::new("tags", tags, true));
    fields.extend(has_traces.then(|| text("trace_id")));
    Schema::new(fields)
}

/// CPU seconds of this process so far, user and system.
fn cpu_secs() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> =
        stat.rsplit_once(')').ok_or("no command in /proc/self/stat")?.1.split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}

fn size(folder: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

/// Takes the file in, and merges what is worth it.
fn load(file: &str, store: &Arc<Store>, commit_rows: usize) -> Outcome<()> {
    let mut lines = BufReader::new(File::open(file)?);
    let has_traces = lines
        .fill_buf()?
        .split(|byte| *byte == b'\n')
        .next()
        .is_some_and(|line| String::from_utf8_lossy(line).contains("\"trace_id\""));
    let reader = ReaderBuilder::new(Arc::new(schema(has_traces))).with_batch_size(8192).build(lines)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut writer = store.writer("logs", TableConfig::default())?;
    let (mut epoch, mut waiting) = (0, 0);
    let mut batches = reader.peekable();
    while let Some(batch) = batches.next() {
        let batch = batch?;
        writer.append(&batch)?;
        waiting += batch.num_rows();
        if waiting < commit_rows && batches.peek().is_some() {
            continue;
        }
        (epoch, waiting) = (epoch + 1, 0);
        let commit = EpochCommit {
            pipeline: "bench".to_owned(),
            epoch: Epoch(epoch),
            prepared: BTreeMap::from([("logs".to_owned(), writer.prepare(Epoch(epoch))?)]),
            ..EpochCommit::default()
        };
        runtime.block_on(store.commit(commit))?;
    }
    while store.compact_once()?.is_some() {}
    Ok(())
}

fn ask(engine: &QueryEngine, sql: &str) -> Outcome<Vec<RecordBatch>> {
    let mut result = engine.run_blocking(sql, RunOptions::default())?;
    let mut batches = Vec::new();
    while let Some(batch) = result.next_blocking() {
        batches.push(batch?);
    }
    Ok(batches)
}

fn texts(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let cell = |column: &arrow::array::ArrayRef, row: usize| {
        let mut text = Vec::new();
        Values::new(column).plain(row, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    let rows = batches.iter().flat_map(|batch| {
        (0..batch.num_rows()).map(move |row| batch.columns().iter().map(|column| cell(column, row)).collect())
    });
    rows.collect()
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, data, questions, runs, rest @ ..] = arguments.as_slice() else {
        return Err("FILE FOLDER QUESTIONS RUNS [ROWS_PER_COMMIT]".into());
    };
    let runs: usize = runs.parse()?;
    let commit_rows = rest.first().map_or(Ok(1 << 20), |rows| rows.parse())?;
    let folder = DataFolder::open(Path::new(data), Arc::new(Disk))?;
    let store = Store::open(&folder, StoreConfig::default())?;
    let (began, before) = (Instant::now(), cpu_secs()?);
    // A folder that has the rows already is asked again.
    if !store.snapshot()?.tables.contains_key("logs") {
        load(file, &store, commit_rows)?;
    }
    let (load_cpu, load_wall) = (cpu_secs()? - before, began.elapsed().as_secs_f64());
    let tables = Path::new(data).join("tables");
    let mut asked = Map::new();
    let texts_of: Map<String, Value> = serde_json::from_str(&std::fs::read_to_string(questions)?)?;
    for (name, sql) in texts_of {
        let sql = sql.as_str().ok_or("a question is a text")?;
        let sql = sql.replace("{minute}", "date_trunc('minute', ts)");
        let sql = sql.replace("{p95}", "approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms)");
        // An engine that has seen nothing.
        let engine = QueryEngine::new(Arc::clone(&store) as Arc<dyn TableSource>, Limits::for_machine())?;
        let (began, before) = (Instant::now(), cpu_secs()?);
        let mut answer = ask(&engine, &sql)?;
        let (cold_cpu, cold_wall) = (cpu_secs()? - before, began.elapsed().as_secs_f64());
        let (began, before, mut walls) = (Instant::now(), cpu_secs()?, Vec::new());
        while walls.len() < runs || (began.elapsed().as_secs_f64() < WARM_SECS && walls.len() < WARM_RUNS_MAX) {
            let one = Instant::now();
            answer = ask(&engine, &sql)?;
            walls.push(one.elapsed().as_secs_f64());
        }
        let warm_cpu = (cpu_secs()? - before) / walls.len() as f64;
        let warm_wall = walls.into_iter().fold(f64::INFINITY, f64::min);
        asked.insert(
            name,
            json!({ "sql": sql, "cold_cpu": cold_cpu * 1e3, "cold_wall": cold_wall * 1e3, "warm_cpu": warm_cpu * 1e3,
                    "warm_wall": warm_wall * 1e3, "rows": texts(&answer) }),
        );
    }
    let bytes = size(&tables)?;
    println!(
        "{}",
        json!({ "name": "weir", "load_cpu": load_cpu, "load_wall": load_wall, "bytes": bytes, "questions": asked })
    );
    Ok(())
}
