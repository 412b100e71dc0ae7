#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use expect_test::expect;
use tokio::sync::Notify;

use super::*;

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
    fn read(&self, from: Offset, _: usize) -> SeamResult<Vec<(Offset, Bytes)>> {
        let (start, records) = &*self.records.lock().unwrap();
        if from.0 < *start as u64 {
            return Err(SeamError::new(ErrorKind::Corrupt, "deleted"));
        }
        let numbered = records.iter().enumerate().skip(from.0 as usize);
        Ok(numbered.map(|(at, text)| (Offset(at as u64), Bytes::from_static(text.as_bytes()))).collect())
    }

    async fn wait_for(&self, from: Offset) -> SeamResult<()> {
        while self.end() <= from {
            self.appended.notified().await;
        }
        Ok(())
    }

    fn start(&self) -> Offset {
        Offset(self.records.lock().unwrap().0 as u64)
    }

    fn end(&self) -> Offset {
        Offset(self.records.lock().unwrap().1.len() as u64)
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
    LogSource::reading("in", "app", "http:app".to_owned(), memory.clone(), follow)
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

#[tokio::test]
async fn records_that_were_deleted_unread_are_reported() {
    let memory = Memory::of(&["a", "b", "c"]);
    memory.records.lock().unwrap().0 = 2;
    let mut source = open(&memory, false);
    expect![[r#"
        + in:app
        ! http:app: records 0 to 1 were deleted before they were read: let the log keep more, or read it sooner
        2 c
        next 3
        - in:app
        end
    "#]]
    .assert_eq(&until(&mut source, "end\n").await);
}

#[tokio::test]
async fn a_position_after_the_end_is_refused() {
    let memory = Memory::of(&["a"]);
    let mut source = open(&memory, true);
    let position = Position { offset: Offset(2), ..Position::default() };
    let error = source.seek(&Positions::from([(PartitionId::new("in:app"), position)])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt);
}
