//! Makes a function of one dictionary column cost its distinct values rather than its rows; changes no results.
//!
//! `level IN ('ERROR', 'FATAL')` over 8,192 rows of five levels is five comparisons and a lookup per row. The largest
//! parts of an expression that use one dictionary column and nothing else are computed over the dictionary's values (and
//! once for null), and the results are spread by the keys.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int32Type, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;

/// Whether values of the type are texts, in whatever layout.
pub(crate) fn is_string(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_string(values),
        _ => false,
    }
}

/// `expression` with its parts over single dictionary columns replaced.
pub(crate) fn over_dictionaries(
    expression: Arc<dyn PhysicalExpr>,
    schema: &SchemaRef,
) -> Result<Arc<dyn PhysicalExpr>> {
    if let Some(part) = OverDictionary::new(&expression, schema)? {
        let keep = is_string(&part.result) && !matches!(part.result, DataType::Dictionary(..));
        return Ok(Arc::new(OverDictionary { as_dictionary: keep, ..part }));
    }
    replace_parts(expression, schema)
}

fn replace_parts(expression: Arc<dyn PhysicalExpr>, schema: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>> {
    if let Some(part) = OverDictionary::new(&expression, schema)? {
        return Ok(Arc::new(part));
    }
    let children: Vec<_> = expression.children().into_iter().cloned().collect();
    if children.is_empty() {
        return Ok(expression);
    }
    let children = children.into_iter().map(|child| replace_parts(child, schema)).collect::<Result<Vec<_>>>()?;
    expression.with_new_children(children)
}

/// An expression over one dictionary column.
#[derive(Debug)]
struct OverDictionary {
    /// The expression, for a batch of that one column.
    inner: Arc<dyn PhysicalExpr>,
    inner_schema: SchemaRef,
    /// Where the column is in the batch.
    column: Column,
    result: DataType,
    /// Give the result as a dictionary of `Utf8`, as group keys are.
    as_dictionary: bool,
}

impl OverDictionary {
    fn new(expression: &Arc<dyn PhysicalExpr>, schema: &SchemaRef) -> Result<Option<Self>> {
        let Some(column) = only_column(expression)? else { return Ok(None) };
        let field = schema.field(column.index());
        let DataType::Dictionary(key, values) = field.data_type() else { return Ok(None) };
        if **key != DataType::Int32 || !is_string(values) || expression.children().is_empty() {
            return Ok(None);
        }
        let inner = Arc::clone(expression).transform(|part| {
            Ok(match part.downcast_ref::<Column>() {
                Some(column) => Transformed::yes(Arc::new(Column::new(column.name(), 0)) as Arc<dyn PhysicalExpr>),
                None => Transformed::no(part),
            })
        })?;
        // nullable in any case: the value of null is always computed
        let inner_schema = Arc::new(Schema::new(vec![field.clone().with_nullable(true)]));
        let result = inner.data.data_type(&inner_schema)?;
        Ok(Some(Self { inner: inner.data, inner_schema, column, result, as_dictionary: false }))
    }

    fn batch(&self, column: ArrayRef) -> Result<RecordBatch> {
        Ok(RecordBatch::try_new(Arc::clone(&self.inner_schema), vec![column])?)
    }

    /// The results for the dictionary's values in order, then for null.
    fn per_value(&self, dictionary: &DictionaryArray<Int32Type>) -> Result<ArrayRef> {
        let values = dictionary.values();
        let count =
            i32::try_from(values.len()).map_err(|error| datafusion::error::DataFusionError::External(error.into()))?;
        let keys: Int32Array = (0..count).map(Some).chain([None]).collect();
        let each = DictionaryArray::try_new(keys, Arc::clone(values))?;
        self.inner.evaluate(&self.batch(Arc::new(each))?)?.into_array(values.len() + 1)
    }
}

/// The same rows on a dictionary of the values that they have: casts compute all values of a dictionary, too.
fn without_unused_values(column: &ArrayRef) -> Result<ArrayRef> {
    Ok(arrow::compute::cast(&arrow::compute::cast(column, &DataType::Utf8)?, column.data_type())?)
}

/// The one column that an expression uses; `None` when it uses none or several.
fn only_column(expression: &Arc<dyn PhysicalExpr>) -> Result<Option<Column>> {
    let mut found: Option<Column> = None;
    let mut several = false;
    expression.apply(|part| {
        if let Some(column) = part.downcast_ref::<Column>() {
            several |= found.as_ref().is_some_and(|known| known != column);
            found.get_or_insert_with(|| column.clone());
        }
        Ok(if several { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found.filter(|_| !several))
}

impl PhysicalExpr for OverDictionary {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(match self.as_dictionary {
            true => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            false => self.result.clone(),
        })
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        self.inner.nullable(&self.inner_schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let column = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        let dictionary = column.as_dictionary::<Int32Type>();
        // a value that no row has may fail where the rows do not; and a dictionary may be longer than the batch
        let cheaper = dictionary.values().len() < batch.num_rows();
        let per_value = cheaper.then(|| self.per_value(dictionary)).and_then(Result::ok);
        let Some(per_value) = per_value else {
            let used = without_unused_values(&column)?;
            let value = self.inner.evaluate(&self.batch(used)?)?.into_array(batch.num_rows())?;
            let kind = self.data_type(batch.schema_ref())?;
            return Ok(ColumnarValue::Array(arrow::compute::cast(&value, &kind)?));
        };
        let of_null = i32::try_from(dictionary.values().len()).unwrap_or(i32::MAX);
        let keys = match dictionary.null_count() {
            0 => dictionary.keys().clone(),
            _ => dictionary.keys().iter().map(|key| Some(key.unwrap_or(of_null))).collect(),
        };
        Ok(ColumnarValue::Array(match self.as_dictionary {
            true => Arc::new(DictionaryArray::try_new(keys, arrow::compute::cast(&per_value, &DataType::Utf8)?)?),
            false => take(&per_value, &keys, None)?,
        }))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(self)
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}

impl fmt::Display for OverDictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "per_value({})", self.inner)
    }
}

impl PartialEq for OverDictionary {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner) && self.column == other.column && self.as_dictionary == other.as_dictionary
    }
}

impl Eq for OverDictionary {}

impl Hash for OverDictionary {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
        self.column.hash(state);
        self.as_dictionary.hash(state);
    }
}
