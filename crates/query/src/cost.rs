//! What a short text stands for once it is written out; measures the text, not the data.
//!
//! A common table expression that reads the one before it twice doubles the plan with every line, and a subquery that
//! uses a column of the one inside it twice doubles the expressions: thirty lines stand for a billion. The optimizer
//! writes both out and cannot be stopped on its way, so the size is computed before it starts.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, Statement, Visit, Visitor};

use crate::error::{QueryError, QueryErrorCode};

/// What a query stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    /// How many tables it reads, written out.
    pub(crate) tables: u64,
    /// How many times one column of a table may stand in one of its expressions, written out.
    pub(crate) growth: u64,
}

/// Refuses a statement that stands for more than `expansion_max` tables or repetitions.
pub(crate) fn check(statement: &Statement, expansion_max: u64) -> Result<(), QueryError> {
    let cost = of(statement);
    let grown = cost.tables.saturating_mul(cost.growth);
    if grown <= expansion_max {
        return Ok(());
    }
    let message = format!(
        "written out, the query reads {} tables and repeats a column up to {} times; {expansion_max} of both together are allowed",
        cost.tables, cost.growth
    );
    Err(QueryError::new(QueryErrorCode::TooComplex, message).hint("nest less, or repeat less of what is nested"))
}

pub(crate) fn of(statement: &Statement) -> Cost {
    let mut measure = Measure { frames: vec![Frame::default()] };
    let _ = statement.visit(&mut measure);
    measure.frames.pop().unwrap_or_default().cost()
}

#[derive(Default)]
struct Frame {
    /// The common table expressions that this query defines, so far.
    defined: HashMap<String, Cost>,
    /// The addresses of the queries that define them, with their names.
    definitions: HashMap<usize, String>,
    tables: u64,
    growth: u64,
    /// The most that one name is repeated in one expression.
    repeated: u64,
    /// How deep in an expression the walk is, and how often each name was met in it.
    depth: usize,
    names: HashMap<String, u64>,
}

impl Frame {
    fn add(&mut self, cost: Cost) {
        self.tables = self.tables.saturating_add(cost.tables);
        self.growth = self.growth.max(cost.growth);
    }

    fn cost(&self) -> Cost {
        Cost { tables: self.tables.max(1), growth: self.growth.max(1).saturating_mul(self.repeated.max(1)) }
    }
}

struct Measure {
    frames: Vec<Frame>,
}

impl Measure {
    fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("the outermost frame is never popped during the walk")
    }
}

impl Visitor for Measure {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let mut frame = Frame::default();
        for definition in query.with.iter().flat_map(|with| &with.cte_tables) {
            frame.definitions.insert(address(&definition.query), definition.alias.name.value.to_lowercase());
        }
        self.frames.push(frame);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let cost = self.frames.pop().unwrap_or_default().cost();
        let outer = self.frame();
        match outer.definitions.get(&address(query)).cloned() {
            Some(name) => {
                outer.defined.insert(name, cost);
            }
            None => outer.add(cost),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let name = relation.to_string().to_lowercase();
        let cost = self.frames.iter().rev().find_map(|frame| frame.defined.get(&name)).copied();
        self.frame().add(cost.unwrap_or(Cost { tables: 1, growth: 1 }));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        let frame = self.frame();
        frame.depth += 1;
        let name = match expression {
            Expr::Identifier(ident) => Some(ident.value.to_lowercase()),
            Expr::CompoundIdentifier(parts) => parts.last().map(|part| part.value.to_lowercase()),
            _ => None,
        };
        if let Some(name) = name {
            let met = frame.names.entry(name).or_default();
            *met += 1;
            frame.repeated = frame.repeated.max(*met);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        let frame = self.frame();
        frame.depth -= 1;
        if frame.depth == 0 {
            frame.names.clear();
        }
        ControlFlow::Continue(())
    }
}

fn address(query: &Query) -> usize {
    std::ptr::from_ref(query) as usize
}

#[cfg(test)]
mod tests;
