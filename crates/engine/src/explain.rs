//! What each step holds and waits for, to be shown. Changes nothing.

use weir_model::{EventTime, Watermark};

use crate::Engine;

/// What a step holds and waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepStatus {
    /// Its name in the plan.
    pub name: String,
    /// How far event time has come for it; `None` for a step that does not wait for event time.
    pub watermark: Option<Watermark>,
    /// Rows that it has taken and no results contain yet.
    pub open_rows: u64,
    /// About how many bytes it holds.
    pub state_bytes: u64,
    /// What is in them, for a step that groups rows.
    pub holding: Option<Holding>,
}

/// Groups that wait to be emitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Groups: a key in a pane.
    pub groups: u64,
    /// Panes that have rows.
    pub panes: u64,
    /// Of the windows that event time has not passed and that have something to say, the first: from when to when. It
    /// fires when the watermark reaches its end.
    pub next_window: Option<(EventTime, EventTime)>,
}

impl Engine {
    /// What each step holds and waits for, in the order of the plan.
    pub fn steps(&self) -> Vec<StepStatus> {
        let operators = self.plan.nodes.iter().zip(&self.graph.operators);
        let steps = operators.zip(self.graph.domains.iter().zip(&self.graph.holds));
        let steps = steps.map(|((node, operator), (domain, hold))| StepStatus {
            name: node.name.clone(),
            watermark: domain.map(|domain| {
                let reached = self.progress.reached(domain).saturating_sub(*hold);
                Watermark::at(EventTime::from_micros(reached))
            }),
            open_rows: operator.open_rows(),
            state_bytes: operator.state_bytes() as u64,
            holding: operator.holding(),
        });
        steps.collect()
    }
}
