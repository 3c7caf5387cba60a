//! Reading samples in columns.

use headwater_model::{Labels, Matcher, SeriesColumns, TimeRange};

use crate::BoxFuture;
use crate::error::Result;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct SelectRequest {
    /// Conditions that a series must fulfil, all of them.
    pub matchers: Vec<Matcher>,
    /// Samples with `start <= time <= end` are returned.
    pub range: TimeRange,
    /// What the caller will do with the data; a store may ignore any of it.
    pub hints: SelectHints,
}

impl SelectRequest {
    /// A request without hints.
    pub fn new(matchers: Vec<Matcher>, range: TimeRange) -> Self {
        Self {
            matchers,
            range,
            hints: SelectHints::default(),
        }
    }
}

/// What a store may use to do less. Ignoring a hint other than `sorted` is always correct.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SelectHints {
    /// Evaluation step in milliseconds, 0 for an instant query.
    pub step: i64,
    /// Range of the range selector in milliseconds, 0 for none.
    pub window: i64,
    /// Name of the function or aggregation around the selector, as the language spells it.
    pub function: Option<String>,
    /// Labels that the caller will look at.
    pub projection: Projection,
    /// Deliver series in ascending order of labels. A store must obey this one.
    pub sorted: bool,
    /// The caller needs at most this many series; 0 for no limit.
    pub limit: usize,
    /// Of each series, the caller looks at nothing but the newest sample in the range. A store may leave
    /// out the others.
    pub newest: bool,
}

/// Labels that a caller needs. A store may deliver more labels than asked for; when it delivers
/// fewer than all, several series can come out with equal labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Projection {
    /// All labels.
    #[default]
    All,
    /// Only these.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

impl Projection {
    /// Whether a label of this name is needed.
    pub fn keeps(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|candidate| candidate == name),
            Self::Except(names) => names.iter().all(|candidate| candidate != name),
        }
    }
}

/// A store that answers queries.
pub trait Select: Send + Sync {
    /// Finds the series and opens a cursor on a snapshot of them. This is where a store waits for
    /// other machines; the cursor is synchronous.
    ///
    /// # Errors
    /// The request is not valid or nothing could be read. A store that can deliver a part does so
    /// and warns.
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<Box<dyn SeriesCursor>>>;
}

/// Walks over the series of one select.
///
/// # Contract
/// * Every series is delivered once, with all its samples in the range, floats and histograms
///   each in ascending time, no time twice in a column.
/// * A series without samples in the range may be delivered or left out.
/// * `read` may be called at most once after each `advance`; not calling it skips the samples
///   without decoding them.
/// * After `Ok(None)` or an error, the cursor is at its end.
pub trait SeriesCursor: Send {
    /// Goes to the next series and returns its labels; `None` at the end.
    ///
    /// # Errors
    /// The series could not be read; the answer is incomplete and must not be used.
    fn advance(&mut self) -> Result<Option<Labels>>;

    /// Decodes the samples of the current series into `into`, whose former content is dropped.
    ///
    /// # Errors
    /// As [`SeriesCursor::advance`].
    fn read(&mut self, into: &mut SeriesColumns) -> Result<()>;

    /// Divides what has not been walked over yet into at most `parts` cursors, which may be used on
    /// different threads. Each series is in one of them. With sorted cursors each part is sorted.
    fn split(self: Box<Self>, parts: usize) -> Vec<Box<dyn SeriesCursor>>;

    /// Number of series left, if it is known; for planning and progress.
    fn remaining(&self) -> Option<usize> {
        None
    }

    /// What went wrong without making the answer useless. Asked for once, at the end.
    fn take_warnings(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// A cursor over series that are already in memory: for remote answers, tests and merged results.
#[derive(Debug, Default)]
pub struct CursorVec {
    series: std::vec::IntoIter<(Labels, SeriesColumns)>,
    current: Option<SeriesColumns>,
    warnings: Vec<String>,
}

impl CursorVec {
    /// Walks over `series` in the order given.
    pub fn new(series: Vec<(Labels, SeriesColumns)>) -> Self {
        Self {
            series: series.into_iter(),
            current: None,
            warnings: Vec::new(),
        }
    }

    /// Adds warnings.
    #[must_use]
    pub fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }
}

impl SeriesCursor for CursorVec {
    fn advance(&mut self) -> Result<Option<Labels>> {
        Ok(self.series.next().map(|(labels, columns)| {
            self.current = Some(columns);
            labels
        }))
    }

    fn read(&mut self, into: &mut SeriesColumns) -> Result<()> {
        *into = self.current.take().unwrap_or_default();
        Ok(())
    }

    fn split(mut self: Box<Self>, parts: usize) -> Vec<Box<dyn SeriesCursor>> {
        let series: Vec<_> = self.series.by_ref().collect();
        let size = series.len().div_ceil(parts.max(1)).max(1);
        let mut rest = series.into_iter();
        let mut out: Vec<Box<dyn SeriesCursor>> = Vec::new();
        let mut warnings = std::mem::take(&mut self.warnings);
        loop {
            let part: Vec<_> = rest.by_ref().take(size).collect();
            if part.is_empty() && !out.is_empty() {
                return out;
            }
            out.push(Box::new(
                Self::new(part).with_warnings(std::mem::take(&mut warnings)),
            ));
        }
    }

    fn remaining(&self) -> Option<usize> {
        Some(self.series.len())
    }

    fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }
}
