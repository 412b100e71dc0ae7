#![allow(clippy::unwrap_used)]

use super::*;
use crate::framers::Lines;

/// Gives one piece per read, as a pipe does.
struct Pipe(VecDeque<Vec<u8>>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let Some(piece) = self.0.pop_front() else { return Ok(0) };
        let bytes = piece.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&piece[..bytes]);
        if bytes < piece.len() {
            self.0.push_front(piece[bytes..].to_vec());
        }
        Ok(bytes)
    }
}

async fn run(pieces: &[&str], from: u64) -> String {
    let pipe = Pipe(pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect());
    let mut source = StdinSource::reading("in", &StdinConfig::default(), Arc::new(Lines), Box::new(pipe));
    let partition = PartitionId::new("in:stdin");
    let position = Position { offset: Offset(from), ..Position::default() };
    source.seek(&Positions::from([(partition, position)])).await.unwrap();
    let mut text = String::new();
    loop {
        text += &match source.next().await.unwrap() {
            SourceEvent::End => return text,
            SourceEvent::Records(raw) => {
                let show = |span: &weir_model::RecordSpan| {
                    format!("{} {}\n", span.offset, String::from_utf8_lossy(raw.record(span)))
                };
                raw.records.iter().map(show).collect()
            }
            SourceEvent::Trouble { message, .. } => format!("! {message}\n"),
            SourceEvent::PartitionAdded(id) => format!("+ {id}\n"),
            SourceEvent::PartitionFinished(id) => format!("- {id}\n"),
            SourceEvent::CaughtUp(id) => format!("= {id}\n"),
        };
    }
}

#[tokio::test]
async fn lines_are_yielded_as_they_come_and_the_last_at_the_end() {
    assert_eq!(run(&["on", "e\ntwo\nth", "ree"], 0).await, "+ in:stdin\n0 one\n4 two\n8 three\n- in:stdin\n");
}

#[tokio::test]
async fn piping_the_same_bytes_in_again_yields_what_was_not_taken() {
    assert_eq!(run(&["one\ntwo\nthree\n"], 4).await, "+ in:stdin\n4 two\n8 three\n- in:stdin\n");
}

#[tokio::test]
async fn piping_in_less_than_was_taken_is_trouble() {
    let text = run(&["one\n"], 8).await;
    assert!(text.contains("! standard input cannot be read after byte 8: it has only 4 bytes"), "{text}");
}

#[tokio::test]
async fn a_paused_input_waits_until_it_is_resumed() {
    let pipe = Pipe(VecDeque::from([b"one\n".to_vec()]));
    let mut source = StdinSource::reading("in", &StdinConfig::default(), Arc::new(Lines), Box::new(pipe));
    let partition = PartitionId::new("in:stdin");
    source.pause(&partition);
    assert!(matches!(source.next().await.unwrap(), SourceEvent::PartitionAdded(_)));
    let waiting = tokio::time::timeout(std::time::Duration::from_millis(20), source.next()).await;
    assert!(waiting.is_err(), "nothing comes");
    source.resume(&partition);
    assert!(matches!(source.next().await.unwrap(), SourceEvent::Records(_)));
}
