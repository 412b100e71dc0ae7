//! What became of rows: counted where it happens, put together per output.

use serde::{Deserialize, Serialize};
use weir_model::Balance;

use crate::plan::{OperatorPlan, Plan, Upstream};

/// Of a source.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SourceCounts {
    /// Records read, also those that could not be decoded.
    pub(crate) read: u64,
    /// Records that no step has seen.
    pub(crate) rejected: u64,
}

/// Of a node; rows of sources only, not results of windows.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct NodeCounts {
    #[serde(default)]
    pub(crate) added: u64,
    #[serde(default)]
    pub(crate) merged: u64,
    pub(crate) filtered: u64,
    pub(crate) rejected: u64,
    pub(crate) late: u64,
    /// Rows of windows that have fired.
    pub(crate) results: u64,
    /// Rows of windows that have not.
    pub(crate) open: u64,
}

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) sources: Vec<SourceCounts>,
    pub(crate) nodes: Vec<NodeCounts>,
    /// Rows that reached an output, from a source without a window in between.
    pub(crate) outputs: Vec<u64>,
}

impl Counters {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            sources: vec![SourceCounts::default(); plan.sources.len()],
            nodes: vec![NodeCounts::default(); plan.nodes.len()],
            outputs: vec![0; plan.outputs.len()],
        }
    }

    /// What became of the rows on the way to an output: the sum over the sources and steps of its path. What steps after
    /// a window do to its results does not count: their rows were counted when it fired.
    pub(crate) fn balance(&self, plan: &Plan, output: usize) -> Balance {
        let mut balance = Balance { results: self.outputs[output], ..Balance::default() };
        let mut from = plan.outputs[output].from;
        while let Upstream::Node(node) = from {
            let (counts, plan) = (&self.nodes[node], &plan.nodes[node]);
            balance.added += counts.added;
            balance.merged += counts.merged;
            balance.filtered += counts.filtered;
            balance.rejected += counts.rejected;
            balance.late += counts.late;
            if let OperatorPlan::Window(_) = plan.operator {
                // What windows further on take was settled by the first.
                (balance.results, balance.open) = (counts.results, counts.open);
            }
            from = plan.from;
        }
        for (index, source) in self.sources.iter().enumerate() {
            if from == Upstream::AllSources || from == Upstream::Source(index) {
                balance.read += source.read;
                balance.rejected += source.rejected;
            }
        }
        balance
    }
}
