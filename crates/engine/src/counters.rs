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

/// Of an output: what makes its balance even after steps that have counted are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SettledBefore {
    pub(crate) added: u64,
    pub(crate) filtered: u64,
}

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) sources: Vec<SourceCounts>,
    pub(crate) nodes: Vec<NodeCounts>,
    /// Rows that reached an output, from a source without a window in between.
    pub(crate) outputs: Vec<u64>,
    /// Empty, or one per output.
    pub(crate) before: Vec<SettledBefore>,
}

impl Counters {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            sources: vec![SourceCounts::default(); plan.sources.len()],
            nodes: vec![NodeCounts::default(); plan.nodes.len()],
            outputs: vec![0; plan.outputs.len()],
            before: Vec::new(),
        }
    }

    /// Makes every balance even: what is missing was settled by steps, or is in state, that are gone.
    pub(crate) fn settle(&mut self, plan: &Plan) {
        self.before.resize(plan.outputs.len(), SettledBefore::default());
        for output in 0..plan.outputs.len() {
            let Balance { read, added, results, filtered, merged, late, rejected, open } = self.balance(plan, output);
            let (taken, settled) = (read + added, results + filtered + merged + late + rejected + open);
            self.before[output].filtered += taken.saturating_sub(settled);
            self.before[output].added += settled.saturating_sub(taken);
        }
    }

    /// What became of the rows on the way to an output: the sum over the sources and steps of its paths. A row that comes to
    /// it by two paths (a source that is joined with itself) is read twice. What steps do to rows that an earlier step
    /// has made does not count: these were settled where they were made.
    pub(crate) fn balance(&self, plan: &Plan, output: usize) -> Balance {
        let mut balance = self.settled(plan, plan.outputs[output].from);
        balance.results += self.outputs[output];
        let before = self.before.get(output).copied().unwrap_or_default();
        balance.added += before.added;
        balance.filtered += before.filtered;
        balance
    }

    /// What became of the rows up to `from`.
    fn settled(&self, plan: &Plan, from: Upstream) -> Balance {
        let mut balance = Balance::default();
        let Upstream::Node(index) = from else {
            for (source, counts) in self.sources.iter().enumerate() {
                if from == Upstream::AllSources || from == Upstream::Source(source) {
                    balance.read += counts.read;
                    balance.rejected += counts.rejected;
                }
            }
            return balance;
        };
        let (counts, node) = (&self.nodes[index], &plan.nodes[index]);
        for from in node.inputs() {
            balance += self.settled(plan, from);
        }
        balance.added += counts.added;
        balance.merged += counts.merged;
        balance.filtered += counts.filtered;
        balance.rejected += counts.rejected;
        balance.late += counts.late;
        if node.operator.makes_rows() && !node.inputs().into_iter().all(|from| plan.is_made(from)) {
            balance.results += counts.results;
            balance.open += counts.open;
        }
        if let OperatorPlan::Rows(_) = node.operator {
            // Rows that may go on as part of a later one, and are settled there.
            balance.open += counts.open;
        }
        balance
    }
}
