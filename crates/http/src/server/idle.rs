//! Notices connections on which nothing happens.
//!
//! hyper times a request's headers, but neither the wait for a first byte nor an HTTP/2 connection
//! without streams. Every connection counts against the limit, so those that say nothing are closed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// When bytes last moved, and how many requests are being answered.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    /// Milliseconds from `began`.
    last: AtomicU64,
    answering: AtomicUsize,
}

impl Activity {
    pub(super) fn new() -> Self {
        let (began, last, answering) = (Instant::now(), AtomicU64::new(0), AtomicUsize::new(0));
        Self(Arc::new(Inner {
            began,
            last,
            answering,
        }))
    }

    fn note(&self) {
        let millis = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last.store(millis, Ordering::Relaxed);
    }

    /// Counts a request as being answered until the guard is dropped.
    pub(super) fn answering(&self) -> Answering {
        self.0.answering.fetch_add(1, Ordering::Relaxed);
        Answering(self.clone())
    }

    /// Resolves once no byte has moved for so long and nothing is being answered.
    pub(super) async fn idle_for(&self, patience: Duration) {
        loop {
            let last = self.0.began + Duration::from_millis(self.0.last.load(Ordering::Relaxed));
            let answering = self.0.answering.load(Ordering::Relaxed) > 0;
            let now = Instant::now();
            if !answering && now >= last + patience {
                return;
            }
            let again = if answering {
                now + patience
            } else {
                last + patience
            };
            // The clock of activity counts milliseconds; a little later is early enough.
            tokio::time::sleep_until(again + Duration::from_millis(1)).await;
        }
    }
}

/// A request being answered.
#[derive(Debug)]
pub(super) struct Answering(Activity);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.note();
        self.0.0.answering.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body that counts as being answered until it is sent or given up.
pub(super) struct Counted<B> {
    body: B,
    _answering: Answering,
}

impl<B> Counted<B> {
    pub(super) fn new(body: B, answering: Answering) -> Self {
        Self {
            body,
            _answering: answering,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that notes when bytes move.
pub(super) struct Noted<T> {
    pub(super) io: T,
    pub(super) activity: Activity,
}

impl<T: AsyncRead + Unpin> AsyncRead for Noted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if polled.is_ready() {
            self.activity.note();
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Noted<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        if polled.is_ready() {
            self.activity.note();
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        if polled.is_ready() {
            self.activity.note();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answering_is_not_idling() {
        let activity = Activity::new();
        let patience = Duration::from_secs(1);
        let answering = activity.answering();
        let idle = tokio::time::timeout(Duration::from_secs(60), activity.idle_for(patience));
        assert!(idle.await.is_err());
        drop(answering);
        let began = Instant::now();
        activity.idle_for(patience).await;
        assert!(began.elapsed() >= patience);
    }
}
