//! From an expression's text to something that computes arrays; evaluates nothing while compiling but constants.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema};
use datafusion::error::DataFusionError;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::{ColumnarValue, Expr, ExprSchemable, Volatility, lit, try_cast};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::col as physical_column;
use datafusion::prelude::SessionConfig;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, ExprWithAlias};
use weir_model::{Accumulator, Compiler, ErrorKind, Expression, SeamError, SeamResult};

use crate::accumulator::Brought;
use crate::dictionary::{is_string, over_dictionaries};
use crate::error::{planning_error, position_of_word};
use crate::names::{internal_name, named};
use crate::{ColumnUse, SqlError, SqlErrorKind, on_planning_stack};

/// Compiles the expressions of pipeline steps. Cheap to clone; one serves a whole process.
#[derive(Clone, Default)]
pub struct SqlCompiler {
    /// Made when an expression needs it: a column that is just named does not touch DataFusion's functions.
    state: Arc<OnceLock<SessionState>>,
}

impl fmt::Debug for SqlCompiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqlCompiler")
    }
}

impl Compiler for SqlCompiler {
    fn compile(&self, text: &str, schema: &SchemaRef) -> SeamResult<Arc<dyn Expression>> {
        Ok(Arc::new(self.compile_sql(text, schema)?))
    }

    fn accumulator(&self, name: &str, _: &[String], types: &[DataType]) -> SeamResult<Box<dyn Accumulator>> {
        Ok(Box::new(Brought::new(name, types)?))
    }
}

impl SqlCompiler {
    /// A compiler with all of DataFusion's scalar functions.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> &SessionState {
        self.state.get_or_init(|| {
            let mut config = SessionConfig::new();
            config.options_mut().execution.time_zone = Some("+00:00".into());
            SessionStateBuilder::new().with_config(config).with_default_features().build()
        })
    }

    /// Compiles `text` for batches with `schema`; like [`Compiler::compile`], with the error's place and kind.
    ///
    /// # Errors
    /// When `text` is not one scalar expression, or its types do not fit `schema`.
    pub fn compile_sql(&self, text: &str, schema: &SchemaRef) -> Result<SqlExpression, SqlError> {
        on_planning_stack(|| self.plan(text, schema))
    }

    fn plan(&self, text: &str, schema: &SchemaRef) -> Result<SqlExpression, SqlError> {
        let (tree, uses) = named(text)?;
        let sources = uses.iter().map(|used| source(used, schema)).collect::<Result<Vec<_>, _>>()?;
        let failed = |error: DataFusionError| planning_error(&error, text);
        if let (SqlExpr::Identifier(_), [(Expr::Column(column), _)]) = (&tree, &sources[..]) {
            let physical = physical_column(&column.name, schema).map_err(failed)?;
            return SqlExpression::new(text, physical, schema).map_err(failed);
        }
        let fields = uses.iter().zip(&sources);
        let fields = fields.map(|(used, (_, kind))| Field::new(internal_name(&used.name), kind.clone(), true));
        let named_schema = DFSchema::try_from(Schema::new(fields.collect::<Vec<_>>())).map_err(failed)?;
        let tree = ExprWithAlias { expr: tree, alias: None };
        let expression = self.state().create_logical_expr_from_sql_expr(tree, &named_schema).map_err(failed)?;
        refuse(&expression, text)?;
        let expression = expression.transform(|expression| match expression {
            Expr::Column(column) => Ok(Transformed::yes(replacement(&column, &uses, &sources))),
            other => Ok(Transformed::no(other)),
        });
        let schema_of_batch = DFSchema::try_from(Schema::clone(schema)).map_err(failed)?;
        let expression = self.simplified(expression.map_err(failed)?.data, &schema_of_batch).map_err(failed)?;
        expression.get_type(&schema_of_batch).map_err(failed)?;
        let physical = self.state().create_physical_expr(expression, &schema_of_batch).map_err(failed)?;
        SqlExpression::new(text, physical, schema).map_err(failed)
    }

    fn simplified(&self, expression: Expr, schema: &DFSchema) -> datafusion::error::Result<Expr> {
        use datafusion::logical_expr::simplify::SimplifyContext;
        use datafusion::optimizer::simplify_expressions::ExprSimplifier;
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(schema.clone()))
            .with_config_options(Arc::clone(self.state().config_options()))
            .build();
        let simplifier = ExprSimplifier::new(context);
        let coerced = simplifier.coerce(expression, schema)?;
        simplifier.simplify(coerced)
    }
}

/// Where the value of a used column comes from, and of which type it is then.
fn source(used: &ColumnUse, schema: &Schema) -> Result<(Expr, DataType), SqlError> {
    let wanted = match (used.numeric, used.boolean) {
        (true, _) => Some(DataType::Float64),
        (false, true) => Some(DataType::Boolean),
        (false, false) => None,
    };
    let Some((expression, kind)) = find(used, schema)? else {
        let kind = wanted.unwrap_or(DataType::Utf8View);
        let null = ScalarValue::try_from(&kind).unwrap_or(ScalarValue::Null);
        return Ok((lit(null), kind));
    };
    match wanted {
        // SQL would compare such a pair as texts, by which '9' is more than '10'
        Some(wanted) if is_string(&kind) => Ok((try_cast(expression, wanted.clone()), wanted)),
        _ => Ok((expression, kind)),
    }
}

