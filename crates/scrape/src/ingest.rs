//! From a body to samples in a batch: the hot path of a scrape.
//!
//! For a series that was there in the last scrape this is a hash lookup, a push into a
//! vector, and the store's batched append; labels are only built for new series.

use headwater_exposition::{Event, Format, Options, Parser, Sample, Value};
use headwater_model::{Exemplar, Labels, LabelsBuilder, Metadata, Timestamp, stale_nan};
use headwater_storage::{AppendError, Appender, FloatSample, SampleValue, SeriesRef};
use parking_lot::RwLock;

use crate::batch::{Batch, Note};
use crate::cache::{Cache, Lookup};
use crate::config::{JobConfig, ManagerOptions};
use crate::error::ScrapeError;
use crate::labels;
use crate::metadata::MetadataCache;
use crate::metrics::Metrics;
use crate::nhcb::{Belongs, Gathered};
use crate::resolution;
use crate::target::Target;

/// How far in the future a time in a body may lie, in milliseconds.
const MAX_AHEAD: i64 = 10 * 60 * 1000;

/// What a scrape needs to know beside the body.
pub(crate) struct Scrape<'a> {
    pub(crate) job: &'a JobConfig,
    pub(crate) target: &'a Target,
    pub(crate) options: &'a ManagerOptions,
    pub(crate) metrics: &'a Metrics,
    pub(crate) metadata: &'a RwLock<MetadataCache>,
    /// The time of samples that have none of their own, in milliseconds.
    pub(crate) time: Timestamp,
}

/// What the `scrape_*` series tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Samples in the body.
    pub scraped: usize,
    /// Samples after relabelling.
    pub kept: usize,
    /// Series that were not there in the last scrape.
    pub new_series: usize,
}

/// The memory of one target's scrapes.
#[derive(Debug, Default)]
pub(crate) struct Ingest {
    cache: Cache,
    /// Number of scrapes so far.
    number: u64,
    labels: LabelsBuilder,
    batch: Batch,
    exemplars: Vec<Exemplar>,
    gathered: Gathered,
    counts: Counts,
    over_sample_limit: bool,
    over_bucket_limit: bool,
}

/// A sample, whether it stands in the body or was made from several lines of it.
struct Incoming<'a> {
    /// What the cache knows the series by.
    bytes: &'a [u8],
    value: Value<'a>,
    time: Option<Timestamp>,
    start: Option<Timestamp>,
    family: &'a str,
    labels: LabelsOf<'a>,
}

/// Where the labels of a new series come from.
enum LabelsOf<'a> {
    Body(&'a Sample<'a>),
    Ready(&'a Labels),
}

impl Ingest {
    /// Appends a body's samples, and stale markers for series that it no longer has. The
    /// counts are true also when the scrape fails.
    ///
    /// # Errors
    /// Why the scrape fails as a whole: the batch has to be rolled back.
    pub(crate) fn body(
        &mut self,
        body: &[u8],
        format: Format,
        scrape: &Scrape<'_>,
        appender: &mut dyn Appender,
    ) -> (Counts, Result<(), ScrapeError>) {
        self.begin();
        let result = self
            .samples(body, format, scrape, appender)
            .and_then(|()| self.stale_markers(scrape, appender));
        self.batch.refused.tell(scrape);
        self.batch.refused_series.tell(scrape);
        self.counts.new_series = self.batch.new_series;
        if result.is_ok() {
            self.cache.end_well();
            scrape.metadata.write().expire(self.number);
        }
        (self.counts, result)
    }

    /// What the store said of new series in the last body, if it refused any.
    pub(crate) fn refused_series(&self) -> Option<String> {
        self.batch.refused_series.text()
    }

    fn begin(&mut self) {
        self.number += 1;
        self.cache.begin();
        self.counts = Counts::default();
        self.batch.begin();
        // A body that broke off may have left a histogram half told.
        self.gathered = Gathered::default();
        self.over_sample_limit = false;
        self.over_bucket_limit = false;
    }

