//! The decoders of one source, and who may use which when. Refuses to decode: that is done outside the lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use weir_model::{Decoder, PartitionId, Positions, Remembers, SeamResult};

type BoxedDecoder = Box<dyn Decoder>;

/// The decoders of a source, shared as far as what they remember allows.
pub(super) enum Decoders {
    /// They remember nothing: whoever has a batch takes any.
    Any(Arc<Mutex<Vec<BoxedDecoder>>>),
    /// Each goes from hand to hand in the order in which its batches were read.
    InTurn {
        /// Where each decoder will be handed to whoever has its next batch.
        coming: Vec<oneshot::Receiver<BoxedDecoder>>,
        /// Which decoder takes the batches of a partition.
        assigned: BTreeMap<PartitionId, usize>,
    },
}

/// The right to use a decoder for one batch.
pub(super) enum Turn {
    Any(Arc<Mutex<Vec<BoxedDecoder>>>),
    Next { from: oneshot::Receiver<BoxedDecoder>, to: oneshot::Sender<BoxedDecoder> },
}

impl Decoders {
    /// As many decoders of one `make` as `tasks` can use, which go on at `positions`.
    pub(super) fn new(
        make: impl Fn() -> SeamResult<BoxedDecoder>,
        tasks: usize,
        positions: &Positions,
    ) -> SeamResult<Self> {
        let first = make()?;
        let remembers = first.remembers();
        let mut decoders = vec![first];
        if remembers != Remembers::Everything {
            for _ in 1..tasks {
                decoders.push(make()?);
            }
        }
        if remembers == Remembers::Nothing {
            return Ok(Self::Any(Arc::new(Mutex::new(decoders))));
        }
        let mut assigned = BTreeMap::new();
        for (partition, position) in positions {
            if let Some(carry) = &position.carry {
                let index = assigned.len() % decoders.len();
                decoders[index].restore(partition, carry);
                assigned.insert(partition.clone(), index);
            }
        }
        let at_hand = |decoder| {
            let (to, from) = oneshot::channel();
            // The receiver is there, so that this cannot fail.
            let _ = to.send(decoder);
            from
        };
        Ok(Self::InTurn { coming: decoders.into_iter().map(at_hand).collect(), assigned })
    }

    /// The right to decode the next batch of `partition`. To be called in the order in which batches are read.
    pub(super) fn turn(&mut self, partition: &PartitionId) -> Turn {
        match self {
            Self::Any(free) => Turn::Any(Arc::clone(free)),
            Self::InTurn { coming, assigned } => {
                let index = match assigned.get(partition) {
                    Some(index) => *index,
                    None => {
                        let index = assigned.len() % coming.len();
                        assigned.insert(partition.clone(), index);
                        index
                    }
                };
                let (to, next) = oneshot::channel();
                Turn::Next { from: std::mem::replace(&mut coming[index], next), to }
            }
        }
    }
}

impl Turn {
    /// Waits for the decoder; `None` when the task that had it before has died. Cancel-safe, and not to be called again
    /// once it has answered.
    pub(super) async fn decoder(&mut self) -> Option<BoxedDecoder> {
        match self {
            // There are as many decoders as tasks, and a task holds one at a time: this is none only if a task has died.
            Self::Any(free) => free.lock().unwrap_or_else(PoisonError::into_inner).pop(),
            Self::Next { from, .. } => from.await.ok(),
        }
    }

    /// Hands the decoder on.
    pub(super) fn over(self, decoder: BoxedDecoder) {
        match self {
            Self::Any(free) => free.lock().unwrap_or_else(PoisonError::into_inner).push(decoder),
            // Nobody is there to take it when reading was stopped.
            Self::Next { to, .. } => drop(to.send(decoder)),
        }
    }
}
