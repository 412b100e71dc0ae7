//! The expression language of pipeline steps, compiled by DataFusion to what the engine evaluates; runs no queries,
//! reads no tables, knows no clock.
//!
//! An expression is one scalar SQL expression over the columns of a batch: `level IN ('ERROR', 'FATAL')`,
//! `upper(app_id)`, `tags.env = 'prod' AND duration_ms > 1000`. Names are looked up exactly, then ignoring case; dots
//! address the children of structs; a column that the schema lacks is null. What would make a replay differ from the
//! first run (`now()`, `random()`) is refused, and so is everything that is not a function of one row.
//!
//! The order of things: [`Gate`] looks at the tokens, `parse` makes a tree of them, `names` says which columns the tree
//! uses and as what, `compile` gives the tree to DataFusion, `dictionary` makes the result cheap on dictionary columns.
//! `aggregate` says what aggregates there are, `accumulator` brings those that the engine does not have.

mod accumulator;
mod aggregate;
mod compile;
mod dictionary;
mod error;
mod gate;
mod names;
mod parse;
mod stack;

pub use aggregate::{AGGREGATES, AggregateCall, AggregateShape, BROUGHT, Parameter, parse_aggregate};
pub use compile::{SqlCompiler, SqlExpression};
pub use error::{SqlError, SqlErrorKind, nearest, planning_error, position_of_word};
pub use gate::Gate;
pub use names::{ColumnUse, columns};
pub use parse::syntax_error;
pub use stack::{PLANNING_STACK_BYTES, on_planning_stack};
