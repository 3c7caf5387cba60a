//! Samples on their way into the store: gathered, given over, and what came of them.

use headwater_model::Timestamp;
use headwater_storage::{AppendError, Appender, FloatSample, SampleValue, SeriesRef};

use crate::cache::Cache;
use crate::error::ScrapeError;
use crate::ingest::Scrape;

/// How many float samples are given to the store at once.
const BATCH: usize = 512;

/// Samples of one scrape that the store has not seen yet, and a tally of those it has.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    floats: Vec<FloatSample>,
    /// Beside `floats`.
    notes: Vec<Note>,
    pub(crate) refused: Refused,
    /// Series that were not there in the last scrape and have a sample now.
    pub(crate) new_series: usize,
    /// New series that the store would not take, and why.
    pub(crate) refused_series: RefusedSeries,
}

/// A store that is full goes on with the series it has: only new ones are left out.
#[derive(Debug, Default)]
pub(crate) struct RefusedSeries {
    count: u64,
    why: String,
}

impl RefusedSeries {
    /// Counts one; `why` is what the store said.
    pub(crate) fn add(&mut self, why: String) {
        self.count += 1;
        self.why = why;
    }

    /// For people, if there were any.
    pub(crate) fn text(&self) -> Option<String> {
        let (count, why) = (self.count, &self.why);
        (count > 0).then(|| format!("{count} new series refused: {why}"))
    }
}

/// What becomes of a sample once it is accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Note {
    pub(crate) slot: u32,
    pub(crate) new: bool,
    pub(crate) counts_for_staleness: bool,
}

/// How many samples were left out, by reason.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Refused {
    pub(crate) out_of_order: u64,
    pub(crate) out_of_bounds: u64,
    pub(crate) duplicate: u64,
    pub(crate) exemplars: u64,
}

impl Batch {
    /// Begins a scrape.
    pub(crate) fn begin(&mut self) {
        self.floats.clear();
        self.notes.clear();
        self.refused = Refused::default();
        self.new_series = 0;
        self.refused_series = RefusedSeries::default();
    }

    /// Takes a float sample; the store gets it with others.
    #[inline]
    pub(crate) fn push(
        &mut self,
        sample: FloatSample,
        note: Note,
        cache: &mut Cache,
        appender: &mut dyn Appender,
    ) -> Result<(), ScrapeError> {
        self.floats.push(sample);
        self.notes.push(note);
        if self.floats.len() == BATCH {
            self.flush(cache, appender)
        } else {
            Ok(())
        }
    }

    /// Gives everything to the store.
    pub(crate) fn flush(
        &mut self,
        cache: &mut Cache,
        appender: &mut dyn Appender,
    ) -> Result<(), ScrapeError> {
        if self.floats.is_empty() {
            return Ok(());
        }
        let mut refused: Vec<(usize, AppendError)> = Vec::new();
        appender.append_floats(&self.floats, &mut |at, error| refused.push((at, error)));
        let floats = std::mem::take(&mut self.floats);
        let notes = std::mem::take(&mut self.notes);
        let mut refused = refused.into_iter().peekable();
        for (at, note) in notes.iter().enumerate() {
            let result = match refused.next_if(|(refused_at, _)| *refused_at == at) {
                None => Ok(()),
                Some((_, AppendError::UnknownSeries)) => renew(note.slot, cache, appender)
                    .and_then(|renewed| {
                        appender.append_float(renewed, floats[at].time, floats[at].value)
                    }),
                Some((_, error)) => Err(error),
            };
            self.tally(*note, result, cache)?;
        }
        // The memory is used again.
        (self.floats, self.notes) = (floats, notes);
        self.floats.clear();
        self.notes.clear();
        Ok(())
    }

    /// Gives one sample of any kind to the store, behind those that wait.
    #[expect(clippy::too_many_arguments, reason = "one sample, taken apart")]
    pub(crate) fn append(
        &mut self,
        series: SeriesRef,
        time: Timestamp,
        start: Timestamp,
        value: SampleValue<'_>,
        note: Note,
        cache: &mut Cache,
        appender: &mut dyn Appender,
    ) -> Result<(), ScrapeError> {
        self.flush(cache, appender)?;
        let mut result = appender.append(series, time, start, value);
        if matches!(result, Err(AppendError::UnknownSeries)) {
            result = renew(note.slot, cache, appender)
                .and_then(|renewed| appender.append(renewed, time, start, value));
        }
        self.tally(note, result, cache)
    }

    /// What an append means for the scrape: single samples may be refused, others fail it.
    #[inline]
    fn tally(
        &mut self,
        note: Note,
        result: Result<(), AppendError>,
        cache: &mut Cache,
    ) -> Result<(), ScrapeError> {
        match result {
            Ok(()) => {
                if note.counts_for_staleness {
                    cache.mark_alive(note.slot);
                }
                self.new_series += usize::from(note.new);
            }
            Err(AppendError::OutOfOrder { .. } | AppendError::TooOld { .. }) => {
                self.refused.out_of_order += 1
            }
            Err(AppendError::OutOfBounds { .. }) => self.refused.out_of_bounds += 1,
            Err(AppendError::DuplicateTimestamp) => self.refused.duplicate += 1,
            Err(AppendError::SeriesLimit(why)) => self.refused_series.add(why),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// The store has forgotten a series, as it does with those that got no samples for long.
#[cold]
fn renew(
    slot: u32,
    cache: &mut Cache,
    appender: &mut dyn Appender,
) -> Result<SeriesRef, AppendError> {
    let reference = appender.series(cache.labels(slot))?;
    cache.set_reference(slot, reference);
    Ok(reference)
}

impl Refused {
    /// Counts and logs what was left out.
    pub(crate) fn tell(&self, scrape: &Scrape<'_>) {
        let metrics = scrape.metrics;
        for (count, counter, what) in [
            (
                self.out_of_order,
                &metrics.out_of_order,
                "Error on ingesting out-of-order samples",
            ),
            (
                self.duplicate,
                &metrics.duplicate,
                "Error on ingesting samples with different value but same timestamp",
            ),
            (
                self.out_of_bounds,
                &metrics.out_of_bounds,
                "Error on ingesting samples that are too old or are too far into the future",
            ),
            (
                self.exemplars,
                &metrics.exemplar_out_of_order,
                "Error on ingesting out-of-order exemplars",
            ),
        ] {
            if count > 0 {
                counter.inc_by(count);
                let (scrape_pool, target) = (&scrape.job.job_name, scrape.target.url());
                tracing::warn!(scrape_pool, target, num_dropped = count, "{what}");
            }
        }
    }
}

impl RefusedSeries {
    /// Counts and logs the series that were left out.
    pub(crate) fn tell(&self, scrape: &Scrape<'_>) {
        if let Some(what) = self.text() {
            scrape.metrics.series_refused.inc_by(self.count);
            let (scrape_pool, target) = (&scrape.job.job_name, scrape.target.url());
            tracing::warn!(scrape_pool, target, "{what}");
        }
    }
}
