//! Measures how much memory merges take: makes a table of many small segments, or merges what an earlier run has made.
//! `cargo run --release -p weir-store --example merge_memory -- FOLDER make ROWS ROWS_PER_SEGMENT`, then
//! `... -- FOLDER merge MEBIBYTES`, in a process of its own, as the peak is that of the process.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use weir_disk::{DataFolder, Disk};
use weir_model::{CommitPoint, Epoch, EpochCommit};
use weir_store::{Store, StoreConfig, TableConfig};

const BATCH_ROWS: usize = 8_192;
/// Every so many rows one is late by [`LATE_US`].
const LATE_EVERY: usize = 500;
const LATE_US: i64 = 30_000_000;

/// Rows as services write them: few services and levels, a trace id for each eight neighbours, lines with numbers in them.
fn rows(from: usize, count: usize) -> Result<RecordBatch, Box<dyn Error>> {
    let noise = |n: usize| {
        (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0x5851_f42d_4c95_7f2d)
    };
    let numbers = || from..from + count;
    let time = |n: usize| 1_767_225_600_000_000 + n as i64 * 720 - if n % LATE_EVERY == 7 { LATE_US } else { 0 };
    let texts = |text: &dyn Fn(usize) -> String| -> ArrayRef {
        Arc::new(numbers().map(text).map(Some).collect::<StringArray>())
    };
    let line = |n: usize| {
        let noise = noise(n);
        match noise % 4 {
            0 => format!("request {} took {} ms and returned {} bytes", noise >> 40, noise % 3_000, noise % 100_000),
            1 => format!("user {} opened the page /shop/item/{}", noise >> 44, noise % 10_000),
            2 => format!(
                "cache miss for key session:{:012x}, it is read from the replica db-{}",
                noise >> 16,
                noise % 12
            ),
            _ => format!(
                "connection from 10.{}.{}.{} closed after {} s",
                noise % 256,
                (noise >> 8) % 256,
                (noise >> 16) % 256,
                noise % 600
            ),
        }
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("ts", Arc::new(TimestampMicrosecondArray::from_iter_values(numbers().map(time)).with_timezone("UTC"))),
        ("level", texts(&|n| ["INFO", "INFO", "INFO", "WARN", "ERROR"][(noise(n) >> 7) as usize % 5].to_owned())),
        ("service", texts(&|n| format!("service-{}", (noise(n) >> 11) % 20))),
        ("host", texts(&|n| format!("host-{:03}", (noise(n) >> 17) % 200))),
        ("trace_id", texts(&|n| format!("{:016x}{:016x}", noise(n / 8), noise(n / 8 + 77)))),
        ("message", texts(&line)),
        (
            "duration_ms",
            Arc::new(numbers().map(|n| Some((noise(n) % 100_000) as f64 / 37.0)).collect::<Float64Array>()),
        ),
        (
            "status",
            Arc::new(
                numbers().map(|n| Some([200, 200, 404, 500][(noise(n) >> 23) as usize % 4])).collect::<Int64Array>(),
            ),
        ),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn make(path: &Path, rows_all: usize, rows_per_segment: usize) -> Result<(), Box<dyn Error>> {
    let store = Store::open(&DataFolder::open(path, Arc::new(Disk))?, StoreConfig::default())?;
    let mut writer = store.writer("logs", TableConfig::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for (epoch, from) in (1..).zip((0..rows_all).step_by(rows_per_segment)) {
        let until = rows_all.min(from + rows_per_segment);
        for from in (from..until).step_by(BATCH_ROWS) {
            writer.append(&rows(from, BATCH_ROWS.min(until - from))?)?;
        }
        let commit = EpochCommit {
            pipeline: "bench".to_owned(),
            epoch: Epoch(epoch),
            prepared: BTreeMap::from([("logs".to_owned(), writer.prepare(Epoch(epoch))?)]),
            ..EpochCommit::default()
        };
        runtime.block_on(store.commit(commit))?;
    }
    Ok(())
}

/// A line of what the system says of this process, in MiB.
fn mebibytes(name: &str) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? >> 10)
}

/// CPU seconds of this process so far, user and system.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> =
        stat.rsplit_once(')').ok_or("no command in /proc/self/stat")?.1.split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}

fn merge(path: &Path, mebibytes_max: usize) -> Result<(), Box<dyn Error>> {
    let config = StoreConfig { merge_bytes_max: mebibytes_max << 20, ..StoreConfig::default() };
    let store = Store::open(&DataFolder::open(path, Arc::new(Disk))?, config)?;
    let before =
        (mebibytes("VmRSS:")?, store.snapshot()?.tables["logs"].segments.len(), cpu_seconds()?, Instant::now());
    let (mut merges, mut rewritten) = (0, 0);
    while let Some(report) = store.compact_once()? {
        merges += 1;
        rewritten += report.rows;
    }
    let snapshot = store.snapshot()?;
    let segments = &snapshot.tables["logs"].segments;
    let rows: u64 = segments.iter().map(|segment| segment.rows).sum();
    let largest = segments.iter().map(|segment| segment.rows).max().unwrap_or(0);
    println!(
        "{rows} rows: {} segments became {} (the largest has {largest} rows) in {merges} merges of {rewritten} rows",
        before.1,
        segments.len()
    );
    println!(
        "memory {} MiB before, {} MiB at the peak; {:.2} CPU-s, {:.1} s",
        before.0,
        mebibytes("VmHWM:")?,
        cpu_seconds()? - before.2,
        before.3.elapsed().as_secs_f64()
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [folder, "make", rows, per_segment] => make(Path::new(folder), rows.parse()?, per_segment.parse()?),
        [folder, "merge", mebibytes] => merge(Path::new(folder), mebibytes.parse()?),
        _ => Err("FOLDER make ROWS ROWS_PER_SEGMENT, or FOLDER merge MEBIBYTES".into()),
    }
}
