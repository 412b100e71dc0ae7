//! `mask`: replaces what tells who somebody is. What a pattern finds is gone from every step after it, from late rows and
//! from dead letters of later steps alike; what earlier steps reject, and what cannot be decoded, is kept as it came.

mod find;
mod replace;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, LargeListArray, ListArray, RecordBatch, StringArray, StructArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use weir_model::Secret;

use super::{Operator, Outcome, PlanFault, distinct};
use crate::Effect;
use crate::compiled::Trouble;
use crate::rows::Rows;
use find::Finder;
use replace::Replacer;

/// Replaces what patterns find in texts, also in those inside of objects and lists.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskPlan {
    /// Which columns; numbers and times among them become text. Empty: every text there is.
    pub columns: Vec<String>,
    /// What is looked for.
    pub patterns: Vec<Pii>,
    /// What stands in its place.
    pub with: MaskWith,
}

/// What is looked for in texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pii {
    /// An e-mail address.
    Email,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// 13 to 19 digits, perhaps in groups, with a right check digit (Luhn).
    CreditCard,
    /// An account number with right check digits (ISO 13616).
    Iban,
    /// A phone number that begins with `+` and a country, or has the form 555-010-9999.
    Phone,
    /// A JSON web token.
    Jwt,
    /// A key of Amazon Web Services.
    AwsKey,
    /// What follows the word `Bearer`.
    BearerToken,
    /// The whole text, whatever it is.
    Value,
    /// Whatever a regular expression matches.
    Regex {
        /// What it finds is called so.
        name: String,
        /// The expression.
        regex: String,
    },
}

/// What stands in the place of what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaskWith {
    /// The name of what it was: `<email>`.
    Name,
    /// Always this.
    Text(String),
    /// `*` for each letter and digit but so many at the end.
    KeepLast(usize),
    /// The beginning of a keyed hash (HMAC with SHA-256), 32 hexadecimal digits: the same for the same text.
    Hash {
        /// The key: who has it can find out whether a token is that of a certain text.
        key: Secret,
    },
}

/// Shorter keys can be guessed.
const KEY_BYTES_MIN: usize = 16;

impl Pii {
    /// The word for it in a pipeline and in marks.
    pub fn name(&self) -> &str {
        match self {
            Self::Email => "email",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::CreditCard => "credit_card",
            Self::Iban => "iban",
            Self::Phone => "phone",
            Self::Jwt => "jwt",
            Self::AwsKey => "aws_key",
            Self::BearerToken => "bearer_token",
            Self::Value => "value",
            Self::Regex { name, .. } => name,
        }
    }
}

impl MaskPlan {
    pub(super) fn check(&self) -> Result<(), PlanFault> {
        distinct("columns", self.columns.iter().map(String::as_str))?;
        if self.patterns.is_empty() {
            return Err(PlanFault::new("patterns", "there is no pattern: nothing would be masked"));
        }
        if self.columns.is_empty() && self.patterns.contains(&Pii::Value) {
            let message = "`value` masks whole texts: name the columns, or every text of every row would be gone";
            return Err(PlanFault::new("columns", message));
        }
        if let MaskWith::Hash { key } = &self.with
            && key.expose().len() < KEY_BYTES_MIN
        {
            let message = format!("the key has fewer than {KEY_BYTES_MIN} bytes: hashes could be guessed");
            return Err(PlanFault::new("hash.key", message));
        }
        Finder::new(&self.patterns).map(|_| ())
    }
}

#[derive(Debug)]
pub(crate) struct Mask {
    columns: Vec<String>,
    finder: Finder,
    replacer: Replacer,
}

impl Mask {
    pub(crate) fn new(plan: &MaskPlan) -> Self {
        let finder = Finder::new(&plan.patterns).expect("the plan was checked");
        Self { columns: plan.columns.clone(), finder, replacer: Replacer::new(&plan.with) }
    }

