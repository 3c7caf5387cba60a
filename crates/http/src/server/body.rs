//! A request's body: bounded in bytes and in time.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::client::chain;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request as a service sees it.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
#[error("{}", chain(.0.as_ref()))]
pub struct BodyError(BoxError);

impl BodyError {
    /// True if the body was longer than the server's limit: answer 413.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.0.is::<LengthLimitError>()
    }
}

/// Bounds a body: `limit` bytes, and `patience` from now until its end.
pub(super) fn bounded(body: Incoming, limit: u64, patience: Duration) -> Body {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let timed = Timed {
        body,
        patience,
        deadline: Box::pin(tokio::time::sleep(patience)),
    };
    UnsyncBoxBody::new(Limited::new(timed, limit).map_err(BodyError))
}

/// An answer's body in the same clothes.
pub(super) fn boxed<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    UnsyncBoxBody::new(body.map_err(|error| BodyError(error.into())))
}

struct Timed {
    body: Incoming,
    patience: Duration,
    deadline: Pin<Box<Sleep>>,
}

impl http_body::Body for Timed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if self.deadline.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let message = format!(
            "the request's body did not arrive within {:?}",
            self.patience
        );
        Poll::Ready(Some(Err(message.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
