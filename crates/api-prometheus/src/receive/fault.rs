//! What was not taken, in the words of the original.

use headwater_model::number::format_float_go;
use headwater_model::{Labels, Matcher, SeriesColumns, TimeRange, Timestamp};
use headwater_storage::{AppendError, Select, SelectRequest};

use super::gather::LabelFault;

/// Faults that are told one by one; of the others only the number is.
pub(super) const MAX_TOLD: usize = 100;

/// A sample or a series that was not taken.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) cause: Cause,
    /// The series, where the cause does not name it.
    pub(crate) series: Labels,
}

/// Why it was not taken.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The text says all.
    Labels(String),
    /// The store refused.
    Store(AppendError),
    /// The series has another value at this time; this one is new.
    Duplicate(Timestamp, f64),
    /// The time is too far ahead of the clock.
    Ahead,
    /// There is a series without anything to store.
    NoSamples,
}

impl Cause {
    pub(super) fn of_sample(error: AppendError, time: Timestamp, value: f64) -> Self {
        match error {
            AppendError::DuplicateTimestamp => Self::Duplicate(time, value),
            other => Self::Store(other),
        }
    }
}

impl From<LabelFault> for Cause {
    fn from(fault: LabelFault) -> Self {
        Self::Labels(fault.to_string())
    }
}

impl Fault {
    /// The words of the original for the cause. A duplicate tells what is there already, which the
    /// store is asked for.
    pub(crate) async fn text(&self, store: Option<&dyn Select>) -> String {
        match &self.cause {
            Cause::Labels(text) => text.clone(),
            Cause::Store(error) => error.to_string(),
            Cause::Ahead => "out of bounds: timestamp is too far in the future".to_owned(),
            Cause::NoSamples => {
                "TimeSeries must contain at least one sample or histogram".to_owned()
            }
            Cause::Duplicate(time, value) => {
                let short = "duplicate sample for timestamp";
                let existing = match store {
                    Some(store) => existing(store, &self.series, *time).await,
                    None => None,
                };
                existing.map_or_else(
                    || short.to_owned(),
                    |existing| {
                        format!(
                            "{short} {time}; overrides not allowed: {existing}, new value {}",
                            format_float_go(*value)
                        )
                    },
                )
            }
        }
    }

    /// The same with the series beside it.
    pub(crate) async fn text_with_series(&self, store: Option<&dyn Select>) -> String {
        let text = self.text(store).await;
        match self.cause {
            Cause::Labels(_) => text,
            _ => format!("{text} for series {}", self.series),
        }
    }
}

/// What a series has at a time.
async fn existing(store: &dyn Select, series: &Labels, time: Timestamp) -> Option<String> {
    let matchers = series
        .iter()
        .map(|(name, value)| Matcher::equal(name, value));
    let request = SelectRequest::new(matchers.collect(), TimeRange::new(time, time));
    let mut cursor = store.select(request).await.ok()?;
    let mut columns = SeriesColumns::default();
    while let Some(labels) = cursor.advance().ok()? {
        if labels == *series {
            cursor.read(&mut columns).ok()?;
            let float = columns.floats.values.first();
            let float = float.map(|value| format!("existing {}", format_float_go(*value)));
            let histogram =
                (!columns.histograms.is_empty()).then(|| "existing is a histogram".to_owned());
            return float.or(histogram);
        }
    }
    None
}

/// Faults of one request.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) told: Vec<Fault>,
    /// How many more there are.
    pub(crate) more: usize,
}

impl Faults {
    /// Notes a fault; its parts are asked for only if it will be told.
    pub(super) fn note(&mut self, fault: impl FnOnce() -> Fault) {
        match self.told.len() < MAX_TOLD {
            true => self.told.push(fault()),
            false => self.more += 1,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// All of them, a line each.
    pub(crate) async fn text(&self, store: Option<&dyn Select>) -> String {
        let mut lines = Vec::with_capacity(self.told.len() + 1);
        for fault in &self.told {
            lines.push(fault.text_with_series(store).await);
        }
        if self.more > 0 {
            lines.push(format!("and {} more", self.more));
        }
        lines.join("\n")
    }
}
