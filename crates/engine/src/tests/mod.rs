//! Tests of the engine as a whole, where a story would not do: plans, types, several sources, damaged snapshots.
//! What windows compute and when they fire is told in the stories of `weir-sim`.

mod adopted;
mod global;
mod halves;
mod join_memory;
mod keys;
mod plans;
mod rows;
mod settled;
mod snapshots;
mod sources;
mod spilled;
mod types;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, SchemaRef};
use weir_model::{Batch, Compiler, ErrorKind, Expression, PartitionId, SeamError, SeamResult, TimeDelta};

use crate::{
    Aggregate, AggregatePlan, Effect, EmitPlan, Engine, Input, Limits, Node, OperatorPlan, Output, Plan, TimePlan,
    Upstream, WatermarkPlan, WindowKind, WindowPlan,
};

const SECOND: i64 = 1_000_000;

/// One window of 10 s over all sources; keys and aggregates as given.
fn window_plan(sources: &[&str], by: &[&str], compute: &[(&str, Aggregate, Option<&str>)]) -> Plan {
    let window = WindowPlan {
        window: WindowKind::Tumbling { size: TimeDelta::from_secs(10), offset: TimeDelta::ZERO },
        by: by.iter().map(|key| (*key).to_owned()).collect(),
        compute: compute
            .iter()
            .map(|(name, function, argument)| AggregatePlan {
                name: (*name).to_owned(),
                function: function.clone(),
                argument: argument.map(str::to_owned),
                filter: None,
            })
            .collect(),
        lateness: TimeDelta::ZERO,
        emit: EmitPlan::default(),
    };
    Plan {
        pipeline: "test".to_owned(),
        time: Some(TimePlan {
            watermark: WatermarkPlan::Bounded { delay: TimeDelta::ZERO },
            idle_after: TimeDelta::from_secs(30),
            future_limit: TimeDelta::from_secs(300),
            max_drift: None,
        }),
        sources: sources.iter().map(|source| (*source).to_owned()).collect(),
        nodes: vec![Node { name: "w".to_owned(), from: Upstream::AllSources, operator: OperatorPlan::Window(window) }],
        outputs: vec![Output { name: "out".to_owned(), from: Upstream::Node(0) }],
        limits: Limits::default(),
    }
}

/// Rows at these seconds with these columns.
fn batch(partition: &str, seconds: &[i64], columns: Vec<(&str, ArrayRef)>) -> Batch {
    Batch {
        partition: PartitionId::new(partition),
        origin: partition.into(),
        columns: RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, values)| (name, values, true)),
        )
        .expect("the columns are equally long"),
        times: seconds.iter().map(|second| second * SECOND).collect::<Vec<_>>().into(),
        offsets: (0..seconds.len() as u64).collect::<Vec<_>>().into(),
    }
}

fn step(engine: &mut Engine, input: Input) -> Vec<Effect> {
    let mut effects = Vec::new();
    engine.step(input, &mut effects);
    assert!(engine.balances().iter().all(weir_model::Balance::holds), "{:?}", engine.balances());
    effects
}

/// The batches that were emitted.
fn emitted(effects: Vec<Effect>) -> Vec<RecordBatch> {
    let rows = |effect| if let Effect::Emit { rows, .. } = effect { Some(rows) } else { None };
    effects.into_iter().filter_map(rows).collect()
}

/// The offsets and reasons of what was rejected.
fn rejected(effects: &[Effect]) -> Vec<(u64, &str)> {
    let reason = |effect| {
        if let &Effect::Reject { offset, ref reason, .. } = effect { Some((offset.0, reason.as_str())) } else { None }
    };
    effects.iter().filter_map(reason).collect()
}

/// Expressions that are names of columns; a column that is missing is null.
#[derive(Debug)]
pub(crate) struct Names;

impl Compiler for Names {
    fn compile(&self, text: &str, schema: &SchemaRef) -> SeamResult<Arc<dyn Expression>> {
        if text.contains(' ') {
            return Err(SeamError::new(ErrorKind::Config, "not the name of a column"));
        }
        let field = schema.column_with_name(text);
        let data_type = field.map_or(DataType::Null, |(_, field)| field.data_type().clone());
        Ok(Arc::new(Name { index: field.map(|(index, _)| index), data_type }))
    }
}

#[derive(Debug)]
struct Name {
    index: Option<usize>,
    data_type: DataType,
}

impl Expression for Name {
    fn data_type(&self) -> &DataType {
        &self.data_type
    }

    fn evaluate(&self, columns: &RecordBatch) -> SeamResult<ArrayRef> {
        Ok(match self.index {
            Some(index) => columns.column(index).clone(),
            None => new_null_array(&DataType::Null, columns.num_rows()),
        })
    }
}
