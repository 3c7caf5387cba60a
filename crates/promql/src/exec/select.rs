//! Instant selectors: the newest sample that is not too old.

use std::sync::Arc;

use headwater_model::{SeriesColumns, Timestamp, is_stale_nan};

use super::column::{Column, Hist, Key};
use super::samples::{Ranges, find_resets, gallop, has_nan};
use super::spans::Spans;
use super::{Cursor, Exec, Pace, Result, Sink, smoothed};
use crate::plan::{Node, Part, SelectPlan};
use crate::syntax::ast::Extension;

/// The samples of a series as they lie in the store, stale markers included.
struct Raw<'a> {
    columns: &'a SeriesColumns,
    hists: &'a [Option<Hist>],
}

impl Exec {
    pub(super) fn instant(
        self: &Arc<Self>,
        node: &Arc<Node>,
        select: usize,
        part: Part,
        mut cursor: Cursor,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let plan = &self.plan.selects[select];
        if part == Part::Start && !self.settings.use_starts {
            return Ok(());
        }
        let mut columns = SeriesColumns::default();
        let mut column = Column::default();
        let mut hists = Vec::new();
        let mut counter = self.tally.counter(node.counts, node.grid);
        let mut hold = self.budget.hold(0, 0, "a selector")?;
        let mut pace = Pace::default();
        let mut spans = Spans::default();
        let ranges = Ranges {
            grid: node.grid,
            at: plan.at,
            offset: plan.offset,
            window: self.settings.lookback,
            before: 0,
            after: 0,
        };
        while let Some(labels) = cursor.advance()? {
            self.check_at(&mut pace)?;
            cursor.read(&mut columns)?;
            decode_histograms(&columns, &mut hists);
            if plan.stats_only {
                find_resets(hists.iter_mut().flatten());
            }
            let raw = Raw {
                columns: &columns,
                hists: &hists,
            };
            let samples = columns.len() as u64;
            hold.at_least(samples, samples * 16, "a selector")?;
            column.reset(node.grid.len());
            let mut known = None;
            if plan.extension == Extension::Smoothed {
                let series = smoothed::Series {
                    columns: &columns,
                    hists: &hists,
                    labels: &labels,
                };
                smoothed::fill(self, &series, node, plan, &mut column);
            } else if hists.is_empty() && part == Part::Value {
                spans.find(&columns.floats.times, &ranges);
                known = newest_floats(&columns.floats.values, &spans, &mut column.floats);
            } else {
                newest(&raw, node, plan, self.settings.lookback, part, &mut column);
            }
            if column.is_empty() {
                continue;
            }
            counter.column(&column, known);
            sink.push(Key::new(labels), &mut column)?;
        }
        self.tally.merge(&counter);
        self.keep_warnings(&mut cursor);
        Ok(())
    }
}

fn decode_histograms(columns: &SeriesColumns, into: &mut Vec<Option<Hist>>) {
    into.clear();
    let column = &columns.histograms;
    into.extend((0..column.len()).map(|at| (!column.get(at).is_stale()).then(|| column.float(at))));
}

/// At each step the newest float within the look-back. A stale marker looks like no value, so it needs
/// no care. Answers how many values there are, if that is known.
fn newest_floats(values: &[f64], spans: &Spans, into: &mut [f64]) -> Option<u64> {
    for (out, span) in into.iter_mut().zip(spans.steps()) {
        if span.len() > 0 {
            *out = values[span.high as usize - 1];
        }
    }
    (!has_nan(values)).then(|| spans.filled())
}

/// At each step the newest sample within the look-back; a stale marker ends a series at once.
fn newest(
    raw: &Raw<'_>,
    node: &Node,
    plan: &SelectPlan,
    lookback: i64,
    part: Part,
    into: &mut Column,
) {
    let (floats, hist_times) = (&raw.columns.floats, raw.columns.histograms.times());
    let (mut float, mut hist) = (0, 0);
    for step in 0..node.grid.len() {
        let now = plan.at.unwrap_or_else(|| node.grid.time(step)) - plan.offset;
        float = gallop(&floats.times, float, now);
        let oldest = now - lookback;
        let float_time = float
            .checked_sub(1)
            .map(|at| floats.times[at])
            .filter(|time| *time > oldest);
        if hist_times.is_empty() {
            if let Some(time) = float_time
                && !is_stale_nan(floats.values[float - 1])
            {
                into.floats[step] = part_of(
                    part,
                    floats.values[float - 1],
                    time,
                    start(&floats.starts, float - 1),
                );
            }
            continue;
        }
        hist = gallop(hist_times, hist, now);
        let hist_time = hist
            .checked_sub(1)
            .map(|at| hist_times[at])
            .filter(|time| *time > oldest);
        match (float_time, hist_time) {
            (Some(time), other) if other.is_none_or(|other| other < time) => {
                let value = floats.values[float - 1];
                if !is_stale_nan(value) {
                    into.floats[step] =
                        part_of(part, value, time, start(&floats.starts, float - 1));
                }
            }
            (_, Some(time)) => {
                let Some(found) = &raw.hists[hist - 1] else {
                    continue;
                };
                match part {
                    Part::Value | Part::TimeOfFloat => {
                        into.hists.push((step as u32, found.clone()))
                    }
                    part => {
                        into.floats[step] =
                            part_of(part, 0.0, time, raw.columns.histograms.start(hist - 1))
                    }
                }
            }
            _ => {}
        }
    }
}

fn start(starts: &[Timestamp], at: usize) -> Timestamp {
    starts.get(at).copied().unwrap_or(0)
}

fn part_of(part: Part, value: f64, time: Timestamp, start: Timestamp) -> f64 {
    match part {
        Part::Value => value,
        Part::Time | Part::TimeOfFloat => time as f64 / 1000.0,
        Part::Start => start as f64 / 1000.0,
    }
}
