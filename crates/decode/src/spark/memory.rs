//! What the records of a partition have said that holds for those after them. Small, and written down with the
//! partition's position, so that a restart in mid-file changes nothing.

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::ids::{Owner, owner_of};

/// What is remembered of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    /// The time of the last dated record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) micros: Option<i64>,
    /// The application that the log is of, as it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) app: Option<String>,
    /// Whose log it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) executor: Option<String>,
    /// On which machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// It is the log of a master, a worker or a history server, which speak of many applications.
    pub(crate) is_daemon: bool,
    /// What the path says; found again from it, so never written down.
    #[serde(skip)]
    owner: Owner,
}

/// The processes that speak of many applications.
const DAEMONS: [&str; 3] = ["Master", "Worker", "HistoryServer"];

impl Memory {
    /// With what the path of the partition says.
    pub(crate) fn with_path(mut self, path: &str) -> Self {
        self.owner = owner_of(path);
        self
    }

    /// The application that a record without one is of.
    pub(crate) fn app(&self) -> Option<&str> {
        self.app.as_deref().or(self.owner.app.as_deref())
    }

    /// The executor that a record without one is of.
    pub(crate) fn executor(&self) -> Option<&str> {
        self.executor.as_deref().or(self.owner.executor.as_deref())
    }

    /// Takes in what a record says that holds for those after it.
    pub(crate) fn learn(&mut self, event: &Event<'_>) {
        if event.message.starts_with(b"Started daemon with process name") {
            let logger = event.logger.as_deref().unwrap_or_default();
            let short = memchr::memrchr(b'.', logger).map_or(logger, |dot| &logger[dot + 1..]);
            self.is_daemon = DAEMONS.iter().any(|daemon| daemon.as_bytes() == short);
        }
        if self.is_daemon {
            return;
        }
        // a log may speak of other applications (paths of their files, say): that does not make it theirs
        if event.facts.is_own_app || self.app().is_none() {
            remember(&mut self.app, event.facts.app.as_deref());
        }
        if event.facts.is_own_executor {
            remember(&mut self.executor, event.facts.executor.as_deref());
            remember(&mut self.host, event.facts.host.as_deref());
        }
    }
}

fn remember(known: &mut Option<String>, said: Option<&[u8]>) {
    let Some(said) = said else { return };
    if known.as_deref().map(str::as_bytes) != Some(said) {
        *known = Some(String::from_utf8_lossy(said).into_owned());
    }
}
