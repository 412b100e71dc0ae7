//! What well-known messages of Spark say about applications, executors, hosts, stages and tasks. Takes only what is
//! written in the shapes listed here; a number that might be something else is left alone.

use std::borrow::Cow;

use memchr::memmem;

use super::event::Facts;
use super::ids::app_id;

/// No more than this of a message is looked at: what it is about stands at its front.
const LOOKED_AT_BYTES: usize = 16 << 10;

/// How messages begin that name the application which the log is of.
const OWN_APPLICATION: [&[u8]; 3] =
    [b"Connected to Spark cluster with app ID ", b"Spark Executor Command: ", b"Submitted application application_"];

/// What `message` says.
pub(crate) fn facts_of_message(message: &[u8]) -> Facts<'_> {
    let front = &message[..message.len().min(LOOKED_AT_BYTES)];
    let front = front.split(|b| *b == b'\n').next().unwrap_or_default();
    let app = app_id(front).map(Cow::Borrowed);
    let is_own_app = app.is_some() && OWN_APPLICATION.iter().any(|start| front.starts_with(start));
    let mut facts = Facts { app, is_own_app, ..Facts::default() };
    if memmem::find(front, b"tage ").is_some() || memmem::find(front, b"ask").is_some() {
        task_facts(front, &mut facts);
    }
    if facts.executor.is_none() {
        executor_facts(front, &mut facts);
    }
    facts
}

/// What the name of a task says: `task 3.0 in stage 21.0 (TID 81)`, also inside the name of a thread.
pub(crate) fn facts_of_task<'a>(name: &[u8]) -> Option<Facts<'a>> {
    let (stage, task) = match memmem::find(name, b"in stage ") {
        Some(at) => (number(&name[at + 9..]), after(name, b"(TID ").and_then(number)),
        None => (None, name.strip_prefix(b"Executor task launch worker for task ").and_then(number)),
    };
    (stage.is_some() || task.is_some()).then(|| Facts { stage, task, ..Facts::default() })
}

fn task_facts<'a>(text: &'a [u8], facts: &mut Facts<'a>) {
    facts.stage = after(text, b"in stage ")
        .or_else(|| after(text, b"ResultStage "))
        .or_else(|| after(text, b"ShuffleMapStage "))
        .or_else(|| after(text, b"TaskSet "))
        .or_else(|| after(text, b"task set "))
        .and_then(number);
    if let Some(tid) = after(text, b"(TID ") {
        facts.task = number(tid);
        host_and_executor(tid, facts);
    } else if let Some(task) = after(text, b"(task ") {
        // `(task 12, attempt 0, stage 3.0)`: this task is the TID
        facts.task = number(task).filter(|_| memmem::find(task, b", attempt ").is_some());
        facts.stage = after(task, b", stage ").and_then(number).or(facts.stage);
    } else {
        facts.task = after(text, b"Got assigned task ").and_then(number);
    }
}

/// Both from what follows a task's number: `81) (HOST,executor 1, ...`, `81) (HOST executor 1): ...`,
/// `81) on HOST, executor 1: ...`, `81) in 5 ms on HOST (executor 1) ...`, `81, HOST, executor 1): ...`.
fn host_and_executor<'a>(tid: &'a [u8], facts: &mut Facts<'a>) {
    let said = &tid[..memmem::find(tid, b": ").unwrap_or(tid.len())];
    let Some(at) = memmem::find(said, b"executor ") else { return };
    facts.executor = word(&said[at + 9..]).map(Cow::Borrowed);
    let before = said[..at].trim_ascii_end();
    let before = before.strip_suffix(b",").or_else(|| before.strip_suffix(b"(")).unwrap_or(before).trim_ascii_end();
    let start = before.iter().rposition(|b| matches!(b, b' ' | b'(' | b',')).map_or(0, |at| at + 1);
    facts.host = Some(&before[start..]).filter(|host| is_host(host)).map(Cow::Borrowed);
}

