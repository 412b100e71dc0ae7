//! What a step does with rows, behind one seam: the graph moves rows and counts them, and knows no operator by name.
//!
//! An operator is a file that implements [`Operator`], an arm in [`OperatorPlan`] and an arm in [`build`]. One that looks
//! at a row at a time needs no more than [`Operator::take`]; one that waits for event time also hears of it, and keeps
//! what it remembers as runs (columns, immutable, named once) and as JSON.

mod add;
mod columns;
mod deduplicate;
mod enrich;
mod explode;
mod fault;
mod flatten;
mod join;
mod join_lines;
mod mask;
mod parse;
mod rate_limit;
mod regexes;
mod row_hash;
mod rows_plan;
mod sample;
mod select;
mod ship;
mod where_;

use std::fmt::Debug;
use std::sync::Arc;

use serde_json::value::RawValue;
use weir_model::{Compiler, PartitionId, SeamError, SeamResult};

use crate::compiled::Trouble;
use crate::halves::{Groups, Sent};
use crate::plan::{OperatorPlan, Plan};
use crate::rows::Rows;
use crate::{Effect, Holding, KeyStores, Run, RunStore};
use deduplicate::Deduplicate;
pub use deduplicate::{DeduplicatePlan, LateRows};
use enrich::Enrich;
pub use enrich::{EnrichPlan, Missing, Table, TableError};
pub use explode::{Empty, ExplodePlan, exploded_schema};
pub use fault::PlanFault;
use fault::distinct;
pub use flatten::{Clash, FlattenPlan, flat_schema};
pub use join::{JoinKind, JoinPlan, JoinSpan};
pub use join_lines::{Begin, JoinLinesPlan};
pub use mask::{MaskPlan, MaskWith, Pii};
pub use parse::{Into, OnFailure, Others, ParseHow, ParsePlan, ParseType};
pub use rate_limit::{Over, RateLimitPlan};
pub use rows_plan::RowsPlan;
pub use sample::SamplePlan;
use select::Select;
pub(crate) use ship::{Absent, Ship};
use where_::Where;

/// A step at work.
pub(crate) trait Operator: Debug + Send {
    /// Takes rows. When it fails nothing has happened; after [`Trouble::Value`] the rows come again in halves until the
    /// one that is wrong stands alone.
    ///
    /// `port` says which of [`crate::Node::inputs`] the rows come from. `effects` takes what concerns single rows:
    /// [`Effect::Late`], [`Effect::Reject`].
    fn take(&mut self, port: usize, rows: &Rows, effects: &mut Vec<Effect>) -> Result<Outcome, Trouble>;

    /// The smallest watermark beyond `reached` at which there is something to do: batches are cut there.
    fn next_stop(&self, _reached: i64) -> i64 {
        i64::MAX
    }

    /// Hears that time has gone on.
    fn hear(&mut self, _news: News) -> Outcome {
        Outcome::default()
    }

    /// Takes the newest version of the table that it looks up in.
    fn learn(&mut self, _table: Arc<Table>) {}

    /// The version of its table that rows saw last.
    fn table_version(&self) -> Option<&str> {
        None
    }

    /// Hears that a partition has ended, or is silent for so long that nobody waits for it: what waits for its next row
    /// waits no longer.
    fn partition_ends(&mut self, _partition: &PartitionId) -> Outcome {
        Outcome::default()
    }

    /// Puts keys that do not fit into memory into a store, as the step of this name; before anything else happens.
    ///
    /// # Errors
    /// When there cannot be one.
    fn keep_keys_in(&mut self, _step: &str, _stores: &dyn KeyStores) -> SeamResult<()> {
        Ok(())
    }

    /// Rows taken that are in no result yet and may still be.
    fn open_rows(&self) -> u64 {
        0
    }

    /// Every run that is alive, named; `next_run` counts the runs that were ever named.
    fn seal(&mut self, _next_run: &mut u64) -> Vec<Run> {
        Vec::new()
    }

    /// What a snapshot keeps besides runs; called after [`Operator::seal`].
    fn meta(&self) -> Option<Box<RawValue>> {
        None
    }

    /// Takes over what a snapshot holds: what [`Operator::meta`] gave, and the runs of all nodes.
    ///
    /// # Errors
    /// What is damaged.
    fn restore(&mut self, _meta: &RawValue, _runs: &[Run]) -> Result<(), String> {
        Err("a step that remembers nothing has a memory in it".to_owned())
    }

    /// Whether [`Operator::restore`] takes runs that are not in memory, and loads them when it needs them.
    fn loads_runs_itself(&self) -> bool {
        false
    }

    /// Lets go of what `store` has, as the last snapshot named it, until about `wanted` bytes are free; nothing has happened
    /// since that snapshot. Returns about how many are.
    fn release(&mut self, _wanted: usize, _store: &Arc<dyn RunStore>) -> usize {
        0
    }

