//! The pipelines that workers share in a simulation: rows that pass through, and windows that count them.

use std::time::Duration;

use arrow::datatypes::{DataType, TimeUnit};
use serde_json::json;
use weir_decode::{FormatConfig, JsonConfig};
use weir_deliver::KafkaOutput;
use weir_engine::{
    Aggregate, AggregatePlan, EmitPlan, Limits, Node, OperatorPlan, Output, Plan, TimePlan, Upstream, WatermarkPlan,
    WindowKind, WindowPlan,
};
use weir_model::{EventTime, FieldKind, Fields, TimeDelta, Wanted, WantedField};
use weir_workers::{Share, SharedSource, Sharing};

use super::scenario::{Scenario, Shape};

/// Topics.
pub(super) const IN: &str = "in";
pub(super) const OUT: &str = "out";
pub(super) const LATE: &str = "late";
pub(super) const LETTERS: &str = "letters";
/// How long a window is, in seconds.
pub(super) const WINDOW_SECONDS: i64 = 10;
/// Longer than any simulation: no partition is idle.
const NEVER: TimeDelta = TimeDelta::from_secs(30 * 24 * 3600);

/// What the workers of a scenario share.
pub(super) fn share(scenario: &Scenario) -> Share {
    let source = json!({ "brokers": ["simulated:9092"], "topics": [IN] });
    Share {
        plan: plan(scenario.shape),
        sources: vec![SharedSource {
            name: IN.to_owned(),
            kafka: serde_json::from_value(source).expect("a source"),
            format: FormatConfig::Json(JsonConfig::default()),
            wanted: wanted(),
        }],
        outputs: vec![output(OUT, Some("key"))],
        late: Some(output(LATE, None)),
        dead_letters: output(LETTERS, None),
        epoch: Duration::from_millis(scenario.epoch_ms),
        sharing: Sharing {
            group: "team".to_owned(),
            instance: None,
            key_groups: scenario.key_groups,
            session: Duration::from_secs(3),
            transaction: Duration::from_secs(5),
        },
        state: None,
    }
}

fn output(topic: &str, key: Option<&str>) -> KafkaOutput {
    let output = json!({ "brokers": ["simulated:9092"], "topic": topic, "delivery": "exactly_once" });
    let mut output: KafkaOutput = serde_json::from_value(output).expect("an output");
    output.key = key.map(str::to_owned);
    output
}

fn wanted() -> Wanted {
    let field = |name: &str, kind| WantedField { name: name.into(), kind };
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Wanted {
        time_field: Some("ts".into()),
        not_before: EventTime::from_micros(0),
        fields: Fields::These(vec![
            field("id", FieldKind::Value(DataType::Int64)),
            field("ts", FieldKind::Value(time)),
            field("key", FieldKind::Key),
        ]),
        declared: Vec::new(),
    }
}

fn plan(shape: Shape) -> Plan {
    let operator = match shape {
        Shape::Through => OperatorPlan::Where("id >= 0".to_owned()),
        Shape::Counts => OperatorPlan::Window(windows()),
    };
    let time = TimePlan {
        watermark: WatermarkPlan::Bounded { delay: TimeDelta::ZERO },
        idle_after: NEVER,
        future_limit: NEVER,
        max_drift: None,
    };
    Plan {
        pipeline: "shared".to_owned(),
        time: (shape == Shape::Counts).then_some(time),
        sources: vec![IN.to_owned()],
        nodes: vec![Node { name: "step".to_owned(), from: Upstream::AllSources, operator }],
        outputs: vec![Output { name: OUT.to_owned(), from: Upstream::Node(0) }],
        limits: Limits::default(),
    }
}

fn windows() -> WindowPlan {
    let aggregate = |name: &str, function, argument: Option<&str>| AggregatePlan {
        name: name.to_owned(),
        function,
        argument: argument.map(str::to_owned),
        filter: None,
    };
    WindowPlan {
        window: WindowKind::Tumbling { size: TimeDelta::from_secs(WINDOW_SECONDS), offset: TimeDelta::ZERO },
        by: vec!["key".to_owned()],
        compute: vec![aggregate("n", Aggregate::Count, None), aggregate("total", Aggregate::Sum, Some("id"))],
        lateness: TimeDelta::ZERO,
        emit: EmitPlan::default(),
    }
}
