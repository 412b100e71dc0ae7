//! `where`: keeps the rows for which a condition is true.

use std::sync::Arc;

use weir_model::Compiler;

use crate::compiled::{Compiled, Trouble, condition};
use crate::rows::Rows;

#[derive(Debug)]
pub(crate) struct Where {
    text: String,
    condition: Compiled,
}

impl Where {
    pub(crate) fn new(text: &str, compiler: Arc<dyn Compiler>) -> Self {
        Self { text: text.to_owned(), condition: Compiled::new(vec![text.to_owned()], compiler) }
    }

    /// The rows that pass.
    pub(crate) fn apply(&mut self, rows: &Rows) -> Result<Rows, Trouble> {
        let values = self.condition.evaluate(&rows.columns)?;
        let keep = condition(&values[0], &self.text)?;
        if keep.true_count() == rows.len() { Ok(rows.clone()) } else { Ok(rows.filter(&keep)) }
    }
}
