//! Range aggregations: lines run through the pipeline and into series.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use headwater_model::Labels;
use headwater_model::label::LabelsBuilder;
use headwater_query::{ABSENT, Hold, QueryError, QueryErrorKind};
use headwater_storage::{LogBlock, LogCursor};

use super::rows::{Row, tidy};
use super::window::{Cell, Windows};
use super::{Scan, work_through};
use crate::ast::{Conversion, RangeAggregation, RangeOp, Unwrap};
use crate::error::ParseError;
use crate::pipeline::{
    ERROR, LabelTest, LineError, PRESERVE_ERROR, Pipeline, Record, Wanted, label_test,
};
use crate::units::{parse_bytes, parse_float, parse_go_duration};

/// By what lines become series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keys {
    /// All labels but these.
    AllBut(Vec<String>),
    /// These labels only.
    Only(Vec<String>),
}

/// A compiled range aggregation, shared by the threads that run its parts.
#[derive(Debug)]
pub(crate) struct Plan {
    op: RangeOp,
    param: f64,
    pub(crate) pipeline: Pipeline,
    keys: Keys,
    /// Whether labels without a value, which structured metadata and parsers may give, tell series
    /// apart. Grouping takes them for none.
    keeps_empty: bool,
    unwrap: Option<(Unwrap, Vec<LabelTest>)>,
    pub(crate) windows: Windows,
    /// What `absent_over_time` answers with.
    absent_labels: Labels,
}

impl Plan {
    /// Compiles. `outer` are the labels of a `sum` around the aggregation,
    /// if it may be done line by line.
    pub(crate) fn new(
        node: &RangeAggregation,
        outer: Option<(&[String], bool)>,
        windows: Windows,
    ) -> Result<Self, ParseError> {
        let grouping = match (&node.grouping, outer) {
            (Some(g), _) => Some((g.labels.as_slice(), g.without)),
            (None, outer) => outer,
        };
        let by = grouping
            .filter(|(_, without)| !without)
            .map(|(labels, _)| labels);
        let wanted = match node.op {
            // Only whether there are lines matters, but their errors do too.
            RangeOp::Absent => Wanted::All,
            _ => Wanted::for_metric(&node.range, by),
        };
        let mut stages = node.range.log.stages.clone();
        if !matches!(node.op, RangeOp::Bytes | RangeOp::BytesRate) {
            super::drop_useless_line_formats(&mut stages);
        }
        let mut keys = match grouping {
            Some((labels, false)) => Keys::Only(labels.to_vec()),
            Some((labels, true)) => Keys::AllBut(labels.to_vec()),
            None => Keys::AllBut(Vec::new()),
        };
        if let (Keys::AllBut(names), Some(unwrap)) = (&mut keys, &node.range.unwrap) {
            names.push(unwrap.label.clone());
        }
        if let Keys::Only(names) = &mut keys {
            names.sort_unstable();
            names.dedup();
        }
        let unwrap = match &node.range.unwrap {
            Some(unwrap) => {
                let tests = unwrap.filters.iter().map(|f| label_test(f, unwrap));
                Some((unwrap.clone(), tests.collect::<Result<_, _>>()?))
            }
            None => None,
        };
        Ok(Self {
            op: node.op,
            param: node.param.unwrap_or(0.0),
            pipeline: Pipeline::new(&stages, wanted)?
                .keep_errors(Wanted::keeps_errors(&node.range, by)),
            keys,
            keeps_empty: grouping.is_none(),
            unwrap,
            windows,
            absent_labels: absent_labels(node),
        })
    }

    /// Whether the bytes of lines are looked at.
    pub(crate) fn reads_lines(&self) -> bool {
        self.pipeline.reads_lines()
    }

    /// Whether structured metadata may matter.
    pub(crate) fn reads_metadata(&self) -> bool {
        let one_series = matches!(&self.keys, Keys::Only(names) if names.is_empty());
        !one_series || !self.pipeline.is_empty() || self.unwrap.is_some()
    }

    /// The names of structured metadata that may matter, if they are known. A pipeline may fail, and
    /// then all labels are told.
    pub(crate) fn metadata_names(&self) -> Option<Vec<String>> {
        match &self.keys {
            Keys::Only(names) if self.pipeline.is_empty() && self.unwrap.is_none() => {
                Some(names.clone())
            }
            _ => None,
        }
    }

