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

/// Room for a piece with the point or the labels that go beyond its size.
const PIECE_ROOM: usize = PIECE_BYTES + PIECE_BYTES / 8;

/// The response for an answer. What fits one piece has a length; more is sent in pieces.
pub(crate) fn respond(answer: Answer, detail: Option<StatsDetail>) -> Response {
    let mut writer = AnswerWriter::new(answer, detail);
    // Most answers are small, and their only piece grows from nothing.
    let room = if writer.exceeds(PIECE_BYTES / 2) {
        PIECE_ROOM
    } else {
        0
    };
    let first = next_piece(&mut writer, room);
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
    let mut piece = Vec::with_capacity(capacity);
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
            None => next_piece(&mut self.writer, PIECE_ROOM),
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.writer.is_done()
    }
}