    fn column(&self, field: &Field, values: &ArrayRef) -> Result<ArrayRef, Trouble> {
        if self.columns.is_empty() {
            return self.masked(values);
        }
        if !self.columns.contains(field.name()) {
            return Ok(values.clone());
        }
        match values.data_type() {
            text if is_text(text) || text.is_nested() => self.masked(values),
            _ => self.masked(&cast(values, &DataType::Utf8).map_err(failed)?),
        }
    }

    /// The values with every text in them masked; their type stays.
    fn masked(&self, values: &ArrayRef) -> Result<ArrayRef, Trouble> {
        Ok(match values.data_type() {
            DataType::Utf8 => match self.masked_texts(values.as_string::<i32>()) {
                Some(masked) => Arc::new(masked),
                None => values.clone(),
            },
            text if is_text(text) => {
                // A dictionary is unfolded: two of its values may be the same once they are masked.
                let texts = cast(values, &DataType::Utf8).map_err(failed)?;
                match self.masked_texts(texts.as_string::<i32>()) {
                    Some(masked) => cast(&masked, text).map_err(failed)?,
                    None => values.clone(),
                }
            }
            DataType::Struct(fields) => {
                let inner = values.as_struct();
                let columns =
                    inner.columns().iter().map(|column| self.masked(column)).collect::<Result<Vec<_>, _>>()?;
                Arc::new(
                    StructArray::try_new_with_length(fields.clone(), columns, inner.nulls().cloned(), inner.len())
                        .map_err(failed)?,
                )
            }
            DataType::List(item) => {
                let list = values.as_list::<i32>();
                let inner = self.masked(list.values())?;
                Arc::new(
                    ListArray::try_new(item.clone(), list.offsets().clone(), inner, list.nulls().cloned())
                        .map_err(failed)?,
                )
            }
            DataType::LargeList(item) => {
                let list = values.as_list::<i64>();
                let inner = self.masked(list.values())?;
                Arc::new(
                    LargeListArray::try_new(item.clone(), list.offsets().clone(), inner, list.nulls().cloned())
                        .map_err(failed)?,
                )
            }
            DataType::FixedSizeList(item, length) => {
                let list = values.as_fixed_size_list();
                let inner = self.masked(list.values())?;
                Arc::new(
                    FixedSizeListArray::try_new(item.clone(), *length, inner, list.nulls().cloned()).map_err(failed)?,
                )
            }
            nested if nested.is_nested() => return Err(Trouble::Types(format!("{nested} cannot be masked"))),
            _ => values.clone(),
        })
    }

    /// `None` when nothing was found.
    fn masked_texts(&self, texts: &StringArray) -> Option<StringArray> {
        let mut masked: Option<Vec<Option<String>>> = None;
        let mut found = Vec::new();
        for row in 0..texts.len() {
            if texts.is_null(row) {
                continue;
            }
            self.finder.find(texts.value(row), &mut found);
            if !found.is_empty() {
                let masked = masked.get_or_insert_with(|| vec![None; texts.len()]);
                masked[row] = Some(self.replacer.replace(texts.value(row), &found, &self.finder));
            }
        }
        let masked = masked?;
        Some(texts.iter().zip(&masked).map(|(text, masked)| masked.as_deref().or(text)).collect())
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn failed(error: arrow::error::ArrowError) -> Trouble {
    Trouble::Types(error.to_string())
}

impl Operator for Mask {
    fn take(&mut self, _port: usize, rows: &Rows, _effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let schema = rows.columns.schema_ref();
        let columns = schema.fields().iter().zip(rows.columns.columns());
        let columns = columns.map(|(field, values)| self.column(field, values)).collect::<Result<Vec<_>, _>>()?;
        let same = columns.iter().zip(schema.fields()).all(|(values, field)| values.data_type() == field.data_type());
        let schema = if same {
            schema.clone()
        } else {
            let fields = schema.fields().iter().zip(&columns);
            let fields = fields.map(|(field, values)| Field::new(field.name(), values.data_type().clone(), true));
            Arc::new(Schema::new(fields.collect::<Vec<_>>()))
        };
        let columns = RecordBatch::try_new(schema, columns).map_err(failed)?;
        Ok(Outcome::passes(rows.with_columns(columns)))
    }
}
