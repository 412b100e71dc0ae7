//! What must be there, worked out from what was written alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::cluster::Cluster;
use super::cluster::log::{Entry, Fate};
use super::pipeline::{LATE, LETTERS, OUT, WINDOW_SECONDS};
use super::scenario::{Scenario, Shape};

/// What a reader of committed records must see.
pub(super) struct Expected<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) written: &'a BTreeSet<u64>,
    /// What retention has deleted, perhaps before it was read.
    pub(super) deletable: &'a BTreeSet<u64>,
}

impl Expected<'_> {
    /// Whether it is all there, once, in order; what is not.
    pub(super) fn check(&self, cluster: &Cluster) -> Result<(), String> {
        let (bad, good): (BTreeSet<u64>, BTreeSet<u64>) =
            self.written.iter().partition(|id| self.scenario.record(**id).is_bad);
        let letters: Vec<u64> = rows(cluster, LETTERS).iter().filter_map(letter).collect();
        self.same("dead letters", &bad, &letters)?;
        let late = rows(cluster, LATE);
        if let Some(late) = late.first().filter(|_| !self.scenario.is_disordered) {
            return Err(format!("a row is late: {late}"));
        }
        match self.scenario.shape {
            Shape::Through => {
                nothing_twice(cluster)?;
                in_order(cluster)?;
                let seen: Vec<u64> = rows(cluster, OUT).iter().filter_map(|row| row["id"].as_u64()).collect();
                self.same("ids", &good, &seen)
            }
            Shape::Counts if self.scenario.is_disordered => self.conserved(&good, cluster, &late),
            Shape::Counts => self.windows(&good, cluster),
        }
    }

    /// Each once; only what was deleted may be missing.
    fn same(&self, what: &str, expected: &BTreeSet<u64>, seen: &[u64]) -> Result<(), String> {
        let once: BTreeSet<u64> = seen.iter().copied().collect();
        if once.len() < seen.len() {
            let twice: Vec<u64> = twice(seen.iter().copied());
            return Err(format!("{what} are there twice: {twice:?}"));
        }
        let missing: Vec<u64> = expected.difference(&once).filter(|id| !self.deletable.contains(id)).copied().collect();
        if !missing.is_empty() {
            return Err(format!("{what} are missing: {missing:?}"));
        }
        match once.difference(expected).next() {
            None => Ok(()),
            Some(other) => Err(format!("{what}: nobody wrote {other}")),
        }
    }

    /// Every window says what a naive count says.
    fn windows(&self, good: &BTreeSet<u64>, cluster: &Cluster) -> Result<(), String> {
        let mut expected = BTreeMap::<Window, Sums>::new();
        for id in good {
            let record = self.scenario.record(*id);
            let start = record.second as i64 / WINDOW_SECONDS * WINDOW_SECONDS;
            let sums = expected.entry((clock(start), format!("k{}", record.key))).or_default();
            *sums = (sums.0 + 1, sums.1 + id);
        }
        let seen = windows(cluster)?;
        let differs = expected.iter().find(|(window, sums)| seen.get(*window) != Some(sums));
        if let Some((window, sums)) = differs {
            return Err(format!("the window {window:?} should say {sums:?}, and says {:?}", seen.get(window)));
        }
        // The last records of all are in windows that nothing ends.
        let more = seen.keys().find(|window| !expected.contains_key(window));
        more.map_or(Ok(()), |window| Err(format!("nobody expects the window {window:?}")))
    }

    /// Which row is late depends on the pace; but of every key each row is in one window, or late once.
    fn conserved(&self, good: &BTreeSet<u64>, cluster: &Cluster, late: &[Value]) -> Result<(), String> {
        let mut expected = BTreeMap::<String, Sums>::new();
        for id in good {
            let sums = expected.entry(format!("k{}", self.scenario.record(*id).key)).or_default();
            *sums = (sums.0 + 1, sums.1 + id);
        }
        let twice = twice(late.iter().filter_map(|row| row["id"].as_u64()));
        if !twice.is_empty() {
            return Err(format!("rows are late twice: {twice:?}"));
        }
        let mut seen = BTreeMap::<String, Sums>::new();
        let late = late.iter().map(|row| (row["key"].as_str().unwrap_or_default().to_owned(), (1, number(&row["id"]))));
        for (key, (n, total)) in windows(cluster)?.into_iter().map(|((_, key), sums)| (key, sums)).chain(late) {
            let sums = seen.entry(key).or_default();
            *sums = (sums.0 + n, sums.1 + total);
        }
        let differs = expected.iter().find(|(key, sums)| seen.get(*key) != Some(sums));
        differs.map_or(Ok(()), |(key, sums)| {
            Err(format!("of {key} there should be {sums:?} in windows and late, and there is {:?}", seen.get(key)))
        })
    }
}

