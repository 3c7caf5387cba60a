//! How the rest of the house sees a query engine.

use headwater_model::Timestamp;
use headwater_storage::BoxFuture;

use crate::answer::Answer;
use crate::cancel::CancelToken;
use crate::error::{QueryError, QueryErrorKind};

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
    /// Who asks, for the query log.
    pub origin: Option<Origin>,
}

/// Who asks a query.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// An HTTP request.
    Http {
        /// Address of the client, without the port.
        client: String,
        /// `GET` or `POST`.
        method: String,
        /// Path of the request.
        path: String,
    },
    /// A rule.
    Rule {
        /// File of the group.
        file: String,
        /// Name of the group.
        group: String,
    },
}

/// How much an evaluation measures of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatsLevel {
    /// Nobody will look at the samples of [`QueryStats`](crate::QueryStats): what a plan can leave out or do once
    /// without changing the answer is not counted.
    #[default]
    None,
    /// Totals, of all that the query says.
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
            origin: None,
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

    /// How a query would be evaluated, as text for people: what is read, by which operators, with
    /// estimates of series and bytes.
    ///
    /// # Errors
    /// As [`Evaluate::evaluate`]; engines that cannot tell refuse.
    fn explain(
        &self,
        request: EvalRequest,
        how: Explain,
    ) -> BoxFuture<'_, Result<String, QueryError>> {
        let _ = (request, how);
        let message = "this engine does not explain queries";
        let refused = QueryError::new(QueryErrorKind::BadData, message);
        Box::pin(std::future::ready(Err(refused)))
    }
}

/// What an explanation is made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Explain {
    /// The query is planned and its series are looked up; samples are not read.
    #[default]
    Estimate,
    /// The query is evaluated, and what each operator took is measured.
    Analyze,
}
