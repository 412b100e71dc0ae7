//! `weir state`: what is kept of what a pipeline remembers. It reads, and changes nothing.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::util::pretty::pretty_format_batches;
use comfy_table::{Table, presets};
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};
use weir_disk::Disk;
use weir_engine::{EngineError, Inspection, Snapshot};
use weir_model::{Committed, Epoch, Watermark};
use weir_state::{Bucket, SnapshotSize, SnapshotStore};
use weir_store::Store;

use super::load;
use crate::cli::{Overrides, StateArgs, StateCommand, SummaryFormat};
use crate::exit::Failure;
use crate::snapshots::snapshot_of;

/// How often it is tried again when the pipeline commits meanwhile and removes what was just found.
const TRIES: usize = 5;

/// Runs the command.
///
/// # Errors
/// When the pipeline never ran there, or what is there cannot be understood.
pub fn run(args: &StateArgs) -> Result<(), Failure> {
    let StateCommand::Inspect { pipeline, overrides, data, rows, format } = &args.command;
    let (pipeline, bucket) = named(pipeline, overrides)?;
    let mut found = find(&pipeline, bucket.as_ref(), data)?;
    if bucket.is_none() {
        found.hint(&pipeline, data);
    }
    match format {
        SummaryFormat::Json => println!("{}", found.json(&pipeline)),
        SummaryFormat::Text => print!("{}", found.text(&pipeline, *rows)?),
    }
    Ok(())
}

/// The name of a pipeline, and the bucket that its file says its state lies in.
fn named(pipeline: &str, overrides: &Overrides) -> Result<(String, Option<Bucket>), Failure> {
    // Names have neither.
    if !pipeline.contains(['.', '/', '\\']) {
        return match overrides.set.first() {
            Some(set) => {
                Err(Failure::refused(format!("--set {set} is for a pipeline's file, and {pipeline} is a name")))
            }
            None => Ok((pipeline.to_owned(), None)),
        };
    }
    let job = load::job(Path::new(pipeline), overrides)?;
    Ok((job.plan.pipeline, job.snapshots))
}

/// A commit that is kept, and its snapshot.
struct KeptEpoch {
    epoch: Epoch,
    snapshot: Option<String>,
    /// How large the snapshot is; what is wrong with it or with the commit.
    size: Result<SnapshotSize, String>,
}

/// What is kept.
struct Found {
    epochs: Vec<KeptEpoch>,
    /// The newest state that can be read.
    newest: Option<(Epoch, Snapshot, Inspection)>,
}

fn find(pipeline: &str, bucket: Option<&Bucket>, data: &Path) -> Result<Found, Failure> {
    let store = Store::open_read_only(data)?;
    let snapshots = SnapshotStore::new(Arc::new(Disk), &data.join("state"));
    if let Some(bucket) = bucket {
        snapshots.look_into(pipeline, bucket)?;
    }
    let mut tried = 0;
    loop {
        let kept = store.commits(pipeline)?;
        let Some(first) = kept.first().map(|kept| kept.epoch) else {
            let message = format!("pipeline {pipeline} has never committed anything in {}", data.display());
            return Err(Failure::refused(message));
        };
        let mut found = Found { epochs: Vec::new(), newest: None };
        for kept in kept {
            let (snapshot, size) = match &kept.commit {
                Ok(commit) => (commit.snapshot.clone(), sized(&snapshots, pipeline, commit)),
                Err(error) => (None, Err(error.full())),
            };
            if let (None, Ok(commit)) = (&found.newest, &kept.commit) {
                found.newest = read(&snapshots, pipeline, commit)?;
            }
            found.epochs.push(KeptEpoch { epoch: kept.epoch, snapshot, size });
        }
        tried += 1;
        let whole = found.newest.as_ref().is_some_and(|(epoch, _, _)| *epoch == first);
        if whole || tried == TRIES || store.commits(pipeline)?.first().map(|kept| kept.epoch) == Some(first) {
            return Ok(found);
        }
    }
}

fn sized(snapshots: &SnapshotStore, pipeline: &str, commit: &Committed) -> Result<SnapshotSize, String> {
    let Some(name) = &commit.snapshot else { return Ok(SnapshotSize::default()) };
    snapshots.describe(pipeline, name).map_err(|error| error.full())
}

fn read(
    snapshots: &SnapshotStore,
    pipeline: &str,
    commit: &Committed,
) -> Result<Option<(Epoch, Snapshot, Inspection)>, Failure> {
    // An older one may be whole when this one is not; it is shown with its epoch.
    let Ok(snapshot) = snapshot_of(snapshots, pipeline, commit) else { return Ok(None) };
    let inspection = snapshot.inspect().map_err(|error: EngineError| Failure::run(error.to_string()))?;
    Ok(Some((commit.epoch, snapshot, inspection)))
}

fn time(watermark: Watermark) -> String {
    match watermark {
        Watermark::UNKNOWN => "-".to_owned(),
        Watermark::END => "the end".to_owned(),
        at => at.time().to_string(),
    }
}

fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header.to_vec());
    table.add_rows(rows);
    format!("{}\n", table.trim_fmt())
}