fn executor_facts<'a>(text: &'a [u8], facts: &mut Facts<'a>) {
    let own = |facts: &mut Facts<'a>, executor: &'a [u8], host: Option<&'a [u8]>| {
        facts.executor = word(executor).map(Cow::Borrowed);
        facts.host = host.map(Cow::Borrowed);
        facts.is_own_executor = facts.executor.is_some();
    };
    if let Some(rest) = text.strip_prefix(b"Starting executor ID ") {
        own(facts, rest, after(rest, b" on host ").and_then(host));
    } else if text.starts_with(b"Spark Executor Command: ") {
        if let Some(executor) = argument(text, b"--executor-id") {
            own(facts, executor, argument(text, b"--hostname").and_then(host));
        }
    } else if let Some(rest) = after(text, b"Lost executor ") {
        facts.executor = word(rest).map(Cow::Borrowed);
        facts.host = after(rest, b" on ").and_then(host).map(Cow::Borrowed);
    } else if let Some(rest) = after(text, b"BlockManagerId(") {
        block_manager(text, rest, facts);
    } else if let Some(rest) = after(text, b"Registered executor ").and_then(|rest| after(rest, b") with ID ")) {
        facts.executor = word(rest).map(Cow::Borrowed);
        let address = after(text, b") (").or_else(|| after(text, b"Registered executor ("));
        facts.host = address.and_then(host).map(Cow::Borrowed);
    } else if let Some(app) = facts.app.clone().filter(|app| memmem::find(text, app).is_some()) {
        of_application(text, &app, facts);
    } else {
        let said = [
            &b"Removing executor "[..],
            b"Executor lost: ",
            b"Shuffle files lost for executor: ",
            b"Disabling executor ",
            b"Requesting to kill executor(s) ",
        ];
        facts.executor = said
            .iter()
            .find_map(|said| after(text, said))
            .and_then(word)
            .filter(|word| is_executor(word))
            .map(Cow::Borrowed);
    }
}

/// `BlockManagerId(E, HOST, PORT, None)`; a block manager that registers itself says whose log it is.
fn block_manager<'a>(text: &[u8], rest: &'a [u8], facts: &mut Facts<'a>) {
    facts.executor = word(rest).map(Cow::Borrowed);
    facts.host = after(rest, b", ").and_then(host).map(Cow::Borrowed);
    let own = [
        &b"Registering BlockManager "[..],
        b"Registered BlockManager ",
        b"Registered BlockManager: ",
        b"Initialized BlockManager: ",
    ];
    facts.is_own_executor = own.iter().any(|own| text.starts_with(own));
}

/// `app-20261121011825-0000/1`, by which masters and workers call an executor; and where it runs.
fn of_application<'a>(text: &'a [u8], app: &[u8], facts: &mut Facts<'a>) {
    let Some(rest) = memmem::find(text, app).and_then(|at| text[at + app.len()..].strip_prefix(b"/")) else { return };
    facts.executor = word(rest).filter(|word| is_executor(word)).map(Cow::Borrowed);
    facts.host = after(rest, b" on hostPort ")
        .or_else(|| after(rest, b" (").filter(|_| memmem::find(rest, b" on worker-").is_some()))
        .and_then(host)
        .map(Cow::Borrowed);
}

/// The value of `name` in a launch command: `"--executor-id" "1"`, or without quotes.
fn argument<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = after(text, name)?;
    let start = rest.iter().position(|b| !matches!(b, b'"' | b' ' | b'='))?;
    Some(&rest[start..])
}

/// What follows the first `mark` in `text`.
fn after<'a>(text: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    memmem::find(text, mark).map(|at| &text[at + mark.len()..])
}

fn number(text: &[u8]) -> Option<i64> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}

/// The word at the front of `text`.
fn word(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))).unwrap_or(text.len());
    (end > 0).then(|| &text[..end])
}

fn is_executor(word: &[u8]) -> bool {
    word == b"driver" || word.iter().all(u8::is_ascii_digit)
}

/// The host at the front of `text`, without a port.
fn host(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(b"/").unwrap_or(text);
    let end = match text.first()? {
        b'[' => text.iter().position(|b| *b == b']')? + 1,
        _ => text
            .iter()
            .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')))
            .unwrap_or(text.len()),
    };
    Some(&text[..end]).filter(|host| is_host(host))
}

