//! What a person sees of a run: a progress bar while it lasts, a balance at its end. It reads the board and nothing else.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use weir_model::{Clock, SystemClock};
use weir_observe::{PipelineHandle, PipelineStatus};

/// How often the bar moves.
pub(crate) const REFRESH: Duration = Duration::from_millis(100);

/// A bar over the bytes that are to be read, or a counter where nobody knows how many there are.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar on standard error, if that is a terminal and `quiet` is not asked for.
    pub(crate) fn new(quiet: bool) -> Self {
        let bar =
            if quiet || !std::io::stderr().is_terminal() { ProgressBar::hidden() } else { ProgressBar::no_length() };
        Self { bar }
    }

    /// Shows where the pipeline is.
    pub(crate) fn show(&self, handle: &PipelineHandle) {
        if self.bar.is_hidden() {
            return;
        }
        let status = handle.status(SystemClock.now());
        let template = match status.bytes_total {
            Some(total) => {
                self.bar.set_length(total.max(status.bytes_read));
                "{bar:30} {percent:>3}%  {msg}  {eta} left"
            }
            None => "{spinner}  {msg}",
        };
        self.bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.bar.set_position(status.bytes_read);
        self.bar.set_message(format!(
            "{} rows, {}, {} rows/s",
            HumanCount(status.rows_read),
            HumanBytes(status.bytes_read),
            HumanCount(status.rows_per_second as u64)
        ));
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// The balance of every output, and what went wrong.
pub(crate) fn summary(status: &PipelineStatus) -> String {
    let mut text = format!(
        "pipeline {}: {} records read in this run; in all runs on this data:\n",
        status.name,
        HumanCount(status.rows_read)
    );
    for output in &status.outputs {
        let balance = &output.balance;
        let _ = write!(
            text,
            "  {}: {} read{} = {} in results + {} filtered{} + {} late + {} dead letters",
            output.name,
            HumanCount(balance.read),
            some(balance.added, "added"),
            HumanCount(balance.results),
            HumanCount(balance.filtered),
            some(balance.merged, "merged"),
            HumanCount(balance.late),
            HumanCount(balance.rejected),
        );
        if balance.open > 0 {
            let _ = write!(text, " + {} open", HumanCount(balance.open));
        }
        text.push_str(if balance.holds() { "\n" } else { "   (THIS DOES NOT BALANCE: please report it)\n" });
    }
    for trouble in &status.trouble {
        let times = if trouble.times > 1 { format!(" ({} times)", trouble.times) } else { String::new() };
        let _ = writeln!(text, "  trouble: {}{times}", trouble.message);
    }
    text
}

/// A term of the balance that most pipelines do not have.
fn some(rows: u64, what: &str) -> String {
    if rows == 0 { String::new() } else { format!(" + {} {what}", HumanCount(rows)) }
}
