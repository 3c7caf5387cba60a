//! What has to be done to answer a query: a tree of operators, each knowing the steps at which it is evaluated.
//!
//! Everything that depends on the query's start, end and step is settled here: `@`, offsets,
//! duration arithmetic, the steps of subqueries, and which expressions are the same at every step
//! and so are evaluated once.

mod build;
mod duration;
mod estimate;
mod explain;
mod fold;
mod invariant;
mod newest;
mod order;
mod project;
mod propagate;
mod prune;
mod share;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use headwater_model::{Labels, Matcher, TimeRange, Timestamp};
use headwater_query::StepGrid;
use headwater_storage::Projection;

use crate::functions::FunctionId;
use crate::syntax::ast::{AggregateOp, BinaryOp, Extension, Matching};
use crate::syntax::position::PosRange;

pub(crate) use build::{Optimise, Times, build};
pub(crate) use estimate::Estimates;
pub(crate) use explain::{Remarks, explain};
pub(crate) use share::Alias;

/// A plan, with what it reads from the store.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) root: Root,
    pub(crate) selects: Vec<SelectPlan>,
    /// Operators are numbered below this.
    pub(crate) nodes: usize,
    /// Places that say the same as others.
    pub(crate) aliases: Vec<Alias>,
}

/// What a query answers.
#[derive(Debug)]
pub(crate) enum Root {
    /// A scalar or a vector at each step.
    Steps(Arc<Node>),
    /// The samples of a range, for instant queries.
    Samples { select: usize },
    /// The values of a subquery, for instant queries.
    Subquery { node: Option<Arc<Node>> },
    /// A string literal.
    Text(String),
}

/// One select.
#[derive(Debug)]
pub(crate) struct SelectPlan {
    pub(crate) matchers: Vec<Matcher>,
    /// Samples that any step needs.
    pub(crate) range: TimeRange,
    pub(crate) at: Option<Timestamp>,
    pub(crate) offset: i64,
    /// Length of the range in milliseconds; 0 for instant selectors.
    pub(crate) window: i64,
    pub(crate) extension: Extension,
    /// The name that all series have, if the matchers say so.
    pub(crate) name: Option<String>,
    /// The function or aggregation around it, as a hint for the store.
    pub(crate) function: Option<&'static str>,
    pub(crate) step: i64,
    /// Labels that anyone looks at.
    pub(crate) labels: Projection,
    /// Nothing but count and sum of histograms is wanted; resets are then found while reading.
    pub(crate) stats_only: bool,
    /// Answers depend on the order of the series.
    pub(crate) sorted: bool,
    /// Nothing but the newest sample of each series is looked at.
    pub(crate) newest: bool,
    /// No step needs it.
    pub(crate) unused: bool,
}

/// An operator.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: usize,
    pub(crate) kind: Kind,
    /// When it is evaluated.
    pub(crate) grid: StepGrid,
    /// Where it stands in the query.
    pub(crate) place: PosRange,
    pub(crate) counts: Counts,
    /// It stands in the plan more than once.
    shared: AtomicBool,
}

/// How what an operator looks at counts in the statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// At each of its steps.
    EachStep,
    /// At each step of the query, though it is evaluated once.
    Repeated,
    /// It is inside a subquery.
    Never,
}

/// What of a sample an instant selector returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Value,
    /// `timestamp()` of a selector
    Time,
    /// `start_timestamp()` of a selector
    Start,
    /// The time of a float; a histogram as it is.
    TimeOfFloat,
}

/// Where the samples of a range come from.
#[derive(Debug)]
pub(crate) enum RangeInput {
    Select(usize),
    Subquery {
        /// `None` if no step of the subquery lies in the range.
        node: Option<Arc<Node>>,
        window: i64,
        offset: i64,
        at: Option<Timestamp>,
    },
}

