//! The ingester: which entries of a stream are still taken, and handing them to the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use headwater_chunkstore::{ChunkStore, FlushReason, PushEntry, PushStream};
use headwater_env::Clock;
use headwater_model::Labels;
use headwater_storage::ErrorKind;
use parking_lot::Mutex;

use crate::error::{PushError, Reason};
use crate::level::DETECTED_LEVEL;
use crate::limits::Limits;
use crate::rate::TokenBucket;
use crate::tail::Followers;
use crate::validate::rfc3339;

/// Refused entries of one stream that a message lists at most.
const LISTED_ERRORS: usize = 10;

/// How an ingester treats streams. Plain data.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IngesterConfig {
    /// Entries up to half of this behind the newest of their stream are taken.
    pub max_chunk_age: Duration,
    /// Streams that got nothing for this long no longer count as active.
    pub idle: Duration,
}

impl Default for IngesterConfig {
    fn default() -> Self {
        Self {
            max_chunk_age: Duration::from_secs(2 * 3600),
            idle: Duration::from_secs(30 * 60),
        }
    }
}

/// Keeps the entries of all tenants in a [`ChunkStore`].
#[derive(Debug)]
pub struct Ingester {
    store: Arc<ChunkStore>,
    clock: Arc<dyn Clock>,
    config: IngesterConfig,
    tenants: Mutex<BTreeMap<String, Arc<Mutex<Tenant>>>>,
    followers: Followers,
}

/// The active streams of a tenant.
#[derive(Debug, Default)]
struct Tenant {
    streams: HashMap<Labels, Stream>,
}

#[derive(Debug)]
struct Stream {
    newest: i64,
    last: Option<PushEntry>,
    bucket: TokenBucket,
    last_push: Duration,
}

/// Entries that an ingester did not take.
#[derive(Clone, Debug)]
pub(crate) struct Ignored {
    pub(crate) reason: Reason,
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

impl Ingester {
    /// An ingester over `store`.
    pub fn new(store: Arc<ChunkStore>, clock: Arc<dyn Clock>, config: IngesterConfig) -> Self {
        Self {
            store,
            clock,
            config,
            tenants: Mutex::default(),
            followers: Followers::default(),
        }
    }

    /// Where one can follow what is stored.
    pub const fn followers(&self) -> &Followers {
        &self.followers
    }

    /// Active streams by tenant.
    pub fn active_streams(&self) -> BTreeMap<String, usize> {
        let tenants = self.tenants.lock().clone();
        let count = |(name, tenant): (String, Arc<Mutex<Tenant>>)| {
            let streams = tenant.lock().streams.len();
            (name, streams)
        };
        tenants.into_iter().map(count).collect()
    }

    /// The store.
    pub const fn store(&self) -> &Arc<ChunkStore> {
        &self.store
    }

    /// Takes what can be taken; blocks until that is durable. `ignored` learns of the rest.
    ///
    /// # Errors
    /// The last stream of which something was refused, or why nothing could be stored.
    pub(crate) fn push(
        &self,
        tenant: &str,
        streams: Vec<PushStream>,
        limits: &Limits,
        ignored: &mut dyn FnMut(Ignored),
    ) -> Result<(), PushError> {
        let state = self
            .tenants
            .lock()
            .entry(tenant.to_owned())
            .or_default()
            .clone();
        let now = self.clock.monotonic();
        let mut taken = Vec::with_capacity(streams.len());
        let mut error = None;
        let mut state = state.lock();
        for stream in streams {
            match self.admit(&mut state, tenant, stream, limits, now, ignored) {
                (Some(stream), None) => taken.push(stream),
                (stream, refused) => {
                    taken.extend(stream);
                    error = refused;
                }
            }
        }
        drop(state);
        if !taken.is_empty() {
            self.store.push(tenant, &taken).map_err(store_error)?;
            if self.followers.count() > 0 {
                self.followers.tell(tenant, taken);
            }
        }
        error.map_or(Ok(()), Err)
    }

