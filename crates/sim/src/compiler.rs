//! A few expressions, enough for stories: a column, a literal, and a comparison of two of these. Not the language of
//! Weir: that is `weir-sql`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, Scalar, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::compute::kernels::cmp;
use arrow::datatypes::{DataType, SchemaRef};
use weir_model::{Compiler, ErrorKind, Expression, SeamError, SeamResult};

/// Compiles columns, literals and comparisons.
#[derive(Clone, Copy, Debug, Default)]
pub struct Columns;

impl Compiler for Columns {
    fn compile(&self, text: &str, schema: &SchemaRef) -> SeamResult<Arc<dyn Expression>> {
        for comparison in Comparison::ALL {
            let Some((left, right)) = text.split_once(comparison.symbol()) else { continue };
            let (left, right) = (Operand::parse(left, schema), Operand::parse(right, schema));
            return Ok(Arc::new(Compiled {
                comparison: Some((comparison, right)),
                data_type: DataType::Boolean,
                left,
            }));
        }
        let left = Operand::parse(text, schema);
        if text.contains(char::is_whitespace) {
            return Err(SeamError::new(ErrorKind::Config, format!("\"{text}\" is no column, literal or comparison")));
        }
        let data_type = left.data_type(schema);
        Ok(Arc::new(Compiled { comparison: None, data_type, left }))
    }
}

#[derive(Clone, Copy, Debug)]
enum Comparison {
    AtLeast,
    AtMost,
    Not,
    Above,
    Below,
    Equal,
}

impl Comparison {
    const ALL: [Self; 6] = [Self::AtLeast, Self::AtMost, Self::Not, Self::Above, Self::Below, Self::Equal];

    fn symbol(self) -> &'static str {
        match self {
            Self::AtLeast => " >= ",
            Self::AtMost => " <= ",
            Self::Not => " != ",
            Self::Above => " > ",
            Self::Below => " < ",
            Self::Equal => " = ",
        }
    }
}

#[derive(Clone, Debug)]
enum Operand {
    Column(usize),
    Missing,
    Text(String),
    Number(f64),
    Fails,
}

impl Operand {
    fn parse(text: &str, schema: &SchemaRef) -> Self {
        let text = text.trim();
        if let Ok(number) = text.parse() {
            return Self::Number(number);
        }
        if let Some(literal) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            return Self::Text(literal.to_owned());
        }
        if text.starts_with("fail_if_negative(") {
            return Self::Fails;
        }
        schema.index_of(text).map_or(Self::Missing, Self::Column)
    }

    fn data_type(&self, schema: &SchemaRef) -> DataType {
        match self {
            Self::Column(index) => schema.field(*index).data_type().clone(),
            Self::Missing => DataType::Null,
            Self::Text(_) => DataType::Utf8,
            Self::Number(_) | Self::Fails => DataType::Float64,
        }
    }

    fn values(&self, columns: &RecordBatch) -> SeamResult<ArrayRef> {
        let rows = columns.num_rows();
        Ok(match self {
            Self::Column(index) => columns.column(*index).clone(),
            Self::Missing => new_null_array(&DataType::Null, rows),
            Self::Text(text) => Arc::new(StringArray::from(vec![text.as_str(); rows])),
            Self::Number(number) => Arc::new(Float64Array::from(vec![*number; rows])),
            Self::Fails => {
                let values = columns.column_by_name("value").map(|values| cast(values, &DataType::Float64));
                let values = values.and_then(Result::ok).unwrap_or_else(|| new_null_array(&DataType::Float64, rows));
                let negative = cmp::lt(&values, &Scalar::new(Float64Array::from(vec![0.0]))).map_err(failed)?;
                if negative.true_count() > 0 {
                    return Err(SeamError::new(ErrorKind::Config, "a negative value"));
                }
                values
            }
        })
    }
}

#[derive(Debug)]
struct Compiled {
    left: Operand,
    comparison: Option<(Comparison, Operand)>,
    data_type: DataType,
}

impl Expression for Compiled {
    fn data_type(&self) -> &DataType {
        &self.data_type
    }

    fn evaluate(&self, columns: &RecordBatch) -> SeamResult<ArrayRef> {
        let left = self.left.values(columns)?;
        let Some((comparison, right)) = &self.comparison else { return Ok(left) };
        let common = match (left.data_type(), right) {
            (data_type, _) if data_type.is_integer() || data_type.is_floating() => DataType::Float64,
            (DataType::Timestamp(unit, zone), _) => DataType::Timestamp(*unit, zone.clone()),
            _ => DataType::Utf8,
        };
        let right = right.values(columns)?;
        let (left, right) = (cast(&left, &common).map_err(failed)?, cast(&right, &common).map_err(failed)?);
        let compared = match comparison {
            Comparison::AtLeast => cmp::gt_eq(&left, &right),
            Comparison::AtMost => cmp::lt_eq(&left, &right),
            Comparison::Not => cmp::neq(&left, &right),
            Comparison::Above => cmp::gt(&left, &right),
            Comparison::Below => cmp::lt(&left, &right),
            Comparison::Equal => cmp::eq(&left, &right),
        };
        Ok(Arc::new(compared.map_err(failed)?))
    }
}

fn failed(error: arrow::error::ArrowError) -> SeamError {
    SeamError::caused(ErrorKind::Config, "a comparison failed", error)
}