/// The operators.
#[derive(Debug)]
pub(crate) enum Kind {
    // Scalars: one number a step.
    Number(f64),
    Time,
    ScalarOf(Arc<Node>),
    ScalarNegate(Arc<Node>),
    ScalarBinary {
        op: BinaryOp,
        lhs: Arc<Node>,
        rhs: Arc<Node>,
    },
    Choose {
        max: bool,
        lhs: Arc<Node>,
        rhs: Arc<Node>,
    },
    // Vectors that come one series at a time.
    Instant {
        select: usize,
        part: Part,
    },
    Over {
        function: FunctionId,
        input: RangeInput,
        params: Vec<Arc<Node>>,
        range_place: PosRange,
    },
    Map {
        function: FunctionId,
        input: Arc<Node>,
        params: Vec<Arc<Node>>,
    },
    Negate(Arc<Node>),
    VectorScalar {
        op: BinaryOp,
        vector: Arc<Node>,
        scalar: Arc<Node>,
        swapped: bool,
        return_bool: bool,
    },
    // Vectors that need all series at once.
    VectorOf(Arc<Node>),
    DateNow(FunctionId),
    Absent {
        input: Arc<Node>,
        labels: Labels,
    },
    AbsentOver {
        input: RangeInput,
        labels: Labels,
        range_place: PosRange,
    },
    LabelReplace {
        input: Arc<Node>,
        destination: String,
        replacement: String,
        source: String,
        pattern: String,
    },
    LabelJoin {
        input: Arc<Node>,
        destination: String,
        separator: String,
        sources: Vec<String>,
    },
    Sort {
        input: Arc<Node>,
        descending: bool,
    },
    SortByLabel {
        input: Arc<Node>,
        labels: Vec<String>,
        descending: bool,
    },
    HistogramQuantile {
        quantiles: Vec<(Arc<Node>, PosRange)>,
        label: Option<String>,
        input: Arc<Node>,
    },
    HistogramFraction {
        lower: Arc<Node>,
        upper: Arc<Node>,
        input: Arc<Node>,
    },
    Info {
        base: Arc<Node>,
        select: usize,
        matchers: Vec<Matcher>,
    },
    Aggregate(AggregateNode),
    Binary {
        op: BinaryOp,
        lhs: Arc<Node>,
        rhs: Arc<Node>,
        matching: Matching,
        return_bool: bool,
    },
    Set {
        op: BinaryOp,
        lhs: Arc<Node>,
        rhs: Arc<Node>,
        matching: Matching,
    },
    /// The same at every step: evaluated at the first one.
    Fixed(Arc<Node>),
}

/// An aggregation.
#[derive(Debug)]
pub(crate) struct AggregateNode {
    pub(crate) op: AggregateOp,
    pub(crate) input: Arc<Node>,
    pub(crate) param: Option<Param>,
    pub(crate) grouping: Vec<String>,
    pub(crate) without: bool,
}

/// The parameter of an aggregation.
#[derive(Debug)]
pub(crate) enum Param {
    Number(Arc<Node>),
    Text {
        value: String,
        shown: String,
        valid: bool,
    },
}

impl Node {
    /// The operators that it takes its input from, in the order of the query. Ranges of subqueries
    /// and info selects are no such inputs.
    pub(crate) fn children(&self) -> Vec<&Arc<Node>> {
        match &self.kind {
            Kind::Number(_)
            | Kind::Time
            | Kind::Instant { .. }
            | Kind::DateNow(_)
            | Kind::AbsentOver { .. } => Vec::new(),
            Kind::ScalarOf(input)
            | Kind::ScalarNegate(input)
            | Kind::Negate(input)
            | Kind::VectorOf(input)
            | Kind::Fixed(input)
            | Kind::Absent { input, .. }
            | Kind::LabelReplace { input, .. }
            | Kind::LabelJoin { input, .. }
            | Kind::Sort { input, .. }
            | Kind::SortByLabel { input, .. }
            | Kind::Info { base: input, .. } => vec![input],
            Kind::ScalarBinary { lhs, rhs, .. }
            | Kind::Choose { lhs, rhs, .. }
            | Kind::Binary { lhs, rhs, .. }
            | Kind::Set { lhs, rhs, .. } => vec![lhs, rhs],
            Kind::VectorScalar {
                vector,
                scalar,
                swapped: true,
                ..
            } => vec![scalar, vector],
            Kind::VectorScalar { vector, scalar, .. } => vec![vector, scalar],
            Kind::Over { params, .. } => params.iter().collect(),
            Kind::Map { input, params, .. } => std::iter::once(input).chain(params).collect(),
            Kind::HistogramQuantile {
                quantiles, input, ..
            } => {
                let quantiles = quantiles.iter().map(|(quantile, _)| quantile);
                quantiles.chain([input]).collect()
            }
            Kind::HistogramFraction {
                lower,
                upper,
                input,
                ..
            } => vec![lower, upper, input],
            Kind::Aggregate(aggregate) => match &aggregate.param {
                Some(Param::Number(param)) => vec![param, &aggregate.input],
                _ => vec![&aggregate.input],
            },
        }
    }

