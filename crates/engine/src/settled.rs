//! From which event time on a pipeline may still emit results, as its state says: what lies before can be computed anew from
//! the same records and put in the place of what there is. Restores nothing.

use arrow::array::AsArray;
use arrow::compute::min;
use arrow::datatypes::Int64Type;
use weir_model::{EventTime, Watermark};

use crate::plan::{OperatorPlan, Plan, Upstream, WindowKind};
use crate::snapshot::Meta;
use crate::window::first_open;
use crate::{EngineError, Run, Snapshot};

/// Which results of an output are final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Rows leave as soon as they are read: everything that was read is settled, whatever its time.
    AsRead,
    /// What has an earlier time (results of a window: those that begin earlier) is settled.
    Before(EventTime),
    /// Nothing ever is: the step of this name speaks of all of time.
    Never(String),
}

impl Settled {
    /// What is settled by both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never(step), _) | (_, Self::Never(step)) => Self::Never(step),
            (Self::Before(one), Self::Before(two)) => Self::Before(one.min(two)),
            (Self::AsRead, settled) | (settled, Self::AsRead) => settled,
        }
    }
}

impl Snapshot {
    /// What is settled of the rows that `plan` gets from `from`, when this is the state. Steps are the same by their names.
    /// Where every partition has ended, everything is: results were emitted then, though a window takes more if more comes.
    ///
    /// # Errors
    /// `Corrupt` when the snapshot cannot be understood.
    pub fn settled(&self, plan: &Plan, from: Upstream) -> Result<Settled, EngineError> {
        let meta: Meta = serde_json::from_slice(&self.meta).map_err(|error| EngineError::Corrupt(error.to_string()))?;
        let (partitions, watermarks) = meta.progress.inspect();
        let has_ended = !partitions.is_empty() && partitions.iter().all(|partition| partition.finished);
        let reached = match watermarks.iter().min() {
            _ if has_ended => Watermark::END,
            Some(reached) => *reached,
            None => Watermark::UNKNOWN,
        };
        let asked =
            Asked { plan, holds: plan.holds(), reached: reached.time().micros(), meta: &meta, runs: &self.runs };
        Ok(asked.of(from))
    }
}

/// A question about a state.
struct Asked<'a> {
    plan: &'a Plan,
    holds: Vec<i64>,
    /// The slowest watermark, in microseconds.
    reached: i64,
    meta: &'a Meta,
    runs: &'a [Run],
}

impl Asked<'_> {
    fn of(&self, from: Upstream) -> Settled {
        let Upstream::Node(index) = from else { return Settled::AsRead };
        let node = &self.plan.nodes[index];
        let inputs = node.inputs().into_iter().map(|from| self.of(from)).fold(Settled::AsRead, Settled::and);
        let own = match &node.operator {
            OperatorPlan::Window(window) if matches!(window.window, WindowKind::Global(_)) => {
                Settled::Never(node.name.clone())
            }
            OperatorPlan::Window(window) => {
                let passed = self.passed(self.holds[index].saturating_add(window.lateness.micros()));
                let open = if self.is_certain() { passed } else { first_open(window.window, passed) };
                self.before(self.oldest_in_state(index).map_or(open, |oldest| open.min(oldest)))
            }
            OperatorPlan::Join(_) => {
                self.before(self.passed(self.holds[index].saturating_add(node.operator.holds_back())))
            }
            OperatorPlan::Rows(rows) if rows.waits() => self.before(self.passed(self.holds[index])),
            OperatorPlan::Where(_)
            | OperatorPlan::Select(_)
            | OperatorPlan::Rows(_)
            | OperatorPlan::Deduplicate(_)
            | OperatorPlan::Enrich(_) => Settled::AsRead,
        };
        inputs.and(own)
    }

    /// Whether the watermark says nothing about where a window may begin: it is unknown, or the end.
    fn is_certain(&self) -> bool {
        [EventTime::MIN.micros(), EventTime::MAX.micros()].contains(&self.reached)
    }

    fn passed(&self, hold: i64) -> i64 {
        if self.is_certain() { self.reached } else { self.reached.saturating_sub(hold) }
    }

    fn before(&self, micros: i64) -> Settled {
        Settled::Before(EventTime::from_micros(micros))
    }

    /// Where the oldest window begins of which the node holds something. Whatever it was before the pipeline was changed.
    fn oldest_in_state(&self, index: usize) -> Option<i64> {
        if self.reached == EventTime::MAX.micros() {
            return None;
        }
        let name = &self.plan.nodes[index].name;
        let at = match &self.meta.plan {
            Some(outline) => outline.nodes.iter().position(|node| node.name == *name)?,
            None => index,
        };
        let runs = || self.runs.iter().filter(|run| run.node == at);
        // The index of sessions says where each begins; the panes of their runs say nothing.
        let sessions = runs().find(|run| run.batch().column_by_name("flags").is_some());
        match sessions.and_then(|run| run.batch().column_by_name("start")) {
            Some(starts) => starts.as_primitive_opt::<Int64Type>().and_then(min),
            None => runs().map(|run| run.pane.micros()).min(),
        }
    }
}
