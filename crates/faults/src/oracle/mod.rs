//! What must be true, worked out from what was posted alone. Shares no code with what it checks.

mod read;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use weir_model::Balance;
use weir_observe::PipelineStatus;
use weir_running::Shared;

use crate::client::Client;
use crate::pipeline::OUTPUTS;
use crate::scenario::{Kind, Record, Setup};
use crate::world::World;

/// The rows of all outputs, in the order of [`OUTPUTS`].
pub(crate) type Outputs = [Vec<Value>; 4];

/// The rows of all outputs.
pub(crate) fn outputs(world: &World, shared: &Shared, setup: &Setup) -> Result<Outputs, String> {
    let mut outputs = Outputs::default();
    for (index, rows) in outputs.iter_mut().enumerate() {
        *rows = read::rows(world, shared, setup.kinds[index], OUTPUTS[index])?;
    }
    Ok(outputs)
}

/// A table shows exactly what is committed, whenever it is opened.
pub(crate) fn committed(world: &World, shared: &Shared, client: &Client, setup: &Setup) -> Result<(), String> {
    if setup.kinds[0] != Kind::Table {
        return Ok(());
    }
    let mut found = ids(&read::rows(world, shared, Kind::Table, OUTPUTS[0])?)?;
    found.sort_unstable();
    let expected: Vec<u64> = passing(&before(client, &world.positions(setup.sources)), setup).into_iter().collect();
    same("the ids in the table, at what is committed,", &expected, &found)
}

/// Whatever can be seen is committed, and there once.
pub(crate) fn visible(world: &World, shared: &Shared, client: &Client, setup: &Setup) -> Result<(), String> {
    let found = ids(&read::rows(world, shared, setup.kinds[0], OUTPUTS[0])?)?;
    let once: BTreeSet<u64> = found.iter().copied().collect();
    if once.len() < found.len() {
        return Err(format!("an id is there twice: {found:?}"));
    }
    if setup.kinds[0] == Kind::Table {
        // A table also shows its own process rows that are still to be committed.
        return Ok(());
    }
    let committed = passing(&before(client, &world.positions(setup.sources)), setup);
    match once.difference(&committed).next() {
        None => Ok(()),
        Some(id) => Err(format!("row {id} is shown and not committed")),
    }
}

/// Everything is as it must be after all has been read and all windows have ended.
pub(crate) fn complete(client: &Client, setup: &Setup, outputs: &Outputs) -> Result<(), String> {
    let records: Vec<Vec<&Record>> = client.acknowledged.iter().map(|source| source.values().collect()).collect();
    for (index, source) in client.acknowledged.iter().enumerate() {
        if let Some((place, offset)) = (0..).zip(source.keys()).find(|(place, offset)| place != *offset) {
            return Err(format!("source {index} has a record at offset {offset} and none at {place}"));
        }
    }
    let sorted = |mut ids: Vec<u64>| {
        ids.sort_unstable();
        ids
    };
    let expected: Vec<u64> = passing(&records, setup).into_iter().collect();
    same("the ids of the rows", &expected, &sorted(ids(&outputs[0])?))?;
    let answer = windows::answer(&records, setup);
    same("the ids of late rows", &sorted(answer.late), &sorted(ids(&outputs[2])?))?;
    same("windows", &answer.groups, &windows::last_revisions(&outputs[1])?)?;
    let bad = records.iter().flatten().filter(|record| record.is_bad).map(|record| record.id);
    let found: Result<Vec<u64>, String> = outputs[3].iter().map(letter).collect();
    same("the ids in the dead letters", &sorted(bad.collect()), &sorted(found?))
}

/// The balance of each output accounts for every record.
pub(crate) fn balance(client: &Client, setup: &Setup, status: &PipelineStatus) -> Result<(), String> {
    let records: Vec<Vec<&Record>> = client.acknowledged.iter().map(|source| source.values().collect()).collect();
    let count = |are: &dyn Fn(&Record) -> bool| records.iter().flatten().filter(|record| are(record)).count() as u64;
    let (read, rejected) = (count(&|_| true), count(&|record| record.is_bad));
    let low = count(&|record| !record.is_bad && record.value < setup.least);
    let (unique, late) = (passing(&records, setup).len() as u64, windows::answer(&records, setup).late.len() as u64);
    let rest = Balance { read, rejected, ..Balance::default() };
    let rows = Balance { results: unique, filtered: read - rejected - unique, ..rest };
    let counts = Balance { results: read - rejected - low - late, filtered: low, late, ..rest };
    for (name, expected) in OUTPUTS.iter().zip([rows, counts]) {
        let found = status.outputs.iter().find(|output| output.name == **name).map(|output| output.balance);
        same(&format!("the balance of {name}"), &Some(expected), &found)?;
    }
    Ok(())
}

/// What was posted before these positions.
fn before<'a>(client: &'a Client, positions: &[(String, u64)]) -> Vec<Vec<&'a Record>> {
    let until = |(source, (_, next)): (usize, &(String, u64))| client.posted(source).take(*next as usize).collect();
    positions.iter().enumerate().map(until).collect()
}

/// The ids that must pass through.
fn passing(records: &[Vec<&Record>], setup: &Setup) -> BTreeSet<u64> {
    let passes = |record: &&&Record| !record.is_bad && record.value >= setup.least;
    records.iter().flatten().filter(passes).map(|record| record.id).collect()
}

fn ids(rows: &[Value]) -> Result<Vec<u64>, String> {
    rows.iter().map(|row| row["id"].as_u64().ok_or_else(|| format!("a row without an id: {row}"))).collect()
}

/// The id of a record that could not be decoded.
fn letter(row: &Value) -> Result<u64, String> {
    let payload = row["payload"].as_str().unwrap_or_default();
    let digits: String = payload.chars().filter(char::is_ascii_digit).collect();
    digits.parse().map_err(|_| format!("a dead letter of no record: {row}"))
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!("{what} are not as they must be\n  expected {expected:?}\n  found    {found:?}"))
}

/// What is counted by window and key.
pub(crate) type Groups = BTreeMap<(i64, String), (u64, i64, i64)>;
