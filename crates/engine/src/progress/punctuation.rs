//! Which rows move the watermark. Decides nothing about how far.

use std::sync::Arc;

use arrow::buffer::ScalarBuffer;
use weir_model::Compiler;

use super::UNKNOWN;
use crate::compiled::{Compiled, Trouble, condition};
use crate::plan::WatermarkPlan;
use crate::rows::Rows;

/// The condition of [`WatermarkPlan::Punctuated`].
#[derive(Debug)]
pub(crate) struct Punctuation {
    text: String,
    condition: Compiled,
}

impl Punctuation {
    /// Nothing, when every row moves the watermark.
    pub(crate) fn new(plan: &WatermarkPlan, compiler: &Arc<dyn Compiler>) -> Option<Self> {
        match plan {
            WatermarkPlan::Bounded { .. } | WatermarkPlan::Periodic { .. } => None,
            WatermarkPlan::Punctuated { condition, .. } => Some(Self {
                text: condition.clone(),
                condition: Compiled::new(vec![condition.clone()], compiler.clone()),
            }),
        }
    }

    /// The event times of `rows`, [`UNKNOWN`] for those that move nothing: also where the condition is null.
    pub(crate) fn moving(&mut self, rows: &Rows, times: &[i64]) -> Result<ScalarBuffer<i64>, Trouble> {
        let values = self.condition.evaluate(&rows.columns)?.swap_remove(0);
        let carries = condition(&values, &self.text)?;
        Ok(times.iter().zip(carries.values()).map(|(time, carries)| if carries { *time } else { UNKNOWN }).collect())
    }
}
