//! `weir explain`: what a pipeline does, what it promises and what it costs; where one is up, what it holds, what it waits
//! for, and why an event was late. Starts nothing and changes nothing.

mod cost;
mod late;
mod live;
mod plan;

use std::path::Path;

use serde_json::{Value, json};

use super::load;
use crate::cli::{ExplainArgs, SummaryFormat};
use crate::client::Client;
use crate::exit::Failure;

/// Runs the command.
///
/// # Errors
/// When the pipeline is wrong, is not there, or the running one does not answer.
pub async fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let loaded = match Path::new(&args.pipeline).exists() {
        true => Some(load::loaded(Path::new(&args.pipeline), &args.overrides)?),
        false => None,
    };
    let name = loaded.as_ref().map_or(args.pipeline.clone(), |loaded| loaded.config.name.clone());
    if let Some(event) = &args.why_late {
        let why = late::why(&name, event, loaded.as_ref(), &args.data).await?;
        return say(args.format, &why.json, &why.text);
    }
    let status = running(&name, &args.data).await?;
    if loaded.is_none() && status.is_none() {
        return Err(Failure::refused(format!(
            "{name}: there is no such file, and no pipeline of this name is up on {}",
            args.data.display()
        )));
    }
    let planned = loaded.as_ref().map(plan::describe);
    let doing = status.as_ref().map(|status| live::describe(status, loaded.as_ref().map(|loaded| &loaded.job)));
    let text = [planned.as_ref().map(|(text, _)| text.clone()), doing.clone()];
    let mut text: Vec<String> = text.into_iter().flatten().collect();
    if doing.is_none() {
        text.push(format!("not up on {}: what it holds and waits for is told where it runs", args.data.display()));
    }
    let answer = json!({
        "pipeline": name,
        "plan": planned.map(|(_, json)| json),
        "running": status,
    });
    say(args.format, &answer, &text.join("\n"))
}

fn say(format: SummaryFormat, answer: &Value, text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let text = match format {
        SummaryFormat::Text => text.trim_end().to_owned(),
        SummaryFormat::Json => answer.to_string(),
    };
    // Whoever has read enough and hung up is not told more.
    let _ = writeln!(std::io::stdout(), "{text}");
    Ok(())
}

/// What the pipeline `name` is doing, where a Weir is up on `data`.
async fn running(name: &str, data: &Path) -> Result<Option<Value>, Failure> {
    let Some(client) = Client::of(data)? else { return Ok(None) };
    let mut answer: Value = client.fetch("/api/v1/pipelines").await?;
    let pipelines = answer.get_mut("pipelines").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    Ok(pipelines.into_iter().find(|pipeline| pipeline["name"] == name))
}
