//! `weir dlq`: records that could not be processed are listed, looked at, given to their pipeline again, deleted. Listing asks
//! as `weir query` does; what changes something is done by the Weir that is up on the data folder, or here when none is.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use weir_query::{RunOptions, quoted_table};
use weir_serve::{ChosenLetters, DeadLetters, Purged, Replayed};

use super::{folder, query};
use crate::cli::{DlqArgs, DlqCommand, DlqPurgeArgs, DlqReplayArgs, DlqShowArgs, LetterArgs};
use crate::client::Client;
use crate::dead_letters::{StoredLetters, micros};
use crate::exit::Failure;
use crate::running::Shared;

/// Runs the command.
///
/// # Errors
/// As `weir query`; when letters cannot be changed.
pub async fn run(args: &DlqArgs) -> Result<(), Failure> {
    match &args.command {
        DlqCommand::List(list) => {
            let sql = format!(
                "SELECT id, time, pipeline, kind, source, source_file, source_offset, reason, payload FROM {}{} \
                 ORDER BY time DESC, id DESC LIMIT {}",
                quoted_table(&list.which.table),
                conditions(&list.which, &[])?,
                list.limit
            );
            query::ask_sql(&list.which.data, &sql, RunOptions::default(), list.format).await
        }
        DlqCommand::Show(show) => self::show(show).await,
        DlqCommand::Replay(replay) => self::replay(replay).await,
        DlqCommand::Purge(purge) => self::purge(purge).await,
    }
}

/// A text as SQL writes it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What the arguments choose, as SQL.
fn conditions(which: &LetterArgs, ids: &[String]) -> Result<String, Failure> {
    let mut all = Vec::new();
    if !ids.is_empty() {
        all.push(format!("id IN ({})", ids.iter().map(|id| quoted(id)).collect::<Vec<_>>().join(", ")));
    }
    let named = [("pipeline", &which.pipeline), ("source", &which.source)];
    all.extend(named.iter().filter_map(|(name, value)| Some(format!("{name} = {}", quoted(value.as_deref()?)))));
    if let Some(reason) = &which.reason {
        all.push(format!("strpos(lower(reason), {}) > 0", quoted(&reason.to_lowercase())));
    }
    for (comparison, time) in [(">=", &which.from), ("<", &which.to)] {
        if let Some(time) = time {
            micros(time)?;
            all.push(format!("time {comparison} TIMESTAMP {}", quoted(time)));
        }
    }
    Ok(if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) })
}

fn chosen(which: &LetterArgs, ids: &[String]) -> ChosenLetters {
    ChosenLetters {
        table: Some(which.table.clone()),
        ids: ids.to_vec(),
        pipeline: which.pipeline.clone(),
        source: which.source.clone(),
        reason: which.reason.clone(),
        from: which.from.clone(),
        to: which.to.clone(),
    }
}

async fn show(args: &DlqShowArgs) -> Result<(), Failure> {
    let sql = format!(
        "SELECT * FROM {}{} ORDER BY pipeline, time, id",
        quoted_table(&args.which.table),
        conditions(&args.which, &args.ids)?
    );
    let mut out = std::io::stdout().lock();
    let mut shown = 0;
    for batch in query::rows(&args.which.data, &sql).await? {
        for row in 0..batch.num_rows() {
            let written = if args.raw { out.write_all(&payload(&batch, row)) } else { show_one(&batch, row, &mut out) };
            written.map_err(|error| Failure::run(format!("standard output: {error}")))?;
            shown += 1;
        }
    }
    if shown == 0 {
        return Err(Failure::run("there is no such dead letter; `weir dlq list` lists them"));
    }
    Ok(())
}