    /// Why what it remembers is not what it was, if something could not be loaded: nothing that follows is right.
    fn lost(&mut self) -> Option<SeamError> {
        None
    }

    /// Of the half where partitions are read: rows before which the watermark was here or further may be folded. Others are
    /// sent as they are.
    fn fold_from(&mut self, _mark: i64) {}

    /// Of the half where partitions are read: how many rows and groups wait to be sent.
    fn unsent(&self) -> usize {
        0
    }

    /// Of the half where partitions are read: takes out what is for the owners of the keys.
    fn send(&mut self) -> Vec<Sent> {
        Vec::new()
    }

    /// Of the half that owns keys: takes what the other one has folded.
    fn receive(&mut self, _groups: &Groups, _effects: &mut Vec<Effect>) -> Outcome {
        unreachable!("a plan is cut at steps that fold or are sent rows")
    }

    /// What is held, to be shown, by an operator that groups rows.
    fn holding(&self) -> Option<Holding> {
        None
    }

    /// About how many bytes the state takes.
    fn state_bytes(&self) -> usize {
        0
    }
}

/// What an operator hears of time. Watermarks are microseconds, and are those of the node's domain.
#[derive(Clone, Copy, Debug)]
pub(crate) enum News {
    /// The watermark has come to here.
    Reached(i64),
    /// Nobody yields for now: changes do not wait for event time any longer.
    Quiet,
    /// Processing time went from the one to the other.
    Tick(i64, i64),
    /// No more is to be expected; the watermark is here.
    End(i64),
}

impl News {
    /// The same for a node whose watermark is so far behind.
    pub(crate) fn held_back(self, hold: i64) -> Self {
        match self {
            Self::Reached(reached) => Self::Reached(reached.saturating_sub(hold)),
            Self::End(reached) => Self::End(reached.saturating_sub(hold)),
            Self::Quiet | Self::Tick(_, _) => self,
        }
    }
}

/// What became of rows.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What goes on, in order.
    pub(crate) rows: Vec<Rows>,
    /// Rows that were not wanted.
    pub(crate) filtered: u64,
    /// Rows that were made besides those that were taken.
    pub(crate) added: u64,
    /// Rows that became part of another row.
    pub(crate) merged: u64,
    /// Rows that came too late.
    pub(crate) late: u64,
    /// Rows that cannot be processed.
    pub(crate) rejected: u64,
    /// Rows that were open and are contained in results now, for the first time.
    pub(crate) shown: u64,
}

impl Outcome {
    /// All of `rows` go on.
    pub(crate) fn passes(rows: Rows) -> Self {
        Self { rows: vec![rows], ..Self::default() }
    }

    /// What became of later rows comes after.
    pub(crate) fn append(&mut self, mut later: Self) {
        self.rows.append(&mut later.rows);
        self.filtered += later.filtered;
        self.added += later.added;
        self.merged += later.merged;
        self.late += later.late;
        self.rejected += later.rejected;
        self.shown += later.shown;
    }
}

/// Makes the operator of a node.
pub(crate) fn build(plan: &Plan, node: usize, compiler: &Arc<dyn Compiler>) -> Box<dyn Operator> {
    match &plan.nodes[node].operator {
        OperatorPlan::Where(text) => Box::new(Where::new(text, compiler.clone())),
        OperatorPlan::Select(columns) => Box::new(Select::new(columns, compiler.clone())),
        OperatorPlan::Rows(rows) => rows.build(plan, node, compiler),
        OperatorPlan::Join(join) => join::build(join, plan, node, compiler),
        OperatorPlan::Enrich(enrich) => Box::new(Enrich::new(enrich, plan, node, compiler.clone())),
        OperatorPlan::Deduplicate(plan_of) => Box::new(Deduplicate::new(plan_of, plan, node, compiler.clone())),
        OperatorPlan::Window(window) => crate::window::build(window, plan, node, compiler.clone()),
    }
}

/// Makes what stands for a node where partitions are read, when its keys have owners elsewhere.
pub(crate) fn build_shipping(plan: &Plan, node: usize, compiler: &Arc<dyn Compiler>) -> Box<dyn Operator> {
    let keys = match &plan.nodes[node].operator {
        OperatorPlan::Window(window) => return crate::window::build_folding(window, plan, node, compiler),
        OperatorPlan::Deduplicate(step) => vec![step.by.clone()],
        OperatorPlan::Join(join) => {
            let (left, right) = join.on.iter().cloned().unzip();
            // A left row without a partner has the columns of the right ones.
            return Box::new(Ship::telling_columns(vec![left, right], compiler));
        }
        OperatorPlan::Where(_) | OperatorPlan::Select(_) | OperatorPlan::Rows(_) | OperatorPlan::Enrich(_) => {
            unreachable!("a plan is cut at steps that have keys")
        }
    };
    Box::new(Ship::new(keys, compiler))
}
