//! What a snapshot holds besides runs, and how runs are named.

use arrow::array::{ArrayData, RecordBatch};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::Xxh3;

use crate::adopt::Outline;
use crate::counters::{NodeCounts, SettledBefore};
use crate::progress::ProgressMeta;

/// The JSON of [`crate::Snapshot::meta`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) next_run: u64,
    pub(crate) progress: ProgressMeta,
    pub(crate) sources: Vec<crate::counters::SourceCounts>,
    pub(crate) nodes: Vec<NodeMeta>,
    pub(crate) outputs: Vec<u64>,
    /// The plan that made it; older snapshots do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<Outline>,
    /// Of each output what was settled by steps, and in state, that are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) before: Vec<SettledBefore>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NodeMeta {
    pub(crate) counts: NodeCounts,
    #[serde(default, alias = "window", skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<Box<RawValue>>,
}

/// The id of a run: a hash of its content and of how many runs there were before. An attempt that never committed may
/// have counted as far; it got the same id only for the same content.
pub(crate) fn run_id(count: u64, node: usize, pane: i64, batch: &RecordBatch) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&count.to_le_bytes());
    hash.update(&(node as u64).to_le_bytes());
    hash.update(&pane.to_le_bytes());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        hash.update(field.name().as_bytes());
        hash_array(&column.to_data(), &mut hash);
    }
    hash.digest()
}

fn hash_array(data: &ArrayData, hash: &mut Xxh3) {
    hash.update(data.data_type().to_string().as_bytes());
    hash.update(&(data.len() as u64).to_le_bytes());
    for row in 0..data.len() {
        if data.is_null(row) {
            hash.update(&(row as u64).to_le_bytes());
        }
    }
    data.buffers().iter().for_each(|buffer| hash.update(buffer.as_slice()));
    data.child_data().iter().for_each(|child| hash_array(child, hash));
}
