//! `weir gen`: data to try things with.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{GenArgs, GenCommand};
use crate::exit::Failure;
use crate::generate::LogLines;

/// How many rows are written between two looks at the progress bar.
const ROWS_PER_STEP: u64 = 10_000;

/// Runs the command.
///
/// # Errors
/// When the file cannot be written.
pub fn run(args: &GenArgs) -> Result<(), Failure> {
    let GenCommand::Logs { rows, seed, rows_per_sec, out } = &args.what;
    let mut lines = LogLines::new(*seed, *rows_per_sec);
    match out {
        None => write_rows(&mut lines, *rows, BufWriter::new(io::stdout().lock()), "standard output"),
        Some(path) => {
            let shown = path.display().to_string();
            let file = File::create(path).map_err(|error| Failure::run(format!("{shown}: {error}")))?;
            write_rows(&mut lines, *rows, BufWriter::with_capacity(1 << 20, file), &shown)
        }
    }
}

fn write_rows(lines: &mut LogLines, rows: u64, mut out: impl Write, shown: &str) -> Result<(), Failure> {
    let bar = if io::stderr().is_terminal() { ProgressBar::new(rows) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} rows, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let failed = |error: io::Error| Failure::run(format!("{shown}: {error}"));
    for row in 0..rows {
        lines.write_next(&mut out).map_err(failed)?;
        if row % ROWS_PER_STEP == 0 {
            bar.set_position(row);
        }
    }
    out.flush().map_err(failed)?;
    bar.finish_and_clear();
    Ok(())
}