    /// The entries of a stream that are taken, and why others are not.
    fn admit(
        &self,
        tenant: &mut Tenant,
        name: &str,
        mut stream: PushStream,
        limits: &Limits,
        now: Duration,
        ignored: &mut dyn FnMut(Ignored),
    ) -> (Option<PushStream>, Option<PushError>) {
        let burst = limits.per_stream_rate_limit_burst.bytes() as f64;
        if !tenant.streams.contains_key(&stream.labels) {
            if tenant.is_full(limits) {
                let (entries, bytes) = (stream.entries.len(), size_of_entries(&stream.entries));
                ignored(Ignored {
                    reason: Reason::StreamLimit,
                    entries,
                    bytes,
                });
                return (None, Some(stream_limit(name, &stream.labels)));
            }
            let state = Stream {
                newest: i64::MIN,
                last: None,
                bucket: TokenBucket::full(burst, now),
                last_push: now,
            };
            tenant.streams.insert(stream.labels.clone(), state);
        }
        let Some(state) = tenant.streams.get_mut(&stream.labels) else {
            return (None, None);
        };
        state.last_push = now;
        let (total, mut refused) = (stream.entries.len(), Refused::default());
        let window = i64::try_from(self.config.max_chunk_age.as_nanos() / 2).unwrap_or(i64::MAX);
        let rate = limits.per_stream_rate_limit.bytes() as f64;
        let labels = stream.labels.clone();
        // An entry is compared with the last one that was taken, of this push or an earlier one.
        let earlier = state.last.take();
        let mut last = earlier.as_ref();
        let mut taken = Vec::with_capacity(total);
        for entry in &stream.entries {
            let takes = last != Some(entry)
                && state.takes(entry, window, rate, burst, now, &labels, &mut refused);
            if takes {
                last = Some(entry);
            }
            taken.push(takes);
        }
        state.last = last.cloned();
        if taken.contains(&false) {
            let mut taken = taken.into_iter();
            stream.entries.retain(|_| taken.next().unwrap_or(false));
        }
        for (reason, entries, bytes) in refused.counts() {
            ignored(Ignored {
                reason,
                entries,
                bytes,
            });
        }
        let error = refused.error(name, total, &labels);
        (
            Some(stream).filter(|stream| !stream.entries.is_empty()),
            error,
        )
    }

    /// Forgets streams that are idle, and asks the store to flush what is due. Called every now and
    /// then. Answers the most urgent reason there was.
    ///
    /// # Errors
    /// The store has no workers, and its flush failed: it will be tried again.
    pub fn sweep(&self) -> Result<Option<FlushReason>, headwater_storage::Error> {
        let now = self.clock.monotonic();
        let tenants: Vec<_> = self.tenants.lock().values().cloned().collect();
        for tenant in tenants {
            tenant
                .lock()
                .streams
                .retain(|_, stream| now.saturating_sub(stream.last_push) < self.config.idle);
        }
        Ok(self.store.sweep()?.into_iter().min())
    }
}

impl Tenant {
    fn is_full(&self, limits: &Limits) -> bool {
        let reached = |limit: usize| limit > 0 && self.streams.len() >= limit;
        reached(limits.max_streams_per_user) || reached(limits.max_global_streams_per_user)
    }
}

impl Stream {
    #[expect(
        clippy::too_many_arguments,
        reason = "limits and time come in as parameters, so that a test owns them"
    )]
    fn takes(
        &mut self,
        entry: &PushEntry,
        window: i64,
        rate: f64,
        burst: f64,
        now: Duration,
        labels: &Labels,
        refused: &mut Refused,
    ) -> bool {
        let size = size_of_entries(std::slice::from_ref(entry));
        let oldest = self.newest.saturating_sub(window);
        if self.newest != i64::MIN && entry.time < oldest {
            let reason = format!(
                "entry too far behind, entry timestamp is: {}, oldest acceptable timestamp is: {}",
                rfc3339(entry.time),
                rfc3339(oldest)
            );
            refused.add(Reason::TooFarBehind, entry, size, reason);
            return false;
        }
        if rate > 0.0 && !self.bucket.take(size as f64, rate, burst, now) {
            refused.add(
                Reason::PerStreamRateLimit,
                entry,
                size,
                rate_words(rate, labels, size),
            );
            return false;
        }
        self.newest = self.newest.max(entry.time);
        true
    }
}

