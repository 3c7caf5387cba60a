//! One walk over a request: its series and its plain samples, ready to be appended.

use headwater_model::label::METRIC_NAME;
use headwater_model::{Exemplar, Labels, LabelsBuilder, Metadata, Timestamp};
use headwater_storage::{FloatSample, SeriesRef};
use headwater_wire::WireError;
use headwater_wire::histogram::HistogramSample;

use super::cache::{Key, View};
use super::{MAX_LABELS_PER_SERIES, MAX_SAMPLES_PER_WRITE, MAX_SERIES_PER_WRITE};

/// What a histogram and an exemplar count towards the bound on samples.
const HISTOGRAM_WEIGHT: usize = 16;
const EXEMPLAR_WEIGHT: usize = 8;

/// A series of the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Where its message lies in the body.
    pub(super) at: u32,
    pub(super) len: u32,
    /// Its samples among [`Gathered::samples`] end here; those of the entry before begin them.
    pub(super) end: u32,
    /// A hash of the metadata that came with it; 0 for none.
    pub(super) metadata: u32,
    /// A hash of the metadata that the store has for it, as far as is known.
    pub(super) known_metadata: u32,
    /// Samples, histograms.
    pub(super) count: u32,
    pub(super) key: Key,
    pub(super) series: Option<SeriesRef>,
    pub(super) flags: Flags,
}

/// What is unusual about a series.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    /// Its labels do not stand together, so that the key does not stand for them.
    pub(super) scattered: bool,
    /// It has histograms or exemplars.
    pub(super) rare: bool,
    /// Its samples have start timestamps and are appended one by one.
    pub(super) starts: bool,
    /// It must be put into the cache (again).
    pub(super) remember: bool,
    /// It is left out: its labels are not valid, or the store has no room for it.
    pub(super) skipped: bool,
}

/// A request that was walked over.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) entries: Vec<Entry>,
    pub(super) samples: Vec<FloatSample>,
    /// Positions of samples that are too far ahead of the clock; they are not among the samples.
    pub(super) ahead: Vec<(u32, FloatSample)>,
    /// The latest time that is accepted.
    latest: Timestamp,
    weight: usize,
}

/// Stands in samples for a series that is not known yet.
pub(super) const UNRESOLVED: SeriesRef = SeriesRef(u64::MAX);

impl Gathered {
    /// Forgets the request before.
    pub(super) fn reset(&mut self, latest: Timestamp) {
        self.entries.clear();
        self.samples.clear();
        self.ahead.clear();
        self.latest = latest;
        self.weight = 0;
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Entry>() * self.entries.capacity()
            + size_of::<FloatSample>() * self.samples.capacity()
    }

    /// Begins a series whose message is `message` of `body`.
    #[inline]
    pub(super) fn begin(
        &mut self,
        body: &[u8],
        message: &[u8],
        key: Key,
        cache: &View<'_>,
    ) -> Result<(), WireError> {
        if self.entries.len() == MAX_SERIES_PER_WRITE {
            return Err(WireError::TooMany {
                what: "series in a request",
                limit: MAX_SERIES_PER_WRITE,
            });
        }
        let (series, known_metadata, remember) = match cache.find(key) {
            Some((known, old)) => (Some(known.series), known.metadata, old),
            None => (None, 0, true),
        };
        self.entries.push(Entry {
            at: (message.as_ptr().addr() - body.as_ptr().addr()) as u32,
            len: message.len() as u32,
            end: self.samples.len() as u32,
            metadata: 0,
            known_metadata,
            count: 0,
            key,
            series,
            flags: Flags {
                remember,
                ..Flags::default()
            },
        });
        Ok(())
    }

    /// The series begun last.
    #[inline]
    pub(super) fn last(&mut self) -> &mut Entry {
        self.entries
            .last_mut()
            .expect("parts of a series come after its beginning")
    }

    /// Adds a sample to the series begun last.
    #[inline]
    pub(super) fn sample(&mut self, time: Timestamp, value: f64) -> Result<(), WireError> {
        self.weigh(1)?;
        let entry = self.last();
        entry.count += 1;
        let sample = FloatSample {
            series: entry.series.unwrap_or(UNRESOLVED),
            time,
            value,
        };
        if time > self.latest {
            let entry = self.entries.len() as u32 - 1;
            self.ahead.push((entry, sample));
            return Ok(());
        }
        self.samples.push(sample);
        self.last().end = self.samples.len() as u32;
        Ok(())
    }

    /// Counts a histogram of the series begun last; it will be asked for again.
    pub(super) fn histogram(&mut self) -> Result<(), WireError> {
        self.last().count += 1;
        self.last().flags.rare = true;
        self.weigh(HISTOGRAM_WEIGHT)
    }

    /// Counts an exemplar of the series begun last; it will be asked for again.
    pub(super) fn exemplar(&mut self) -> Result<(), WireError> {
        self.last().flags.rare = true;
        self.weigh(EXEMPLAR_WEIGHT)
    }

    /// Takes back the samples of the series begun last: they will be asked for again, one by one.
    pub(super) fn withdraw_samples(&mut self) {
        let at = self.entries.len().saturating_sub(1);
        let begin = self.begin_of(at);
        self.samples.truncate(begin);
        self.last().end = begin as u32;
        self.ahead.retain(|(entry, _)| *entry as usize != at);
    }

    /// Where the samples of a series begin.
    pub(super) fn begin_of(&self, entry: usize) -> usize {
        let before = entry.checked_sub(1).and_then(|at| self.entries.get(at));
        before.map_or(0, |entry| entry.end as usize)
    }

