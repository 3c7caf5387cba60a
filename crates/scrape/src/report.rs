//! The series that tell how a scrape went: `up` and `scrape_*`.

use std::time::Duration;

use headwater_model::{Labels, Timestamp, stale_nan};
use headwater_storage::{AppendError, Appender, SeriesRef};

use crate::error::ScrapeError;
use crate::ingest::Counts;
use crate::labels::report_labels;

/// The names, in the order of [`Outcome::values`].
const NAMES: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];
/// How many of them every target has; the others are extras.
const ALWAYS: usize = 5;

/// How a scrape went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) up: bool,
    pub(crate) duration: Duration,
    pub(crate) counts: Counts,
    pub(crate) timeout: Duration,
    pub(crate) sample_limit: usize,
    /// Unpacked bytes; `None` if there were too many.
    pub(crate) body_bytes: Option<usize>,
}

impl Outcome {
    fn values(&self) -> [f64; 8] {
        [
            f64::from(u8::from(self.up)),
            self.duration.as_secs_f64(),
            self.counts.scraped as f64,
            self.counts.kept as f64,
            self.counts.new_series as f64,
            self.timeout.as_secs_f64(),
            self.sample_limit as f64,
            self.body_bytes.map_or(-1.0, |bytes| bytes as f64),
        ]
    }
}

/// The report series of one target.
#[derive(Debug, Default)]
pub(crate) struct Report {
    references: [Option<SeriesRef>; 8],
}

impl Report {
    /// Appends how a scrape went.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) fn append(
        &mut self,
        outcome: &Outcome,
        extra: bool,
        target: &Labels,
        time: Timestamp,
        appender: &mut dyn Appender,
    ) -> Result<(), ScrapeError> {
        let count = if extra { NAMES.len() } else { ALWAYS };
        let values = outcome.values();
        (0..count).try_for_each(|at| self.append_one(at, values[at], target, time, appender))
    }

    /// Marks the report series stale: the target is gone.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) fn append_stale(
        &mut self,
        target: &Labels,
        time: Timestamp,
        appender: &mut dyn Appender,
    ) -> Result<(), ScrapeError> {
        (0..NAMES.len())
            .filter(|at| self.references[*at].is_some())
            .collect::<Vec<_>>()
            .into_iter()
            .try_for_each(|at| self.append_one(at, stale_nan(), target, time, appender))
    }

    fn append_one(
        &mut self,
        at: usize,
        value: f64,
        target: &Labels,
        time: Timestamp,
        appender: &mut dyn Appender,
    ) -> Result<(), ScrapeError> {
        let known = self.references[at];
        let mut result = match known {
            Some(reference) => appender.append_float(reference, time, value),
            None => Err(AppendError::UnknownSeries),
        };
        if matches!(result, Err(AppendError::UnknownSeries)) {
            result = appender
                .series(&report_labels(NAMES[at], target))
                .and_then(|reference| {
                    self.references[at] = Some(reference);
                    appender.append_float(reference, time, value)
                });
        }
        match result {
            // A clock that went back, or another target with the same labels: not worth a failure.
            Err(
                AppendError::OutOfOrder { .. }
                | AppendError::DuplicateTimestamp
                | AppendError::OutOfBounds { .. }
                | AppendError::TooOld { .. }
                // A full store goes on with the series it has.
                | AppendError::SeriesLimit(_),
            )
            | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
