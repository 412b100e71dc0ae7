//! Bundles that no commit names any more, because the partitions in them went to several owners. A bundle whose commit is
//! still on its way is not named either: only what stays unnamed for longer than any transaction lives is removed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

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
    last: Instant,
    /// Since when each is known to be unnamed.
    suspects: BTreeMap<String, Instant>,
}

impl Sweep {
    pub(crate) fn new(unnamed_for: Duration) -> Self {
        Self { unnamed_for, last: Instant::now(), suspects: BTreeMap::new() }
    }

    /// Looks, if it is time to. A failure only leaves them there until the next time.
    pub(crate) fn go<B: Broker>(&mut self, share: &Share, broker: &mut B, bundles: &Bundles) {
        if self.last.elapsed() < EVERY {
            return;
        }
        self.last = Instant::now();
        if let Err(error) = self.look(share, broker, bundles) {
            tracing::warn!(pipeline = share.plan.pipeline, error = error.full(), "old bundles were not looked for");
        }
    }

    fn look<B: Broker>(&mut self, share: &Share, broker: &mut B, bundles: &Bundles) -> SeamResult<()> {
        // What is there is asked first: a name that is committed in between is not suspected.
        let there = bundles.names()?;
        let named = named(share, broker)?;
        let now = Instant::now();
        self.suspects.retain(|name, _| there.contains(name) && !named.contains(name));
        for name in there.difference(&named) {
            let since = *self.suspects.entry(name.clone()).or_insert(now);
            if now - since >= self.unnamed_for {
                bundles.remove(name)?;
                self.suspects.remove(name);
            }
        }
        Ok(())
    }
}
