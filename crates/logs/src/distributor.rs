//! The distributor: checks what is pushed, completes it, and passes it on.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use headwater_chunkstore::{PushEntry, PushStream};
use headwater_env::Clock;
use headwater_model::Labels;
use parking_lot::Mutex;

use crate::error::{PushError, Reason};
use crate::ingester::{Ingester, size_of_entries};
use crate::level::{DETECTED_LEVEL, detect, of_labels, of_line};
use crate::limits::Limits;
use crate::rate::TokenBucket;
use crate::service_name::with_service_name;
use crate::validate::{Refusal, check_entry, check_labels, truncate};

/// Entries and bytes that were taken or refused, by tenant: what `/metrics` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines taken.
    pub lines: u64,
    /// Bytes of lines and metadata taken.
    pub bytes: u64,
    /// Lines and bytes refused, by reason.
    pub discarded: BTreeMap<&'static str, (u64, u64)>,
}

/// Where pushes come in.
#[derive(Debug)]
pub struct Distributor {
    ingester: Arc<Ingester>,
    clock: Arc<dyn Clock>,
    buckets: Mutex<BTreeMap<String, TokenBucket>>,
    counts: Mutex<BTreeMap<String, Counts>>,
}

/// The refusals of one push.
#[derive(Default)]
struct Refusals {
    messages: Vec<(String, usize)>,
}

impl Refusals {
    fn add(&mut self, message: String) {
        match self
            .messages
            .iter_mut()
            .find(|(known, _)| *known == message)
        {
            Some((_, count)) => *count += 1,
            None => self.messages.push((message, 1)),
        }
    }

    /// One message as it is; several with how often each came.
    fn into_error(self) -> Option<PushError> {
        let text = match &self.messages[..] {
            [] => return None,
            [(message, 1)] => message.clone(),
            messages => messages
                .iter()
                .map(|(message, count)| format!("{count} errors like: {message}"))
                .collect::<Vec<_>>()
                .join("; "),
        };
        Some(PushError::new(400, text))
    }
}

impl Distributor {
    /// A distributor that passes everything to one ingester.
    pub fn new(ingester: Arc<Ingester>, clock: Arc<dyn Clock>) -> Self {
        Self {
            ingester,
            clock,
            buckets: Mutex::default(),
            counts: Mutex::default(),
        }
    }

    /// What was taken and refused so far, by tenant.
    pub fn counts(&self) -> BTreeMap<String, Counts> {
        self.counts.lock().clone()
    }

    /// Takes what can be taken and blocks until it is durable.
    ///
    /// # Errors
    /// Something was refused; the rest is stored. A status of 400 says that trying again is of no use.
    pub fn push(
        &self,
        tenant: &str,
        streams: Vec<PushStream>,
        limits: &Limits,
    ) -> Result<(), PushError> {
        if streams.is_empty() {
            return Err(PushError::new(
                422,
                "error at least one valid stream is required for ingestion",
            ));
        }
        let mut refusals = Refusals::default();
        let valid: Vec<PushStream> = streams
            .into_iter()
            .filter_map(|stream| self.check(tenant, stream, limits, &mut refusals))
            .collect();
        let (lines, bytes) = total(&valid);
        self.check_blocked(tenant, limits, lines, bytes)?;
        if lines == 0 {
            return refusals.into_error().map_or(Ok(()), Err);
        }
        self.check_rate(tenant, limits, lines, bytes)?;
        self.count(tenant, |counts| {
            counts.lines += lines as u64;
            counts.bytes += bytes as u64;
        });
        let mut ignored = Vec::new();
        let pushed = self
            .ingester
            .push(tenant, valid, limits, &mut |refused| ignored.push(refused));
        for refused in ignored {
            self.discard(tenant, refused.reason, refused.entries, refused.bytes);
        }
        pushed?;
        refusals.into_error().map_or(Ok(()), Err)
    }

    /// The stream with what is valid of it, completed by service name and levels.
    fn check(
        &self,
        tenant: &str,
        mut stream: PushStream,
        limits: &Limits,
        refusals: &mut Refusals,
    ) -> Option<PushStream> {
        stream.labels = with_service_name(&stream.labels, &limits.discover_service_name);
        let shown = stream.labels.to_string();
        if let Err((reason, message)) = check_labels(&stream.labels, &shown, tenant, limits) {
            self.discard(
                tenant,
                reason,
                stream.entries.len(),
                size_of_entries(&stream.entries),
            );
            refusals.add(message);
            return None;
        }
        // What labels tell is the same for all entries without metadata.
        let of_stream = of_labels(&stream.labels, &Labels::empty(), &limits.log_level_fields);
        let now = self.clock.unix_nanos();
        let mut kept: Vec<PushEntry> = Vec::with_capacity(stream.entries.len());
        for mut entry in stream.entries {
            if let Err(refusal) = check_entry(&entry, &shown, limits, now) {
                self.refuse(tenant, refusal, &entry, refusals);
                continue;
            }
            truncate(&mut entry.line, limits);
            complete(&mut entry, &stream.labels, of_stream.as_ref(), limits);
            if limits.increment_duplicate_timestamp {
                move_on(&mut entry, kept.last());
            }
            kept.push(entry);
        }
        stream.entries = kept;
        Some(stream).filter(|stream| !stream.entries.is_empty())
    }

