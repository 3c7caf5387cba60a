//! Series under evaluation: labels and a value a step.

use headwater_model::Labels;
use headwater_query::{ABSENT, StepGrid, is_present};

/// One series: a value for every step of the grid, [`ABSENT`] where there is none.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) labels: Labels,
    pub(crate) values: Vec<f64>,
}

/// The value of an expression.
#[derive(Debug, Clone)]
pub(crate) enum Evaluated {
    Scalar(f64),
    /// Series in the order of their labels, or of values after a sort.
    Rows(Vec<Row>),
}

impl Row {
    /// A series with one value at every step.
    pub(crate) fn constant(labels: Labels, value: f64, grid: &StepGrid) -> Self {
        Self {
            labels,
            values: vec![value; grid.len()],
        }
    }

    /// Changes every value there is; a value may go away.
    pub(crate) fn map(mut self, change: impl Fn(f64) -> Option<f64>) -> Self {
        for value in &mut self.values {
            if is_present(*value) {
                *value = change(*value).unwrap_or(ABSENT);
            }
        }
        self
    }

    /// Whether there is a value at some step.
    pub(crate) fn has_values(&self) -> bool {
        self.values.iter().any(|v| is_present(*v))
    }
}

/// Drops series without values and sorts by labels.
pub(crate) fn tidy(mut rows: Vec<Row>) -> Vec<Row> {
    rows.retain(Row::has_values);
    rows.sort_by(|a, b| a.labels.cmp(&b.labels));
    rows
}
