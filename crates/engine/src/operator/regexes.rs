//! Regular expressions that users write: compiled once, to automata that take time linear in the text, and no larger than
//! a limit.

use regex::{Regex, RegexBuilder};

use super::PlanFault;

/// How large a compiled expression may be.
pub(super) const COMPILED_BYTES_MAX: usize = 10 << 20;

/// Compiles an expression that stands at `key` of a step.
pub(super) fn compile(key: &str, text: &str) -> Result<Regex, PlanFault> {
    RegexBuilder::new(text).size_limit(COMPILED_BYTES_MAX).build().map_err(|error| refused(key, &error))
}

/// Why an expression was refused, in one line.
pub(super) fn refused(key: &str, error: &regex::Error) -> PlanFault {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or(&text).trim();
    let last = last.strip_prefix("error: ").unwrap_or(last);
    let mut fault = PlanFault::new(key, format!("the regular expression is not right: {last}"));
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        fault.message =
            format!("the regular expression takes more than {} MiB once compiled", COMPILED_BYTES_MAX >> 20);
        fault.hint =
            Some("smaller counts in `{n,m}` make it smaller, as does `(?-u)` where only ASCII is meant".to_owned());
    } else if last.contains("look-around") || last.contains("backreferences") {
        fault.hint = Some("expressions here take time linear in the text, whatever it is: these would not".to_owned());
    }
    fault
}
