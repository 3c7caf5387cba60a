//! `/loki/api/v1/tail`: lines as they come, over a websocket.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use headwater_logql::{LogQuery, LogValue, Stream, Tail, parse};
use headwater_logs::{Follower, Limits, News, Stored};
use headwater_service::Stop;
use headwater_storage::Direction;

use crate::error::ApiError;
use crate::form::Form;
use crate::json::{Flags, tail_frame};
use crate::routes::query::{DEFAULT_LIMIT, check, flags, run};
use crate::routes::range::{bounds, limit};
use crate::state::{Api, Tailing};
use crate::time::SECOND;

/// How long a follower may stay. Source: Loki's `querier.tail_max_duration`.
const MAX_DURATION: Duration = Duration::from_secs(3600);
/// How long a follower may take to accept one message.
const SEND_PATIENCE: Duration = Duration::from_secs(15);
/// The longest that lines may be held back, in seconds.
const MAX_DELAY: u64 = 5;

/// One follower.
struct Session {
    api: Api,
    tenant: String,
    limits: Arc<Limits>,
    query: LogQuery,
    pipeline: Tail,
    flags: Flags,
    delay: Duration,
    follower: Follower,
    /// Lines that were told as history and may come once more as news.
    told: HashSet<u64>,
    _place: Tailing,
}

/// Checks everything before the connection changes its protocol, so that mistakes have a status.
pub(crate) async fn tail(
    State(api): State<Api>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    form: Form,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|_| ApiError::bad("Bad Request\n"))?;
    let tenant = api.tenant(&headers)?;
    let limits = api.limits(&tenant);
    let text = form.first("query");
    let expr = parse(text)?;
    check(&expr, &limits)?;
    if !expr.is_log() {
        return Err(ApiError::bad("only log selector is supported"));
    }
    let flags = flags(&headers);
    let pipeline = Tail::new(text, flags.categorize())?;
    let delay: u64 = form
        .given("delay_for")
        .map_or(Ok(0), str::parse)
        .map_err(|_| ApiError::bad("delay_for is a whole number of seconds"))?;
    if delay > MAX_DELAY {
        return Err(ApiError::bad(format_args!(
            "delay_for can't be greater than {MAX_DELAY}"
        )));
    }
    let (start, _) = bounds(&form, api.now())?;
    let mut query = LogQuery::range(text, start, api.now().saturating_add(1), SECOND)
        .with_limit(limit(&form, DEFAULT_LIMIT)?)
        .with_direction(Direction::Backward);
    query.categorize = flags.categorize();
    let place = api.tailing(&tenant, limits.max_concurrent_tail_requests)?;
    let session = Session {
        // Followed before history is read: what is stored in between comes twice rather than never.
        follower: api.parts.ingester.followers().follow(),
        pipeline,
        delay: Duration::from_secs(delay),
        told: HashSet::new(),
        _place: place,
        api,
        tenant,
        limits,
        query,
        flags,
    };
    Ok(upgrade.on_upgrade(move |socket| session.serve(socket)))
}

impl Session {
    async fn serve(mut self, mut socket: WebSocket) {
        let stop = self.api.parts.stop.clone();
        let ended = async {
            tokio::select! {
                () = stopped(stop) => {}
                () = tokio::time::sleep(MAX_DURATION) => {}
            }
        };
        tokio::select! {
            () = self.talk(&mut socket) => {}
            () = ended => {}
        }
        // The other side may have gone first.
        let _ = socket.send(Message::Close(None)).await;
    }

    async fn talk(&mut self, socket: &mut WebSocket) {
        match self.history().await {
            Ok(streams) if streams.is_empty() => {}
            Ok(streams) => {
                if !send(socket, tail_frame(&streams, &self.flags, None)).await {
                    return;
                }
            }
            Err(error) => return tracing::warn!(%error, "tailing: history cannot be read"),
        }
        loop {
            tokio::select! {
                news = self.follower.next() => {
                    let Some(news) = news else { return };
                    let frame = match self.tell(news).await {
                        Ok(frame) => frame,
                        Err(error) => return tracing::warn!(%error, "tailing ended"),
                    };
                    if let Some(frame) = frame && !send(socket, frame).await {
                        return;
                    }
                }
                said = socket.recv() => match said {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                }
            }
        }
    }

    /// The newest lines up to now, oldest first.
    async fn history(&mut self) -> Result<Vec<Stream>, ApiError> {
        let answer = run(&self.api, &self.tenant, &self.limits, self.query.clone()).await?;
        let LogValue::Streams(mut streams) = answer.value else {
            return Ok(Vec::new());
        };
        for stream in &mut streams {
            stream.entries.reverse();
        }
        self.told = streams.iter().flat_map(marks).collect();
        Ok(streams)
    }

    /// What the follower is told of a push; `None` if nothing of it concerns them.
    async fn tell(&mut self, news: News) -> Result<Option<String>, ApiError> {
        let stored = match news {
            News::Missed(pushes) => {
                tracing::warn!(pushes, tenant = self.tenant, "a slow follower lost pushes");
                return Ok(Some(tail_frame(&[], &self.flags, Some(self.api.now()))));
            }
            News::Stored(stored) if stored.tenant == self.tenant => stored,
            News::Stored(_) => return Ok(None),
        };
        let mut streams = self.passed(&stored);
        if streams.is_empty() {
            return Ok(None);
        }
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        for stream in &mut streams {
            let mut marks = marks(stream).into_iter();
            let told = &mut self.told;
            stream
                .entries
                .retain(|_| !marks.next().is_some_and(|mark| told.remove(&mark)));
        }
        streams.retain(|stream| !stream.entries.is_empty());
        Ok((!streams.is_empty()).then(|| tail_frame(&streams, &self.flags, None)))
    }

    /// The lines of a push that the query lets pass, by their labels.
    fn passed(&mut self, stored: &Stored) -> Vec<Stream> {
        let mut streams: Vec<Stream> = Vec::new();
        for stream in &stored.streams {
            if !self.pipeline.selects(&stream.labels) {
                continue;
            }
            for entry in &stream.entries {
                let passed =
                    self.pipeline
                        .process(&stream.labels, entry.time, &entry.line, &entry.metadata);
                let Some((labels, entry)) = passed else {
                    continue;
                };
                match streams.last_mut().filter(|last| last.labels == labels) {
                    Some(last) => last.entries.push(entry),
                    None => streams.push(Stream {
                        labels,
                        entries: vec![entry],
                    }),
                }
            }
        }
        streams
    }
}

/// A mark of each line, by which it is known again.
fn marks(stream: &Stream) -> Vec<u64> {
    let mark = |entry: &headwater_logql::Entry| {
        let mut hasher = DefaultHasher::new();
        (&stream.labels, entry.time, &entry.line).hash(&mut hasher);
        hasher.finish()
    };
    stream.entries.iter().map(mark).collect()
}

async fn stopped(stop: Option<Stop>) {
    match stop {
        Some(stop) => stop.wait().await,
        None => std::future::pending().await,
    }
}

/// False if the follower has gone or does not listen.
async fn send(socket: &mut WebSocket, frame: String) -> bool {
    let sent = socket.send(Message::Text(frame.into()));
    matches!(tokio::time::timeout(SEND_PATIENCE, sent).await, Ok(Ok(())))
}
