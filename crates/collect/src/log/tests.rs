#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use expect_test::expect;
use tokio::sync::Notify;

use std::collections::BTreeMap;

use weir_disk::{Disk, Reserve};
use weir_log::TopicConfig;
use weir_model::{ErrorKind, Position, RecordSpan, SeamError};

use super::*;

/// A record that cannot be read.
const DAMAGED: &str = "damaged";

/// A topic in memory that forgets what is before `start`.
#[derive(Default)]
struct Memory {
    records: Mutex<(usize, Vec<&'static str>)>,
    appended: Notify,
}

impl Memory {
    fn of(records: &[&'static str]) -> Arc<Self> {
        Arc::new(Self { records: Mutex::new((0, records.to_vec())), appended: Notify::new() })
    }

    fn append(&self, record: &'static str) {
        self.records.lock().unwrap().1.push(record);
        self.appended.notify_one();
    }
}

#[async_trait]
impl Topic for Memory {
    fn read(&self, _: u32, from: Offset, _: usize) -> SeamResult<Vec<(Offset, Bytes)>> {
        let (start, records) = &*self.records.lock().unwrap();
        if from.0 < *start as u64 {
            return Err(SeamError::new(ErrorKind::Corrupt, "deleted"));
        }
        if records.get(from.0 as usize) == Some(&DAMAGED) {
            return Err(SeamError::new(ErrorKind::Corrupt, format!("file.log is damaged: record {from} is lost")));
        }
        let numbered = records.iter().enumerate().skip(from.0 as usize);
        let numbered = numbered.take_while(|(_, text)| **text != DAMAGED);
        Ok(numbered.map(|(at, text)| (Offset(at as u64), Bytes::from_static(text.as_bytes()))).collect())
    }

    fn readable_from(&self, _: u32, from: Offset) -> SeamResult<Offset> {
        Ok(Offset(from.0 + 1))
    }

    async fn wait_for(&self, _: u32, from: Offset) -> SeamResult<()> {
        while self.end(0) <= from {
            self.appended.notified().await;
        }
        Ok(())
    }

    fn start(&self, _: u32) -> Offset {
        Offset(self.records.lock().unwrap().0 as u64)
    }

    fn end(&self, _: u32) -> Offset {
        Offset(self.records.lock().unwrap().1.len() as u64)
    }

