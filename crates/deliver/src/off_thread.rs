//! Work that blocks, done where blocking is allowed. Refuses to go on when a call was given up in the middle.

use weir_disk::blocking;
use weir_model::{ErrorKind, SeamError, SeamResult};

/// Something whose methods block. It is away while it works; a dropped call loses it, and the sink with it: what was
/// half done is not known any more, and recovery begins at the last commit.
#[derive(Debug)]
pub(crate) struct OffThread<T>(Option<T>);

impl<T: Send + 'static> OffThread<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self(Some(inner))
    }

    pub(crate) async fn run<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut T) -> SeamResult<R> + Send + 'static,
    ) -> SeamResult<R> {
        let lost = || SeamError::new(ErrorKind::Unknown, "an earlier call to this output was given up in the middle");
        let mut inner = self.0.take().ok_or_else(lost)?;
        let task = blocking(move || {
            let result = work(&mut inner);
            (inner, result)
        });
        let (inner, result) =
            task.await.map_err(|error| SeamError::caused(ErrorKind::Closed, "writing an output failed", error))?;
        self.0 = Some(inner);
        result
    }
}