    fn samples(
        &mut self,
        body: &[u8],
        format: Format,
        scrape: &Scrape<'_>,
        appender: &mut dyn Appender,
    ) -> Result<(), ScrapeError> {
        let options = Options::default()
            .with_native_histograms(scrape.target.native_histograms)
            .with_classic_beside_native(scrape.target.classic_beside_native)
            .with_created_as_start(scrape.options.append_start_timestamps);
        let mut parser = Parser::new(body, format, options)?;
        while let Some(event) = parser.next_event()? {
            match event {
                Event::Sample(sample) if scrape.target.convert_classic => {
                    self.convert(&sample, scrape, appender)?;
                }
                Event::Sample(sample) => self.sample(&sample, scrape, appender)?,
                Event::Type {
                    family,
                    metric_type,
                } => {
                    scrape
                        .metadata
                        .write()
                        .set_type(self.number, family, metric_type);
                }
                Event::Help { family, help } => {
                    scrape.metadata.write().set_help(self.number, family, help)
                }
                Event::Unit { family, unit } => {
                    scrape.metadata.write().set_unit(self.number, family, unit)
                }
                _ => {}
            }
        }
        self.end_histogram(scrape, appender)?;
        self.batch.flush(&mut self.cache, appender)?;
        if self.over_sample_limit {
            scrape.metrics.exceeded_sample_limit.inc();
            return Err(ScrapeError::SampleLimit);
        }
        if self.over_bucket_limit {
            scrape.metrics.exceeded_bucket_limit.inc();
            return Err(ScrapeError::BucketLimit);
        }
        Ok(())
    }

    #[inline]
    fn sample(
        &mut self,
        sample: &Sample<'_>,
        scrape: &Scrape<'_>,
        appender: &mut dyn Appender,
    ) -> Result<(), ScrapeError> {
        let Sample {
            series: bytes,
            value,
            time,
            start,
            family,
            ..
        } = *sample;
        let labels = LabelsOf::Body(sample);
        let incoming = Incoming {
            bytes,
            value,
            time,
            start,
            family,
            labels,
        };
        let taken = self.incoming(&incoming, scrape, appender)?;
        if let Some((reference, time)) = taken
            && sample.has_exemplars()
        {
            self.exemplars.clear();
            sample.exemplars(&mut self.exemplars)?;
            self.append_exemplars(time, reference, appender)?;
        }
        Ok(())
    }

    /// Takes a sample where classic histograms are made into native ones.
    fn convert(
        &mut self,
        sample: &Sample<'_>,
        scrape: &Scrape<'_>,
        appender: &mut dyn Appender,
    ) -> Result<(), ScrapeError> {
        let mut belongs = self.gathered.offer(sample)?;
        if belongs != Belongs::Here {
            self.end_histogram(scrape, appender)?;
        }
        if belongs == Belongs::Elsewhere {
            belongs = self.gathered.offer(sample)?;
        }
        if belongs == Belongs::Nowhere || scrape.target.classic_beside_native {
            self.sample(sample, scrape, appender)?;
        }
        Ok(())
    }

    /// Takes the histogram that has been gathered, if there is one.
    fn end_histogram(
        &mut self,
        scrape: &Scrape<'_>,
        appender: &mut dyn Appender,
    ) -> Result<(), ScrapeError> {
        if !self.gathered.is_active() {
            return Ok(());
        }
        let mut gathered = std::mem::take(&mut self.gathered);
        if let Some(histogram) = gathered.convert() {
            let key = key_of(&gathered.labels);
            let family = gathered.labels.metric_name().unwrap_or_default();
            let labels = LabelsOf::Ready(&gathered.labels);
            let (value, time, start) = (histogram.value(), gathered.time, gathered.start);
            let incoming = Incoming {
                bytes: &key,
                value,
                time,
                start,
                family,
                labels,
            };
            if let Some((reference, time)) = self.incoming(&incoming, scrape, appender)? {
                std::mem::swap(&mut self.exemplars, &mut gathered.exemplars);
                self.append_exemplars(time, reference, appender)?;
            }
        }
        gathered.clear();
        self.gathered = gathered;
        Ok(())
    }

