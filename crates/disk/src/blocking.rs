//! Work that blocks on a disk, done where blocking is allowed. Knows nothing of what the work is.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinError, JoinHandle};

/// Work that is under way, or done. Dropping it does not stop the work. Not to be polled again once it has answered.
#[derive(Debug)]
pub struct Blocking<T>(Way<T>);

#[derive(Debug)]
enum Way<T> {
    Elsewhere(JoinHandle<T>),
    Done(Option<T>),
}

/// Begins `work` on a thread that may block. On a runtime of one thread, and outside of any, it is done here and now: one
/// thing happens after the other there, always in the same order, which is what a simulation needs.
pub fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Blocking<T> {
    match Handle::try_current() {
        Ok(runtime) if runtime.runtime_flavor() != RuntimeFlavor::CurrentThread => {
            Blocking(Way::Elsewhere(runtime.spawn_blocking(work)))
        }
        _ => Blocking(Way::Done(Some(work()))),
    }
}

/// The result is moved out, never pinned.
impl<T> Unpin for Blocking<T> {}

impl<T> Future for Blocking<T> {
    /// An error when the work panicked.
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            Way::Elsewhere(handle) => Pin::new(handle).poll(context),
            Way::Done(result) => Poll::Ready(Ok(result.take().expect("it is not polled after it has answered"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn where_work_is_done(runtime: &tokio::runtime::Runtime) -> bool {
        runtime.block_on(async {
            let here = std::thread::current().id();
            blocking(move || std::thread::current().id() == here).await.expect("it does not panic")
        })
    }

    #[test]
    fn work_is_done_elsewhere_unless_there_is_only_one_thread() {
        let one = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let many = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
        assert!(where_work_is_done(&one));
        assert!(!where_work_is_done(&many));
    }
}
