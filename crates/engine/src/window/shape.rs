//! What a window node computes: which expressions it needs, which aggregate takes which of them, and of what types they are.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, new_null_array};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::DataType;
use weir_model::Compiler;

use crate::aggregate::{Accumulator, ArgumentType, Extra, accumulator, extra};
use crate::compiled::{Compiled, Trouble, condition};
use crate::keys::{KeyId, Keys};
use crate::plan::{Aggregate, WindowPlan};
use crate::rows::Rows;

/// The aggregates of a window node and their inputs.
#[derive(Debug)]
pub(crate) struct Shape {
    /// How many keys there are.
    pub(crate) keys: usize,
    /// The keys, then the inputs of the aggregates.
    expressions: Compiled,
    pub(crate) measures: Vec<Measure>,
    /// Of each input its text, and whether it is a condition.
    inputs: Vec<(String, bool)>,
    /// Of each input the type of its values, once one was seen.
    pub(crate) kinds: Vec<Option<ArgumentType>>,
    /// What comes after the inputs.
    extras: Vec<Extra>,
    compiler: Arc<dyn Compiler>,
}

/// One aggregate, its inputs by their index.
#[derive(Debug)]
pub(crate) struct Measure {
    pub(crate) function: Aggregate,
    pub(crate) arguments: Vec<usize>,
    /// What the aggregate takes besides its arguments.
    pub(crate) extra: Option<usize>,
    pub(crate) filter: Option<usize>,
}

impl Shape {
    /// The shape of `plan`. Inputs that occur twice are evaluated once.
    pub(crate) fn new(plan: &WindowPlan, compiler: Arc<dyn Compiler>) -> Self {
        let mut inputs: Vec<(String, bool)> = Vec::new();
        let mut input = |text: &String, is_condition: bool| {
            let wanted = (text.clone(), is_condition);
            inputs.iter().position(|known| *known == wanted).unwrap_or_else(|| {
                inputs.push(wanted);
                inputs.len() - 1
            })
        };
        let measures = plan.compute.iter().map(|aggregate| Measure {
            function: aggregate.function.clone(),
            arguments: aggregate.arguments().iter().map(|text| input(text, false)).collect(),
            extra: None,
            filter: aggregate.filter.as_ref().map(|text| input(text, true)),
        });
        let mut measures: Vec<Measure> = measures.collect();
        let mut extras = Vec::new();
        for measure in &mut measures {
            if let Some(extra) = extra(&measure.function) {
                let place = extras.iter().position(|known| *known == extra).unwrap_or_else(|| {
                    extras.push(extra);
                    extras.len() - 1
                });
                measure.extra = Some(inputs.len() + place);
            }
        }
        let texts = plan.by.iter().chain(inputs.iter().map(|(text, _)| text)).cloned().collect();
        let kinds = vec![None; inputs.len()];
        let expressions = Compiled::new(texts, compiler.clone());
        Self { keys: plan.by.len(), expressions, measures, kinds, inputs, extras, compiler }
    }

    /// What rows at these times say: the inputs as the aggregates take them, and in `ids` the numbers of their keys.
    ///
    /// # Errors
    /// When a row says something that cannot be taken. No key was numbered then.
    pub(crate) fn read(
        &mut self,
        rows: &Rows,
        times: &ScalarBuffer<i64>,
        keys: &mut Keys,
        ids: &mut Vec<KeyId>,
    ) -> Result<Vec<ArrayRef>, Trouble> {
        let mut inputs = self.expressions.evaluate(&rows.columns)?;
        let of_keys: Vec<ArrayRef> = inputs.drain(..self.keys).collect();
        self.take_inputs(&mut inputs)?;
        inputs.extend(self.extras(rows, times));
        keys.intern(&of_keys, rows.len(), ids).map_err(Trouble::Types)?;
        Ok(inputs)
    }

    /// What some aggregates take of rows besides their arguments: columns to be put behind the inputs.
    fn extras(&self, rows: &Rows, times: &ScalarBuffer<i64>) -> impl Iterator<Item = ArrayRef> {
        self.extras.iter().map(|extra| -> ArrayRef {
            Arc::new(match extra {
                Extra::Time => Int64Array::new(times.clone(), None),
                Extra::Place => rows.places(times),
            })
        })
    }

