//! `/api/v1/read`: remote read, with samples or with a stream of encoded chunks.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use headwater_model::{Labels, MatchOp, Matcher, SeriesColumns};
use headwater_query::CancelToken;
use headwater_storage::{ErrorKind, SelectRequest};
use headwater_wire::chunked::FrameWriter;
use headwater_wire::messages::LabelMatcher;
use headwater_wire::read::{Query, Request, ResponseType, ResponseWriter, decode};
use headwater_wire::{MAX_DECOMPRESSED, snappy};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::parts::Parts;
use crate::routes::query::CancelOnDrop;
use crate::serve::plain::error_text;
use crate::state::Api;

const SNAPPY: HeaderValue = HeaderValue::from_static("snappy");
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const STREAMED: HeaderValue = HeaderValue::from_static(
    "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse",
);
/// Pieces of a stream that wait for the network.
const PIECES_AHEAD: usize = 4;
/// Frames are sent once this many bytes of them have come together.
const PIECE_BYTES: usize = 64 << 10;

/// A read that gets no answer.
struct Failure {
    status: StatusCode,
    text: String,
}

impl Failure {
    fn of_request(text: impl ToString) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            text: text.to_string(),
        }
    }

    fn of_server(text: impl ToString) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            text: text.to_string(),
        }
    }

    fn response(&self) -> Response {
        error_text(self.status, format!("{}\n", self.text))
    }
}

impl From<headwater_storage::Error> for Failure {
    fn from(error: headwater_storage::Error) -> Self {
        match error.kind() {
            ErrorKind::Invalid | ErrorKind::Limit => Self::of_request(error),
            _ => Self::of_server(error),
        }
    }
}

/// Answers queries of other servers.
pub(crate) async fn read(State(api): State<Api>, body: Body) -> Response {
    let Ok(permit) = api.remote_reads.clone().acquire_owned().await else {
        return Failure::of_server("remote reads have ended").response();
    };
    let request = match read_request(body).await {
        Ok(request) => request,
        Err(failure) => return failure.response(),
    };
    match request.response {
        ResponseType::Samples => {
            let mut response = match samples(&api, request.queries, permit).await {
                Ok(body) => ([(header::CONTENT_TYPE, PROTOBUF)], body).into_response(),
                Err(failure) => failure.response(),
            };
            // Also on errors, whose text is plain: the original does it, and its clients know.
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, SNAPPY);
            response
        }
        ResponseType::StreamedXorChunks => match stream(&api, request.queries, permit).await {
            Ok(body) => ([(header::CONTENT_TYPE, STREAMED)], body).into_response(),
            Err(failure) => failure.response(),
        },
    }
}

async fn read_request(body: Body) -> Result<Request, Failure> {
    let compressed = axum::body::to_bytes(body, MAX_DECOMPRESSED)
        .await
        .map_err(Failure::of_request)?;
    let mut message = Vec::new();
    snappy::decompress(&compressed, MAX_DECOMPRESSED, &mut message).map_err(Failure::of_request)?;
    decode(&message).map_err(Failure::of_request)
}

/// What the store is asked for: labels that this server puts beside every series are not in the
/// store, so that a matcher which they fulfil becomes one for their absence.
fn select_request(query: &Query, external: &Labels) -> Result<SelectRequest, Failure> {
    let matcher = |matcher: &LabelMatcher| {
        let op = match matcher.r#type {
            0 => MatchOp::Equal,
            1 => MatchOp::NotEqual,
            2 => MatchOp::Regex,
            3 => MatchOp::NotRegex,
            _ => return Err(Failure::of_request("invalid matcher type")),
        };
        if op == MatchOp::Equal && external.get(&matcher.name) == Some(matcher.value.as_str()) {
            return Ok(Matcher::equal(&matcher.name, ""));
        }
        Matcher::new(op, &matcher.name, &matcher.value).map_err(Failure::of_request)
    };
    let matchers: Result<Vec<Matcher>, Failure> = query.matchers.iter().map(matcher).collect();
    Ok(SelectRequest::new(matchers?, query.range))
}

const NO_STORE: &str = "unsupported operation with WAL-only storage";

/// All samples in one message. Runs where it may take long.
async fn samples(
    api: &Api,
    queries: Vec<Query>,
    permit: OwnedSemaphorePermit,
) -> Result<Body, Failure> {
    let cancel = CancelToken::new();
    let _guard = CancelOnDrop(cancel.clone());
    let (parts, handle) = (api.parts.clone(), Handle::current());
    let task = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        handle.block_on(sampled(&parts, &queries, &cancel))
    });
    let body = task.await.map_err(Failure::of_server)??;
    Ok(Body::from(body))
}