/// The column that a name means: the longest part of it that is a column, then children of structs.
fn find(used: &ColumnUse, schema: &Schema) -> Result<Option<(Expr, DataType)>, SqlError> {
    let parts: Vec<&str> = used.name.split('.').collect();
    for taken in (1..=parts.len()).rev() {
        let Some(field) = field_named(&parts[..taken].join("."), schema.fields(), used)? else { continue };
        let mut found = (Expr::Column(Column::new_unqualified(field.name())), field.data_type().clone());
        for child in &parts[taken..] {
            let DataType::Struct(children) = &found.1 else { return Ok(None) };
            let Some(child) = field_named(child, children, used)? else { return Ok(None) };
            found = (get_field(found.0, child.name().clone()), child.data_type().clone());
        }
        return Ok(Some(found));
    }
    Ok(None)
}

fn field_named<'a>(
    name: &str,
    fields: &'a arrow::datatypes::Fields,
    used: &ColumnUse,
) -> Result<Option<&'a Field>, SqlError> {
    if let Some(field) = fields.iter().find(|field| field.name() == name) {
        return Ok(Some(field));
    }
    let mut alike = fields.iter().filter(|field| field.name().to_lowercase() == name.to_lowercase());
    match (alike.next(), alike.next()) {
        (Some(first), Some(second)) => {
            let message = format!("\"{}\" could be \"{}\" or \"{}\"", used.name, first.name(), second.name());
            let error = SqlError::new(SqlErrorKind::UnknownColumn, message).at(used.column);
            Err(error.hint("write it exactly as it is, in double quotes"))
        }
        (first, _) => Ok(first.map(AsRef::as_ref)),
    }
}

fn replacement(column: &Column, uses: &[ColumnUse], sources: &[(Expr, DataType)]) -> Expr {
    let index = uses.iter().position(|used| internal_name(&used.name) == column.name);
    index.map_or_else(|| Expr::Column(column.clone()), |index| sources[index].0.clone())
}

/// Refuses what is not a function of one row, or not the same whenever it is computed.
fn refuse(expression: &Expr, text: &str) -> Result<(), SqlError> {
    let mut refused = None;
    let walked = expression.apply(|part| {
        let (name, hint) = match part {
            Expr::AggregateFunction(call) => {
                (call.func.name().to_owned(), "aggregates belong into `compute` of a window step")
            }
            Expr::WindowFunction(_) | Expr::GroupingSet(_) => ("a window function".into(), "windows are a step"),
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) => {
                ("a subquery".into(), "an expression sees one row at a time")
            }
            Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => (
                call.func.name().to_owned(),
                "it would give another result when the data is replayed; use the event's time, or, if it is a column, write \
                 it in double quotes",
            ),
            _ => return Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue),
        };
        let message = format!("\"{name}\" cannot be used in an expression");
        let at = position_of_word(text, &name);
        refused = Some(SqlError::new(SqlErrorKind::NotAllowed, message).at(at).hint(hint));
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Stop)
    });
    walked.map_err(|error| planning_error(&error, text))?;
    refused.map_or(Ok(()), Err)
}

/// A compiled expression.
///
/// Results that are times are `Timestamp(Microsecond, "UTC")` whatever the expression yields; texts may be `Utf8`,
/// `Utf8View` or, when they are a function of one dictionary column, a dictionary.
pub struct SqlExpression {
    text: String,
    physical: Arc<dyn PhysicalExpr>,
    data_type: DataType,
}

impl fmt::Debug for SqlExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqlExpression({}: {})", self.text, self.data_type)
    }
}

impl SqlExpression {
    fn new(text: &str, physical: Arc<dyn PhysicalExpr>, schema: &SchemaRef) -> datafusion::error::Result<Self> {
        let physical = over_dictionaries(physical, schema)?;
        let data_type = match physical.data_type(schema)? {
            DataType::Timestamp(..) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            other => other,
        };
        Ok(Self { text: text.to_owned(), physical, data_type })
    }
}

impl Expression for SqlExpression {
    fn data_type(&self) -> &DataType {
        &self.data_type
    }

    fn evaluate(&self, columns: &RecordBatch) -> SeamResult<ArrayRef> {
        let value = self.physical.evaluate(columns).and_then(|value| match value {
            ColumnarValue::Array(array) => Ok(array),
            ColumnarValue::Scalar(scalar) => scalar.to_array_of_size(columns.num_rows()),
        });
        let value = value.and_then(|value| match *value.data_type() == self.data_type {
            true => Ok(value),
            false => Ok(cast(&value, &self.data_type)?),
        });
        value.map_err(|error| {
            let reason = planning_error(&error, &self.text).message;
            SeamError::new(ErrorKind::Config, format!("\"{}\" cannot be computed: {reason}", self.text))
        })
    }
}

#[cfg(test)]
mod tests;
