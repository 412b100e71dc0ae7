//! Where posted records go: into the topic of the log that a pipeline reads, durable before they are acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use weir_collect::SourceConfig;
use weir_log::{AppendOptions, Log};
use weir_model::ErrorKind;
use weir_serve::{Ack, Asked, Ingest, IngestError};

use crate::plan::Job;

/// When a client should try again after the disk was full.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Appends records to the log.
pub(crate) struct LogIngest {
    log: Arc<Log>,
    /// The streams that some pipeline reads; others are refused, since nobody would ever see what they hold.
    streams: BTreeSet<String>,
}

impl LogIngest {
    /// Takes records of the streams that `jobs` read.
    pub(crate) fn new(log: Arc<Log>, jobs: &[Job]) -> Self {
        let sources = jobs.iter().flat_map(|job| &job.sources);
        let streams = sources.filter_map(|source| match &source.source {
            SourceConfig::Http(http) => Some(http.stream.clone()),
            SourceConfig::File(_) | SourceConfig::Stdin(_) | SourceConfig::Log(_) | SourceConfig::Kafka(_) => None,
        });
        Self { log, streams: streams.collect() }
    }
}

#[async_trait]
impl Ingest for LogIngest {
    async fn ingest(&self, stream: &str, asked: &Asked, records: Vec<Bytes>) -> Result<Ack, IngestError> {
        if !self.streams.contains(stream) {
            let known = self.streams.iter().cloned().collect();
            return Err(IngestError::UnknownStream { stream: stream.to_owned(), known });
        }
        if records.is_empty() {
            return Ok(Ack { accepted: 0, partition: None, first_offset: None, repeated: false });
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