/// Each column on a line, then the record with everything visible that a terminal would not show or would obey.
fn show_one(batch: &RecordBatch, row: usize, out: &mut impl Write) -> std::io::Result<()> {
    let options = FormatOptions::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if field.name().starts_with("payload") || column.is_null(row) {
            continue;
        }
        if let Ok(values) = ArrayFormatter::try_new(column, &options) {
            writeln!(out, "{:15} {}", field.name(), visible(values.value(row).to_string().as_bytes()))?;
        }
    }
    let payload = payload(batch, row);
    writeln!(out, "{:15} {} bytes", "payload", payload.len())?;
    for line in payload.split_inclusive(|byte| *byte == b'\n') {
        writeln!(out, "  {}", visible(line))?;
    }
    writeln!(out)
}

fn payload(batch: &RecordBatch, row: usize) -> Vec<u8> {
    let text = |name: &str| {
        let column = batch.column_by_name(name)?.as_string_view_opt()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    match text("payload_base64").and_then(|encoded| BASE64_STANDARD.decode(encoded).ok()) {
        Some(bytes) => bytes,
        None => text("payload").unwrap_or_default().into_bytes(),
    }
}

/// The text with control characters, what is not UTF-8, and marks that change the direction of writing as escapes.
pub(crate) fn visible(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            let steers =
                matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if character.is_control() || steers || character == '\\' {
                out.extend(character.escape_default());
            } else {
                out.push(character);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

async fn replay(args: &DlqReplayArgs) -> Result<(), Failure> {
    let chosen = chosen(&args.which, &args.ids);
    let (replayed, up): (Replayed, bool) = match Client::of(&args.which.data)? {
        Some(client) => (client.ask("/api/v1/dead-letters/replay", &chosen).await?, true),
        None => {
            let (_folder_is_ours, letters) = letters(&args.which.data)?;
            (letters.replay(chosen).await?, false)
        }
    };
    let when =
        if up { "are given to their pipeline again" } else { "are given to their pipeline when it starts again" };
    println!("{} dead letters {when}", replayed.replayed);
    for (reason, count) in &replayed.kept {
        println!("{count} stay: {reason}");
    }
    Ok(())
}

async fn purge(args: &DlqPurgeArgs) -> Result<(), Failure> {
    let sql =
        format!("SELECT count(*) FROM {}{}", quoted_table(&args.which.table), conditions(&args.which, &args.ids)?);
    let counted = query::rows(&args.which.data, &sql).await?;
    let count =
        counted.first().map_or(0, |batch| batch.column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0));
    if count == 0 {
        println!("there are no such dead letters");
        return Ok(());
    }
    if !args.yes && !agreed(&format!("Delete {count} dead letters for good?"))? {
        return Err(Failure::run("nothing was deleted"));
    }
    let chosen = chosen(&args.which, &args.ids);
    let Purged { purged } = match Client::of(&args.which.data)? {
        Some(client) => client.ask("/api/v1/dead-letters/purge", &chosen).await?,
        None => {
            let (_folder_is_ours, letters) = letters(&args.which.data)?;
            letters.purge(chosen).await?
        }
    };
    println!("{purged} dead letters deleted");
    Ok(())
}

/// Asks the person at the terminal.
pub(super) fn agreed(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::refused(format!("{question} Nobody is there to ask: say --yes")));
    }
    eprint!("{question} [yes/no] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|error| Failure::run(format!("standard input: {error}")))?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

/// The letters of a folder on which nobody runs; nor may anybody while what comes with them is kept.
fn letters(data: &Path) -> Result<(Shared, StoredLetters), Failure> {
    let shared = folder::locked(data)?;
    let letters = StoredLetters::new(Arc::clone(&shared.store), Arc::clone(&shared.log), None);
    Ok((shared, letters))
}

#[cfg(test)]
mod tests {
    use super::letters;

    #[test]
    fn nobody_else_has_the_folder_while_letters_are_worked_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let held = letters(folder.path()).expect("nobody has it");
        let other = letters(folder.path()).err().expect("it is taken");
        assert!(other.to_string().contains("another"), "{other}");
        drop(held);
        assert!(letters(folder.path()).is_ok());
    }
}