    /// The types of the inputs, for a snapshot.
    pub(crate) fn kinds_as_text(&self) -> Vec<Option<String>> {
        self.kinds.iter().map(|kind| kind.as_ref().map(|kind| kind.shown().to_string())).collect()
    }

    /// Takes them over from a snapshot.
    ///
    /// # Errors
    /// With a type that is none.
    pub(crate) fn read_kinds(&mut self, kinds: Vec<Option<String>>) -> Result<(), String> {
        for (kind, text) in self.kinds.iter_mut().zip(kinds) {
            let parse = |text: String| {
                let data_type = text.parse::<DataType>().ok();
                data_type.and_then(|data_type| ArgumentType::of(&data_type)).ok_or(format!("the type {text}"))
            };
            *kind = text.map(parse).transpose()?;
        }
        Ok(())
    }

    /// Takes over types that somebody else has decided by other rows, where none is decided here.
    ///
    /// # Errors
    /// With what is decided otherwise. Nothing was taken over then.
    pub(crate) fn agree(&mut self, kinds: &[Option<String>]) -> Result<(), String> {
        for ((own, (text, _)), other) in self.kinds_as_text().iter().zip(&self.inputs).zip(kinds) {
            if let (Some(own), Some(other)) = (own, other)
                && own != other
            {
                return Err(format!("{text}: is {other} there, and {own} came before"));
            }
        }
        let open = self.kinds.iter().zip(kinds).map(|(own, other)| if own.is_none() { other.clone() } else { None });
        let open: Vec<Option<String>> = open.collect();
        let decided = std::mem::replace(&mut self.kinds, vec![None; open.len()]);
        let read = self.read_kinds(open);
        for (kind, decided) in self.kinds.iter_mut().zip(decided) {
            *kind = decided.or(kind.take());
        }
        read
    }

    /// Makes inputs what the aggregates take: conditions without nulls, arguments of the type that they had before.
    fn take_inputs(&mut self, inputs: &mut [ArrayRef]) -> Result<(), Trouble> {
        for (index, values) in inputs.iter_mut().enumerate() {
            let (text, is_condition) = self.inputs[index].clone();
            if is_condition {
                *values = Arc::new(condition(values, &text)?);
            } else if values.logical_null_count() == values.len() {
                // Nulls are no values: of whatever type they are, they neither decide one nor miss one.
                *values = new_null_array(&DataType::Null, values.len());
            } else {
                let kind = match &self.kinds[index] {
                    Some(kind) => kind.clone(),
                    None => self.decide_kind(index, values.data_type())?,
                };
                // A fault of the value and not of the batch: a null beside it is none, however the rows are cut.
                *values = kind.take(values).map_err(|problem| Trouble::Value(format!("{text}: {problem}")))?;
            }
        }
        Ok(())
    }

    fn decide_kind(&mut self, index: usize, data_type: &DataType) -> Result<ArgumentType, Trouble> {
        let text = &self.inputs[index].0;
        let kind = ArgumentType::of(data_type);
        let kind = kind.ok_or_else(|| Trouble::Value(format!("{text}: {data_type} cannot be aggregated")))?;
        // An aggregate of several arguments is asked once the types of all are known.
        self.kinds[index] = Some(kind.clone());
        for measure in self.measures.iter().filter(|measure| measure.arguments.contains(&index)) {
            let made = self.made(measure).transpose();
            if let Err(problem) = made {
                let problem = Trouble::Value(format!("{text}: {problem}"));
                self.kinds[index] = None;
                return Err(problem);
            }
        }
        Ok(kind)
    }

    /// A new accumulator for a measure; `None` as long as the type of an argument is not known.
    pub(crate) fn accumulator(&self, measure: &Measure) -> Option<Box<dyn Accumulator>> {
        self.made(measure).map(|made| made.expect("the kinds were decided with every function that takes them"))
    }

    fn made(&self, measure: &Measure) -> Option<Result<Box<dyn Accumulator>, String>> {
        let kinds = measure.arguments.iter().map(|index| self.kinds[*index].clone());
        let kinds: Vec<ArgumentType> = kinds.collect::<Option<_>>()?;
        Some(accumulator(&measure.function, &kinds, self.compiler.as_ref()))
    }
}
