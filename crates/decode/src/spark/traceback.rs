//! How far a Python traceback that stands alone goes, line by line: frames, the exception and its message, the
//! tracebacks that it quotes or is chained to, the context that Spark adds. What is printed after it is not its own.

use super::kind::{Kind, TRACEBACK};

/// A place in a traceback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traceback {
    part: Part,
    /// The last line said that more follows: it ended with `:` or `;`.
    is_open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The frames.
    Frames,
    /// The exception, and what belongs to it.
    Exception,
    /// Context of which every line up to a blank one belongs to it.
    Section,
    /// A blank line after which it may go on.
    Blank,
    /// The words between two tracebacks of a chain.
    Chain,
}

/// With what a traceback goes on after a blank line.
const RESUMPTIONS: [&[u8]; 5] = [
    b"During handling of the above exception",
    b"The above exception was the direct cause",
    b"JVM stacktrace:",
    b"== ",
    b"Caused by:",
];

/// How many of these stand between two tracebacks of a chain.
const CHAIN_WORDS: usize = 2;

impl Traceback {
    /// After the line that begins a traceback.
    pub(crate) fn begin() -> Self {
        Self { part: Part::Frames, is_open: false }
    }

    /// The place after `line`, or `None` if the line is not part of the traceback.
    pub(crate) fn next(self, line: &[u8]) -> Option<Self> {
        let kind = Kind::of(line);
        if kind.begins_record() {
            return None;
        }
        let part = match (self.part, kind) {
            (Part::Frames, Kind::Blank) => Part::Frames,
            (Part::Chain, Kind::Blank) => Part::Chain,
            (_, Kind::Blank) => Part::Blank,
            (Part::Blank, _) => resumption(line)?,
            (_, Kind::Traceback) => Part::Frames,
            (Part::Chain, _) => return None,
            (Part::Section, _) => Part::Section,
            (part, _) if is_indented(line) => part,
            (Part::Frames, _) => Part::Exception,
            (Part::Exception, Kind::Frame) => Part::Exception,
            (Part::Exception, _) if self.is_open || is_plan(line) => Part::Exception,
            (Part::Exception, _) => resumption(line)?,
        };
        let is_open = matches!(line.trim_ascii_end().last(), Some(b':' | b';'));
        Some(Self { part, is_open })
    }

    /// Whether the line after which this place is was blank.
    pub(crate) fn is_blank(self) -> bool {
        self.part == Part::Blank
    }
}

fn resumption(line: &[u8]) -> Option<Part> {
    let start = RESUMPTIONS.iter().position(|start| line.starts_with(start))?;
    Some(if start < CHAIN_WORDS { Part::Chain } else { Part::Section })
}

fn is_indented(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

/// Whether `line` is of a query plan, which some messages end with.
fn is_plan(line: &[u8]) -> bool {
    [&b"'"[..], b"+- ", b":- ", b":  ", b"!"].iter().any(|start| line.starts_with(start))
}

/// The line that names the exception of a traceback: the line below the frames of the last traceback of a chain.
pub(crate) fn exception_line(traceback: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    let mut is_in_frames = false;
    let mut is_chain_next = true;
    for line in traceback.split(|b| *b == b'\n') {
        if line.starts_with(TRACEBACK) {
            // a traceback that a message quotes does not name the exception; the next one of a chain does
            is_in_frames = is_chain_next;
            is_chain_next = false;
        } else if RESUMPTIONS[..CHAIN_WORDS].iter().any(|start| line.starts_with(start)) {
            is_chain_next = true;
        } else if is_in_frames && !is_indented(line) && !line.trim_ascii().is_empty() {
            found = Some(line);
            is_in_frames = false;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTING: &str = "Traceback (most recent call last):
  File \"/jobs/a.py\", line 12, in <module>
    df.write.parquet(\"x\")
    ^^^^^^^^
pyspark.errors.exceptions.captured.PythonException: thrown from the Python worker:
Traceback (most recent call last):
  File \"/jobs/a.py\", line 9, in parse
ValueError: cannot parse";

    const CHAINED: &str = "Traceback (most recent call last):
  File \"a.py\", line 1, in <module>
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File \"a.py\", line 3, in <module>
my.pkg.Error: no x";

    const CONTEXT: &str = "Traceback (most recent call last):
  File \"a.py\", line 1, in <module>
pyspark.errors.AnalysisException: [X] no column;
'Project ['idd]
+- Range (0, 5)

== DataFrame ==
\"cast\" was called from
/jobs/a.py:8";

    /// How many lines of `text` belong to the traceback that it begins with.
    fn lines(text: &str) -> usize {
        let mut place = Some(Traceback::begin());
        let mut belonging = 1;
        for (i, line) in text.lines().enumerate().skip(1) {
            place = place.and_then(|place| place.next(line.as_bytes()));
            match place {
                Some(place) if !place.is_blank() => belonging = i + 1,
                Some(_) => {}
                None => break,
            }
        }
        belonging
    }

    #[test]
    fn a_traceback_goes_to_the_end_of_its_exception() {
        for text in [QUOTING, CHAINED, CONTEXT] {
            let own = text.lines().count();
            assert_eq!(lines(text), own, "{text}");
            assert_eq!(lines(&format!("{text}\n\nprinted later\n")), own, "{text}");
            assert_eq!(lines(&format!("{text}\n26/11/21 01:18:22 INFO A: b\n")), own, "{text}");
        }
        assert_eq!(lines(&format!("{QUOTING}\nretrying\n")), QUOTING.lines().count());
    }

    #[test]
    fn the_exception_is_the_outermost() {
        let class = |text: &'static str| {
            std::str::from_utf8(exception_line(text.as_bytes()).expect("an exception")).expect("utf-8")
        };
        assert_eq!(
            class(QUOTING),
            "pyspark.errors.exceptions.captured.PythonException: thrown from the Python worker:"
        );
        assert_eq!(class(CHAINED), "my.pkg.Error: no x");
        assert_eq!(class(CONTEXT), "pyspark.errors.AnalysisException: [X] no column;");
        assert_eq!(exception_line(b"Traceback (most recent call last):\n  File"), None);
    }
}