fn rate_words(rate: f64, labels: &Labels, size: usize) -> String {
    format!(
        "Per stream rate limit exceeded (limit: {}/sec) while attempting to ingest for stream '{labels}' totaling {}, consider splitting a stream via additional labels or contact your Loki administrator to see if the limit can be increased",
        byte_size(rate),
        byte_size(size as f64)
    )
}

/// `3MB`, `1KB`, `3000B`: the largest unit of 1024 that leaves no rest.
fn byte_size(bytes: f64) -> String {
    let (mut value, mut unit) = (bytes as u64, 0);
    while value > 0 && value.is_multiple_of(1024) && unit < 4 {
        value /= 1024;
        unit += 1;
    }
    format!("{value}{}", ["B", "KB", "MB", "GB", "TB"][unit])
}

/// What was refused of one stream in one push.
#[derive(Default)]
struct Refused {
    lines: Vec<String>,
    counts: BTreeMap<Reason, (usize, usize)>,
}

impl Refused {
    fn add(&mut self, reason: Reason, entry: &PushEntry, size: usize, words: String) {
        let count = self.counts.entry(reason).or_default();
        count.0 += 1;
        count.1 += size;
        if self.lines.len() < LISTED_ERRORS {
            self.lines.push(format!(
                "entry with timestamp {} ignored, reason: '{words}',",
                go_time(entry.time)
            ));
        }
    }

    fn counts(&self) -> impl Iterator<Item = (Reason, usize, usize)> + '_ {
        self.counts
            .iter()
            .map(|(reason, (entries, bytes))| (*reason, *entries, *bytes))
    }

    fn error(self, tenant: &str, total: usize, labels: &Labels) -> Option<PushError> {
        let count: usize = self.counts.values().map(|(entries, _)| entries).sum();
        if count == 0 {
            return None;
        }
        let limited = self.counts.contains_key(&Reason::PerStreamRateLimit);
        let listed = self.lines.join("\n");
        let text = format!(
            "{listed}\nuser '{tenant}', total ignored: {count} out of {total} for stream: {labels}"
        );
        Some(PushError::new(if limited { 429 } else { 400 }, text))
    }
}

fn stream_limit(tenant: &str, labels: &Labels) -> PushError {
    let advice = "reduce the number of active streams (reduce labels or reduce label values), or contact your Loki administrator to see if the limit can be increased";
    PushError::new(
        429,
        format!(
            "maximum active stream limit exceeded when trying to create stream {labels}, {advice}, user: '{tenant}'"
        ),
    )
}

fn store_error(error: headwater_storage::Error) -> PushError {
    let status = match error.kind() {
        ErrorKind::Invalid => 400,
        ErrorKind::Limit | ErrorKind::NoSpace | ErrorKind::NotReady | ErrorKind::Unavailable => 503,
        _ => 500,
    };
    PushError::new(status, error.to_string())
}

/// Bytes as senders count them: what was found out about a line is not theirs.
pub(crate) fn size_of_entries(entries: &[PushEntry]) -> usize {
    let metadata = |labels: &Labels| {
        let sent = labels.iter().filter(|(name, _)| *name != DETECTED_LEVEL);
        sent.map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
    };
    entries
        .iter()
        .map(|entry| entry.line.len() + metadata(&entry.metadata))
        .sum()
}

/// Nanoseconds as Go's `Time.String` prints them in UTC.
fn go_time(nanos: i64) -> String {
    let (seconds, rest) = (
        nanos.div_euclid(1_000_000_000),
        nanos.rem_euclid(1_000_000_000),
    );
    let Ok(time) = jiff::Timestamp::from_second(seconds) else {
        return nanos.to_string();
    };
    let fraction = match rest {
        0 => String::new(),
        rest => format!(".{}", format!("{rest:09}").trim_end_matches('0')),
    };
    format!("{}{fraction} +0000 UTC", time.strftime("%Y-%m-%d %H:%M:%S"))
}
