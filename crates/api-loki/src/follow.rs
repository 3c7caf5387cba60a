//! Following lines as they come, whatever carries them to the follower.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use headwater_logql::{LogQuery, LogValue, Stream, Tail, parse};
use headwater_logs::{Follower, Limits, News, Stored};
use headwater_storage::Direction;

use crate::error::ApiError;
use crate::routes::query::{check, run};
use crate::state::{Api, Tailing};
use crate::time::SECOND;

/// How long a follower may stay. Source: Loki's `querier.tail_max_duration`.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(3600);
/// The longest that lines may be held back, in seconds.
const MAX_DELAY: u64 = 5;

/// What somebody wants to follow.
pub(crate) struct Wish<'a> {
    pub(crate) query: &'a str,
    /// Where history begins, in nanoseconds.
    pub(crate) start: i64,
    /// Lines of history.
    pub(crate) limit: usize,
    /// Seconds that lines are held back.
    pub(crate) delay: u64,
    /// Tell structured metadata and parsed labels apart from the stream's own.
    pub(crate) categorize: bool,
}

/// One follower.
pub(crate) struct Following {
    api: Api,
    tenant: String,
    limits: Arc<Limits>,
    query: LogQuery,
    pipeline: Tail,
    delay: Duration,
    follower: Follower,
    /// Lines that were told as history and may come once more as news.
    told: HashSet<u64>,
    _place: Tailing,
}

/// What a follower is told next.
pub(crate) enum Told {
    Lines(Vec<Stream>),
    /// Pushes came faster than they were taken.
    Missed,
}

impl Following {
    /// Checks everything that can be wrong with a wish.
    pub(crate) fn start(api: &Api, tenant: String, wish: &Wish<'_>) -> Result<Self, ApiError> {
        let limits = api.limits(&tenant);
        let expr = parse(wish.query)?;
        check(&expr, &limits)?;
        if !expr.is_log() {
            return Err(ApiError::bad("only log selector is supported"));
        }
        let pipeline = Tail::new(wish.query, wish.categorize)?;
        if wish.delay > MAX_DELAY {
            return Err(ApiError::bad(format_args!(
                "delay_for can't be greater than {MAX_DELAY}"
            )));
        }
        let mut query =
            LogQuery::range(wish.query, wish.start, api.now().saturating_add(1), SECOND)
                .with_limit(wish.limit)
                .with_direction(Direction::Backward);
        query.categorize = wish.categorize;
        let place = api.tailing(&tenant, limits.max_concurrent_tail_requests)?;
        Ok(Self {
            // Followed before history is read: what is stored in between comes twice rather than never.
            follower: api.parts.ingester.followers().follow(),
            api: api.clone(),
            tenant,
            limits,
            query,
            pipeline,
            delay: Duration::from_secs(wish.delay),
            told: HashSet::new(),
            _place: place,
        })
    }

    /// The newest lines up to now, oldest first.
    pub(crate) async fn history(&mut self) -> Result<Vec<Stream>, ApiError> {
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

    /// Waits for what concerns the follower; `None` once nothing will come any more.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        loop {
            let stored = match self.follower.next().await? {
                News::Missed(pushes) => {
                    tracing::warn!(pushes, tenant = self.tenant, "a slow follower lost pushes");
                    return Some(Told::Missed);
                }
                News::Stored(stored) if stored.tenant == self.tenant => stored,
                News::Stored(_) => continue,
            };
            let mut streams = self.passed(&stored);
            if streams.is_empty() {
                continue;
            }
            if !self.delay.is_zero() {
                tokio::time::sleep(self.delay).await;
            }
            self.forget_told(&mut streams);
            if !streams.is_empty() {
                return Some(Told::Lines(streams));
            }
        }
    }

    fn forget_told(&mut self, streams: &mut Vec<Stream>) {
        for stream in streams.iter_mut() {
            let mut marks = marks(stream).into_iter();
            let told = &mut self.told;
            stream
                .entries
                .retain(|_| !marks.next().is_some_and(|mark| told.remove(&mark)));
        }
        streams.retain(|stream| !stream.entries.is_empty());
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
