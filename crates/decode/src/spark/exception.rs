//! Finds the class of the exception that an event is about, and where a stack trace begins inside a text.

use super::kind::{Kind, TRACEBACK};
use super::traceback::exception_line;

/// How the names of exceptions end.
const ENDINGS: [&[u8]; 5] = [b"Exception", b"Error", b"Throwable", b"Interrupt", b"Exit"];

/// The class of the outermost exception: one that the first line names, or the first that the lines after it begin with.
pub(crate) fn class_of<'a>(message: &'a [u8], stack: Option<&'a [u8]>) -> Option<&'a [u8]> {
    let first = message.split(|b| *b == b'\n').next().unwrap_or_default();
    named_in(first).or_else(|| named_at_line(stack?))
}

/// The first qualified name of an exception in `line` that is said of something: `pkg.Class: text`, `pkg.Class (text)`,
/// or at the end.
fn named_in(line: &[u8]) -> Option<&[u8]> {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$');
    let mut at = 0;
    while at < line.len() {
        let end = line[at..].iter().position(|b| !is_part(*b)).map_or(line.len(), |bytes| at + bytes);
        let (name, rest) = (&line[at..end], &line[end..]);
        let is_said = rest.is_empty() || rest.starts_with(b":") || rest.starts_with(b" (") || rest.starts_with(b"(");
        if is_said && is_qualified(name) && is_exception(name) {
            return Some(name);
        }
        at = end + 1;
    }
    None
}

/// The first line that begins with the name of an exception; a cause only if there is no other.
fn named_at_line(stack: &[u8]) -> Option<&[u8]> {
    let is_python = memchr::memmem::find(stack, TRACEBACK).is_some();
    let named = |line: &'_ [u8]| -> Option<usize> {
        let bytes = line.iter().position(|b| *b == b':' || b.is_ascii_whitespace()).unwrap_or(line.len());
        let name = &line[..bytes];
        (is_exception(name) && is_qualified(name)).then_some(bytes)
    };
    let lines = || stack.split(|b| *b == b'\n');
    let outermost = lines().find_map(|line| named(line).map(|bytes| &line[..bytes]));
    let cause = || {
        lines()
            .filter_map(|line| line.strip_prefix(b"Caused by: "))
            .find_map(|line| named(line).map(|bytes| &line[..bytes]))
    };
    let python = || {
        let start = memchr::memmem::find(stack, TRACEBACK).filter(|_| is_python)?;
        class_at(exception_line(&stack[start..])?)
    };
    outermost.or_else(cause).or_else(python)
}

/// The class that the exception line of a traceback begins with.
pub(crate) fn class_at(line: &[u8]) -> Option<&[u8]> {
    let bytes = line.iter().position(|b| *b == b':').unwrap_or(line.len());
    let name = line[..bytes].trim_ascii_end();
    let is_name = name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_'));
    (is_name && name.first().is_some_and(u8::is_ascii_alphabetic)).then_some(name)
}

fn is_exception(name: &[u8]) -> bool {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$');
    ENDINGS.iter().any(|ending| name.ends_with(ending)) && name.iter().all(is_part)
}

/// Whether `name` has a package: `org.apache.spark.SparkException`.
fn is_qualified(name: &[u8]) -> bool {
    let is_lower = name.first().is_some_and(|b| b.is_ascii_lowercase());
    let class = memchr::memrchr(b'.', name).map(|dot| &name[dot + 1..]);
    is_lower && class.and_then(<[u8]>::first).is_some_and(u8::is_ascii_uppercase)
}

/// Where the second line of `message` begins, if a stack trace stands below the first line.
pub(crate) fn stack_start(message: &[u8]) -> Option<usize> {
    let start = memchr::memchr(b'\n', message)? + 1;
    let is_trace = |line: &[u8]| matches!(Kind::of(line), Kind::Frame | Kind::Traceback);
    message[start..].split(|b| *b == b'\n').any(is_trace).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(message: &str, stack: &str) -> String {
        let stack = (!stack.is_empty()).then_some(stack.as_bytes());
        class_of(message.as_bytes(), stack).map_or("-".to_owned(), |class| String::from_utf8_lossy(class).into_owned())
    }

    #[test]
    fn the_first_line_names_it_or_the_lines_below() {
        for (message, stack, expected) in [
            (
                "Exception in task 0.0 in stage 1.0 (TID 4)",
                "org.apache.spark.SparkException: [X] y\n\tat a.B.c(D.java:1)\nCaused by: java.io.IOException: z",
                "org.apache.spark.SparkException",
            ),
            (
                "Lost task 0.0 in stage 1.0 (TID 4) (h executor 1): java.lang.OutOfMemoryError: heap",
                "\tat a.B.c(D.java:1)",
                "java.lang.OutOfMemoryError",
            ),
            (
                "Lost task 1.1 in stage 1.0 (TID 5) on h, executor 1: a.b.CException ([X] y) [duplicate 1]",
                "",
                "a.b.CException",
            ),
            ("Exception in thread \"main\" java.lang.IllegalStateException", "", "java.lang.IllegalStateException"),
            ("Error", "text\nCaused by: java.io.IOException: z", "java.io.IOException"),
            ("Aborting", "Traceback (most recent call last):\n  File \"a.py\"\nValueError: x", "ValueError"),
            ("Set spark.sql.error to see the Error", "{\n  \"id\" : 1\n}", "-"),
            ("Registered SparkException handler", "", "-"),
            ("Using org.x.FooExceptionMapper for it", "", "-"),
        ] {
            assert_eq!(class(message, stack), expected, "{message}");
        }
    }

    #[test]
    fn a_stack_in_a_message_begins_with_the_second_line() {
        assert_eq!(stack_start(b"one\n\tat a.B.c(D.java:1)"), Some(4));
        assert_eq!(stack_start(b"Streaming query made progress: {\n  \"id\" : 1\n}"), None);
        assert_eq!(stack_start(b"one line"), None);
    }
}
