//! The rows that a join makes: the left columns as they are called there, and the right ones with a prefix before their
//! names. A left column that is called so nevertheless makes room, so that names do not depend on what the data has.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::columns::Columns;
use super::{LEFT, RIGHT};
use crate::rows::{Rows, Timing};

#[derive(Debug)]
pub(super) struct Pairing {
    prefix: String,
    /// The columns of the pairs, and how many each side had when they were made out.
    shape: Option<(Shape, [usize; 2])>,
}

/// The columns of the pairs.
#[derive(Clone, Debug)]
struct Shape {
    schema: SchemaRef,
    /// The left columns that make room for right ones of the same name.
    hidden: Vec<usize>,
}

impl Pairing {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), shape: None }
    }

    /// Rows of the columns of both sides.
    pub(super) fn rows(&mut self, sides: [&Columns; 2], [mut left, right]: [Vec<ArrayRef>; 2], timing: Timing) -> Rows {
        let shape = self.shape(sides);
        for column in shape.hidden.iter().rev() {
            left.remove(*column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(timing.times.len()));
        let columns = RecordBatch::try_new_with_options(shape.schema.clone(), [left, right].concat(), &options);
        Rows { columns: columns.expect("the columns are those of the sides"), origin: None, made: Some(timing) }
    }

    fn shape(&mut self, sides: [&Columns; 2]) -> &Shape {
        let sides = sides.map(Columns::fields);
        let widths = sides.map(<[_]>::len);
        // Sides only ever get more columns.
        let known = self.shape.take().filter(|(_, known)| *known == widths).map(|(shape, _)| shape);
        let shape = known.unwrap_or_else(|| self.shape_of(sides));
        &self.shape.insert((shape, widths)).0
    }

    fn shape_of(&self, sides: [&[Arc<Field>]; 2]) -> Shape {
        let right = sides[RIGHT].iter().map(|field| {
            Arc::new(Field::new(format!("{}{}", self.prefix, field.name()), field.data_type().clone(), true))
        });
        let right: Vec<Arc<Field>> = right.collect();
        let is_hidden = |field: &Field| right.iter().any(|other| other.name() == field.name());
        let left = sides[LEFT].iter().enumerate();
        let hidden = left.clone().filter(|(_, field)| is_hidden(field)).map(|(column, _)| column).collect();
        let left = left.filter(|(_, field)| !is_hidden(field)).map(|(_, field)| field.clone());
        let schema = Arc::new(Schema::new(left.chain(right.iter().cloned()).collect::<Vec<_>>()));
        Shape { schema, hidden }
    }
}
