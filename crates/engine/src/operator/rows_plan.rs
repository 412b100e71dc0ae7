//! The steps that look at rows one after the other: which there are, and what makes them work. None of them knows of the
//! others.

use std::sync::Arc;

use weir_model::Compiler;

use super::add::{self, Add};
use super::columns::{self, Columns};
use super::explode::{Explode, ExplodePlan};
use super::flatten::{Flatten, FlattenPlan};
use super::join_lines::{JoinLines, JoinLinesPlan};
use super::mask::{Mask, MaskPlan};
use super::parse::{Parse, ParsePlan};
use super::rate_limit::{RateLimit, RateLimitPlan};
use super::sample::{Sample, SamplePlan};
use super::{Operator, PlanFault};
use crate::plan::Plan;

/// A step that looks at rows one after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum RowsPlan {
    /// Computes columns beside those that are there: name and expression over the columns that come in. A column of the
    /// same name is replaced where it stands.
    Add(Vec<(String, String)>),
    /// Leaves columns out.
    Drop(Vec<String>),
    /// Gives columns other names: new and old name. A column that has the new name already makes room.
    Rename(Vec<(String, String)>),
    /// Replaces columns that are structs by their fields.
    Flatten(FlattenPlan),
    /// Makes a row of each element of a list.
    Explode(ExplodePlan),
    /// Makes columns of what a text says.
    Parse(ParsePlan),
    /// Replaces what tells who somebody is.
    Mask(MaskPlan),
    /// Keeps a share of the rows.
    Sample(SamplePlan),
    /// Lets so many rows pass per span of event time.
    RateLimit(RateLimitPlan),
    /// Joins rows whose texts are lines of one record.
    JoinLines(JoinLinesPlan),
}

impl RowsPlan {
    /// The word for it in a pipeline.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Add(_) => "add",
            Self::Drop(_) => "drop",
            Self::Rename(_) => "rename",
            Self::Flatten(_) => "flatten",
            Self::Explode(_) => "explode",
            Self::Parse(_) => "parse",
            Self::Mask(_) => "mask",
            Self::Sample(_) => "sample",
            Self::RateLimit(_) => "rate_limit",
            Self::JoinLines(_) => "join_lines",
        }
    }

    /// Whether it makes sense in itself. What needs the rest of the pipeline is checked with the plan.
    ///
    /// # Errors
    /// With the first thing that is wrong, and where in the step it is.
    pub fn check(&self) -> Result<(), PlanFault> {
        match self {
            Self::Add(columns) => add::check(columns),
            Self::Drop(columns) => columns::check_drop(columns),
            Self::Rename(columns) => columns::check_rename(columns),
            Self::Flatten(plan) => plan.check(),
            Self::Explode(plan) => plan.check(),
            Self::Parse(plan) => plan.check(),
            Self::Mask(plan) => plan.check(),
            Self::Sample(plan) => plan.check(),
            Self::RateLimit(plan) => plan.check(),
            Self::JoinLines(plan) => plan.check(),
        }
    }

    /// Whether it needs rows of a source, with their positions: results of windows have none.
    pub fn needs_positions(&self) -> bool {
        match self {
            Self::Sample(plan) => plan.by.is_empty(),
            Self::RateLimit(_) | Self::JoinLines(_) => true,
            Self::Add(_)
            | Self::Drop(_)
            | Self::Rename(_)
            | Self::Flatten(_)
            | Self::Explode(_)
            | Self::Parse(_)
            | Self::Mask(_) => false,
        }
    }

    /// Whether it needs the pipeline to tell event time.
    pub fn needs_time(&self) -> bool {
        match self {
            Self::RateLimit(_) => true,
            Self::JoinLines(plan) => plan.max_wait.is_some(),
            Self::Add(_)
            | Self::Drop(_)
            | Self::Rename(_)
            | Self::Flatten(_)
            | Self::Explode(_)
            | Self::Parse(_)
            | Self::Mask(_)
            | Self::Sample(_) => false,
        }
    }

    /// Whether it waits for later rows, and hears how time goes on.
    pub(crate) fn waits(&self) -> bool {
        matches!(self, Self::JoinLines(_))
    }

    /// Whether the rows that it gives are no longer those that were read: what is rejected after it is shown as it is
    /// there, not as it came.
    pub(crate) fn changes_records(&self) -> bool {
        matches!(self, Self::Mask(_) | Self::JoinLines(_))
    }

    /// Makes the operator of the node at `node`.
    pub(super) fn build(&self, plan: &Plan, node: usize, compiler: &Arc<dyn Compiler>) -> Box<dyn Operator> {
        match self {
            Self::Add(columns) => Box::new(Add::new(columns, compiler.clone())),
            Self::Drop(columns) => Box::new(Columns::drop(columns)),
            Self::Rename(columns) => Box::new(Columns::rename(columns)),
            Self::Flatten(step) => Box::new(Flatten::new(step)),
            Self::Explode(step) => Box::new(Explode::new(step)),
            Self::Parse(step) => Box::new(Parse::new(step)),
            Self::Mask(step) => Box::new(Mask::new(step)),
            Self::Sample(step) => Box::new(Sample::new(step, compiler.clone())),
            Self::RateLimit(step) => Box::new(RateLimit::new(step, compiler.clone())),
            Self::JoinLines(step) => Box::new(JoinLines::new(step, node, plan.window_after(node), compiler.clone())),
        }
    }
}
