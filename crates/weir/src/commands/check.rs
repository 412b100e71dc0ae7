//! `weir check`: what a pipeline would do, what each output promises, or what is wrong and where. Starts nothing.

use std::fmt::Write;

use weir_engine::{
    CalendarUnit, EmitMode, EmitPlan, GlobalPlan, LateEmit, OperatorPlan, Plan, Upstream, WatermarkPlan, WindowKind,
    WindowPlan,
};
use weir_model::{Fields, TimeDelta, TimeZone};
use weir_pipeline::{Diagnostic, Input};

use super::load::{self, Loaded};
use crate::cli::{CheckArgs, SummaryFormat};
use crate::exit::Failure;
use crate::plan::{Job, JobOutput};

/// Runs the command.
///
/// # Errors
/// When any of the pipelines is wrong.
pub fn run(args: &CheckArgs) -> Result<(), Failure> {
    let mut wrong = 0;
    for path in &args.pipelines {
        let result = load::load(Input::File(path), &args.overrides);
        wrong += usize::from(result.is_err());
        match args.format {
            SummaryFormat::Text => print_text(&path.display().to_string(), &result),
            SummaryFormat::Json => println!("{}", json(&path.display().to_string(), &result)),
        }
    }
    match wrong {
        0 => Ok(()),
        1 => Err(Failure::refused("a pipeline is not right")),
        _ => Err(Failure::refused(format!("{wrong} pipelines are not right"))),
    }
}

fn print_text(path: &str, result: &Result<Loaded, Vec<Diagnostic>>) {
    match result {
        Ok(loaded) => println!("{path}: ok\n{}", loaded.document.redact(&describe(&loaded.job))),
        Err(diagnostics) => diagnostics.iter().for_each(|diagnostic| eprintln!("{}", diagnostic.render())),
    }
}

fn json(path: &str, result: &Result<Loaded, Vec<Diagnostic>>) -> serde_json::Value {
    match result {
        Ok(Loaded { config, job, .. }) => serde_json::json!({
            "file": path,
            "ok": true,
            "pipeline": config.name,
            "outputs": job.outputs.iter().map(|output| serde_json::json!({
                "name": output.name,
                "kind": output.output.kind(),
                "guarantee": output.output.guarantee(),
            })).collect::<Vec<_>>(),
        }),
        Err(diagnostics) => serde_json::json!({ "file": path, "ok": false, "errors": diagnostics }),
    }
}

/// The plan for a person: sources with the fields that are decoded, steps, outputs with their guarantees.
fn describe(job: &Job) -> String {
    let mut text = format!("pipeline {}, an epoch every {:?}\n", job.plan.pipeline, job.epoch);
    for source in &job.sources {
        let bounded = if source.source.is_bounded() { "until it ends" } else { "for ever" };
        let _ = writeln!(
            text,
            "  source {}: {} {bounded}, {}",
            source.name,
            source.source.kind(),
            fields(&source.wanted.fields)
        );
    }
    if let Some(time) = &job.plan.time {
        let drift = time.max_drift.map(|drift| format!(", partitions up to {drift} apart")).unwrap_or_default();
        let _ = writeln!(text, "  time: {}{drift}", watermark(&time.watermark));
    }
    for node in &job.plan.nodes {
        let _ = writeln!(
            text,
            "  step {} from {}: {}",
            node.name,
            node.inputs().into_iter().map(|from| upstream(&job.plan, from)).collect::<Vec<_>>().join(" with "),
            operator(&node.operator)
        );
    }
    for (output, plan) in job.outputs.iter().zip(&job.plan.outputs) {
        let _ = writeln!(text, "  output {} from {}: {}", output.name, upstream(&job.plan, plan.from), promise(output));
    }
    let _ = writeln!(text, "  late rows: {}", promise(&job.late));
    let _ = write!(text, "  dead letters: {}", promise(&job.dead_letters));
    text
}

pub(super) fn watermark(plan: &WatermarkPlan) -> String {
    match plan {
        WatermarkPlan::Bounded { delay } => format!("rows may be {delay} out of order"),
        WatermarkPlan::Periodic { delay, every } => {
            format!("rows may be {delay} out of order, watermarks {every} apart")
        }
        WatermarkPlan::Punctuated { condition, delay } => {
            format!("rows may be {delay} behind those where {condition}")
        }
    }
}