    /// The subquery whose values a range function takes.
    pub(crate) fn subquery(&self) -> Option<&Arc<Node>> {
        match &self.kind {
            Kind::Over {
                input: RangeInput::Subquery { node, .. },
                ..
            }
            | Kind::AbsentOver {
                input: RangeInput::Subquery { node, .. },
                ..
            } => node.as_ref(),
            _ => None,
        }
    }

    /// The select that it walks over itself.
    pub(crate) fn select(&self) -> Option<usize> {
        match &self.kind {
            Kind::Instant { select, .. }
            | Kind::Info { select, .. }
            | Kind::Over {
                input: RangeInput::Select(select),
                ..
            }
            | Kind::AbsentOver {
                input: RangeInput::Select(select),
                ..
            } => Some(*select),
            _ => None,
        }
    }

    /// Whether values are numbers rather than series.
    pub(crate) fn is_scalar(&self) -> bool {
        match &self.kind {
            Kind::Number(_)
            | Kind::Time
            | Kind::ScalarOf(_)
            | Kind::ScalarNegate(_)
            | Kind::ScalarBinary { .. }
            | Kind::Choose { .. } => true,
            Kind::Fixed(inner) => inner.is_scalar(),
            _ => false,
        }
    }

    /// The select whose series pass through this operator one at a time, if there is one; they can
    /// then be divided over threads.
    pub(crate) fn source(&self) -> Option<usize> {
        if self.is_shared() {
            None
        } else {
            self.own_source()
        }
    }

    /// Whether it stands in the plan more than once, so that its series are kept.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Relaxed)
    }

    /// The source for whoever evaluates a shared operator.
    pub(crate) fn own_source(&self) -> Option<usize> {
        match &self.kind {
            Kind::Instant { select, .. }
            | Kind::Over {
                input: RangeInput::Select(select),
                ..
            } => Some(*select),
            Kind::Map { input, .. }
            | Kind::Negate(input)
            | Kind::VectorScalar { vector: input, .. } => input.source(),
            _ => None,
        }
    }

    /// Whether series with different metric names may come out, so that dropping the names can make
    /// two of them one.
    pub(crate) fn names_vary(&self, selects: &[SelectPlan]) -> bool {
        let differs = |select: usize| selects[select].name.is_none();
        match &self.kind {
            Kind::Instant { select, .. } => differs(*select),
            Kind::Over {
                function: FunctionId::FirstOverTime | FunctionId::LastOverTime,
                input,
                ..
            } => match input {
                RangeInput::Select(select) => differs(*select),
                RangeInput::Subquery { node, .. } => {
                    node.as_ref().is_some_and(|node| node.names_vary(selects))
                }
            },
            Kind::VectorScalar {
                op,
                vector,
                return_bool,
                ..
            } => !op.changes_meaning() && !return_bool && vector.names_vary(selects),
            Kind::Sort { input, .. }
            | Kind::SortByLabel { input, .. }
            | Kind::Info { base: input, .. } => input.names_vary(selects),
            Kind::LabelReplace {
                input, destination, ..
            }
            | Kind::LabelJoin {
                input, destination, ..
            } => destination == "__name__" || input.names_vary(selects),
            Kind::Aggregate(aggregate) if aggregate.op.picks_series() => {
                aggregate.input.names_vary(selects)
            }
            Kind::Aggregate(aggregate) => {
                aggregate.grouping.iter().any(|label| label == "__name__")
                    || aggregate.param.is_some()
            }
            Kind::Binary {
                op,
                lhs,
                rhs,
                return_bool,
                ..
            } => {
                !op.changes_meaning()
                    && !return_bool
                    && (lhs.names_vary(selects) || rhs.names_vary(selects))
            }
            // Two sides with one fixed name each still make two names.
            Kind::Set {
                op: BinaryOp::Or, ..
            } => true,
            Kind::Set { lhs, .. } => lhs.names_vary(selects),
            Kind::Fixed(inner) => inner.names_vary(selects),
            _ => false,
        }
    }
}