    /// The series that a sample belongs to.
    pub(super) fn entry_of(&self, sample: usize) -> usize {
        self.entries
            .partition_point(|entry| entry.end as usize <= sample)
    }

    /// Tells the samples of an entry which series is theirs.
    pub(super) fn resolve(&mut self, entry: usize, series: SeriesRef) {
        let samples = self.begin_of(entry)..self.entries[entry].end as usize;
        self.entries[entry].series = Some(series);
        for sample in &mut self.samples[samples] {
            sample.series = series;
        }
    }

    /// Drops the samples of series that are left out.
    pub(super) fn drop_skipped(&mut self) {
        let (mut from, mut to) = (0, 0);
        for entry in &mut self.entries {
            let end = entry.end as usize;
            if !entry.flags.skipped {
                self.samples.copy_within(from..end, to);
                to += end - from;
            }
            (entry.end, from) = (to as u32, end);
        }
        self.samples.truncate(to);
        let entries = &self.entries;
        self.ahead
            .retain(|(entry, _)| !entries[*entry as usize].flags.skipped);
    }

    /// Counts what is not a plain sample towards the bound.
    #[inline]
    pub(super) fn weigh(&mut self, weight: usize) -> Result<(), WireError> {
        self.weight += weight;
        if self.weight > MAX_SAMPLES_PER_WRITE {
            return Err(WireError::TooMany {
                what: "samples in a request (a histogram counts as 16, an exemplar as 8)",
                limit: MAX_SAMPLES_PER_WRITE,
            });
        }
        Ok(())
    }

    pub(super) fn is_ahead(&self, time: Timestamp) -> bool {
        time > self.latest
    }
}

/// One of the two messages, asked for what was left out on the walk.
pub(super) trait Messages {
    /// Puts the labels of a series into `into`, as they come.
    ///
    /// # Errors
    /// See [`LabelFault`].
    fn labels(&self, entry: &Entry, into: &mut LabelsBuilder) -> Result<(), LabelFault>;

    /// Hands out the parts of a series that were not taken along on the walk, in order.
    ///
    /// # Errors
    /// The message is damaged.
    fn rare(&self, entry: &Entry, take: &mut dyn FnMut(Rare)) -> Result<(), WireError>;

    /// What the metric of a series means, if the message says so.
    ///
    /// # Errors
    /// The message is damaged, or refers to what was not sent.
    fn metadata(&self, entry: &Entry) -> Result<Option<Metadata>, WireError>;

    /// Whether a request may be taken in part.
    const PARTIAL: bool;
}

/// A part of a series that is not a plain sample.
pub(super) enum Rare {
    /// A sample with a start timestamp: time, start, value.
    Sample(Timestamp, Timestamp, f64),
    Histogram(HistogramSample),
    Exemplar(Exemplar),
    /// An exemplar that cannot be read.
    Broken(String),
}

/// Why labels do not make a series.
#[derive(Debug)]
pub(super) enum LabelFault {
    /// They cannot be read.
    Unreadable(String),
    /// A name, a value or the name of the metric is not valid.
    Invalid(Labels),
    /// A name is there twice.
    Duplicate(Labels, String),
}

impl std::fmt::Display for LabelFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(text) => f.write_str(text),
            Self::Invalid(labels) => write!(f, "invalid metric name or labels, got {labels}"),
            Self::Duplicate(labels, name) => write!(
                f,
                "invalid labels for series, labels {labels}, duplicated label {name}"
            ),
        }
    }
}

/// Adds a pair as it came.
///
/// # Errors
/// It is not UTF-8, or one too many. What cannot be shown is shown as U+FFFD.
pub(super) fn push_pair(
    into: &mut LabelsBuilder,
    name: &[u8],
    value: &[u8],
) -> Result<(), LabelFault> {
    if into.len() == MAX_LABELS_PER_SERIES {
        return Err(LabelFault::Unreadable(format!(
            "series with more than {MAX_LABELS_PER_SERIES} labels"
        )));
    }
    match (str::from_utf8(name), str::from_utf8(value)) {
        (Ok(name), Ok(value)) if !name.is_empty() => {
            into.push(name, value);
            Ok(())
        }
        _ => {
            into.push(
                &String::from_utf8_lossy(name),
                &String::from_utf8_lossy(value),
            );
            Err(LabelFault::Invalid(into.build()))
        }
    }
}

/// The labels of a series, if they make one.
///
/// # Errors
/// See [`LabelFault`].
pub(super) fn checked(builder: &mut LabelsBuilder) -> Result<Labels, LabelFault> {
    let duplicate = builder.duplicate().map(str::to_owned);
    let labels = builder.build();
    match duplicate {
        Some(name) => Err(LabelFault::Duplicate(labels, name)),
        None if !labels.has(METRIC_NAME) => Err(LabelFault::Invalid(labels)),
        None => Ok(labels),
    }
}

/// The labels of an exemplar.
///
/// # Errors
/// As [`push_pair`].
pub(super) fn exemplar_labels<'a>(
    pairs: impl Iterator<Item = Result<(&'a [u8], &'a [u8]), WireError>>,
) -> Result<Labels, String> {
    let mut builder = LabelsBuilder::new();
    for pair in pairs {
        let (name, value) = pair.map_err(|error| error.to_string())?;
        push_pair(&mut builder, name, value).map_err(|fault| fault.to_string())?;
    }
    Ok(builder.build())
}
