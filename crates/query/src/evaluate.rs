//! How the rest of the house sees a query engine.

use headwater_model::Timestamp;
use headwater_storage::BoxFuture;

use crate::answer::Answer;
use crate::cancel::CancelToken;
use crate::error::QueryError;

/// One query.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EvalRequest {
    /// The text of the query.
    pub expression: String,
    /// First step, in milliseconds.
    pub start: Timestamp,
    /// Last step at the latest, in milliseconds; equals `start` for an instant query.
    pub end: Timestamp,
    /// Distance of steps in milliseconds; 0 makes an instant query.
    pub step: i64,
    /// How far an instant selector looks back, in milliseconds; `None` for the engine's default.
    pub lookback: Option<i64>,
    /// Keep at most this many series of the answer; 0 for all.
    pub limit: usize,
    /// How much to measure.
    pub stats: StatsLevel,
    /// Stops the evaluation.
    pub cancel: CancelToken,
}

/// How much an evaluation measures of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatsLevel {
    /// Totals only.
    #[default]
    Totals,
    /// Samples per step too.
    PerStep,
}

impl EvalRequest {
    /// A query at one moment.
    pub fn instant(expression: impl Into<String>, time: Timestamp) -> Self {
        Self::range(expression, time, time, 0)
    }

    /// A query at every step of a range.
    pub fn range(
        expression: impl Into<String>,
        start: Timestamp,
        end: Timestamp,
        step: i64,
    ) -> Self {
        Self {
            expression: expression.into(),
            start,
            end,
            step,
            lookback: None,
            limit: 0,
            stats: StatsLevel::default(),
            cancel: CancelToken::new(),
        }
    }

    /// Whether the query is for one moment.
    pub const fn is_instant(&self) -> bool {
        self.step == 0
    }
}

/// A query engine bound to a store.
pub trait Evaluate: Send + Sync {
    /// Parses and evaluates.
    ///
    /// # Errors
    /// The query has no answer; the kind says what the caller can do.
    fn evaluate(&self, request: EvalRequest) -> BoxFuture<'_, Result<Answer, QueryError>>;
}
