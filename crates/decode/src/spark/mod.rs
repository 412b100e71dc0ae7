//! Log files of Apache Spark: one row per log event. Reads what is written in the lines and in the file's path; looks
//! nothing up and invents nothing.
//!
//! # Where records end
//!
//! | the first line of a record is | the record goes on until | level |
//! |---|---|---|
//! | *dated*: has a date, a time and a level at its front, in any order that log4j patterns commonly have | the next dated line or JSON event: stack traces, `Caused by:`, Python tracebacks, ` SQLSTATE:`, query plans, everything that has no date belongs to the line before it | as written; `WARNING` is WARN, `CRITICAL` is FATAL, `SEVERE` is ERROR |
//! | dated, but without a level | the next line with a date, or JSON event | null |
//! | a *JSON event*: one JSON object with a time, and a level or a message | its end | as written |
//! | `Traceback (most recent call last):` | the exception's own lines end: its frames, its message, the tracebacks that it quotes or that it is chained to, its `== DataFrame ==` context | ERROR |
//! | anything else (the launch command, `WARNING: Using incubator modules`, printed output) | its end, and that of the Java stack frames after it | null; ERROR with Java stack frames |
//!
//! Blank lines are nobody's own: they are passed over after a record, and before the first record of a file they belong
//! to it. A file of nothing but blank lines is one record with an empty message. Lines of a Kubernetes container log
//! (`2026-11-21T02:00:00.000007123Z stderr F text`) are recognised each for itself; their texts are what the rules
//! above see, `P` pieces are joined until the `F` piece of the same stream, and the other stream begins another record.
//!
//! # Fields
//!
//! | field | from |
//! |---|---|
//! | `ts` | the line's date in its own zone, else the format's `zone`; JSON: `ts`, `@timestamp`, `timestamp`, `time`. Undated: that of the record before it in its partition; at the head of a file that of the first dated record in the same batch; else the container log's; else the source's own time for the data (a file's modification time); else the record is rejected |
//! | `level`, `logger`, `thread` | the line; JSON: `level`, `logger`, `thread` and what the other JSON layouts of log4j call them. A thread in brackets |
//! | `message` | the first line without what the fields above are; JSON: `msg`, cut where a stack trace begins in it |
//! | `stack` | the lines after the first; a traceback whole; JSON: `exception`, written as Java writes it |
//! | `exception_class` | JSON `exception.class`; else the first qualified name of an exception in the message; else the first line of `stack` that begins with one; in a traceback the line below the frames of the last of a chain |
//! | `app_id` | JSON context `app_id`; else an id in the message (`app-yyyyMMddHHmmss-NNNN`, `application_N_N`, `spark-` and 32 hexadecimal digits, `local-` and 13 digits); else the application that the log is of: the one it says it is of (context, launch command, `Connected to Spark cluster with app ID`), else one in the path, else the first that it named |
//! | `executor_id`, `host` | JSON context; else what the message says of an executor: `(TID n) (HOST,executor E`, `(HOST executor E)`, `on HOST, executor E`, `on HOST (executor E)`, `Lost executor E on HOST`, `executor app-x/E`, `BlockManagerId(E, HOST, `, `with ID E`; else whose log it is: `Starting executor ID E on host HOST`, the launch command's `--executor-id` and `--hostname`, or the path (`app-x/E/`, `-exec-E`, `spark-kubernetes-driver`) |
//! | `stage_id`, `task_id` | JSON context `task_name`, `stage_id`, `tid`; else `in stage S.A (TID n)`, `ResultStage S`, `ShuffleMapStage S`, `TaskSet S.A`, `(task n, attempt a, stage S.A)`, `assigned task n`; else the thread `Executor task launch worker for task ...` |
//! | `source_file`, `source_offset` | the path of the file, and the byte in it at which the record begins |
//!
//! What a partition has named holds for its later records. Masters, workers and history servers speak of many
//! applications, so nothing holds over in their logs. The memory is in [`weir_model::Decoder::carry`].

mod columns;
mod cri;
mod dates;
mod decoder;
mod event;
mod exception;
mod facts;
mod framer;
mod head;
mod ids;
mod json_event;
mod kind;
mod memory;
mod record;
mod traceback;

pub(crate) use columns::schema;
pub(crate) use decoder::SparkDecoder;
pub(crate) use framer::SparkFramer;

#[cfg(test)]
mod tests;