    fn refuse(
        &self,
        tenant: &str,
        (reason, message): Refusal,
        entry: &PushEntry,
        refusals: &mut Refusals,
    ) {
        self.discard(
            tenant,
            reason,
            1,
            size_of_entries(std::slice::from_ref(entry)),
        );
        refusals.add(message);
    }

    fn check_blocked(
        &self,
        tenant: &str,
        limits: &Limits,
        lines: usize,
        bytes: usize,
    ) -> Result<(), PushError> {
        let Some(until) = &limits.block_ingestion_until else {
            return Ok(());
        };
        let end = until
            .parse::<jiff::Timestamp>()
            .map_or(i64::MIN, |time| time.as_nanosecond() as i64);
        if self.clock.unix_nanos() >= end {
            return Ok(());
        }
        self.discard(tenant, Reason::BlockedIngestion, lines, bytes);
        let status = limits.block_ingestion_status_code;
        Err(PushError::new(
            status,
            format!(
                "ingestion blocked for user '{tenant}' until '{until}' with status code '{status}'"
            ),
        ))
    }

    fn check_rate(
        &self,
        tenant: &str,
        limits: &Limits,
        lines: usize,
        bytes: usize,
    ) -> Result<(), PushError> {
        const MIB: f64 = 1024.0 * 1024.0;
        let (rate, burst) = (
            limits.ingestion_rate_mb * MIB,
            limits.ingestion_burst_size_mb * MIB,
        );
        let now = self.clock.monotonic();
        let enough = {
            let mut buckets = self.buckets.lock();
            let bucket = buckets
                .entry(tenant.to_owned())
                .or_insert_with(|| TokenBucket::full(burst, now));
            bucket.take(bytes as f64, rate, burst, now)
        };
        if enough {
            return Ok(());
        }
        self.discard(tenant, Reason::RateLimited, lines, bytes);
        let limit = rate as u64;
        Err(PushError::new(
            429,
            format!(
                "ingestion rate limit exceeded for user {tenant} (limit: {limit} bytes/sec) while attempting to ingest '{lines}' lines totaling '{bytes}' bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased"
            ),
        ))
    }

    fn discard(&self, tenant: &str, reason: Reason, entries: usize, bytes: usize) {
        self.count(tenant, |counts| {
            let count = counts.discarded.entry(reason.as_str()).or_default();
            count.0 += entries as u64;
            count.1 += bytes as u64;
        });
    }

    fn count(&self, tenant: &str, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.lock();
        if let Some(counts) = counts.get_mut(tenant) {
            return change(counts);
        }
        change(counts.entry(tenant.to_owned()).or_default());
    }
}

fn total(streams: &[PushStream]) -> (usize, usize) {
    let lines = streams.iter().map(|stream| stream.entries.len()).sum();
    (
        lines,
        streams
            .iter()
            .map(|stream| size_of_entries(&stream.entries))
            .sum(),
    )
}

/// Adds the level that was found out, unless the sender gave one under that name.
///
/// `of_stream` is the level that the labels of the stream tell.
fn complete(
    entry: &mut PushEntry,
    stream: &Labels,
    of_stream: Option<&Cow<'static, str>>,
    limits: &Limits,
) {
    if !limits.discover_log_levels
        || !limits.allow_structured_metadata
        || entry.metadata.has(DETECTED_LEVEL)
    {
        return;
    }
    let fields = &limits.log_level_fields;
    if entry.metadata.is_empty() {
        let level = match of_stream {
            Some(level) => level,
            None => of_line(&entry.line, fields).unwrap_or("unknown"),
        };
        entry.metadata = level_alone(level);
        return;
    }
    let level = detect(&entry.line, stream, &entry.metadata, fields);
    let mut builder = entry.metadata.to_builder();
    builder.set(DETECTED_LEVEL, &level);
    entry.metadata = builder.build();
}

/// Metadata that tells the level and nothing else. Nearly all entries share one of a few.
fn level_alone(level: &str) -> Labels {
    static KNOWN: LazyLock<Vec<(&str, Labels)>> = LazyLock::new(|| {
        let levels = [
            "unknown", "trace", "debug", "info", "warn", "error", "critical", "fatal",
        ];
        let labels = |level| (level, Labels::from_pairs([(DETECTED_LEVEL, level)]));
        levels.into_iter().map(labels).collect()
    });
    let known = KNOWN.iter().find(|(known, _)| *known == level);
    known.map_or_else(
        || Labels::from_pairs([(DETECTED_LEVEL, level)]),
        |(_, labels)| labels.clone(),
    )
}

/// Entries of one time but different lines get times of their own.
fn move_on(entry: &mut PushEntry, before: Option<&PushEntry>) {
    if let Some(before) = before.filter(|before| {
        before.time >= entry.time && before.time - entry.time < 1000 && before.line != entry.line
    }) {
        entry.time = before.time + 1;
    }
}
