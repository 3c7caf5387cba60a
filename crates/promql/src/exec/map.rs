//! Functions of one value at a time.

use std::sync::Arc;

use headwater_model::FloatHistogram;
use headwater_model::label::METRIC_NAME;
use headwater_query::is_present;

use super::column::Column;
use super::{Cursor, Exec, Result, Sink};
use crate::functions::buckets::native_variance;
use crate::functions::{FunctionId, math};
use crate::plan::Node;

impl Exec {
    pub(super) fn map(
        self: &Arc<Self>,
        node: &Arc<Node>,
        function: FunctionId,
        input: &Arc<Node>,
        params: &[Arc<Node>],
        cursor: Option<Cursor>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let params: Vec<Arc<[f64]>> = params
            .iter()
            .map(|param| self.scalar(param))
            .collect::<Result<_>>()?;
        self.stream_renamed(input, cursor, sink, |key, column| {
            apply(node, function, &params, column);
            if !self.settings.delayed_names && of_histograms_only(function) {
                // As in Prometheus, type and unit stay here.
                key.labels = key.labels.project(|name| name != METRIC_NAME);
            } else {
                self.drop_name(key);
            }
            Ok(())
        })
    }

    /// `-vector`
    pub(super) fn negate(
        self: &Arc<Self>,
        input: &Arc<Node>,
        cursor: Option<Cursor>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        self.stream_renamed(input, cursor, sink, |key, column| {
            for value in column.floats.iter_mut().filter(|value| is_present(**value)) {
                *value = -*value;
            }
            for (_, hist) in &mut column.hists {
                Arc::make_mut(hist).mul(-1.0);
            }
            self.drop_name(key);
            Ok(())
        })
    }
}

const fn of_histograms_only(function: FunctionId) -> bool {
    use FunctionId as F;
    matches!(
        function,
        F::HistogramCount
            | F::HistogramSum
            | F::HistogramAvg
            | F::HistogramStddev
            | F::HistogramStdvar
    )
}

fn apply(node: &Node, function: FunctionId, params: &[Arc<[f64]>], column: &mut Column) {
    use FunctionId as F;
    match function {
        F::HistogramCount => of_histograms(column, |hist| hist.count),
        F::HistogramSum => of_histograms(column, |hist| hist.sum),
        F::HistogramAvg => of_histograms(column, |hist| hist.sum / hist.count),
        F::HistogramStddev => of_histograms(column, |hist| native_variance(hist).sqrt()),
        F::HistogramStdvar => of_histograms(column, native_variance),
        F::Timestamp => {
            for (step, value) in column
                .floats
                .iter_mut()
                .enumerate()
                .filter(|(_, value)| is_present(**value))
            {
                *value = node.grid.time(step) as f64 / 1000.0;
            }
            for (step, _) in std::mem::take(&mut column.hists) {
                column.floats[step as usize] = node.grid.time(step as usize) as f64 / 1000.0;
            }
        }
        // What an expression computes has no start.
        F::StartTimestamp => column.reset(node.grid.len()),
        _ => of_floats(function, params, column),
    }
}

/// Applies a function to floats; histograms are left out.
fn of_floats(function: FunctionId, params: &[Arc<[f64]>], column: &mut Column) {
    column.hists.clear();
    for (step, value) in column
        .floats
        .iter_mut()
        .enumerate()
        .filter(|(_, value)| is_present(**value))
    {
        let mut given = [1.0; 2];
        for (into, values) in given.iter_mut().zip(params) {
            *into = values[step];
        }
        // An empty interval leaves nothing.
        if function == FunctionId::Clamp && given[1] < given[0] {
            *value = headwater_query::ABSENT;
            continue;
        }
        *value = math::apply(function, *value, given);
    }
}

/// Turns histograms into floats; floats are left out.
fn of_histograms(column: &mut Column, function: impl Fn(&FloatHistogram) -> f64) {
    let hists = std::mem::take(&mut column.hists);
    column.reset(column.floats.len());
    for (step, hist) in &hists {
        column.floats[*step as usize] = function(hist);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_become_their_counts() {
        let mut column = Column::absent(2);
        column.floats[0] = 7.0;
        column.set_hist(
            1,
            FloatHistogram {
                count: 3.0,
                ..FloatHistogram::default()
            },
        );
        of_histograms(&mut column, |hist| hist.count);
        assert!(headwater_query::is_absent(column.floats[0]));
        assert_eq!(column.floats[1], 3.0);
    }
}
