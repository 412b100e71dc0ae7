//! One commit of a pipeline, held fast while the pipeline goes on: its tables as links, its state, and the records of the
//! log that it had read. Changes nothing in the data folder but what belongs to the replay.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use weir_collect::SourceConfig;
use weir_disk::Disk;
use weir_engine::Snapshot;
use weir_model::{Committed, ErrorKind, SeamError, SeamResult};
use weir_state::SnapshotStore;
use weir_store::{Store, copy_catalog};

use super::{Folder, failed, refused, remove};
use crate::backup::link;
use crate::plan::Job;
use crate::running::{TierBuckets, replay_topic};

/// How often it is begun anew when the pipeline has removed meanwhile what was just found.
const TRIES: usize = 5;

/// A commit of a pipeline.
pub(super) struct Moment {
    pub(super) commit: Committed,
    /// Its state.
    pub(super) snapshot: Snapshot,
    /// The tables as they were.
    pub(super) tables: Arc<Store>,
}

impl Moment {
    /// The last commit of the pipeline of `job` in `data`.
    pub(super) fn take(job: &Job, data: &Path, folder: &Folder) -> SeamResult<Self> {
        let mut tried = 0;
        let (commit, snapshot) = loop {
            tried += 1;
            let commit = hold_tables(job, data, folder)?;
            match state(job, data, &commit) {
                // It has committed so often meanwhile that the snapshot is not kept any more.
                Err(error) if error.kind == ErrorKind::Corrupt && tried < TRIES => {}
                snapshot => break (commit, snapshot?),
            }
        };
        hold_log(job, data, folder)?;
        let tables = Store::open_read_only(&folder.inside("live"))?;
        tables.set_buckets(Arc::new(TierBuckets::default()));
        Ok(Self { commit, snapshot, tables })
    }
}

fn hold_tables(job: &Job, data: &Path, folder: &Folder) -> SeamResult<Committed> {
    let live = folder.inside("live");
    remove(&live)?;
    fs::create_dir_all(&live).map_err(|error| failed("create", &live, error))?;
    let copy = copy_catalog(data, &live.join("catalog.sqlite"), |copy| {
        copy.segments.iter().try_for_each(|segment| hold(data, &live, Path::new(&segment.path)))
    })?;
    // The newest of a pipeline comes first.
    let name = &job.plan.pipeline;
    copy.commits.into_iter().find(|commit| commit.pipeline == *name).ok_or_else(|| {
        refused(format!(
            "pipeline {name} has never committed anything in {}: there is nothing to replay",
            data.display()
        ))
    })
}

/// Links the file `path` of the folder `from` into the folder `to`; one that is missing is missing there too.
fn hold(from: &Path, to: &Path, path: &Path) -> SeamResult<()> {
    let (from, to) = (from.join(path), to.join(path));
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(|error| failed("create", parent, error))?;
    }
    match link(&from, &to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("link", &from, error)),
        _ => Ok(()),
    }
}

/// What the pipeline remembered at the commit.
fn state(job: &Job, data: &Path, commit: &Committed) -> SeamResult<Snapshot> {
    let snapshots = SnapshotStore::new(Arc::new(Disk), &data.join("state"));
    snapshots.place(&commit.pipeline, job.snapshots.as_ref())?;
    match &commit.snapshot {
        Some(name) => snapshots.read(&commit.pipeline, name),
        None => Ok(Snapshot {
            plan_fingerprint: commit.plan_fingerprint.clone(),
            meta: commit.counters.clone().into_bytes(),
            runs: Vec::new(),
        }),
    }
}

/// The records of the log that the sources read. The last file of a partition still grows, and whoever opens a log mends its
/// torn end: it is copied, so that this never touches the one that is in use.
fn hold_log(job: &Job, data: &Path, folder: &Folder) -> SeamResult<()> {
    let (from, to) = (data.join("log"), folder.inside("data").join("log"));
    for topic in topics(job) {
        for partition in listed(&from.join(&topic))? {
            let files: Vec<_> = listed(&partition)?.into_iter().filter(|path| is_segment(path)).collect();
            let Ok(relative) = partition.strip_prefix(&from) else { continue };
            let into = to.join(relative);
            fs::create_dir_all(&into).map_err(|error| failed("create", &into, error))?;
            for (index, file) in files.iter().enumerate() {
                let there = into.join(file.file_name().unwrap_or_default());
                let held = if index + 1 == files.len() { fs::copy(file, &there).map(drop) } else { link(file, &there) };
                match held {
                    // Retention has just deleted it.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    held => held.map_err(|error| failed("copy", file, error))?,
                }
            }
        }
    }
    Ok(())
}

/// The topics that the sources of `job` read.
fn topics(job: &Job) -> Vec<String> {
    let mut topics = Vec::new();
    for source in &job.sources {
        match &source.source {
            SourceConfig::Http(http) => topics.push(http.stream.clone()),
            SourceConfig::Log(log) => topics.push(log.topic.clone()),
            SourceConfig::File(_) | SourceConfig::Stdin(_) | SourceConfig::Kafka(_) => {}
        }
        topics.push(replay_topic(&job.plan.pipeline, &source.name));
    }
    topics
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "log")
}

/// What is in a folder, in the order of the names; nothing where there is none.
fn listed(folder: &Path) -> SeamResult<Vec<std::path::PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| failed("list", folder, error))?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<_> = paths.collect::<Result<_, _>>().map_err(|error| failed("list", folder, error))?;
    paths.sort();
    Ok(paths)
}

/// The error of a state that cannot be understood.
pub(super) fn misunderstood(error: &weir_engine::EngineError) -> SeamError {
    SeamError::new(ErrorKind::Corrupt, format!("the state of the pipeline: {error}"))
}
