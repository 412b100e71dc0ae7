//! Whether what requests do to the data folder can still be trusted: once a sync has failed for one of them, what is on disk
//! is unknown, the next one is refused, and the process ends, so that a restart looks. Pipelines say it by their own end.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use weir_model::{ErrorKind, SeamError, SeamResult};
use weir_serve::{ChosenLetters, DeadLetters, Purged, ReplaySwap, ReplaySwapped, Replayed, Replays};

/// Shared by everything that changes the data folder because somebody asks for it.
#[derive(Clone, Debug)]
pub(crate) struct Trust(Arc<watch::Sender<Option<String>>>);

impl Trust {
    /// Nothing has failed yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// Does what was asked for, unless something has failed before.
    ///
    /// # Errors
    /// As `work`; `Closed` when something has failed before.
    pub(crate) async fn keep<T>(&self, work: impl Future<Output = SeamResult<T>>) -> SeamResult<T> {
        if let Some(why) = &*self.0.borrow() {
            return Err(lost(why));
        }
        let done = work.await;
        if let Err(error) = &done
            && error.kind == ErrorKind::Closed
        {
            self.0.send_if_modified(|why| {
                let is_first = why.is_none();
                why.get_or_insert_with(|| error.full());
                is_first
            });
        }
        done
    }

    /// Resolves once something has failed, to why. Cancel-safe.
    pub(crate) async fn lost(&self) -> SeamError {
        let mut seen = self.0.subscribe();
        match seen.wait_for(Option::is_some).await {
            Ok(why) => lost(why.as_deref().unwrap_or_default()),
            // The sender is ours.
            Err(_) => std::future::pending().await,
        }
    }
}

fn lost(why: &str) -> SeamError {
    let message =
        format!("what a request has changed may not be on disk: {why}; a restart recovers the last commit that holds");
    SeamError::new(ErrorKind::Closed, message)
}

/// What answers requests, as long as its work can be trusted.
pub(crate) struct Kept<T>(pub(crate) T, pub(crate) Trust);

#[async_trait]
impl<T: Replays> Replays for Kept<T> {
    async fn swap(&self, asked: ReplaySwap) -> SeamResult<ReplaySwapped> {
        self.1.keep(self.0.swap(asked)).await
    }
}

#[async_trait]
impl<T: DeadLetters> DeadLetters for Kept<T> {
    async fn replay(&self, chosen: ChosenLetters) -> SeamResult<Replayed> {
        self.1.keep(self.0.replay(chosen)).await
    }

    async fn purge(&self, chosen: ChosenLetters) -> SeamResult<Purged> {
        self.1.keep(self.0.purge(chosen)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_a_failed_sync_nothing_more_is_done_and_whoever_waits_hears_why() {
        let trust = Trust::new();
        let fails = |kind| async move { SeamResult::<()>::Err(SeamError::new(kind, "the sync failed")) };
        assert!(trust.keep(fails(ErrorKind::Retry)).await.is_err());
        trust.keep(async { Ok(()) }).await.expect("a full disk is no failure");
        assert!(trust.keep(fails(ErrorKind::Closed)).await.is_err());
        let refused = trust.keep(async { Ok(()) }).await.expect_err("nothing more is done");
        assert!(refused.kind == ErrorKind::Closed && refused.message.contains("the sync failed"), "{refused}");
        assert!(trust.lost().await.message.contains("the sync failed"));
    }
}