/// When a window begins, and its key.
type Window = (String, String);
/// How many rows, and the sum of their ids.
type Sums = (u64, u64);

/// What windows say, each once.
fn windows(cluster: &Cluster) -> Result<BTreeMap<Window, Sums>, String> {
    let mut seen = BTreeMap::new();
    for row in rows(cluster, OUT) {
        let text = |name: &str| row[name].as_str().map(str::to_owned).ok_or_else(|| format!("no {name} in {row}"));
        let start = text("window_start")?.replace(' ', "T");
        let start = start.split('T').nth(1).map_or("", |time| &time[..time.len().min(8)]).to_owned();
        let sums = (number(&row["n"]), number(&row["total"]));
        if let Some(before) = seen.insert((start.clone(), text("key")?), sums) {
            return Err(format!("the window {start} of {} is there twice: {before:?}, {sums:?}", row["key"]));
        }
    }
    Ok(seen)
}

/// No id passes through twice.
pub(super) fn nothing_twice(cluster: &Cluster) -> Result<(), String> {
    let twice = twice(rows(cluster, OUT).iter().filter_map(|row| row["id"].as_u64()));
    if twice.is_empty() { Ok(()) } else { Err(format!("ids are there twice: {twice:?}")) }
}

/// What a reader of committed records sees of the outputs, as text.
pub(super) fn seen(cluster: &Cluster) -> String {
    [OUT, LATE, LETTERS].map(|topic| rows(cluster, topic).iter().map(Value::to_string).collect::<String>()).concat()
}

/// The ids of records as they were written.
pub(super) fn ids(entries: &[Entry]) -> Vec<u64> {
    let id = |entry: &Entry| {
        let text = String::from_utf8_lossy(entry.record.value.as_deref()?).into_owned();
        id_in(&text)
    };
    entries.iter().filter_map(id).collect()
}

/// Of one key the order is that in which they were written.
fn in_order(cluster: &Cluster) -> Result<(), String> {
    let mut last = BTreeMap::<String, u64>::new();
    for row in rows(cluster, OUT) {
        let (key, id) = (row["key"].to_string(), row["id"].as_u64().unwrap_or_default());
        if let Some(before) = last.insert(key.clone(), id).filter(|before| *before > id) {
            return Err(format!("of {key}, {id} comes after {before}"));
        }
    }
    Ok(())
}

fn rows(cluster: &Cluster, topic: &str) -> Vec<Value> {
    let logs = cluster.topics.get(topic).map_or(&[][..], Vec::as_slice);
    let committed = logs.iter().flat_map(|log| {
        let end = log.stable_end() as usize;
        log.entries[..end].iter().filter(|entry| entry.fate == Fate::Committed)
    });
    committed.filter_map(|entry| serde_json::from_slice(entry.record.value.as_deref()?).ok()).collect()
}

/// The id of the record that a dead letter holds.
fn letter(letter: &Value) -> Option<u64> {
    let payload = letter.as_object()?.values().filter_map(Value::as_str).find(|text| text.contains("is not JSON"))?;
    id_in(payload)
}

/// The number after `"id":` in a text.
fn id_in(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("\"id\":")?;
    let rest = rest.trim_start();
    rest[..rest.find(|char: char| !char.is_ascii_digit())?].parse().ok()
}

fn twice(ids: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut once = BTreeSet::new();
    ids.filter(|id| !once.insert(*id)).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().or(value.as_f64().map(|number| number as u64)).unwrap_or(u64::MAX)
}

/// The time of day, so many seconds after its beginning.
fn clock(seconds: i64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