    /// Whether the length of lines is looked at.
    pub(crate) fn reads_lengths(&self) -> bool {
        matches!(self.op, RangeOp::Bytes | RangeOp::BytesRate)
    }

    /// Whether every line counts the same for all steps that see it, so that
    /// steps need counters only, not samples.
    fn counts(&self) -> bool {
        self.unwrap.is_none()
    }
}

/// The labels of equality matchers that no other matcher contradicts.
fn absent_labels(node: &RangeAggregation) -> Labels {
    let matchers = &node.range.log.matchers;
    let equal = matchers.iter().filter(|m| {
        let twins = matchers.iter().filter(|other| other.name == m.name);
        m.op == headwater_model::MatchOp::Equal && twins.count() == 1
    });
    Labels::from_pairs(equal.map(|m| (m.name.as_str(), m.value.as_str())))
}

/// What a series has gathered.
#[derive(Debug)]
enum Gathered {
    /// Changes from step to step: what begins and ends to count there.
    Changes(Vec<f64>),
    /// Time and value of samples.
    Samples(Vec<(i64, f64)>),
}

/// The series of one part of the streams.
pub(crate) struct Gather {
    plan: Arc<Plan>,
    index: HashMap<Box<str>, usize>,
    series: Vec<(Labels, Gathered)>,
    key: String,
    record: Record,
    cell: Cell,
    hold: Hold,
}

impl Gather {
    pub(crate) fn new(plan: Arc<Plan>, hold: Hold) -> Self {
        Self {
            plan,
            index: HashMap::new(),
            series: Vec::new(),
            key: String::new(),
            record: Record::default(),
            cell: Cell::NONE,
            hold,
        }
    }

    /// Reads all streams of a cursor.
    pub(crate) fn read(
        mut self,
        cursor: Box<dyn LogCursor>,
        scan: &Scan,
    ) -> Result<Self, QueryError> {
        work_through(cursor, scan, |labels, block| match labels {
            Some(labels) => {
                self.record.start_stream(labels);
                Ok(())
            }
            None => self.block(block, scan),
        })?;
        Ok(self)
    }

    fn block(&mut self, block: &LogBlock, scan: &Scan) -> Result<(), QueryError> {
        let plan = self.plan.clone();
        // Where no stage looks at lines, the metadata set decides on the
        // series: each is looked up once a block.
        let lookups = match plan.pipeline.is_empty() && plan.unwrap.is_none() {
            true => block.metadata_sets().len().max(1),
            false => 0,
        };
        let mut known: Vec<Option<usize>> = vec![None; lookups];
        if lookups == 1 && !plan.reads_lengths() {
            return self.count_all(block, scan);
        }
        let (mut bytes, mut kept) = (0u64, 0u64);
        for at in super::candidates(&plan.pipeline, block) {
            let time = block.times()[at];
            if !self.cell.holds(time) {
                self.cell = plan.windows.cell(time);
            }
            if self.cell.first >= self.cell.end {
                continue;
            }
            let set = block.metadata_set(at) as usize;
            if let Some(Some(series)) = known.get(set) {
                kept += 1;
                self.count(*series, f64::from(block.lengths()[at]));
                continue;
            }
            self.record.start_line(time, block.metadata(at));
            let line = block.line(at);
            bytes += line.len() as u64;
            if !plan.pipeline.run(line, &mut self.record) {
                continue;
            }
            let length = match self.record.rewritten {
                true => self.record.line.len() as f64,
                false => f64::from(block.lengths()[at]),
            };
            let Some(value) = self.value() else {
                continue;
            };
            kept += 1;
            let series = self.series()?;
            if let Some(known) = known.get_mut(set) {
                *known = Some(series);
            }
            match value {
                Sample::Line => self.count(series, length),
                Sample::Value(value) => self.sample(series, time, value)?,
            }
        }
        scan.read(block.len() as u64, bytes);
        scan.kept(kept);
        Ok(())
    }

    /// Counts the entries of a block that all belong to one series, without looking at each.
    fn count_all(&mut self, block: &LogBlock, scan: &Scan) -> Result<(), QueryError> {
        let mut times = block.times();
        let Some(first) = times.first() else {
            return Ok(());
        };
        self.record.start_line(*first, block.metadata(0));
        let (mut series, mut kept) = (None, 0);
        while let Some(first) = times.first() {
            self.cell = self.plan.windows.cell(*first);
            // Times of a block lie in order, so those of a cell follow each other.
            let count = times.partition_point(|time| self.cell.holds(*time)).max(1);
            times = &times[count..];
            if self.cell.first < self.cell.end {
                let series = match series {
                    Some(series) => series,
                    None => *series.insert(self.series()?),
                };
                kept += count;
                self.add(series, count as f64, count as f64);
            }
        }
        scan.read(block.len() as u64, 0);
        scan.kept(kept as u64);
        Ok(())
    }

