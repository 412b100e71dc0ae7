//! Where posted records go: into the topic of the log that a pipeline reads, durable before they are acknowledged unless the
//! stream says otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;
use weir_collect::{Acknowledge, SourceConfig};
use weir_log::{AppendOptions, Log};
use weir_model::ErrorKind;
use weir_serve::{Ack, Asked, Ingest, IngestError};

use crate::plan::Job;

/// When a client should try again after the disk was full.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The most bytes of records that were answered and are not on disk yet, unless there is less memory; more wait for them.
pub(crate) const UNSAVED_BYTES_MAX: u64 = 64 << 20;

/// Appends records to the log.
pub(crate) struct LogIngest {
    log: Arc<Log>,
    /// The streams that some pipeline reads, and when their posts are answered; others are refused, since nobody would ever see
    /// what they hold.
    streams: BTreeMap<String, Acknowledge>,
    /// Room for records that were answered and are not on disk yet, in KiB.
    room: Arc<Semaphore>,
    room_kib: u32,
}

impl LogIngest {
    /// Takes records of the streams that `jobs` read; at most `unsaved` bytes of them are answered before they are on disk.
    pub(crate) fn new(log: Arc<Log>, jobs: &[Job], unsaved: u64) -> Self {
        let sources = jobs.iter().flat_map(|job| &job.sources);
        let streams = sources.filter_map(|source| match &source.source {
            SourceConfig::Http(http) => Some((http.stream.clone(), http.acknowledge)),
            SourceConfig::File(_) | SourceConfig::Stdin(_) | SourceConfig::Log(_) | SourceConfig::Kafka(_) => None,
        });
        let mut known = BTreeMap::new();
        for (stream, acknowledge) in streams {
            // Whoever of several wants to be sure is heeded.
            let answered = known.entry(stream).or_insert(acknowledge);
            if acknowledge == Acknowledge::Durable {
                *answered = Acknowledge::Durable;
            }
        }
        let room_kib = u32::try_from(unsaved >> 10).unwrap_or(u32::MAX).max(1);
        Self { log, streams: known, room: Arc::new(Semaphore::new(room_kib as usize)), room_kib }
    }

    /// Appends records that are answered before they are on disk, as soon as there is room for them.
    async fn append_later(&self, stream: &str, asked: &Asked, records: Vec<Bytes>) -> Result<Ack, IngestError> {
        let bytes: usize = records.iter().map(Bytes::len).sum();
        let kib = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).clamp(1, self.room_kib);
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await;
        let room = room.map_err(|error| IngestError::Failed { reason: error.to_string() })?;
        let (log, stream, key) = (Arc::clone(&self.log), stream.to_owned(), asked.partition_key.clone());
        let accepted = records.len() as u64;
        tokio::spawn(async move {
            let options = AppendOptions { partition_key: key.as_deref(), once: None };
            if let Err(error) = log.append_with(&stream, records, options).await {
                tracing::error!(
                    stream,
                    records = accepted,
                    error = error.full(),
                    "records that were answered are lost"
                );
            }
            drop(room);
        });
        Ok(Ack { accepted, partition: None, first_offset: None, repeated: false })
    }
}

#[async_trait]
impl Ingest for LogIngest {
    async fn ingest(&self, stream: &str, asked: &Asked, records: Vec<Bytes>) -> Result<Ack, IngestError> {
        let Some(acknowledge) = self.streams.get(stream) else {
            let known = self.streams.keys().cloned().collect();
            return Err(IngestError::UnknownStream { stream: stream.to_owned(), known });
        };
        if records.is_empty() {
            return Ok(Ack { accepted: 0, partition: None, first_offset: None, repeated: false });
        }
        if *acknowledge == Acknowledge::Received && asked.idempotency_key.is_none() {
            return self.append_later(stream, asked, records).await;
        }
        let (partition_key, once) = (asked.partition_key.as_deref(), asked.idempotency_key.as_deref());
        match self.log.append_with(stream, records, AppendOptions { partition_key, once }).await {
            Ok(ack) => Ok(Ack {
                accepted: ack.count,
                partition: Some(ack.partition),
                first_offset: Some(ack.first_offset.0),
                repeated: ack.repeated,
            }),
            // A body that is too large was refused before it came here.
            Err(error) if error.kind == ErrorKind::Config && once.is_some() => {
                Err(IngestError::KeyReused { reason: error.full() })
            }
            Err(error) if error.kind == ErrorKind::Retry => {
                Err(IngestError::Unavailable { reason: error.full(), retry_after: RETRY_AFTER })
            }
            Err(error) => Err(IngestError::Failed { reason: error.full() }),
        }
    }
}