    /// Takes one sample; returns its series and time unless it is left out.
    #[inline]
    fn incoming(
        &mut self,
        sample: &Incoming<'_>,
        scrape: &Scrape<'_>,
        appender: &mut dyn Appender,
    ) -> Result<Option<(SeriesRef, Timestamp)>, ScrapeError> {
        self.counts.scraped += 1;
        let own_time = sample.time.filter(|_| scrape.job.honor_timestamps);
        let time = own_time.unwrap_or(scrape.time);
        let (slot, reference, new) = match self.cache.look_up(sample.bytes) {
            Lookup::Dropped => return Ok(None),
            Lookup::Series { again: true, .. } if own_time.is_none() => {
                self.counts.kept += 1;
                self.batch.refused.duplicate += 1;
                return Ok(None);
            }
            Lookup::Series {
                slot, reference, ..
            } => (slot, reference, false),
            Lookup::Unknown => match self.new_series(sample, scrape, appender)? {
                Some((slot, reference)) => (slot, reference, true),
                None => return Ok(None),
            },
        };
        self.counts.kept += 1;
        if self.exceeds_sample_limit(sample.value, scrape) {
            return Ok(None);
        }
        if own_time.is_some() && time > scrape.time.saturating_add(MAX_AHEAD) {
            self.batch.refused.out_of_bounds += 1;
            return Ok(None);
        }
        let counts_for_staleness = own_time.is_none() || scrape.job.track_timestamps_staleness;
        let note = Note {
            slot,
            new,
            counts_for_staleness,
        };
        let start = sample
            .start
            .filter(|_| scrape.options.append_start_timestamps)
            .unwrap_or(0);
        match sample.value {
            Value::Float(value) if start == 0 => {
                let sample = FloatSample {
                    series: reference,
                    time,
                    value,
                };
                self.batch.push(sample, note, &mut self.cache, appender)?;
            }
            value => self.single(value, time, start, note, reference, scrape, appender)?,
        }
        Ok(Some((reference, time)))
    }

    /// Counts what the limit counts: everything that is kept, stale markers excepted. Parsing
    /// goes on behind the limit, so that the report tells how many samples there are.
    fn exceeds_sample_limit(&mut self, value: Value<'_>, scrape: &Scrape<'_>) -> bool {
        let stale = matches!(value, Value::Float(value) if headwater_model::is_stale_nan(value));
        let limit = scrape.job.limits.samples;
        let over = limit > 0 && self.counts.kept > limit && !stale;
        self.over_sample_limit |= over;
        over
    }

    /// Builds the labels of a series, asks the store for it and remembers both.
    #[cold]
    fn new_series(
        &mut self,
        sample: &Incoming<'_>,
        scrape: &Scrape<'_>,
        appender: &mut dyn Appender,
    ) -> Result<Option<(u32, SeriesRef)>, ScrapeError> {
        self.labels.clear();
        match sample.labels {
            LabelsOf::Body(sample) => sample.labels(&mut self.labels)?,
            LabelsOf::Ready(labels) => self.labels.reset_to(labels),
        }
        let finished = labels::finish(&mut self.labels, scrape.target.labels(), scrape.job);
        if matches!(finished, Err(ScrapeError::LabelLimit(_))) {
            scrape.metrics.exceeded_label_limits.inc();
        }
        let Some(labels) = finished? else {
            self.cache.insert_dropped(sample.bytes);
            return Ok(None);
        };
        let reference = match appender.series(&labels) {
            Err(AppendError::SeriesLimit(why)) => {
                self.batch.refused_series.add(why);
                return Ok(None);
            }
            result => result?,
        };
        if scrape.options.append_metadata {
            append_metadata(sample.family, reference, scrape, appender);
        }
        Ok(Some((
            self.cache.insert(sample.bytes, reference, labels),
            reference,
        )))
    }

