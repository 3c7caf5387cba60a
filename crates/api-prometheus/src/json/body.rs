//! A response body that is written while it is sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use headwater_query::Answer;
use http_body::Frame;

use super::answer::AnswerWriter;
use super::envelope::json;
use super::stats::StatsDetail;

/// Bytes of one piece of a body: large enough for few system calls, small enough that writing one
/// holds up other requests on the same thread for some 100 µs only.
const PIECE_BYTES: usize = 64 << 10;

/// The response for an answer. What fits one piece has a length; more is sent in pieces.
pub(crate) fn respond(answer: Answer, detail: Option<StatsDetail>) -> Response {
    let mut writer = AnswerWriter::new(answer, detail);
    // Most answers are small: the first piece grows from nothing, the others have their size.
    let first = next_piece(&mut writer, 0);
    let body = if writer.is_done() {
        Body::from(first)
    } else {
        Body::new(Pieces {
            first: Some(first),
            writer,
        })
    };
    json(StatusCode::OK, body)
}

fn next_piece(writer: &mut AnswerWriter, capacity: usize) -> Bytes {
    let mut piece = String::with_capacity(capacity);
    writer.fill(&mut piece, PIECE_BYTES);
    Bytes::from(piece)
}

struct Pieces {
    first: Option<Bytes>,
    writer: AnswerWriter,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = match self.first.take() {
            Some(first) => first,
            None if self.writer.is_done() => return Poll::Ready(None),
            None => next_piece(&mut self.writer, PIECE_BYTES + PIECE_BYTES / 8),
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.writer.is_done()
    }
}
