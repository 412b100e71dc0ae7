//! One log event, as found in a record. Holds what was written; what follows from earlier records is added elsewhere.

use std::borrow::Cow;

/// Text of a record, or made from it.
pub(crate) type Text<'a> = Cow<'a, [u8]>;

/// What a record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    /// Microseconds UTC; `None` for a record without a date.
    pub(crate) micros: Option<i64>,
    pub(crate) level: Option<Text<'a>>,
    pub(crate) logger: Option<Text<'a>>,
    pub(crate) thread: Option<Text<'a>>,
    pub(crate) message: Text<'a>,
    pub(crate) exception_class: Option<Text<'a>>,
    pub(crate) stack: Option<Text<'a>>,
    pub(crate) facts: Facts<'a>,
}

/// What a record says about the application and its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts<'a> {
    pub(crate) app: Option<Text<'a>>,
    pub(crate) executor: Option<Text<'a>>,
    pub(crate) host: Option<Text<'a>>,
    pub(crate) stage: Option<i64>,
    pub(crate) task: Option<i64>,
    /// The whole log is of this application, not just this record.
    pub(crate) is_own_app: bool,
    /// The whole log is of this executor, not just this record.
    pub(crate) is_own_executor: bool,
}

impl<'a> Facts<'a> {
    /// Fills what is missing from `other`, which is believed less.
    pub(crate) fn fill(&mut self, other: Facts<'a>) {
        if self.app.is_none() {
            self.app = other.app;
            self.is_own_app = other.is_own_app;
        }
        if self.executor.is_none() {
            self.executor = other.executor;
            self.is_own_executor = other.is_own_executor;
        }
        self.host = self.host.take().or(other.host);
        self.stage = self.stage.or(other.stage);
        self.task = self.task.or(other.task);
    }
}
