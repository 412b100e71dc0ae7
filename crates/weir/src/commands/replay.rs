//! `weir replay`: the results of a past span of time computed anew, compared with what is shown, and put in its place. What
//! is exchanged is exchanged by the Weir that is up on the data folder, or here when none is.

use std::fmt::Write;
use std::path::Path;

use indicatif::HumanCount;
use serde_json::json;
use weir_serve::{ReplaySwap, ReplaySwapped, Replays};

use super::{folder, load};
use crate::cli::{ReplayArgs, SummaryFormat};
use crate::client::Client;
use crate::dead_letters::micros;
use crate::exit::Failure;
use crate::progress::Progress;
use crate::replay::{self, Asked, Example, Record, Standing, StoredReplays, TableRecord};

/// Runs the command.
///
/// # Errors
/// When the span cannot be replayed, its records are not all there, or nothing could be exchanged.
pub async fn run(args: &ReplayArgs) -> Result<(), Failure> {
    let job = load::job(&args.pipeline, &args.overrides)?;
    let (name, data) = (job.plan.pipeline.as_str(), args.data.as_path());
    if args.discard {
        replay::discard(data, name)?;
        println!("the replay of {name} is gone; what is shown stays as it is");
        return Ok(());
    }
    if args.status {
        let (record, standing) = replay::last(data, name)?;
        return tell(args, &record, standing, None);
    }
    if args.apply || args.undo {
        let (record, _) = replay::last(data, name)?;
        let swapped = exchange(data, &record, if args.undo { "out" } else { "in" }).await?;
        let standing = if args.undo { Standing::Undone } else { Standing::In };
        return tell(args, &record, standing, Some(&swapped));
    }
    if let Ok((before, Standing::In)) = replay::last(data, name) {
        eprintln!("the replay before, {}, is swapped in and cannot be undone from here on", before.id);
    }
    let side = |text: &Option<String>| text.as_deref().map(micros).transpose();
    let asked = Asked { from: side(&args.from)?, to: side(&args.to)? };
    let progress = Progress::new(args.quiet || args.format == SummaryFormat::Json);
    let record = replay::make(&job, data, (asked, &args.inputs), args.examples, &progress).await?;
    if !args.swap {
        return tell(args, &record, Standing::Compared, None);
    }
    if let Some(why) = &record.refusal {
        tell(args, &record, Standing::Compared, None)?;
        return Err(Failure::refused(format!("nothing was swapped in: {why}")));
    }
    let swapped = exchange(data, &record, "in").await?;
    tell(args, &record, Standing::In, Some(&swapped))
}

/// Exchanges rows.
async fn exchange(data: &Path, record: &Record, way: &str) -> Result<ReplaySwapped, Failure> {
    let asked = ReplaySwap { pipeline: record.pipeline.clone(), id: record.id.clone(), way: way.to_owned() };
    match Client::of(data)? {
        Some(client) => client.ask("/api/v1/replays/swap", &asked).await,
        None => Ok(StoredReplays::new(folder::locked(data)?.store).swap(asked).await?),
    }
}

fn tell(
    args: &ReplayArgs,
    record: &Record,
    standing: Standing,
    swapped: Option<&ReplaySwapped>,
) -> Result<(), Failure> {
    match args.format {
        SummaryFormat::Json => println!("{}", as_json(record, standing, swapped)),
        SummaryFormat::Text => print!("{}", as_text(args, record, standing, swapped)),
    }
    Ok(())
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Compared => "compared",
        Standing::In => "swapped in",
        Standing::Undone => "undone",
    }
}

fn as_json(record: &Record, standing: Standing, swapped: Option<&ReplaySwapped>) -> serde_json::Value {
    let table = |table: &TableRecord| {
        json!({
            "table": table.table, "equal": table.equal, "changed": table.changed, "only_live": table.only_live,
            "only_replay": table.only_replay, "examples": table.examples,
        })
    };
    let side = |micros: i64| match micros {
        i64::MIN | i64::MAX => None,
        micros => Some(weir_model::EventTime::from_micros(micros).to_string()),
    };
    json!({
        "id": record.id, "pipeline": record.pipeline, "from": side(record.span.from), "to": side(record.span.to),
        "epoch": record.since, "standing": word(standing), "refusal": record.refusal, "dead_letters": record.dead_letters,
        "tables": record.tables.iter().map(table).collect::<Vec<_>>(), "other_outputs": record.others,
        "swapped": swapped.map(|swapped| &swapped.tables),
    })
}

fn as_text(args: &ReplayArgs, record: &Record, standing: Standing, swapped: Option<&ReplaySwapped>) -> String {
    let mut text = format!("replay {} ({}), from {}\n", record.id, word(standing), replay::shown(record.span));
    for table in &record.tables {
        let _ = writeln!(
            text,
            "  table {}: {} rows equal, {} changed, {} only in live, {} only in the replay",
            table.table,
            HumanCount(table.equal),
            HumanCount(table.changed),
            HumanCount(table.only_live),
            HumanCount(table.only_replay)
        );
        table.examples.iter().for_each(|example| text.push_str(&as_lines(example)));
    }
    for other in &record.others {
        let (output, table, rows) = (&other.output, &other.table, HumanCount(other.rows));
        let _ = writeln!(
            text,
            "  output {output}: {rows} rows in the table {table} of the replay; neither compared nor sent"
        );
    }
    if record.dead_letters > 0 {
        let _ = writeln!(text, "  {} dead letters, which stay in the replay", HumanCount(record.dead_letters));
    }
    for table in swapped.iter().flat_map(|swapped| &swapped.tables) {
        let (gone, come) = (HumanCount(table.gone), HumanCount(table.come));
        let _ = writeln!(text, "  {}: {gone} rows went, {come} came", table.table);
    }
    let file = args.pipeline.display();
    let next = match (standing, &record.refusal) {
        (Standing::Compared, Some(why)) => format!("it cannot be swapped in: {why}"),
        (Standing::Compared, None) if record.tables.iter().all(TableRecord::is_equal) => {
            "nothing differs: there is nothing to swap in".to_owned()
        }
        (Standing::Compared | Standing::Undone, _) => {
            format!("`weir replay {file} --apply` puts it in the place of what is shown, `--discard` forgets it")
        }
        (Standing::In, _) => format!("`weir replay {file} --undo` takes it back, as long as the replay is kept"),
    };
    text.push_str(&next);
    text.push('\n');
    text
}

fn as_lines(example: &Example) -> String {
    let line = |of: &str, row: &Option<serde_json::Map<String, serde_json::Value>>| {
        row.as_ref().map(|row| format!("    {of} {}\n", serde_json::Value::Object(row.clone()))).unwrap_or_default()
    };
    format!("{}{}", line("live  ", &example.live), line("replay", &example.replay))
}