    /// The sample of the line in the record; `None` if it has none.
    fn value(&mut self) -> Option<Sample> {
        let Some((unwrap, filters)) = &self.plan.unwrap else {
            return Some(Sample::Line);
        };
        let text = self.record.value(&unwrap.label);
        if text.is_empty() {
            return None;
        }
        let value = match convert(unwrap.conversion, text) {
            Ok(value) => value,
            Err(details) => {
                self.record.fail(LineError::SampleExtraction, Some(details));
                0.0
            }
        };
        let record = &mut self.record;
        filters
            .iter()
            .all(|test| test.passes(record))
            .then_some(Sample::Value(value))
    }

    fn count(&mut self, series: usize, length: f64) {
        let amount = match self.plan.op {
            RangeOp::Bytes | RangeOp::BytesRate => length,
            _ => 1.0,
        };
        self.add(series, amount, 1.0);
    }

    /// Adds an amount and lines to the steps of the current cell.
    fn add(&mut self, series: usize, amount: f64, lines: f64) {
        if let Gathered::Changes(changes) = &mut self.series[series].1 {
            changes[2 * self.cell.first] += amount;
            changes[2 * self.cell.first + 1] += lines;
            changes[2 * self.cell.end] -= amount;
            changes[2 * self.cell.end + 1] -= lines;
        }
    }

    fn sample(&mut self, series: usize, time: i64, value: f64) -> Result<(), QueryError> {
        if let Gathered::Samples(samples) = &mut self.series[series].1 {
            if samples.len() == samples.capacity() {
                let more = samples.len().max(4);
                self.hold
                    .grow(more as u64, 16 * more as u64, self.plan.op.as_str())?;
                samples.reserve_exact(more);
            }
            samples.push((time, value));
        }
        Ok(())
    }

    /// The series of the line in the record.
    fn series(&mut self) -> Result<usize, QueryError> {
        if self.record.has_error() || !self.record.value(ERROR).is_empty() {
            self.check_error()?;
        }
        self.key.clear();
        match (&self.plan.keys, self.record.has_error()) {
            (Keys::Only(names), false) => {
                for name in names {
                    push_text(&mut self.key, self.record.value(name));
                }
            }
            (keys, _) => {
                for (name, value, _) in self.record.sorted() {
                    if keeps(keys, name) && (self.plan.keeps_empty || !value.is_empty()) {
                        push_text(&mut self.key, name);
                        push_text(&mut self.key, value);
                    }
                }
            }
        }
        if let Some(index) = self.index.get(self.key.as_str()) {
            return Ok(*index);
        }
        self.add_series()
    }

    fn add_series(&mut self) -> Result<usize, QueryError> {
        let error = self.record.has_error();
        let keys = &self.plan.keys;
        let all = self.record.sorted();
        let mut builder = LabelsBuilder::new();
        for (name, value, _) in all {
            if error || keeps(keys, name) {
                builder.push(name, value);
            }
        }
        let labels = match self.plan.keeps_empty {
            true => builder.build_with_empty(),
            false => builder.build(),
        };
        let steps = self.plan.windows.steps();
        let (gathered, bytes) = match self.plan.counts() {
            true => (
                Gathered::Changes(vec![0.0; 2 * (steps + 1)]),
                16 * (steps + 1),
            ),
            false => (Gathered::Samples(Vec::new()), 0),
        };
        let bytes = bytes + self.key.len() + labels.packed_len() + 128;
        self.hold.grow(0, bytes as u64, self.plan.op.as_str())?;
        self.series.push((labels, gathered));
        let index = self.series.len() - 1;
        self.index.insert(self.key.as_str().into(), index);
        Ok(index)
    }

