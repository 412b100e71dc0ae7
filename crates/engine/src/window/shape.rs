//! What a window node computes: which expressions it needs, which aggregate takes which of them, and of what types they are.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use super::as_condition;
use crate::aggregate::{Accumulator, ArgumentType, accumulator, takes_times};
use crate::compiled::Trouble;
use crate::plan::{Aggregate, WindowPlan};

/// The aggregates of a window node and their inputs.
#[derive(Debug)]
pub(crate) struct Shape {
    /// How many keys there are.
    pub(crate) keys: usize,
    pub(crate) measures: Vec<Measure>,
    /// Of each input its text, and whether it is a condition.
    inputs: Vec<(String, bool)>,
    /// Of each input the type of its values, once one was seen.
    pub(crate) kinds: Vec<Option<ArgumentType>>,
}

/// One aggregate, its inputs by their index.
#[derive(Debug)]
pub(crate) struct Measure {
    pub(crate) function: Aggregate,
    pub(crate) argument: Option<usize>,
    pub(crate) filter: Option<usize>,
}

impl Shape {
    /// The shape of `plan`, and the texts of the keys and then the inputs. Inputs that occur twice are evaluated once.
    pub(crate) fn new(plan: &WindowPlan) -> (Self, Vec<String>) {
        let mut inputs: Vec<(String, bool)> = Vec::new();
        let mut input = |text: &Option<String>, is_condition: bool| {
            let wanted = (text.clone()?, is_condition);
            Some(inputs.iter().position(|known| *known == wanted).unwrap_or_else(|| {
                inputs.push(wanted);
                inputs.len() - 1
            }))
        };
        let measures = plan.compute.iter().map(|aggregate| Measure {
            function: aggregate.function,
            argument: input(&aggregate.argument, false),
            filter: input(&aggregate.filter, true),
        });
        let measures = measures.collect();
        let texts = plan.by.iter().chain(inputs.iter().map(|(text, _)| text)).cloned().collect();
        (Self { keys: plan.by.len(), measures, kinds: vec![None; inputs.len()], inputs }, texts)
    }

    /// Whether an aggregate takes values with their event times.
    pub(crate) fn needs_times(&self) -> bool {
        self.measures.iter().any(|measure| takes_times(measure.function))
    }

    /// Makes inputs what the aggregates take: conditions without nulls, arguments of the type that they had before.
    pub(crate) fn take_inputs(&mut self, inputs: &mut [ArrayRef]) -> Result<(), Trouble> {
        for (index, values) in inputs.iter_mut().enumerate() {
            let (text, is_condition) = self.inputs[index].clone();
            if is_condition {
                *values = as_condition(values, &text)?;
            } else if *values.data_type() != DataType::Null {
                let kind = match &self.kinds[index] {
                    Some(kind) => kind.clone(),
                    None => self.decide_kind(index, values.data_type())?,
                };
                *values = kind.take(values).map_err(|problem| Trouble::Types(format!("{text}: {problem}")))?;
            }
        }
        Ok(())
    }

    fn decide_kind(&mut self, index: usize, data_type: &DataType) -> Result<ArgumentType, Trouble> {
        let text = &self.inputs[index].0;
        let kind = ArgumentType::of(data_type);
        let kind = kind.ok_or_else(|| Trouble::Types(format!("{text}: {data_type} cannot be aggregated")))?;
        for measure in self.measures.iter().filter(|measure| measure.argument == Some(index)) {
            accumulator(measure.function, Some(&kind))
                .map_err(|problem| Trouble::Types(format!("{text}: {problem}")))?;
        }
        self.kinds[index] = Some(kind.clone());
        Ok(kind)
    }

    /// A new accumulator for a measure; `None` as long as the type of its argument is not known.
    pub(crate) fn accumulator(&self, measure: &Measure) -> Option<Box<dyn Accumulator>> {
        let kind = match measure.argument {
            Some(index) => Some(self.kinds[index].as_ref()?),
            None => None,
        };
        Some(accumulator(measure.function, kind).expect("the kind was decided with every function that takes it"))
    }
}
