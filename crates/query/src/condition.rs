//! A condition on the rows of one table, to be asked batch by batch: for whoever takes rows out of it. Reads and changes
//! nothing itself, and refuses what is more than a condition.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use weir_model::{ErrorKind, SeamError, SeamResult};
use weir_store::{SegmentRef, TokenIndex};

use crate::error::{QueryError, QueryErrorCode};
use crate::limits::Limits;
use crate::needle::Wanted;
use crate::plan::{Read, Session};
use crate::prune::TimeBounds;

/// Which rows of a table are meant.
#[derive(Clone, Debug)]
pub struct RowCondition {
    schema: SchemaRef,
    holds: Arc<dyn PhysicalExpr>,
    /// `None` where the table has no column of event times.
    bounds: Option<TimeBounds>,
    wanted: Wanted,
}

/// The table `name` as SQL names it: `web`, or `tenant.web`, each part in quotes.
pub fn quoted_table(name: &str) -> String {
    name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect::<Vec<_>>().join(".")
}

/// What counts the rows of `table` for which `condition` is true.
pub fn count_of(table: &str, condition: &str) -> String {
    format!("SELECT count(*) FROM {} WHERE (\n{condition}\n)", quoted_table(table))
}

impl RowCondition {
    /// The condition `text` on rows of `table`.
    pub(crate) async fn compile(
        session: Session,
        limits: &Limits,
        table: &str,
        text: &str,
    ) -> Result<Self, QueryError> {
        let invalid = |message: &str| QueryError::new(QueryErrorCode::InvalidQuery, message);
        if text.trim().is_empty() {
            return Err(invalid("the condition is empty").hint("say `true` if every row is meant"));
        }
        let sql = format!("SELECT * FROM {} WHERE (\n{text}\n)", quoted_table(table));
        let failed = |error| QueryError::from_datafusion(&error, &sql);
        let more = || invalid("this is more than a condition").hint("such as: level = 'DEBUG' AND ts < '2026-01-01'");
        let Read::Plan(plan) = session.read(&sql, limits).await? else { return Err(more()) };
        let LogicalPlan::Projection(projection) = &plan else { return Err(more()) };
        let LogicalPlan::Filter(filter) = projection.input.as_ref() else { return Err(more()) };
        if !matches!(filter.input.as_ref(), LogicalPlan::TableScan(_)) {
            return Err(more());
        }
        let asks = |part: &Expr| {
            matches!(part, Expr::InSubquery(_) | Expr::Exists(_) | Expr::ScalarSubquery(_) | Expr::Placeholder(_))
        };
        if filter.predicate.exists(|part| Ok(asks(part))).map_err(failed)? {
            return Err(invalid("a condition on rows asks no other question: it has a subquery or a placeholder"));
        }
        if filter.predicate.is_volatile() {
            return Err(invalid("a condition on rows must be the same each time it is asked"));
        }
        let scanned = filter.input.schema();
        let context = SimplifyContext::builder().with_schema(Arc::clone(scanned)).with_current_time().build();
        let simplifier = ExprSimplifier::new(context);
        let predicate = simplifier.coerce(filter.predicate.clone(), scanned).map_err(failed)?;
        let predicate = simplifier.simplify(predicate).map_err(failed)?;
        let holds = session.state.create_physical_expr(predicate.clone(), scanned).map_err(failed)?;
        let parts: Vec<Expr> = split_conjunction(&predicate).into_iter().cloned().collect();
        let time = session.snapshot.tables.get(table).and_then(|table| table.time_column.clone());
        Ok(Self {
            schema: Arc::clone(scanned.inner()),
            holds,
            bounds: time.map(|time| TimeBounds::of(&parts, &time)),
            wanted: Wanted::of(&parts),
        })
    }

    /// Whether a segment may have such rows, by its times and its search index.
    pub fn may_be_in(&self, segment: &SegmentRef) -> bool {
        if self.bounds.is_some_and(|bounds| !bounds.may_pass(segment.time_range)) {
            return false;
        }
        let Some(path) = segment.index().filter(|_| self.wanted != Wanted::Anything) else { return true };
        let index = TokenIndex::open(&path, segment.rows, segment.bytes);
        // An index that cannot be asked leaves it to the rows.
        index.and_then(|index| self.wanted.blocks(&index)).map_or(true, |blocks| !blocks.is_empty())
    }

    /// For which rows of `batch`, of that table, it is true; it is not where it is neither true nor false.
    ///
    /// # Errors
    /// `Config` when it cannot be computed, such as a division by zero.
    pub fn holds(&self, batch: &RecordBatch) -> SeamResult<BooleanArray> {
        let failed =
            |why: String| SeamError::new(ErrorKind::Config, format!("the condition cannot be computed: {why}"));
        let batch = weir_store::adapt(batch, &self.schema)?;
        let values = self.holds.evaluate(&batch).and_then(|value| value.into_array(batch.num_rows()));
        let values = values.map_err(|error| failed(error.strip_backtrace()))?;
        let values = values.as_boolean_opt().ok_or_else(|| failed("it is neither true nor false".to_owned()))?;
        Ok((0..values.len()).map(|row| Some(values.is_valid(row) && values.value(row))).collect())
    }
}
