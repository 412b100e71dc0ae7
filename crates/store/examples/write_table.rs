//! Measures the writing of a table alone: reads NDJSON of the bench shape into columns, then times append, prepare and
//! commit. `cargo run --release -p weir-store --example write_table -- FILE [ROWS_PER_EPOCH]`

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::json::ReaderBuilder;
use weir_disk::{DataFolder, Disk};
use weir_model::{CommitPoint, Epoch, EpochCommit};
use weir_store::{Store, StoreConfig, TableConfig};

fn schema() -> Schema {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    let tags = DataType::Struct(["env", "region", "team", "v"].into_iter().map(text).collect());
    Schema::new(vec![
        Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        text("level"),
        text("service"),
        text("host"),
        text("app_id"),
        text("executor_id"),
        text("message"),
        Field::new("duration_ms", DataType::Float64, true),
        Field::new("status", DataType::Int64, true),
        Field::new("tags", tags, true),
    ])
}

/// CPU seconds of this process so far, user and system.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> =
        stat.rsplit_once(')').ok_or("no command in /proc/self/stat")?.1.split_whitespace().collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which NDJSON file?")?;
    let epoch_rows: usize = arguments.next().map_or(Ok(usize::MAX), |rows| rows.parse())?;
    let reader =
        ReaderBuilder::new(Arc::new(schema())).with_batch_size(8192).build(BufReader::new(File::open(path)?))?;
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    let temp = tempfile::tempdir()?;
    let folder = DataFolder::open(temp.path(), Arc::new(Disk))?;
    let store = Store::open(&folder, StoreConfig::default())?;
    let mut writer = store.writer("logs", TableConfig::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (wall, cpu) = (Instant::now(), cpu_seconds()?);
    let (mut epoch, mut waiting) = (0, 0);
    for (index, batch) in batches.iter().enumerate() {
        writer.append(batch)?;
        waiting += batch.num_rows();
        if waiting < epoch_rows && index + 1 < batches.len() {
            continue;
        }
        waiting = 0;
        epoch += 1;
        let commit = EpochCommit {
            pipeline: "bench".to_owned(),
            epoch: Epoch(epoch),
            prepared: BTreeMap::from([("logs".to_owned(), writer.prepare(Epoch(epoch))?)]),
            ..EpochCommit::default()
        };
        runtime.block_on(store.commit(commit))?;
    }
    let (written_wall, written_cpu) = (wall.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    let mut merges = 0;
    while let Some(_report) = store.compact_once()? {
        merges += 1;
    }
    let all_cpu = cpu_seconds()? - cpu;
    let table = store.snapshot()?.tables.remove("logs").ok_or("nothing was written")?;
    let millions = rows as f64 / 1e6;
    println!("{rows} rows, {epoch} epochs, {} segments after {merges} merges", table.segments.len());
    println!("write   {:.2} CPU-s per million rows, {:.2} s wall", written_cpu / millions, written_wall);
    println!("merges  {:.2} CPU-s per million rows", (all_cpu - written_cpu) / millions);
    println!("disk    {:.1} bytes per row", table.bytes() as f64 / rows as f64);
    Ok(())
}
