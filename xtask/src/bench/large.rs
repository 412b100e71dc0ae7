//! Workload D with more rows than anybody wants to keep as a file: they go from the generator through a pipe into a table, each
//! eight neighbours with a trace id of their own, and then a Weir that is up is asked over HTTP what people ask. Every
//! answer of which the rows say what it must be is compared with that.

use std::fs;

use super::asking::{Question, asked, checked, questions};
use super::load::{Load, load};
use super::on_disk::on_disk;
use super::options::Options;
use super::up::Up;
use crate::shell::Outcome;

/// Nothing is chosen about the table, and rows come as fast as they can.
pub(super) const PLAIN: Load<'_> = Load { chosen: "", epoch: "10s", trickle: None };

pub(super) fn run(options: &Options) -> Outcome {
    let weir = super::binary(options)?;
    let folder = match &options.out {
        Some(out) => out.clone(),
        None => super::scratch()?.join("large"),
    };
    let data = folder.join("data");
    let marker = folder.join(format!("rows-{}-{}", options.rows, options.seed));
    if marker.exists() {
        println!("{} rows are there already", options.rows);
    } else {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let cost = load(&weir, &folder, options, &PLAIN)?;
        let million = options.rows as f64 / 1e6;
        println!(
            "{} rows taken in: {:.2} CPU-s per million rows, {:.0} rows/s, peak {:.0} MB",
            options.rows,
            cost.cpu_secs / million,
            options.rows as f64 / cost.wall_secs,
            cost.peak_bytes as f64 / 1e6
        );
        fs::write(&marker, "").map_err(|error| format!("{}: {error}", marker.display()))?;
    }
    let up = Up::start(&weir, &data, &[])?;
    up.settle()?;
    let found = on_disk(&data)?;
    let (segments, bytes) = (found.segments, found.bytes() as f64);
    println!("{segments} segments, {:.1} MB on disk, {:.1} bytes per row", bytes / 1e6, bytes / options.rows as f64);
    println!("merges: {:.1} CPU-s", up.cpu_secs()?);
    drop(up);
    let up = Up::start(&weir, &data, &[])?;
    println!(
        "| question | CPU ms cold | wall ms cold | CPU ms warm | wall ms warm | bytes of answer |\n|---|---|---|---|---|---|"
    );
    let mut failures = Vec::new();
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    for question in questions(options.rows).iter().filter(|question| wanted(question.name)) {
        match measured(&up, question, options.runs) {
            Ok(line) => println!("{line}"),
            Err(why) => failures.push(format!("{}: {why}", question.name)),
        }
    }
    println!("peak memory of the server: {:.0} MB", up.peak_bytes()? as f64 / 1e6);
    drop(up);
    if options.out.is_none() {
        let _ = fs::remove_dir_all(&folder);
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Asks, compares; a line of the table.
fn measured(up: &Up, question: &Question, runs: u32) -> Outcome<String> {
    let asked = asked(up, &question.ask, runs)?;
    checked(question, &asked.body)?;
    Ok(format!(
        "| {} | {:.0} | {:.1} | {:.1} | {:.1} | {} |",
        question.name,
        asked.cold_cpu_ms,
        asked.cold_wall_ms,
        asked.warm_cpu_ms,
        asked.warm_wall_ms,
        asked.body.len()
    ))
}
