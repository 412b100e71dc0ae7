//! One connection: its phases and how long each may last. hyper's own header timeout does not tell a request that
//! comes slowly from a connection that rests between two requests, so the phases are watched from outside.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use crate::Limits;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The head of a request is coming, or the connection was just opened.
    Head,
    /// A request is being answered; it has its own limits.
    Request,
    /// Nothing, between two requests.
    Idle,
}

/// Tells the phases of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Phases(Arc<watch::Sender<(Phase, Instant)>>);

impl Phases {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new((Phase::Head, Instant::now()))))
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.0.send_replace((phase, Instant::now()));
    }

    /// Bytes have come: a connection that rested has a new request.
    fn received(&self) {
        self.0.send_if_modified(|state| {
            let rested = state.0 == Phase::Idle;
            if rested {
                *state = (Phase::Head, Instant::now());
            }
            rested
        });
    }

    /// Ends when the connection has been in one phase for too long, with the name of the limit.
    pub(crate) async fn overdue(&self, limits: &Limits) -> &'static str {
        let mut watched = self.0.subscribe();
        loop {
            let (phase, since) = *watched.borrow_and_update();
            let (name, allowed) = match phase {
                Phase::Head => ("header_time", Some(limits.header_time_max)),
                Phase::Request => ("", None),
                Phase::Idle => ("keep_alive_idle", Some(limits.keep_alive_idle_max)),
            };
            let over = async {
                match allowed {
                    Some(allowed) => tokio::time::sleep_until(since + allowed).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => return name,
                changed = watched.changed() => changed.expect("the sender is borrowed by this future"),
            }
        }
    }

    /// `body`, after whose end the connection rests.
    pub(crate) fn until_end(&self, body: Body) -> Body {
        Body::new(Answer { body, phases: self.clone() })
    }
}

/// The body of an answer. When it is dropped, sent or not, the request is over.
struct Answer {
    body: Body,
    phases: Phases,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.phases.enter(Phase::Idle);
    }
}

/// A socket that tells when bytes come, and gives up on a client that does not read.
pub(crate) struct WatchedIo {
    socket: TcpStream,
    phases: Phases,
    stall_max: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl WatchedIo {
    pub(crate) fn new(socket: TcpStream, phases: Phases, stall_max: Duration) -> Self {
        Self { socket, phases, stall_max, stalled: None }
    }

    /// Passes on what a write said, unless writes have been impossible for too long.
    fn written<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let stall_max = self.stall_max;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall_max)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read the answer")))
    }
}

impl AsyncRead for WatchedIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.phases.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WatchedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.written(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write_vectored(cx, bytes);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// `body`, which fails when nothing comes for `idle_max`.
pub(crate) fn impatient(mut body: Body, idle_max: Duration) -> impl futures::Stream<Item = Result<Bytes, Interrupted>> {
    futures::stream::poll_fn({
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        move |cx| loop {
            let frame = Pin::new(&mut body).poll_frame(cx);
            let Poll::Ready(frame) = frame else {
                let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle_max)));
                ready!(timer.as_mut().poll(cx));
                return Poll::Ready(Some(Err(Interrupted::TooSlow)));
            };
            timer = None;
            match frame {
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(Interrupted::Broken))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    })
}

/// Why a body did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupted {
    /// Nothing came for too long.
    TooSlow,
    /// The connection broke off, or what came was no body.
    Broken,
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_client_that_does_not_read_is_given_up_and_one_that_reads_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let addr = listener.local_addr().expect("it is bound");
        let (mut client, accepted) = (TcpStream::connect(addr).await.expect("it listens"), listener.accept().await);
        let mut server = WatchedIo::new(accepted.expect("it connects").0, Phases::new(), Duration::from_millis(60));
        let (more, mut received) = (vec![0; 64 << 20], vec![0; 64 << 20]);
        let (sent, read) = tokio::join!(server.write_all(&more), client.read_exact(&mut received));
        assert!(sent.is_ok() && read.is_ok());
        let stalled = server.write_all(&more).await.expect_err("nobody reads");
        assert_eq!(stalled.kind(), io::ErrorKind::TimedOut);
    }
}
