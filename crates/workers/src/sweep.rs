//! Bundles that no commit names any more, because the partitions in them went to several owners. A bundle whose commit is
//! still on its way is not named either: only what stays unnamed for longer than any transaction lives is removed.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_model::SeamResult;
use weir_state::Bundles;

use crate::broker::Broker;
use crate::restore::named;
use crate::share::Share;

/// How often it is looked for them.
const EVERY: Duration = Duration::from_secs(60);

/// Looks for them once in a while.
pub(crate) struct Sweep {
    /// For how long one must be unnamed.
    unnamed_for: Duration,
    /// When it was looked last, as the worker's pace has it.
    last: Duration,
    /// Since when each is known to be unnamed.
    suspects: BTreeMap<String, Duration>,
}

impl Sweep {
    pub(crate) fn new(unnamed_for: Duration, now: Duration) -> Self {
        Self { unnamed_for, last: now, suspects: BTreeMap::new() }
    }

    /// Looks, if it is time to. A failure only leaves them there until the next time.
    pub(crate) fn go<B: Broker>(&mut self, now: Duration, share: &Share, broker: &mut B, bundles: &Bundles) {
        if now.saturating_sub(self.last) < EVERY {
            return;
        }
        self.last = now;
        if let Err(error) = self.look(now, share, broker, bundles) {
            tracing::warn!(pipeline = share.plan.pipeline, error = error.full(), "old bundles were not looked for");
        }
    }

    fn look<B: Broker>(&mut self, now: Duration, share: &Share, broker: &mut B, bundles: &Bundles) -> SeamResult<()> {
        // What is there is asked first: a name that is committed in between is not suspected.
        let there = bundles.names()?;
        let named = named(share, broker)?;
        self.suspects.retain(|name, _| there.contains(name) && !named.contains(name));
        for name in there.difference(&named) {
            let since = *self.suspects.entry(name.clone()).or_insert(now);
            if now.saturating_sub(since) >= self.unnamed_for {
                bundles.remove(name)?;
                self.suspects.remove(name);
            }
        }
        Ok(())
    }
}