impl Found {
    /// What cannot be read on this disk may lie in a bucket, which only the pipeline's file knows.
    fn hint(&mut self, pipeline: &str, data: &Path) {
        if !SnapshotStore::new(Arc::new(Disk), &data.join("state")).had_bucket(pipeline) {
            return;
        }
        for damage in self.epochs.iter_mut().filter_map(|kept| kept.size.as_mut().err()) {
            damage.push_str(
                "; it had a bucket: give the pipeline's file instead of its name, and it is looked for there",
            );
        }
    }

    fn text(&self, pipeline: &str, rows: usize) -> Result<String, Failure> {
        let mut text = format!("pipeline {pipeline}: {} commits are kept\n\n", self.epochs.len());
        let epochs = self.epochs.iter().map(|kept| {
            let (size, files, state) = match &kept.size {
                Ok(size) => (HumanBytes(size.bytes).to_string(), size.objects.to_string(), "ok".to_owned()),
                Err(damage) => ("-".to_owned(), "-".to_owned(), damage.clone()),
            };
            vec![kept.epoch.to_string(), kept.snapshot.clone().unwrap_or_else(|| "-".to_owned()), size, files, state]
        });
        text.push_str(&table(&["epoch", "snapshot", "size", "files", "state"], epochs));
        let Some((epoch, snapshot, inspection)) = &self.newest else {
            text.push_str("\nno kept state can be read\n");
            return Ok(text);
        };
        let _ = write!(text, "\nthe state of epoch {epoch}:\n\n"); // writing to a string cannot fail
        let steps = inspection.steps.iter().map(|step| {
            let pane =
                |time: Option<weir_model::EventTime>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
            vec![
                step.name.clone(),
                step.kind.clone(),
                HumanCount(step.open_rows).to_string(),
                HumanCount(step.groups).to_string(),
                step.panes.to_string(),
                HumanBytes(step.bytes).to_string(),
                pane(step.pane_range.map(|range| range.0)),
                pane(step.pane_range.map(|range| range.1)),
            ]
        });
        let header = ["step", "kind", "open rows", "groups", "panes", "bytes", "oldest pane", "newest pane"];
        text.push_str(&table(&header, steps));
        let watermarks: Vec<String> = inspection.watermarks.iter().map(|watermark| time(*watermark)).collect();
        let _ = write!(text, "\nwatermark: {}\n\n", watermarks.join(", "));
        let partitions = inspection.partitions.iter().map(|partition| {
            vec![
                partition.id.as_str().to_owned(),
                HumanCount(partition.rows).to_string(),
                partition.offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string()),
                partition.latest.map_or_else(|| "-".to_owned(), |latest| latest.to_string()),
            ]
        });
        text.push_str(&table(&["partition", "rows", "last offset", "latest event time"], partitions));
        if rows > 0 {
            text.push_str(&some_rows(snapshot, inspection, rows)?);
        }
        Ok(text)
    }

    fn json(&self, pipeline: &str) -> Value {
        let epochs: Vec<Value> = self.epochs.iter().map(KeptEpoch::json).collect();
        let mut all = json!({ "pipeline": pipeline, "epochs": epochs });
        if let Some((epoch, _, inspection)) = &self.newest {
            all["epoch"] = json!(epoch);
            all["watermarks"] = inspection.watermarks.iter().map(|watermark| json!(time(*watermark))).collect();
            all["steps"] = inspection.steps.iter().map(step_json).collect();
            all["partitions"] = inspection.partitions.iter().map(partition_json).collect();
        }
        all
    }
}

impl KeptEpoch {
    fn json(&self) -> Value {
        match &self.size {
            Ok(size) => json!({
                "epoch": self.epoch, "snapshot": self.snapshot, "bytes": size.bytes, "own_bytes": size.own_bytes,
                "files": size.objects, "runs": size.runs,
            }),
            Err(damage) => json!({ "epoch": self.epoch, "snapshot": self.snapshot, "damage": damage }),
        }
    }
}

fn step_json(step: &weir_engine::StepInspection) -> Value {
    let parts: serde_json::Map<String, Value> =
        step.parts.iter().map(|(name, text)| (name.clone(), json!(text))).collect();
    json!({
        "name": step.name, "kind": step.kind, "depends_on": parts, "open_rows": step.open_rows, "runs": step.runs,
        "groups": step.groups, "panes": step.panes, "bytes": step.bytes,
        "oldest_pane": step.pane_range.map(|range| range.0.to_string()),
        "newest_pane": step.pane_range.map(|range| range.1.to_string()),
    })
}

fn partition_json(partition: &weir_engine::PartitionInspection) -> Value {
    json!({
        "id": partition.id, "rows": partition.rows, "last_offset": partition.offset,
        "latest": partition.latest.map(|latest| latest.to_string()), "finished": partition.finished,
    })
}

/// The first rows of the state of each step, run by run.
fn some_rows(snapshot: &Snapshot, inspection: &Inspection, rows: usize) -> Result<String, Failure> {
    let mut text = String::new();
    for step in &inspection.steps {
        let mut left = rows;
        for run in snapshot.runs.iter().filter(|run| run.node == step.node) {
            let shown = run.batch().slice(0, left.min(run.batch().num_rows()));
            left -= shown.num_rows();
            if shown.num_rows() > 0 {
                let table = pretty_format_batches(&[shown]).map_err(|error| Failure::run(error.to_string()))?;
                let _ = write!(text, "\n{}, pane {}:\n{table}\n", step.name, run.pane);
            }
        }
    }
    Ok(text)
}