    fn partitions(&self) -> u32 {
        1
    }
}

async fn next(source: &mut LogSource) -> String {
    match source.next().await.unwrap() {
        SourceEvent::PartitionAdded(id) => format!("+ {id}\n"),
        SourceEvent::CaughtUp(id) => format!("= {id}\n"),
        SourceEvent::PartitionFinished(id) => format!("- {id}\n"),
        SourceEvent::Trouble { message, .. } => format!("! {message}\n"),
        SourceEvent::End => "end\n".to_owned(),
        SourceEvent::Records(raw) => {
            assert!(raw.records.iter().all(|span| raw.find(span.offset) == Some(span)));
            let show = |span: &RecordSpan| format!("{} {}\n", span.offset, String::from_utf8_lossy(raw.record(span)));
            raw.records.iter().map(show).collect::<String>() + &format!("next {}\n", raw.next.offset)
        }
    }
}

async fn until(source: &mut LogSource, last: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(last) {
        text += &next(source).await;
    }
    text
}

fn open(memory: &Arc<Memory>, follow: bool) -> LogSource {
    open_with(memory, follow, Losses { skip_deleted: true, skip_damaged: true })
}

fn open_with(memory: &Arc<Memory>, follow: bool, losses: Losses) -> LogSource {
    let way_out = (losses, "--set sources.in.http.lost=skip");
    LogSource::reading(("in", "app"), "http:app", memory.clone(), way_out, follow)
}

#[tokio::test]
async fn a_topic_that_is_not_followed_ends_where_it_ended_at_the_start() {
    let memory = Memory::of(&["a", "b"]);
    let mut source = open(&memory, false);
    memory.append("later");
    expect![[r#"
        + in:app
        0 a
        1 b
        next 2
        - in:app
        end
    "#]]
    .assert_eq(&until(&mut source, "end\n").await);
}

#[tokio::test]
async fn a_followed_topic_is_caught_up_with_and_waited_for() {
    let memory = Memory::of(&["a"]);
    let mut source = open(&memory, true);
    assert_eq!(until(&mut source, "= in:app\n").await, "+ in:app\n0 a\nnext 1\n= in:app\n");
    let waiting = tokio::time::timeout(std::time::Duration::from_millis(5), source.next()).await;
    assert!(waiting.is_err(), "it waits");
    memory.append("b");
    assert_eq!(until(&mut source, "= in:app\n").await, "1 b\nnext 2\n= in:app\n");
}

#[tokio::test]
async fn reading_goes_on_at_the_position() {
    let memory = Memory::of(&["a", "b", "c"]);
    let mut source = open(&memory, false);
    let position = Position { offset: Offset(2), ..Position::default() };
    source.seek(&Positions::from([(PartitionId::new("in:app"), position)])).await.unwrap();
    assert_eq!(until(&mut source, "end\n").await, "+ in:app\n2 c\nnext 3\n- in:app\nend\n");
}

fn at(offset: u64) -> Positions {
    Positions::from([(PartitionId::new("in:app"), Position { offset: Offset(offset), ..Position::default() })])
}

#[tokio::test]
async fn records_that_were_deleted_unread_are_reported_where_that_is_accepted_and_stop_it_where_not() {
    let memory = Memory::of(&["a", "b", "c"]);
    memory.records.lock().unwrap().0 = 2;
    let mut source = open(&memory, false);
    source.seek(&at(1)).await.unwrap();
    expect![[r#"
        + in:app
        ! http:app: records 1 to 1 were deleted before they were read: let the log keep more, or read it sooner
        2 c
        next 3
        - in:app
        end
    "#]]
    .assert_eq(&until(&mut source, "end\n").await);
    let mut source = open_with(&memory, false, Losses { skip_deleted: false, skip_damaged: true });
    source.seek(&at(1)).await.unwrap();
    next(&mut source).await;
    let error = source.next().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(
        error.message.contains("records 1 to 1") && error.message.contains("sources.in.http.lost=skip"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn without_a_position_a_topic_is_read_from_its_oldest_record() {
    let memory = Memory::of(&["a", "b", "c"]);
    memory.records.lock().unwrap().0 = 2;
    let mut source = open_with(&memory, false, Losses { skip_deleted: false, skip_damaged: false });
    assert_eq!(until(&mut source, "end\n").await, "+ in:app\n2 c\nnext 3\n- in:app\nend\n");
}

#[tokio::test]
async fn damaged_records_are_gone_around_where_that_is_accepted_and_stop_it_where_not() {
    let memory = Memory::of(&["a", DAMAGED, "c"]);
    expect![[r#"
        + in:app
        0 a
        next 1
        ! http:app: file.log is damaged: record 1 is lost
        2 c
        next 3
        - in:app
        end
    "#]]
    .assert_eq(&until(&mut open(&memory, false), "end\n").await);
    let mut source = open_with(&memory, false, Losses { skip_deleted: true, skip_damaged: false });
    until(&mut source, "next 1\n").await;
    let error = source.next().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(
        error.message.contains("file.log") && error.message.contains("sources.in.http.lost=skip"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn every_partition_of_a_topic_is_read_paused_and_resumed_by_itself() {
    let temp = tempfile::tempdir().unwrap();
    let topics = BTreeMap::from([("app".to_owned(), TopicConfig { partitions: 3, ..TopicConfig::default() })]);
    let config = weir_log::LogConfig { topics, ..weir_log::LogConfig::default() };
    let log = Log::open(temp.path(), Arc::new(Disk), config, Reserve::none()).unwrap();
    for text in ["a", "b", "c", "d"] {
        log.append("app", vec![Bytes::from_static(text.as_bytes())]).await.unwrap();
    }
    let mut source = LogSource::http("in", Arc::clone(&log), &HttpConfig::new("app")).unwrap();
    source.seek(&at(1)).await.unwrap();
    source.pause(&PartitionId::new("in:app/1"));
    let mut lines: Vec<String> = Vec::new();
    // Three partitions, records of two of them, and that both are caught up with.
    for _ in 0..7 {
        lines.push(next(&mut source).await);
    }
    lines.sort();
    assert_eq!(
        lines,
        ["+ in:app\n", "+ in:app/1\n", "+ in:app/2\n", "0 c\nnext 1\n", "1 d\nnext 2\n", "= in:app\n", "= in:app/2\n"]
    );
    let waiting = tokio::time::timeout(std::time::Duration::from_millis(5), source.next()).await;
    assert!(waiting.is_err(), "a paused partition yields nothing");
    source.resume(&PartitionId::new("in:app/1"));
    assert_eq!(until(&mut source, "= in:app/1\n").await, "0 b\nnext 1\n= in:app/1\n");
}

#[tokio::test]
async fn a_position_after_the_end_is_refused() {
    let memory = Memory::of(&["a"]);
    let mut source = open(&memory, true);
    let position = Position { offset: Offset(2), ..Position::default() };
    let error = source.seek(&Positions::from([(PartitionId::new("in:app"), position)])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt);
}
