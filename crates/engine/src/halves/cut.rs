//! Where a plan is cut, and what an engine does that does only a part of it. Moves no rows.

use std::sync::Arc;

use weir_model::{Compiler, TimeDelta};

use crate::operator::{self, Absent, Operator};
use crate::plan::{Node, OperatorPlan, Plan, RowsPlan, TimePlan, Upstream, WatermarkPlan};

/// How the names of snapshots of a half end.
const OF_A_HALF: &str = " key groups";

/// Which part of a plan an engine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// All of it.
    Whole,
    /// What is done where a partition of this source is read.
    Fold {
        /// The index of the source.
        source: usize,
    },
    /// What the owners of keys do.
    Merge,
}

/// The sets of sources that hold each other back, and of each step by which of them it is told of event time.
type Domains = (Vec<Vec<usize>>, Vec<Option<usize>>);

impl Plan {
    /// Of each step whether it is done where partitions are read: nothing before it and nothing in it looks at keys.
    fn is_read_side(&self) -> Vec<bool> {
        let mut sides: Vec<bool> = Vec::new();
        for node in &self.nodes {
            sides.push(!node.operator.is_keyed() && node.inputs().into_iter().all(|from| is_read(&sides, from)));
        }
        sides
    }

    /// Whether some step looks at rows with equal keys, so that partials travel to their owners.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        self.nodes.iter().any(|node| node.operator.is_keyed())
    }

    /// Of each step whether it remembers rows, or counts them, from one to the next: such a step is not for a reader that
    /// begins without what the one before it has kept.
    #[must_use]
    pub fn remembers(&self) -> Vec<bool> {
        let remembers = |operator: &OperatorPlan| {
            operator.is_keyed()
                || operator.waits_for_rows()
                || matches!(operator, OperatorPlan::Rows(RowsPlan::RateLimit(_)))
        };
        self.nodes.iter().map(|node| remembers(&node.operator)).collect()
    }

    /// Of how many key groups the plan can be, if as many as `wanted` are: its owners share the work by them. A plan with a
    /// keyed step behind another one is of a single group, as what the first one gives for one key may be of another key of
    /// the second.
    #[must_use]
    pub fn key_groups(&self, wanted: u16) -> u16 {
        let sides = self.is_read_side();
        let keyed = self.nodes.iter().filter(|node| node.operator.is_keyed());
        let again = keyed.flat_map(|node| node.inputs()).any(|from| !is_read(&sides, from));
        if again { 1 } else { wanted.max(1) }
    }
}

/// Whether what comes from there is on the read side; `sides` says it of the steps so far.
fn is_read(sides: &[bool], from: Upstream) -> bool {
    match from {
        Upstream::Source(_) | Upstream::AllSources => true,
        Upstream::Node(index) => sides[index],
    }
}

impl Half {
    /// Whether the engine takes part in what the nodes do, node by node.
    pub(crate) fn has(self, plan: &Plan) -> Vec<bool> {
        let sides = plan.is_read_side();
        match self {
            Self::Whole => vec![true; sides.len()],
            Self::Merge => sides.into_iter().map(|reads| !reads).collect(),
            Self::Fold { .. } => {
                let takes = |node: &Node| node.inputs().into_iter().any(|from| is_read(&sides, from));
                plan.nodes.iter().map(takes).collect()
            }
        }
    }

    /// What stands for a node.
    pub(crate) fn build(self, plan: &Plan, node: usize, compiler: &Arc<dyn Compiler>) -> Box<dyn Operator> {
        match self {
            _ if !self.has(plan)[node] => Box::new(Absent),
            Self::Fold { .. } if !plan.is_read_side()[node] => operator::build_shipping(plan, node, compiler),
            Self::Whole | Self::Fold { .. } | Self::Merge => operator::build(plan, node, compiler),
        }
    }

    pub(crate) fn domains(self, plan: &Plan) -> Domains {
        let (domains, of_nodes) = plan.domains();
        let has = self.has(plan);
        let own = of_nodes.iter().zip(has).map(|(domain, has)| domain.filter(|_| has));
        match self {
            Self::Whole => (domains, of_nodes),
            Self::Merge => (domains, own.collect()),
            // Here is one partition, and nobody holds it back.
            Self::Fold { source } => (vec![vec![source]], own.map(|domain| domain.map(|_| 0)).collect()),
        }
    }

    /// How event time is told.
    pub(crate) fn time(self, plan: &Plan) -> Option<TimePlan> {
        let time = plan.time.clone();
        match self {
            Self::Whole => time,
            // Who is too far ahead is seen where all partitions are.
            Self::Fold { .. } => time.map(|time| TimePlan { max_drift: None, ..time }),
            // Watermarks come as they are.
            Self::Merge => {
                time.map(|time| TimePlan { watermark: WatermarkPlan::Bounded { delay: TimeDelta::ZERO }, ..time })
            }
        }
    }

    /// Names the plan and the half for snapshots and partials.
    pub(crate) fn fingerprint(self, plan: &Plan, key_groups: u16) -> String {
        let what = match self {
            Self::Whole => return plan.fingerprint(),
            Self::Fold { source } => format!("fold of source {source}"),
            Self::Merge => "merge".to_owned(),
        };
        format!("{}, {what}, {key_groups}{OF_A_HALF}", plan.fingerprint())
    }

    /// Whether a snapshot of this name is that of a half: it holds a part of the state, so it is not for the whole.
    pub(crate) fn made(fingerprint: &str) -> bool {
        fingerprint.ends_with(OF_A_HALF)
    }
}
