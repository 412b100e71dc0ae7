//! What is in a snapshot, for people who look at it without its pipeline. Restores nothing.

use std::collections::BTreeSet;

use weir_model::{EventTime, Offset, PartitionId, Watermark};

use crate::snapshot::Meta;
use crate::{EngineError, Snapshot};

/// What is in a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Its steps that remember something; those of a snapshot that does not say what made it have numbers for names.
    pub steps: Vec<StepInspection>,
    /// The partitions that were read.
    pub partitions: Vec<PartitionInspection>,
    /// How far event time had come, over the sources that each set of windows waits for.
    pub watermarks: Vec<Watermark>,
}

/// The state of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepInspection {
    /// The step's place among the nodes of its plan, as [`crate::Run::node`].
    pub node: usize,
    /// Its name.
    pub name: String,
    /// What it is: `window`, `join`.
    pub kind: String,
    /// What its state depends on: what it is called, and what it is.
    pub parts: Vec<(String, String)>,
    /// Rows taken that are in no result yet.
    pub open_rows: u64,
    /// Runs that hold the state.
    pub runs: u64,
    /// Their rows: the groups of a window (a key that changed since has several), the rows of a join.
    pub groups: u64,
    /// About how many bytes these take in memory.
    pub bytes: u64,
    /// Panes of event time that they belong to.
    pub panes: u64,
    /// Where the oldest and the newest of them begin.
    pub pane_range: Option<(EventTime, EventTime)>,
}

/// Where reading and event time stood for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionInspection {
    /// Which partition.
    pub id: PartitionId,
    /// Rows taken from it.
    pub rows: u64,
    /// Where the last of them begins.
    pub offset: Option<Offset>,
    /// The latest event time in it.
    pub latest: Option<EventTime>,
    /// Whether nothing more was expected of it.
    pub finished: bool,
}

impl Snapshot {
    /// What is in it.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be understood.
    pub fn inspect(&self) -> Result<Inspection, EngineError> {
        let meta: Meta = serde_json::from_slice(&self.meta).map_err(|error| EngineError::Corrupt(error.to_string()))?;
        let outline = meta.plan.as_ref();
        let steps = meta.nodes.iter().enumerate().filter_map(|(node, counted)| {
            let known = outline.and_then(|outline| outline.nodes.get(node));
            let runs = || self.runs.iter().filter(|run| run.node == node);
            let remembers = known.is_some_and(|known| known.remembers()) || runs().next().is_some();
            let panes: BTreeSet<EventTime> = runs().map(|run| run.pane).collect();
            remembers.then(|| StepInspection {
                node,
                name: known.map_or_else(|| format!("step {}", node + 1), |known| known.name.clone()),
                kind: known.map(|known| known.kind.clone()).unwrap_or_default(),
                parts: known.map(|known| known.parts.clone()).unwrap_or_default(),
                open_rows: counted.counts.open,
                runs: runs().count() as u64,
                groups: runs().map(|run| run.rows.in_memory().map_or(0, |batch| batch.num_rows() as u64)).sum(),
                bytes: runs().map(|run| run.rows.bytes()).sum(),
                panes: panes.len() as u64,
                pane_range: panes.first().copied().zip(panes.last().copied()),
            })
        });
        let (partitions, watermarks) = meta.progress.inspect();
        Ok(Inspection { steps: steps.collect(), partitions, watermarks })
    }
}
