//! Standard input as a source. Refuses to promise a replay: only piping the same bytes in again gives one.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::{Read, Result as IoResult};
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use weir_model::{
    ByteSize, ErrorKind, Framer, Offset, PartitionId, Position, Positions, Raw, SeamError, SeamResult, Source,
    SourceEvent,
};

use crate::cutter::{Cut, Cutter};

/// What is piped into the process; ends where the input ends. After a crash pipe the same bytes in again: what was
/// taken already is skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StdinConfig {
    /// The longest record. Of a longer line the beginning goes to the dead letters.
    #[serde(default = "crate::file::max_record_bytes")]
    pub max_record_bytes: ByteSize,
}

impl Default for StdinConfig {
    fn default() -> Self {
        Self { max_record_bytes: crate::file::max_record_bytes() }
    }
}

/// How much is read at once: twice what a pipe holds.
const READ_BYTES: usize = 128 << 10;

/// What people know standard input by.
const ORIGIN: &str = "stdin";

/// Standard input as one partition, `<source>:stdin`, whose offsets count bytes from its beginning.
///
/// It cannot be read twice, so a crash loses what was taken from the pipe and not committed, unless the same bytes are
/// piped in again: then as many as were committed are skipped, and every record counts once.
pub struct StdinSource {
    partition: PartitionId,
    reader: Reader,
    cutter: Cutter,
    queue: VecDeque<SourceEvent>,
    paused: bool,
}

type Input = Box<dyn Read + Send>;
/// The input, what was read, and how that went.
type Piece = (Input, Vec<u8>, IoResult<()>);

/// The input is at home, away on a thread where it may block, or at its end.
enum Reader {
    Idle { input: Input, to_skip: u64 },
    Working(JoinHandle<Piece>),
    Ended,
}

impl StdinSource {
    /// Reads the process's standard input as the source `name`.
    ///
    /// # Errors
    /// None today.
    pub fn open(name: &str, config: &StdinConfig, framer: Arc<dyn Framer>) -> SeamResult<Self> {
        Ok(Self::reading(name, config, framer, Box::new(std::io::stdin())))
    }

    /// Reads `input` in the place of standard input.
    pub fn reading(name: &str, config: &StdinConfig, framer: Arc<dyn Framer>, input: Box<dyn Read + Send>) -> Self {
        let partition = PartitionId::new(format!("{name}:{ORIGIN}"));
        Self {
            queue: VecDeque::from([SourceEvent::PartitionAdded(partition.clone())]),
            partition,
            reader: Reader::Idle { input, to_skip: 0 },
            cutter: Cutter::new(framer, config.max_record_bytes.0, 0),
            paused: false,
        }
    }

    /// Reads the next piece where reading may block; nothing is lost when the future is dropped.
    async fn read(&mut self) -> SeamResult<()> {
        if let Reader::Idle { .. } = self.reader {
            let Reader::Idle { input, to_skip } = std::mem::replace(&mut self.reader, Reader::Ended) else {
                return Ok(());
            };
            let buffer = self.cutter.buffer(READ_BYTES);
            self.reader = Reader::Working(tokio::task::spawn_blocking(move || read_piece(input, buffer, to_skip)));
        }
        let Reader::Working(work) = &mut self.reader else { return Ok(()) };
        let result = work.await;
        self.reader = Reader::Ended;
        let (input, buffer, result) =
            result.map_err(|error| SeamError::caused(ErrorKind::Closed, "reading standard input failed", error))?;
        match result {
            Ok(()) => {
                self.take(buffer, false);
                self.reader = Reader::Idle { input, to_skip: 0 };
            }
            Err(error) => {
                let read_to = self.cutter.read_to();
                self.take(buffer, true);
                if error.kind() != std::io::ErrorKind::UnexpectedEof {
                    let message = format!("standard input cannot be read after byte {read_to}: {error}");
                    let partition = Some(self.partition.clone());
                    self.queue.push_back(SourceEvent::Trouble { message, partition });
                }
                self.queue.push_back(SourceEvent::PartitionFinished(self.partition.clone()));
                self.queue.push_back(SourceEvent::End);
            }
        }
        Ok(())
    }

    fn take(&mut self, buffer: Vec<u8>, end: bool) {
        for Cut { bytes, records, next } in self.cutter.push(buffer, end) {
            self.queue.push_back(SourceEvent::Records(Raw {
                partition: self.partition.clone(),
                origin: ORIGIN.into(),
                bytes,
                records,
                next: Position { offset: Offset(next), ..Position::default() },
                fallback_time: None,
            }));
        }
    }
}

/// Appends what one read brings to `buffer`, after `to_skip` bytes were dropped. The end of the input is
/// `UnexpectedEof`, so that it cannot be taken for a piece of no bytes.
fn read_piece(mut input: Input, mut buffer: Vec<u8>, to_skip: u64) -> Piece {
    let result = skip(&mut input, to_skip).and_then(|()| {
        let before = buffer.len();
        buffer.resize(before + READ_BYTES, 0);
        let result = read_some(&mut input, &mut buffer[before..]);
        buffer.truncate(before + result.as_ref().copied().unwrap_or(0));
        match result? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    });
    (input, buffer, result)
}

fn read_some(input: &mut Input, buffer: &mut [u8]) -> IoResult<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn skip(input: &mut Input, bytes: u64) -> IoResult<()> {
    let skipped = std::io::copy(&mut input.take(bytes), &mut std::io::sink())?;
    if skipped == bytes {
        return Ok(());
    }
    let message = format!("it has only {skipped} bytes, but {bytes} were taken before: pipe the same bytes in again");
    Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message))
}

#[async_trait]
impl Source for StdinSource {
    async fn seek(&mut self, positions: &Positions) -> SeamResult<()> {
        let Some(position) = positions.get(&self.partition) else { return Ok(()) };
        self.cutter.go_to(position.offset.0);
        if let Reader::Idle { to_skip, .. } = &mut self.reader {
            *to_skip = position.offset.0;
        }
        Ok(())
    }

    async fn next(&mut self) -> SeamResult<SourceEvent> {
        loop {
            let added = matches!(self.queue.front(), Some(SourceEvent::PartitionAdded(_)));
            if !self.paused || added {
                if let Some(event) = self.queue.pop_front() {
                    return Ok(event);
                }
            } else if !self.queue.is_empty() {
                // Resuming takes `&mut self`: it can only happen after this future was dropped.
                std::future::pending::<()>().await;
            }
            if let Reader::Ended = self.reader {
                return Ok(SourceEvent::End);
            }
            self.read().await?;
        }
    }

    fn pause(&mut self, partition: &PartitionId) {
        self.paused |= *partition == self.partition;
    }

    fn resume(&mut self, partition: &PartitionId) {
        self.paused &= *partition != self.partition;
    }

    fn bytes_total(&self) -> Option<u64> {
        None
    }
}
