//! What stands beside samples: exemplars, metadata, deletes.

use headwater_model::{Exemplar, Labels, Matcher, Metadata, TimeRange};

use crate::BoxFuture;
use crate::error::Result;

/// The exemplars of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarSeries {
    /// The series.
    pub labels: Labels,
    /// In ascending time; each has a time.
    pub exemplars: Vec<Exemplar>,
}

/// A store that keeps exemplars.
pub trait SelectExemplars: Send + Sync {
    /// Exemplars with `start <= time <= end` of series that fulfil at least one set of matchers,
    /// sorted by labels.
    ///
    /// # Errors
    /// Nothing could be read.
    fn exemplars(
        &self,
        matcher_sets: Vec<Vec<Matcher>>,
        range: TimeRange,
    ) -> BoxFuture<'_, Result<Vec<ExemplarSeries>>>;
}

/// The metadata of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataEntry {
    /// The series.
    pub labels: Labels,
    /// What was last said about it.
    pub metadata: Metadata,
}

/// A store that keeps metadata.
pub trait MetadataStore: Send + Sync {
    /// Metadata of the series that fulfil all matchers, at most `limit` (0 for all), in any order.
    ///
    /// # Errors
    /// Nothing could be read.
    fn series_metadata(
        &self,
        matchers: Vec<Matcher>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<MetadataEntry>>>;
}

/// A store that can delete.
pub trait Delete: Send + Sync {
    /// Deletes the samples with `start <= time <= end` of the series that fulfil all matchers.
    /// They are gone from queries when this returns, and from disk some time later.
    ///
    /// # Errors
    /// The deletion was not recorded and has not happened.
    fn delete(&self, matchers: Vec<Matcher>, range: TimeRange) -> BoxFuture<'_, Result<()>>;
}