    /// A line with an error ends the query, unless the query keeps errors.
    fn check_error(&self) -> Result<(), QueryError> {
        if self.record.value(PRESERVE_ERROR) == "true" {
            return Ok(());
        }
        let error = self.record.value(ERROR);
        let pairs: Vec<String> = self
            .record
            .sorted()
            .iter()
            .map(|(n, v, _)| format!("{n}={}", headwater_model::quote::go_quoted(v)))
            .collect();
        let series = pairs.join(", ");
        Err(QueryError::new(
            QueryErrorKind::BadData,
            format!(
                "pipeline error: '{error}' for series: '{{{series}}}'.\nUse a label filter to \
                 intentionally skip this error. (e.g | __error__!=\"{error}\").\nTo skip all \
                 potential errors you can match empty errors.(e.g __error__=\"\")\nThe label \
                 filter can also be specified after unwrap. (e.g | unwrap latency | \
                 __error__=\"\" )\n"
            ),
        ))
    }

    /// Joins the series of another part.
    pub(crate) fn merge(&mut self, other: Self) {
        let mut keys: Vec<(Box<str>, usize)> = other.index.into_iter().collect();
        keys.sort_unstable_by_key(|(_, index)| *index);
        for ((key, _), (labels, gathered)) in keys.into_iter().zip(other.series) {
            let Some(index) = self.index.get(&key) else {
                self.series.push((labels, gathered));
                self.index.insert(key, self.series.len() - 1);
                continue;
            };
            match (&mut self.series[*index].1, gathered) {
                (Gathered::Changes(mine), Gathered::Changes(theirs)) => {
                    mine.iter_mut().zip(theirs).for_each(|(a, b)| *a += b);
                }
                (Gathered::Samples(mine), Gathered::Samples(theirs)) => mine.extend(theirs),
                _ => {}
            }
        }
    }

    /// The values at every step.
    pub(crate) fn finish(self) -> Vec<Row> {
        let plan = &*self.plan;
        if plan.op == RangeOp::Absent {
            return absent(plan, self.series);
        }
        let divisor = match plan.op {
            RangeOp::Rate | RangeOp::BytesRate => plan.windows.seconds(),
            _ => 1.0,
        };
        let rows = self.series.into_iter().map(|(labels, gathered)| Row {
            labels,
            values: match gathered {
                Gathered::Samples(mut samples) => {
                    plan.windows.apply(plan.op, plan.param, &mut samples)
                }
                Gathered::Changes(changes) => {
                    let counted = counted(&changes);
                    let value = |(count, seen)| if seen > 0.0 { count / divisor } else { ABSENT };
                    counted.map(value).collect()
                }
            },
        });
        tidy(rows.collect())
    }
}

/// The sums of changes: amount and number of lines at every step.
fn counted(changes: &[f64]) -> impl Iterator<Item = (f64, f64)> {
    let steps = changes.as_chunks::<2>().0;
    let steps = &steps[..steps.len() - 1];
    steps.iter().scan((0.0, 0.0), |(amount, lines), change| {
        *amount += change[0];
        *lines += change[1];
        Some((*amount, *lines))
    })
}

fn absent(plan: &Plan, series: Vec<(Labels, Gathered)>) -> Vec<Row> {
    let mut values = vec![1.0; plan.windows.steps()];
    let mut seen = |present: Vec<bool>| {
        let both = values.iter_mut().zip(present);
        both.filter(|(_, present)| *present)
            .for_each(|(value, _)| *value = ABSENT);
    };
    for (_, gathered) in series {
        match gathered {
            Gathered::Changes(changes) => seen(counted(&changes).map(|(_, n)| n > 0.0).collect()),
            Gathered::Samples(mut samples) => {
                let counts = plan.windows.apply(RangeOp::Count, 0.0, &mut samples);
                seen(counts.iter().map(|c| *c > 0.0).collect());
            }
        }
    }
    tidy(vec![Row {
        labels: plan.absent_labels.clone(),
        values,
    }])
}

enum Sample {
    Line,
    Value(f64),
}

pub(crate) fn convert(conversion: Conversion, text: &str) -> Result<f64, String> {
    match conversion {
        Conversion::Number => parse_float(text),
        Conversion::Bytes => parse_bytes(text).map(|bytes| bytes as f64),
        Conversion::Duration | Conversion::DurationSeconds => {
            parse_go_duration(text).map(|nanos| nanos as f64 / 1e9)
        }
    }
}

fn keeps(keys: &Keys, name: &str) -> bool {
    match keys {
        Keys::AllBut(names) => names.iter().all(|n| n != name),
        Keys::Only(names) => names.iter().any(|n| n == name),
    }
}

/// A text with its length in front, so that no two lists of texts make one key.
fn push_text(key: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = write!(key, "{:x}:", text.len());
    key.push_str(text);
}
