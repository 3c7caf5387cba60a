//! The samples of single lines: what an ingester gives to queriers that put series together themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_query::{Hold, QueryError, QueryErrorKind};
use headwater_storage::{Direction, LogBlock, LogCursor, LogRequest, NanoRange};
use xxhash_rust::xxh64::xxh64;

use super::logs::{Pairs, entry_of};
use super::range::convert;
use super::{Engine, LogQuery, Scan};
use crate::ast::{Expr, LogRange, RangeAggregation, RangeOp};
use crate::pipeline::{LabelTest, Pipeline, Record, Wanted, label_test};

/// Bytes that a sample counts for, with its share of what grows around it.
const SAMPLE_BYTES: u64 = 48;

/// Samples of lines with the same labels, in the order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleSeries {
    /// All labels that the pipeline left.
    pub labels: Pairs,
    /// One for each line.
    pub samples: Vec<LineSample>,
}

/// What one line counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LineSample {
    /// Nanoseconds since the epoch.
    pub time: i64,
    /// 1, the length of the line, or the value that was unwrapped.
    pub value: f64,
    /// A hash of the line: the same line from two replicas is one.
    pub hash: u64,
}

impl Engine {
    /// The samples of lines from `start` on and before `end`, by labels. The query is a range
    /// aggregation, or an aggregation over one; what it would make of the samples is left to the caller.
    ///
    /// # Errors
    /// The query has no samples, or gathering them would need too much memory.
    pub async fn samples(&self, query: LogQuery) -> Result<Vec<SampleSeries>, QueryError> {
        let expr = crate::parse(&query.text)?;
        let node = aggregation(&expr).ok_or_else(|| {
            QueryError::new(
                QueryErrorKind::BadData,
                "only metric queries over one range have samples",
            )
        })?;
        let source = Source::new(node)?;
        let request = LogRequest::new(
            node.range.log.matchers.clone(),
            NanoRange::new(query.start, query.end),
            Direction::Forward,
        );
        let scan = Arc::new(Scan::new(query.cancel.clone(), None));
        let cursor = self.store().select_logs(request).await?;
        let hold = self.budget().hold(0, 0, "samples")?;
        self.work(move || gather(cursor, &source, hold, &scan))
            .await
    }
}

/// The one range aggregation of an expression.
fn aggregation(expr: &Expr) -> Option<&RangeAggregation> {
    match expr {
        Expr::Range(node) => Some(node),
        Expr::Vector(node) => aggregation(&node.inner),
        _ => None,
    }
}

/// What makes a line a sample.
struct Source {
    pipeline: Pipeline,
    range: LogRange,
    filters: Vec<LabelTest>,
    lengths: bool,
}

impl Source {
    fn new(node: &RangeAggregation) -> Result<Self, QueryError> {
        let filters = match &node.range.unwrap {
            Some(unwrap) => unwrap
                .filters
                .iter()
                .map(|filter| label_test(filter, unwrap))
                .collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        Ok(Self {
            pipeline: Pipeline::new(&node.range.log.stages, Wanted::All)?,
            range: node.range.clone(),
            filters,
            lengths: matches!(node.op, RangeOp::Bytes | RangeOp::BytesRate),
        })
    }

    /// The value of the line in the record; `None` if it is no sample.
    fn value(&self, line: &[u8], record: &mut Record) -> Option<f64> {
        let Some(unwrap) = &self.range.unwrap else {
            return Some(match (self.lengths, record.rewritten) {
                (false, _) => 1.0,
                (true, true) => record.line.len() as f64,
                (true, false) => line.len() as f64,
            });
        };
        let value = convert(unwrap.conversion, record.value(&unwrap.label)).ok()?;
        let kept = self.filters.iter().all(|test| test.passes(record));
        record.remove(&unwrap.label);
        kept.then_some(value)
    }
}

fn gather(
    mut cursor: Box<dyn LogCursor>,
    source: &Source,
    mut hold: Hold,
    scan: &Scan,
) -> Result<Vec<SampleSeries>, QueryError> {
    let mut series = BTreeMap::<Pairs, Vec<LineSample>>::new();
    let (mut block, mut record) = (LogBlock::default(), Record::default());
    while let Some(labels) = cursor.advance()? {
        record.start_stream(&labels);
        while cursor.read(&mut block)? {
            scan.check()?;
            for at in 0..block.len() {
                let (time, line) = (block.times()[at], block.line(at));
                record.start_line(time, block.metadata(at));
                if !source.pipeline.run(line, &mut record) {
                    continue;
                }
                let Some(value) = source.value(line, &mut record) else {
                    continue;
                };
                let (labels, entry) = entry_of(&record, line, false);
                let sample = LineSample {
                    time,
                    value,
                    hash: xxh64(&entry.line, 0),
                };
                hold.grow(1, SAMPLE_BYTES, "samples")?;
                if let Some(samples) = series.get_mut(&labels) {
                    samples.push(sample);
                    continue;
                }
                let text: usize = labels.iter().map(|(n, v)| n.len() + v.len() + 48).sum();
                hold.grow(0, text as u64, "samples")?;
                series.insert(labels, vec![sample]);
            }
        }
    }
    let sorted = |(labels, mut samples): (Pairs, Vec<LineSample>)| {
        samples.sort_by_key(|sample| sample.time);
        SampleSeries { labels, samples }
    };
    Ok(series.into_iter().map(sorted).collect())
}

#[cfg(test)]
mod tests {
    use headwater_model::Labels;
    use headwater_storage::{MemoryLogs, block_on};

    use super::*;
    use crate::EngineLimits;

    fn samples(text: &str) -> Vec<(String, Vec<(i64, f64)>)> {
        let store = MemoryLogs::new();
        let stream = Labels::from_pairs([("app", "a")]);
        for (time, line) in [(1, "n=5 d=1s"), (2, "n=7 d=2s"), (3, "n=x")] {
            store.push(&stream, time, line, &Labels::empty());
        }
        let engine = Engine::new(Arc::new(store), EngineLimits::default());
        let found = block_on(engine.samples(LogQuery::range(text, 0, 10, 1))).unwrap();
        found
            .into_iter()
            .map(|series| {
                let labels: Vec<_> = series
                    .labels
                    .iter()
                    .map(|(n, v)| format!("{n}={v}"))
                    .collect();
                let samples = series.samples.iter().map(|s| (s.time, s.value)).collect();
                (labels.join(" "), samples)
            })
            .collect()
    }

    #[test]
    fn lines_count_what_the_aggregation_counts() {
        let app = |samples: &[(i64, f64)]| vec![("app=a".to_owned(), samples.to_vec())];
        assert_eq!(
            samples(r#"rate({app="a"}[1m])"#),
            app(&[(1, 1.0), (2, 1.0), (3, 1.0)])
        );
        assert_eq!(
            samples(r#"sum by (app) (bytes_over_time({app="a"} |= "d"[1m]))"#),
            app(&[(1, 8.0), (2, 8.0)])
        );
        assert_eq!(
            samples(r#"sum_over_time({app="a"} | logfmt | drop n | unwrap duration(d) [1m])"#),
            app(&[(1, 1.0), (2, 2.0)])
        );
    }

    #[test]
    fn lines_alone_are_no_samples() {
        let store = Arc::new(MemoryLogs::new());
        let engine = Engine::new(store, EngineLimits::default());
        let query = LogQuery::range(r#"{app="a"}"#, 0, 10, 1);
        assert!(block_on(engine.samples(query)).is_err());
    }
}