async fn sampled(
    parts: &Parts,
    queries: &[Query],
    cancel: &CancelToken,
) -> Result<Vec<u8>, Failure> {
    let store = parts
        .samples
        .as_deref()
        .ok_or_else(|| Failure::of_server(NO_STORE))?;
    let (external, limit) = (
        parts.server.external_labels(),
        parts.settings.remote_read_samples,
    );
    let (mut writer, mut columns) = (ResponseWriter::new(), SeriesColumns::default());
    for query in queries {
        // As in the original, the bound is on each query.
        let mut count = 0;
        let mut cursor = store.select(select_request(query, &external)?).await?;
        while let Some(labels) = cursor.advance()? {
            cancel.check("remote read").map_err(Failure::of_server)?;
            cursor.read(&mut columns)?;
            count += columns.len();
            if limit > 0 && count > limit {
                return Err(Failure::of_request(format!(
                    "exceeded sample limit ({limit})"
                )));
            }
            if !columns.is_empty() {
                writer.series(&labels, &external, &columns);
            }
        }
        writer.end_query();
    }
    Ok(writer.finish())
}

type Piece = Result<Bytes, io::Error>;

/// Chunks as the store has them, frame by frame as the network takes them.
async fn stream(
    api: &Api,
    queries: Vec<Query>,
    permit: OwnedSemaphorePermit,
) -> Result<Body, Failure> {
    let (parts, handle) = (api.parts.clone(), Handle::current());
    let (pieces, sent) = mpsc::channel(PIECES_AHEAD);
    let (tell, told) = oneshot::channel();
    let mut out = Frames {
        pieces,
        opened: Some(tell),
        buffer: Vec::new(),
    };
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        handle.block_on(async {
            let done = framed(&parts, &queries, &mut out).await;
            out.end(done).await;
        });
    });
    told.await.map_err(Failure::of_server)??;
    let stream = futures_util::stream::unfold(sent, async |mut sent| {
        sent.recv().await.map(|piece: Piece| (piece, sent))
    });
    Ok(Body::from_stream(stream))
}

/// Frames on their way to the network. The first piece decides whether there is an answer at all.
struct Frames {
    pieces: mpsc::Sender<Piece>,
    opened: Option<oneshot::Sender<Result<(), Failure>>>,
    buffer: Vec<u8>,
}

impl Frames {
    /// Sends what has come together; `false` if nobody wants more.
    async fn send(&mut self) -> bool {
        if let Some(opened) = self.opened.take() {
            let _ = opened.send(Ok(()));
        }
        let piece = std::mem::take(&mut self.buffer);
        self.pieces.send(Ok(Bytes::from(piece))).await.is_ok()
    }

    async fn end(mut self, done: Result<(), Failure>) {
        match (done, self.opened.take()) {
            (Err(failure), Some(opened)) => drop(opened.send(Err(failure))),
            // The answer is under way: it is cut, so that nobody takes it for a whole one.
            (Err(failure), None) => {
                drop(
                    self.pieces
                        .blocking_send(Err(io::Error::other(failure.text))),
                );
            }
            (Ok(()), opened) => {
                if let Some(opened) = opened {
                    let _ = opened.send(Ok(()));
                }
                if !self.buffer.is_empty() {
                    self.send().await;
                }
            }
        }
    }
}

async fn framed(parts: &Parts, queries: &[Query], out: &mut Frames) -> Result<(), Failure> {
    let store: Arc<_> = parts
        .chunks
        .clone()
        .ok_or_else(|| Failure::of_server(NO_STORE))?;
    let external = parts.server.external_labels();
    let mut writer = FrameWriter::new(parts.settings.remote_read_frame_bytes);
    let mut chunks = Vec::new();
    for (number, query) in queries.iter().enumerate() {
        let request = select_request(query, &external)?;
        let mut cursor = store.select_chunks(request).await?;
        while let Some(labels) = cursor.advance()? {
            cursor.read(&mut chunks)?;
            writer.series(number, &labels, &external, &chunks, &mut out.buffer);
            if out.buffer.len() >= PIECE_BYTES && !out.send().await {
                return Ok(());
            }
        }
    }
    Ok(())
}