fn is_host(host: &[u8]) -> bool {
    host.iter().any(u8::is_ascii_alphanumeric)
        && host.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `app | executor | host | stage | task` of a message, `-` where it says nothing, `!` after an executor whose log it is.
    fn read(message: &str) -> String {
        let facts = facts_of_message(message.as_bytes());
        let text = |text: &Option<Cow<'_, [u8]>>| {
            text.as_ref().map_or("-".to_owned(), |text| String::from_utf8_lossy(text).into_owned())
        };
        let number = |number: Option<i64>| number.map_or("-".to_owned(), |number| number.to_string());
        let own = if facts.is_own_executor { "!" } else { "" };
        format!(
            "{} | {}{own} | {} | {} | {}",
            text(&facts.app),
            text(&facts.executor),
            text(&facts.host),
            number(facts.stage),
            number(facts.task)
        )
    }

    #[test]
    fn messages_say_what_they_are_about() {
        for (message, expected) in [
            (
                "Starting task 0.0 in stage 1.0 (TID 4) (10.0.0.3,executor 1, partition 0, NODE_LOCAL, 100 bytes)",
                "- | 1 | 10.0.0.3 | 1 | 4",
            ),
            (
                "[queryId = 4c240] [batchId = 0] Finished task 3.0 in stage 21.1 (TID 81) in 5 ms on host-7 (executor 12) (1/4)",
                "- | 12 | host-7 | 21 | 81",
            ),
            (
                "Lost task 0.0 in stage 1.0 (TID 4) (10.0.0.3 executor 1): a.b.C: in stage 9.0 (TID 99) executor 7",
                "- | 1 | 10.0.0.3 | 1 | 4",
            ),
            (
                "Lost task 0.1 in stage 1.0 (TID 5) on 10.0.0.3, executor 1: a.b.C (x) [duplicate 1]",
                "- | 1 | 10.0.0.3 | 1 | 5",
            ),
            (
                "Lost task 0.1 in stage 1.0 (TID 5, w.example.org, executor driver): x",
                "- | driver | w.example.org | 1 | 5",
            ),
            ("Exception in task 0.0 in stage 4.0 (TID 17)", "- | - | - | 4 | 17"),
            ("Finished task 0.0 in stage 4.0 (TID 17). 1234 bytes result sent to driver", "- | - | - | 4 | 17"),
            ("Task 2 in stage 5.0 failed 4 times; aborting job", "- | - | - | 5 | -"),
            ("ResultStage 7 (collect at a.py:1) finished in 12 ms", "- | - | - | 7 | -"),
            ("Submitting 8 missing tasks from ShuffleMapStage 3 (MapPartitionsRDD[4])", "- | - | - | 3 | -"),
            ("Removed TaskSet 3.0 whose tasks have all completed, from pool ", "- | - | - | 3 | -"),
            ("Aborting commit for partition 1 (task 12, attempt 0, stage 3.0)", "- | - | - | 3 | 12"),
            ("Got assigned task 81", "- | - | - | - | 81"),
            ("Starting executor ID 1 on host 10.0.0.3", "- | 1! | 10.0.0.3 | - | -"),
            ("Starting executor ID driver on host vm", "- | driver! | vm | - | -"),
            ("Lost executor 1 on 10.0.0.3: Command exited with code 137", "- | 1 | 10.0.0.3 | - | -"),
            (
                "Executor updated: app-20261121011825-0000/1 is now EXITED (Command exited with code 137)",
                "app-20261121011825-0000 | 1 | - | - | -",
            ),
            (
                "Granted executor ID app-20261121011825-0000/0 on hostPort 10.0.0.3:4 with 1 core(s)",
                "app-20261121011825-0000 | 0 | 10.0.0.3 | - | -",
            ),
            (
                "Executor added: app-20261121011825-0000/0 on worker-20261121011705-10.0.0.3-44667 (10.0.0.3:44667) with 1 core(s)",
                "app-20261121011825-0000 | 0 | 10.0.0.3 | - | -",
            ),
            (
                "Connected to Spark cluster with app ID app-20261121011825-0000",
                "app-20261121011825-0000 | - | - | - | -",
            ),
            (
                "Registering block manager 10.0.0.3:37 with 434.4 MiB RAM, BlockManagerId(0, 10.0.0.3, 37, None)",
                "- | 0 | 10.0.0.3 | - | -",
            ),
            ("Registered BlockManager BlockManagerId(driver, vm, 37, None)", "- | driver! | vm | - | -"),
            (
                "Registered executor NettyRpcEndpointRef(spark-client://Executor) (10.0.0.3:52168) with ID 0, ResourceProfileId 0",
                "- | 0 | 10.0.0.3 | - | -",
            ),
            (
                "Spark Executor Command: \"java\" \"--executor-id\" \"1\" \"--hostname\" \"h1\" \"--app-id\" \"app-20261121011825-0000\"",
                "app-20261121011825-0000 | 1! | h1 | - | -",
            ),
            ("Executor lost: 3 (epoch 1)", "- | 3 | - | - | -"),
            ("Removing executor because it is idle", "- | - | - | - | -"),
            ("the first stage of a rocket", "- | - | - | - | -"),
        ] {
            assert_eq!(read(message), expected, "{message}");
        }
    }

    #[test]
    fn names_of_tasks_and_of_threads_say_which_task_it_is() {
        let read = |name: &str| facts_of_task(name.as_bytes()).map(|facts| (facts.stage, facts.task));
        assert_eq!(read("task 3.0 in stage 21.0 (TID 81)"), Some((Some(21), Some(81))));
        assert_eq!(read("Executor task launch worker for task 3.0 in stage 21.0 (TID 81)"), Some((Some(21), Some(81))));
        assert_eq!(read("Executor task launch worker for task 81"), Some((None, Some(81))));
        assert_eq!(read("dispatcher-Executor"), None);
    }
}