    /// Appends what does not go through the batch of floats.
    #[expect(clippy::too_many_arguments, reason = "one sample, taken apart")]
    fn single(
        &mut self,
        value: Value<'_>,
        time: Timestamp,
        start: Timestamp,
        note: Note,
        reference: SeriesRef,
        scrape: &Scrape<'_>,
        appender: &mut dyn Appender,
    ) -> Result<(), ScrapeError> {
        let limits = &scrape.job.limits;
        let fitted = match value {
            Value::Float(_) => Ok((None, None)),
            Value::Histogram(histogram) => {
                resolution::fit(histogram, limits).map(|fitted| (fitted, None))
            }
            Value::FloatHistogram(histogram) => {
                resolution::fit_float(histogram, limits).map(|fitted| (None, fitted))
            }
        };
        let Ok((integer, float)) = fitted else {
            self.over_bucket_limit = true;
            return Ok(());
        };
        let value = match value {
            Value::Float(value) => SampleValue::Float(value),
            Value::Histogram(histogram) => {
                SampleValue::Histogram(integer.as_ref().unwrap_or(histogram))
            }
            Value::FloatHistogram(histogram) => {
                SampleValue::FloatHistogram(float.as_ref().unwrap_or(histogram))
            }
        };
        self.batch.append(
            reference,
            time,
            start,
            value,
            note,
            &mut self.cache,
            appender,
        )
    }

    /// Appends `self.exemplars`; those without a time get that of their sample.
    fn append_exemplars(
        &mut self,
        time: Timestamp,
        reference: SeriesRef,
        appender: &mut dyn Appender,
    ) -> Result<(), ScrapeError> {
        // In order of time, so that of several none makes another one late.
        self.exemplars.sort_by_key(|exemplar| exemplar.time);
        for exemplar in &mut self.exemplars {
            exemplar.time.get_or_insert(time);
            match appender.exemplar(reference, exemplar) {
                Err(AppendError::ExemplarOutOfOrder) => self.batch.refused.exemplars += 1,
                Err(AppendError::Store(error)) => return Err(error.into()),
                // An exemplar is an extra: one that is too long, or known already, is no failure.
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn stale_markers(
        &mut self,
        scrape: &Scrape<'_>,
        appender: &mut dyn Appender,
    ) -> Result<(), ScrapeError> {
        append_stale(self.cache.vanished(), scrape.time, appender)
    }

    /// Marks every series of the target stale: the scrape has failed, or the target is gone.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) fn all_stale(
        &mut self,
        time: Timestamp,
        metrics: &Metrics,
        appender: &mut dyn Appender,
    ) -> Result<(), ScrapeError> {
        let result = append_stale(self.cache.alive_before(), time, appender);
        if self.cache.end_empty() {
            metrics.cache_flush_forced.inc();
        }
        result
    }

    /// The settings have changed: what was known about bytes may not hold any more.
    pub(crate) fn settings_changed(&mut self) {
        self.cache.forget_bytes();
    }
}

fn append_stale(
    series: impl Iterator<Item = (u32, SeriesRef)>,
    time: Timestamp,
    appender: &mut dyn Appender,
) -> Result<(), ScrapeError> {
    for (_, reference) in series {
        match appender.append_float(reference, time, stale_nan()) {
            // The series went on elsewhere, or the store has forgotten it: it needs no marker.
            Ok(())
            | Err(
                AppendError::OutOfOrder { .. }
                | AppendError::TooOld { .. }
                | AppendError::OutOfBounds { .. }
                | AppendError::DuplicateTimestamp
                | AppendError::UnknownSeries,
            ) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Tells the store type, unit and help of a new series.
fn append_metadata(
    family: &str,
    reference: SeriesRef,
    scrape: &Scrape<'_>,
    appender: &mut dyn Appender,
) {
    let metadata: Option<Metadata> = scrape.metadata.read().get(family).cloned();
    if let Some(metadata) = metadata
        && let Err(error) = appender.metadata(reference, &metadata)
    {
        tracing::debug!(target = scrape.target.url(), %error, "Error on appending metadata");
    }
}

/// What the cache knows a series by that no single line of the body stands for. The first byte
/// begins no series of any format.
fn key_of(labels: &Labels) -> Vec<u8> {
    let mut key = vec![0xfd];
    for (name, value) in labels {
        for text in [name, value] {
            key.extend_from_slice(text.as_bytes());
            key.push(0xff);
        }
    }
    key
}