pub(super) fn fields(fields: &Fields) -> String {
    match fields {
        Fields::All => "every field".to_owned(),
        Fields::These(fields) => {
            let names: Vec<&str> = fields.iter().map(|field| field.name.as_ref()).collect();
            format!("only {}", names.join(", "))
        }
    }
}

pub(super) fn upstream(plan: &Plan, from: Upstream) -> String {
    match from {
        Upstream::Source(index) => plan.sources[index].clone(),
        Upstream::AllSources => plan.sources.join(" and "),
        Upstream::Node(index) => plan.nodes[index].name.clone(),
    }
}

pub(super) fn operator(operator: &OperatorPlan) -> String {
    match operator {
        OperatorPlan::Where(text) => format!("rows where {text}"),
        OperatorPlan::Select(columns) => {
            let columns: Vec<String> = columns.iter().map(|(name, text)| format!("{name} = {text}")).collect();
            columns.join(", ")
        }
        OperatorPlan::Rows(plan) => crate::plan::rows::describe(plan),
        OperatorPlan::Join(plan) => crate::plan::memory::describe_join(plan),
        OperatorPlan::Enrich(plan) => crate::plan::memory::describe_enrich(plan),
        OperatorPlan::Deduplicate(plan) => crate::plan::memory::describe_deduplicate(plan),
        OperatorPlan::Window(window) => {
            let aggregates: Vec<&str> = window.compute.iter().map(|aggregate| aggregate.name.as_str()).collect();
            let by = if window.by.is_empty() { String::new() } else { format!(" by {}", window.by.join(", ")) };
            format!(
                "{} in {}{by}, late by up to {}{}{}{}",
                aggregates.join(", "),
                windows(window.window),
                window.lateness,
                late(window),
                early(window.emit),
                mode(window)
            )
        }
    }
}

fn windows(kind: WindowKind) -> String {
    match kind {
        WindowKind::Tumbling { size, .. } => format!("windows of {size}"),
        WindowKind::Sliding { size, slide, .. } => format!("windows of {size} every {slide}"),
        WindowKind::Session { gap } => format!("sessions that end {gap} after their last row"),
        WindowKind::Global(GlobalPlan { every_rows, forget_after }) => {
            let every = every_rows.map(|rows| format!(", every {rows} rows of a key")).unwrap_or_default();
            let forget = forget_after.map(|after| format!(", keys forgotten after {after}")).unwrap_or_default();
            format!("windows of all of time{every}{forget}")
        }
        WindowKind::Calendar { unit, zone, offset } => {
            let unit = match unit {
                CalendarUnit::Hour => "an hour".to_owned(),
                CalendarUnit::Day => "a day".to_owned(),
                CalendarUnit::Week { starts } => format!("a week from {starts}"),
                CalendarUnit::Month => "a month".to_owned(),
                CalendarUnit::Quarter => "a quarter".to_owned(),
                CalendarUnit::Year => "a year".to_owned(),
            };
            let later = if offset == TimeDelta::ZERO { String::new() } else { format!(", {offset} later") };
            format!("windows of {unit} in {zone} (rules of {}){later}", TimeZone::RULES)
        }
    }
}

/// When rows of windows that have fired are told.
fn late(window: &WindowPlan) -> String {
    match window.emit.late {
        _ if window.lateness == TimeDelta::ZERO => String::new(),
        LateEmit::Every(every) => format!(" (told every {every})"),
        LateEmit::Immediately => " (told at once)".to_owned(),
    }
}

/// What a consumer of several results of one window has to do with them.
fn mode(window: &WindowPlan) -> &'static str {
    match (window.window, window.emit.mode, window.revises()) {
        (WindowKind::Session { .. }, _, None) => "; each is said once",
        (WindowKind::Session { .. }, _, Some(_)) => {
            "; a result replaces the one with its row_id, and one that stands no longer is retracted"
        }
        (_, EmitMode::Accumulating, _) => "; a result replaces the one with its row_id",
        (_, EmitMode::Discarding, _) => "; results add up, each has what came since the last",
    }
}

/// When results come before their window has ended.
fn early(emit: EmitPlan) -> String {
    let times = [emit.early_every.map(|every| every.to_string()), emit.early_rows.map(|rows| format!("{rows} rows"))];
    let times: Vec<String> = times.into_iter().flatten().collect();
    if times.is_empty() { String::new() } else { format!(", early results every {}", times.join(" and ")) }
}

fn promise(output: &JobOutput) -> String {
    format!("{}, {}", output.output.kind(), output.output.guarantee())
}
