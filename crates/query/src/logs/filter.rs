//! Which log lines match: a part of the message, a set of levels; knows no times.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::expr::Like;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::prelude::ident;

use crate::error::{QueryError, QueryErrorCode};
use crate::language::{Search, matches};

/// The column that texts are searched in, if the table has it; otherwise all columns of texts.
pub(super) const MESSAGE: &str = "message";
/// The column of levels.
pub(super) const LEVEL: &str = "level";

/// What lines are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// A part of the message, ignoring case; nothing special in it. `None` or empty: any message.
    pub text: Option<String>,
    /// The levels, as written in the data. Empty: any level.
    pub levels: Vec<String>,
    /// What else is looked for; what a search makes of its rows is no part of a filter.
    pub search: Option<Search>,
}

impl LogFilter {
    /// The conditions on rows with `schema`.
    ///
    /// # Errors
    /// `UnknownColumn`, `InvalidQuery` when the search does not fit the schema.
    pub(super) fn conditions(&self, schema: &Schema) -> Result<Vec<Expr>, QueryError> {
        let text = self.text.as_deref().filter(|text| !text.is_empty());
        let text = text.map(|text| message_like(&format!("%{}%", escaped(text)), schema));
        let levels = (!self.levels.is_empty()).then(|| self.of_levels(schema));
        let search =
            self.search.as_ref().map(|search| matches(&search.condition, schema, search.text())).transpose()?;
        Ok(text.into_iter().chain(levels).chain(search.flatten()).collect())
    }

    fn of_levels(&self, schema: &Schema) -> Expr {
        if schema.index_of(LEVEL).is_err() {
            return lit(false);
        }
        ident(LEVEL).in_list(self.levels.iter().map(|level| lit(level.as_str())).collect(), false)
    }

    /// The filter for batches with `schema`, for lines that come in live.
    ///
    /// # Errors
    /// `UnknownColumn`, `InvalidQuery` when the search does not fit the schema; `Internal` when it cannot be compiled.
    pub fn compile(&self, schema: &SchemaRef) -> Result<RowFilter, QueryError> {
        let compiled = self.conditions(schema)?.into_iter().reduce(Expr::and).map(|condition| {
            let schema = DFSchema::try_from(Schema::clone(schema))?;
            let context = SimplifyContext::builder().with_schema(Arc::new(schema.clone())).build();
            let condition = ExprSimplifier::new(context).coerce(condition, &schema)?;
            create_physical_expr(&condition, &schema, &ExecutionProps::new(), &PhysicalPlanningContext::default())
        });
        let condition = compiled.transpose().map_err(|error| QueryError::from_datafusion(&error, ""))?;
        Ok(RowFilter { condition })
    }
}

/// A filter compiled for batches of one schema.
#[derive(Clone, Debug)]
pub struct RowFilter {
    condition: Option<Arc<dyn PhysicalExpr>>,
}

impl RowFilter {
    /// The rows of `batch` that match.
    ///
    /// # Errors
    /// `Failed` when the batch has another schema than the filter was compiled for.
    pub fn matching(&self, batch: &RecordBatch) -> Result<RecordBatch, QueryError> {
        let Some(condition) = &self.condition else { return Ok(batch.clone()) };
        let failed = |error: String| QueryError::new(QueryErrorCode::Failed, error);
        let mask = condition.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()));
        let mask = mask.map_err(|error| failed(error.strip_backtrace()))?;
        let mask = mask.as_any().downcast_ref::<BooleanArray>();
        let mask = mask.ok_or_else(|| failed("the filter is not a condition".into()))?;
        filter_record_batch(batch, mask).map_err(|error| failed(error.to_string()))
    }
}

/// `text` as a pattern of `LIKE` in which nothing is special.
pub(crate) fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// `message ILIKE pattern`; without a message, any text may match.
pub(crate) fn message_like(pattern: &str, schema: &Schema) -> Expr {
    let like = |column: &str| Expr::Like(Like::new(false, Box::new(ident(column)), Box::new(lit(pattern)), None, true));
    if schema.index_of(MESSAGE).is_ok() {
        return like(MESSAGE);
    }
    let texts = schema.fields().iter().filter(|field| is_text(field.data_type()));
    texts.map(|field| like(field.name())).reduce(Expr::or).unwrap_or_else(|| lit(false))
}

/// Whether a column of this type holds texts.
pub(crate) fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}
