//! The plan for people and as JSON: what is decoded and why, what steps take and give, what is held, what outputs promise.

use std::fmt::Write;

use serde_json::{Value, json};
use weir_deliver::OutputConfig;
use weir_engine::OperatorPlan;
use weir_model::{Fields, Guarantee};
use weir_workers::Share;

use super::super::check::{fields, operator, upstream, watermark};
use super::super::load::Loaded;
use super::cost::{self, Estimate};
use crate::plan::{Job, JobOutput, StepColumns, step_columns};

/// How many keys the example of an estimate has.
const KEYS_SHOWN: u64 = 10_000;

/// The plan of a pipeline as text and as JSON.
pub(super) fn describe(loaded: &Loaded) -> (String, Value) {
    let job = &loaded.job;
    let columns = step_columns(&loaded.config, job);
    let mut text = format!("pipeline {}\n", job.plan.pipeline);
    sources(job, &mut text);
    if let Some(time) = &job.plan.time {
        let field = loaded.config.time.as_ref().map_or("", |time| time.field.as_str());
        let _ = writeln!(text, "├─ time: {field}; {}", watermark(&time.watermark));
        let _ = writeln!(
            text,
            "│    a partition read to its end holds nothing back after {} of silence; times more than {} ahead of the clock are rejected",
            time.idle_after, time.future_limit
        );
        if let Some(drift) = time.max_drift {
            let _ = writeln!(text, "│    a partition more than {drift} ahead of the slowest is paused");
        }
    }
    steps(job, &columns, &mut text);
    text.push_str("└─ outputs\n");
    let own = job.outputs.iter().zip(&job.plan.outputs);
    for (output, plan) in own {
        output_lines(&format!("{} from {}", output.name, upstream(&job.plan, plan.from)), output, &mut text);
    }
    output_lines("late rows", &job.late, &mut text);
    output_lines("dead letters", &job.dead_letters, &mut text);
    let promised: Vec<(Guarantee, &str)> =
        job.all_outputs().map(|output| (output.output.guarantee(), why(&output.output))).collect();
    for (index, (guarantee, why)) in promised.iter().enumerate().filter(|(index, it)| !promised[..*index].contains(it))
    {
        let _ = writeln!(text, "     {} {guarantee}: {why}", if index == 0 { "why" } else { "and" });
    }
    let _ = writeln!(text, "     epochs commit every {:?}: that is how fresh what they show is", job.epoch);
    if let Some(share) = &job.share {
        workers(share, &mut text);
    }
    let text = loaded.document.redact(&text);
    (text, as_json(loaded, &columns))
}

fn sources(job: &Job, text: &mut String) {
    text.push_str("├─ sources\n");
    for source in &job.sources {
        let bounded = if source.source.is_bounded() { "until it ends" } else { "for ever" };
        let _ = writeln!(text, "│    {}: {} {bounded}", source.name, source.source.kind());
        let cost = match &source.wanted.fields {
            Fields::All => ": something takes all of them, which is the dearest way to decode",
            Fields::These(_) => " and the time: nothing else is parsed",
        };
        let _ = writeln!(text, "│      decodes {}{cost}", fields(&source.wanted.fields));
    }
}

fn steps(job: &Job, columns: &[StepColumns], text: &mut String) {
    if job.plan.nodes.is_empty() {
        return;
    }
    text.push_str("├─ steps\n");
    for (node, columns) in job.plan.nodes.iter().zip(columns) {
        let from: Vec<String> = node.inputs().into_iter().map(|from| upstream(&job.plan, from)).collect();
        let _ = writeln!(text, "│    {} from {}: {}", node.name, from.join(", "), operator(&node.operator));
        let _ = writeln!(text, "│      takes {}", listed(columns.takes.as_deref(), "every column"));
        let _ = writeln!(text, "│      gives {}", listed(columns.gives.as_deref(), "the columns that the data has"));
        if let OperatorPlan::Window(window) = &node.operator {
            let estimate = cost::estimate(window, job.plan.time.as_ref());
            held(&estimate, text);
        }
    }
}

/// What several processes share, and how.
fn workers(share: &Share, text: &mut String) {
    let _ = writeln!(text, "     shared by the workers of the group {}:", share.sharing.group);
    let _ =
        writeln!(text, "       each reads, decodes and does the first steps of the partitions that the group gives it");
    if share.is_keyed() {
        let groups = share.key_groups();
        let _ = writeln!(
            text,
            "       what comes of them goes through the topic {} to the owners of the keys, in {groups} part{}",
            share.partials_topic(),
            if groups == 1 { ": a keyed step behind another one, so that one worker owns all" } else { "s" }
        );
    }
    let state = if share.state.is_some() { ", and the name of its state," } else { "" };
    let _ = writeln!(
        text,
        "       what a worker writes, where it stands{state} is one transaction of Kafka; one that is not heard of for {:?} loses its partitions",
        share.sharing.session
    );
}

