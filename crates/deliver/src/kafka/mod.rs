//! A topic of Kafka as an output. Refuses to call a row sent before the brokers have it.

mod config;
mod frame;
mod records;
mod sending;
mod staged;
#[cfg(test)]
mod tests;
mod values;

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use weir_model::{Delivered, Epoch, Guarantee, Prepared, RejectedRow, SeamResult, Sink, Vfs};

use self::frame::{Frame, frames};
use self::sending::Sending;
use self::staged::Staged;
use self::values::Values;
use crate::off_thread::OffThread;

pub use self::config::{Compression, Delivery, KafkaBatch, KafkaOutput, Partitioner};
pub use self::records::{KafkaRecord, KafkaRecords};

/// Writes rows to a topic: at once with at-least-once delivery, after the commit of their epoch with exactly-once delivery.
pub struct KafkaSink {
    guarantee: Guarantee,
    way: OffThread<Way>,
}

enum Way {
    AtOnce(Box<AtOnce>),
    Staged(Box<Staged>),
}

/// Rows are sent as they come.
struct AtOnce {
    config: KafkaOutput,
    values: Values,
    sending: Sending,
}

impl AtOnce {
    fn write(&mut self, rows: &RecordBatch) -> SeamResult<Vec<RejectedRow>> {
        let mut bytes = Vec::new();
        let values = self.values.encode(rows)?;
        let rejected = frames(rows, &self.config, values, &mut bytes)?;
        let mut rest = bytes.as_slice();
        while let Some((frame, after)) = Frame::read(rest) {
            self.sending.send(frame)?;
            rest = after;
        }
        Ok(rejected)
    }
}

impl KafkaSink {
    /// Opens the output that `config` describes. `folder` is this output's own place in the data folder, `committed` what
    /// the pipeline's last commit holds for it.
    ///
    /// # Errors
    /// `Config` when a setting is not right, `Corrupt` when what the commit holds cannot be read.
    pub fn open(
        vfs: Arc<dyn Vfs>,
        folder: &Path,
        config: &KafkaOutput,
        committed: Option<&Prepared>,
    ) -> SeamResult<Self> {
        let way = match config.delivery {
            Delivery::AtLeastOnce => Way::AtOnce(Box::new(AtOnce {
                config: config.clone(),
                values: Values::open(config)?,
                sending: Sending::at_once(config)?,
            })),
            Delivery::ExactlyOnce => Way::Staged(Box::new(Staged::open(vfs, folder, config, committed)?)),
        };
        Ok(Self { guarantee: config.delivery.guarantee(), way: OffThread::new(way) })
    }
}

impl Delivery {
    /// What it promises.
    pub fn guarantee(self) -> Guarantee {
        match self {
            Self::ExactlyOnce => Guarantee::ExactlyOnce,
            Self::AtLeastOnce => Guarantee::AtLeastOnce,
        }
    }
}

#[async_trait]
impl Sink for KafkaSink {
    fn guarantee(&self) -> Guarantee {
        self.guarantee
    }

    async fn write(&mut self, rows: &RecordBatch) -> SeamResult<Delivered> {
        if rows.num_rows() == 0 {
            return Ok(Delivered::all());
        }
        let rows = rows.clone();
        let write = move |way: &mut Way| match way {
            Way::AtOnce(at_once) => at_once.write(&rows),
            Way::Staged(staged) => staged.write(&rows),
        };
        Ok(Delivered { rejected: self.way.run(write).await? })
    }

    async fn prepare(&mut self, epoch: Epoch) -> SeamResult<Prepared> {
        let prepare = move |way: &mut Way| match way {
            Way::AtOnce(at_once) => at_once.sending.flush().map(|_| Prepared::default()),
            Way::Staged(staged) => staged.prepare(epoch),
        };
        self.way.run(prepare).await
    }

    async fn commit(&mut self, epoch: Epoch, prepared: &Prepared) -> SeamResult<Delivered> {
        let prepared = prepared.clone();
        let commit = move |way: &mut Way| match way {
            Way::AtOnce(_) => Ok(()),
            Way::Staged(staged) => staged.commit(epoch, &prepared),
        };
        self.way.run(commit).await?;
        Ok(Delivered::all())
    }

    async fn abort(&mut self, last: Epoch) -> SeamResult<()> {
        let abort = move |way: &mut Way| match way {
            Way::AtOnce(_) => Ok(()),
            Way::Staged(staged) => staged.abort(last),
        };
        self.way.run(abort).await
    }

    async fn take_back(&mut self, _: Option<&Prepared>, undone: Option<&[Prepared]>) -> SeamResult<Option<Prepared>> {
        let Some(undone) = undone.map(<[_]>::to_vec) else { return Ok(None) };
        let take_back = move |way: &mut Way| match way {
            Way::AtOnce(_) => Ok(None),
            Way::Staged(_) => staged::take_back(&undone),
        };
        self.way.run(take_back).await
    }

    async fn let_stand(&mut self) -> SeamResult<Prepared> {
        let let_stand = |way: &mut Way| match way {
            Way::AtOnce(_) => Ok(Prepared::default()),
            Way::Staged(staged) => staged.let_stand(),
        };
        self.way.run(let_stand).await
    }
}
