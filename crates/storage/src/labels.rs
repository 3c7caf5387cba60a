//! Questions about labels: names, values, series.

use headwater_model::{Labels, Matcher, TimeRange};

use crate::BoxFuture;
use crate::error::Result;

/// Which series are asked about.
#[derive(Clone, Debug)]
pub struct LabelRequest {
    /// Sets of matchers; a series counts if it fulfils all matchers of at least one set. No set means all series.
    pub matcher_sets: Vec<Vec<Matcher>>,
    /// Only series with samples in this range count, as far as the store can tell cheaply.
    pub range: TimeRange,
    /// At most this many answers; 0 for no limit.
    pub limit: usize,
}

impl LabelRequest {
    /// All series in a range, without a limit.
    pub const fn all(range: TimeRange) -> Self {
        Self {
            matcher_sets: Vec::new(),
            range,
            limit: 0,
        }
    }
}

/// An answer with what went wrong beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelAnswer<T> {
    /// Sorted, without duplicates.
    pub values: Vec<T>,
    /// The limit cut the answer short.
    pub truncated: bool,
    /// What went wrong without making the answer useless.
    pub warnings: Vec<String>,
}

impl<T: Ord> LabelAnswer<T> {
    /// Sorts, removes duplicates and applies a limit (0 for none).
    pub fn from_unsorted(mut values: Vec<T>, limit: usize) -> Self {
        values.sort_unstable();
        values.dedup();
        let truncated = limit > 0 && values.len() > limit;
        if truncated {
            values.truncate(limit);
        }
        Self {
            values,
            truncated,
            warnings: Vec::new(),
        }
    }

    /// Joins the answers of several stores.
    pub fn merge(answers: Vec<Self>, limit: usize) -> Self {
        let truncated = answers.iter().any(|answer| answer.truncated);
        let (mut values, mut warnings) = (Vec::new(), Vec::new());
        for answer in answers {
            values.extend(answer.values);
            warnings.extend(answer.warnings);
        }
        let mut joined = Self::from_unsorted(values, limit);
        joined.truncated |= truncated;
        joined.warnings = warnings;
        joined
    }
}

/// A store that answers questions about labels.
pub trait LabelQueries: Send + Sync {
    /// Names of labels of the series asked about.
    ///
    /// # Errors
    /// Nothing could be read.
    fn label_names(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<String>>>;

    /// Values that the label `name` has in the series asked about.
    ///
    /// # Errors
    /// Nothing could be read.
    fn label_values(
        &self,
        name: &str,
        request: LabelRequest,
    ) -> BoxFuture<'_, Result<LabelAnswer<String>>>;

    /// The series asked about.
    ///
    /// # Errors
    /// Nothing could be read.
    fn series(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<Labels>>>;
}