fn shared(share: &Share) -> Value {
    json!({
        "group": share.sharing.group,
        "key_groups": share.is_keyed().then(|| share.key_groups()),
        "partials": share.is_keyed().then(|| share.partials_topic()),
        "keeps_state": share.state.is_some(),
    })
}

fn listed(names: Option<&[String]>, all: &str) -> String {
    match names {
        None => all.to_owned(),
        Some([]) => "no column".to_owned(),
        Some(names) => names.join(", "),
    }
}

fn held(estimate: &Estimate, text: &mut String) {
    let bytes = estimate.bytes_per_group;
    let _ = write!(text, "│      holds about {bytes} bytes per group, a key in a pane");
    match (estimate.panes, estimate.pane) {
        (Some(panes), Some(pane)) => {
            let example = size(KEYS_SHOWN.saturating_mul(panes).saturating_mul(bytes));
            let _ =
                writeln!(text, "; panes are {pane} and about {panes} live at a time: {example} at {KEYS_SHOWN} keys");
        }
        _ => text.push_str("; how many live at a time depends on the data\n"),
    }
    text.push_str(
        "│      (from sizes of columns in memory; where it runs, `weir explain` shows what it really holds)\n",
    );
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

fn output_lines(name: &str, output: &JobOutput, text: &mut String) {
    let _ = writeln!(text, "     {name}: {}, {}", output.output.kind(), output.output.guarantee());
}

/// Why an output can promise what it does.
fn why(output: &OutputConfig) -> &'static str {
    if let OutputConfig::Http(_) = output {
        return "rows are sent after their commit; what a crash or a lost answer leaves open is sent again as the same \
                request, with the same Idempotency-Key and the same row_ids, by which the other side can tell";
    }
    match output.guarantee() {
        Guarantee::ExactlyOnce => {
            "rows show when the transaction commits that also moves the positions; a crash rolls on from there"
        }
        Guarantee::EffectivelyOnce => "what is written again after a crash has the same id and replaces what is there",
        Guarantee::AtLeastOnce => "what was written after the last commit cannot be taken back, and is written again",
    }
}

fn as_json(loaded: &Loaded, columns: &[StepColumns]) -> Value {
    let job = &loaded.job;
    let output = |name: &str, output: &JobOutput, from: Option<String>| {
        let guarantee = output.output.guarantee();
        json!({ "name": name, "kind": output.output.kind(), "from": from, "guarantee": guarantee, "why": why(&output.output) })
    };
    let own = job.outputs.iter().zip(&job.plan.outputs);
    let outputs = own.map(|(own, plan)| output(&own.name, own, Some(upstream(&job.plan, plan.from))));
    let rest = [output("late", &job.late, None), output("dead_letters", &job.dead_letters, None)];
    let steps = job.plan.nodes.iter().zip(columns).map(|(node, columns)| {
        let estimate = match &node.operator {
            OperatorPlan::Window(window) => {
                let estimate = cost::estimate(window, job.plan.time.as_ref());
                json!({ "bytes_per_group": estimate.bytes_per_group, "panes_alive": estimate.panes })
            }
            _ => Value::Null,
        };
        json!({
            "name": node.name,
            "from": node.inputs().into_iter().map(|from| upstream(&job.plan, from)).collect::<Vec<_>>(),
            "does": loaded.document.redact(&operator(&node.operator)),
            "takes": columns.takes,
            "gives": columns.gives,
            "holds": estimate,
        })
    });
    let sources = job.sources.iter().map(|source| {
        let fields = match &source.wanted.fields {
            Fields::All => Value::Null,
            Fields::These(fields) => fields.iter().map(|field| field.name.as_ref()).collect(),
        };
        json!({
            "name": source.name,
            "kind": source.source.kind(),
            "bounded": source.source.is_bounded(),
            "decodes": fields,
        })
    });
    json!({
        "sources": sources.collect::<Vec<_>>(),
        "time": job.plan.time.as_ref().map(|time| json!({ "watermark": watermark(&time.watermark) })),
        "steps": steps.collect::<Vec<_>>(),
        "outputs": outputs.chain(rest).collect::<Vec<_>>(),
        "workers": job.share.as_ref().map(shared),
        "epoch_ms": u64::try_from(job.epoch.as_millis()).unwrap_or(u64::MAX),
    })
}
