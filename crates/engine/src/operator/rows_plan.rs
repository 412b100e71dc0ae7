//! The steps that look at rows one after the other: which there are, and what makes them work. None of them knows of the
//! others.

use std::sync::Arc;

use weir_model::Compiler;

use super::add::{self, Add};
use super::columns::{self, Columns};
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
}

impl RowsPlan {
    /// The word for it in a pipeline.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Add(_) => "add",
            Self::Drop(_) => "drop",
            Self::Rename(_) => "rename",
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
        }
    }

    /// Makes the operator of the node at `node`.
    pub(super) fn build(&self, _plan: &Plan, _node: usize, compiler: &Arc<dyn Compiler>) -> Box<dyn Operator> {
        match self {
            Self::Add(columns) => Box::new(Add::new(columns, compiler.clone())),
            Self::Drop(columns) => Box::new(Columns::drop(columns)),
            Self::Rename(columns) => Box::new(Columns::rename(columns)),
        }
    }
}
