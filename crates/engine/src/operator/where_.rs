//! `where`: keeps the rows for which a condition is true.

use std::sync::Arc;

use weir_model::Compiler;

use super::{Operator, Outcome};
use crate::Effect;
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
}

impl Operator for Where {
    fn take(&mut self, _port: usize, rows: &Rows, _effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let values = self.condition.evaluate(&rows.columns)?;
        let keep = condition(&values[0], &self.text)?;
        if keep.true_count() == rows.len() {
            return Ok(Outcome::passes(rows.clone()));
        }
        let kept = rows.filter(&keep);
        Ok(Outcome { filtered: (rows.len() - kept.len()) as u64, ..Outcome::passes(kept) })
    }
}
