//! Several sorted cursors as one: series by labels, samples by time.

use headwater_model::{Labels, SeriesColumns, Timestamp};

use crate::error::Result;
use crate::select::SeriesCursor;

/// Joins the samples of one series from several sources. Where two sources have a sample at the
/// same time, the source that stands first wins, whatever the kinds of the samples.
pub fn merge_columns(parts: &[SeriesColumns], into: &mut SeriesColumns) {
    into.clear();
    let mut heads: Vec<Head<'_>> = parts.iter().map(Head::new).collect();
    while let Some((time, best)) = next_sample(&heads) {
        heads[best].copy(time, into);
        for head in &mut heads {
            head.skip_through(time);
        }
    }
}

fn next_sample(heads: &[Head<'_>]) -> Option<(Timestamp, usize)> {
    let times = heads
        .iter()
        .enumerate()
        .filter_map(|(at, head)| head.time().map(|time| (time, at)));
    times.min()
}

/// The next sample of one source.
struct Head<'a> {
    columns: &'a SeriesColumns,
    float: usize,
    histogram: usize,
}

impl<'a> Head<'a> {
    const fn new(columns: &'a SeriesColumns) -> Self {
        Self {
            columns,
            float: 0,
            histogram: 0,
        }
    }

    fn float_time(&self) -> Option<Timestamp> {
        self.columns.floats.times.get(self.float).copied()
    }

    fn histogram_time(&self) -> Option<Timestamp> {
        self.columns.histograms.times().get(self.histogram).copied()
    }

    fn time(&self) -> Option<Timestamp> {
        match (self.float_time(), self.histogram_time()) {
            (Some(float), Some(histogram)) => Some(float.min(histogram)),
            (float, histogram) => float.or(histogram),
        }
    }

    fn copy(&self, time: Timestamp, into: &mut SeriesColumns) {
        if self.float_time() == Some(time) {
            let floats = &self.columns.floats;
            let start = floats.starts.get(self.float).copied().unwrap_or(0);
            into.floats
                .push_with_start(time, floats.values[self.float], start);
        } else {
            into.histograms
                .push_from(&self.columns.histograms, self.histogram);
        }
    }

    fn skip_through(&mut self, time: Timestamp) {
        while self.float_time().is_some_and(|at| at <= time) {
            self.float += 1;
        }
        while self.histogram_time().is_some_and(|at| at <= time) {
            self.histogram += 1;
        }
    }
}

/// Walks over several sorted cursors as if they were one sorted cursor. Series of equal labels are joined.
pub struct MergeCursor {
    sources: Vec<Source>,
    current: Vec<usize>,
    parts: Vec<SeriesColumns>,
    warnings: Vec<String>,
}

struct Source {
    cursor: Box<dyn SeriesCursor>,
    labels: Option<Labels>,
}

impl MergeCursor {
    /// Joins cursors that were opened with the hint `sorted`; earlier ones win where samples collide.
    ///
    /// # Errors
    /// A source failed on its first series.
    pub fn new(cursors: Vec<Box<dyn SeriesCursor>>) -> Result<Self> {
        let mut sources = Vec::with_capacity(cursors.len());
        for mut cursor in cursors {
            let labels = cursor.advance()?;
            sources.push(Source { cursor, labels });
        }
        Ok(Self {
            sources,
            current: Vec::new(),
            parts: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// Adds warnings, as of sources that could not be opened.
    #[must_use]
    pub fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    /// Moves the sources of the last series on.
    fn step_over_current(&mut self) -> Result<()> {
        for at in self.current.drain(..) {
            let source = &mut self.sources[at];
            source.labels = source.cursor.advance()?;
        }
        Ok(())
    }
}

impl SeriesCursor for MergeCursor {
    fn advance(&mut self) -> Result<Option<Labels>> {
        self.step_over_current()?;
        let Some(least) = self
            .sources
            .iter()
            .filter_map(|source| source.labels.as_ref())
            .min()
            .cloned()
        else {
            return Ok(None);
        };
        let with_least = |source: &Source| source.labels.as_ref() == Some(&least);
        self.current = (0..self.sources.len())
            .filter(|at| with_least(&self.sources[*at]))
            .collect();
        Ok(Some(least))
    }

    fn read(&mut self, into: &mut SeriesColumns) -> Result<()> {
        if let [only] = self.current[..] {
            return self.sources[only].cursor.read(into);
        }
        self.parts
            .resize_with(self.current.len(), SeriesColumns::default);
        for (part, at) in self.parts.iter_mut().zip(&self.current) {
            self.sources[*at].cursor.read(part)?;
        }
        merge_columns(&self.parts, into);
        Ok(())
    }

    /// A merge walks in step and stays whole.
    fn split(self: Box<Self>, _parts: usize) -> Vec<Box<dyn SeriesCursor>> {
        vec![self]
    }

    fn take_warnings(&mut self) -> Vec<String> {
        let mut warnings = std::mem::take(&mut self.warnings);
        for source in &mut self.sources {
            warnings.extend(source.cursor.take_warnings());
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use headwater_model::FloatHistogram;

    use super::*;
    use crate::select::CursorVec;

    fn floats(samples: &[(i64, f64)]) -> SeriesColumns {
        let mut columns = SeriesColumns::default();
        for (time, value) in samples {
            columns.floats.push(*time, *value);
        }
        columns
    }

    #[test]
    fn the_first_source_wins_a_tie_even_between_kinds() {
        let mut second = floats(&[(2, 20.0), (3, 30.0)]);
        second
            .histograms
            .push_float(1, FloatHistogram::default(), 0);
        let mut joined = SeriesColumns::default();
        merge_columns(&[floats(&[(1, 1.0), (2, 2.0)]), second], &mut joined);
        assert_eq!(joined.floats.times, [1, 2, 3]);
        assert_eq!(joined.floats.values, [1.0, 2.0, 30.0]);
        assert!(joined.histograms.is_empty());
    }

    #[test]
    fn series_of_equal_labels_become_one() {
        let named = |name: &str| Labels::from_pairs([("n", name)]);
        let one = CursorVec::new(vec![
            (named("a"), floats(&[(1, 1.0)])),
            (named("c"), floats(&[(1, 3.0)])),
        ]);
        let two = CursorVec::new(vec![
            (named("a"), floats(&[(2, 2.0)])),
            (named("b"), floats(&[(1, 9.0)])),
        ]);
        let mut merged = MergeCursor::new(vec![Box::new(one), Box::new(two)]).unwrap();
        let mut seen = Vec::new();
        let mut columns = SeriesColumns::default();
        while let Some(labels) = merged.advance().unwrap() {
            merged.read(&mut columns).unwrap();
            seen.push((
                labels.get("n").unwrap().to_owned(),
                columns.floats.times.clone(),
            ));
        }
        assert_eq!(
            seen,
            [
                ("a".into(), vec![1, 2]),
                ("b".into(), vec![1]),
                ("c".into(), vec![1])
            ]
        );
    }
}
