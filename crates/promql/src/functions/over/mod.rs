//! Functions over the samples of a range, one file a family. Each looks at one window.

mod changes;
mod extended;
mod instant_rate;
pub(crate) mod order;
mod position;
mod rate;
mod rates;
mod regression;
mod smoothing;
mod sums;

use std::sync::Arc;

use headwater_model::FloatHistogram;
use headwater_query::{QueryError, QueryErrorKind};

use crate::annotation::{Note, Notes};
use crate::exec::column::Hist;
use crate::exec::samples::Window;
use crate::functions::FunctionId;
use crate::syntax::ast::Extension;
use crate::syntax::position::PosRange;

pub(crate) use changes::{count_turns, float_turns};
pub(crate) use rate::{Slope, note_if_not_counter};
pub(crate) use rates::Rates;

/// What a function makes of a window.
#[derive(Debug)]
pub(crate) enum Out {
    None,
    Float(f64),
    Hist(Hist),
}

impl Out {
    fn hist(hist: FloatHistogram) -> Self {
        Self::Hist(Arc::new(hist))
    }
}

/// What functions know beside the window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OverContext<'a> {
    pub(crate) notes: &'a Notes,
    /// Where the range stands in the query.
    pub(crate) place: PosRange,
    /// Length of the range in milliseconds.
    pub(crate) window: i64,
    pub(crate) extension: Extension,
    /// Values of the scalar arguments at this step.
    pub(crate) params: [f64; 2],
}

impl OverContext<'_> {
    fn note(&self, note: Note<'_>) {
        self.notes.add(note, self.place);
    }

    /// Says that the histograms of a mixed range are left out.
    fn note_ignored(&self, window: &Window<'_>) {
        if window.is_mixed() {
            self.note(Note::HistogramsIgnoredInRange(window.metric()));
        }
    }
}

/// Applies a function to a window that has samples.
///
/// # Errors
/// A parameter is out of its range.
pub(crate) fn apply(
    function: FunctionId,
    window: &Window<'_>,
    cx: &OverContext<'_>,
) -> Result<Out, QueryError> {
    use FunctionId as F;
    Ok(match function {
        F::Rate => rate::rate(window, cx, Slope::Rate),
        F::Increase => rate::rate(window, cx, Slope::Increase),
        F::Delta => rate::rate(window, cx, Slope::Delta),
        F::Irate => instant_rate::last_two(window, cx, true),
        F::Idelta => instant_rate::last_two(window, cx, false),
        F::Deriv => regression::deriv(window, cx),
        F::PredictLinear => regression::predict(window, cx),
        F::Changes => changes::changes(window, cx),
        F::Resets => changes::resets(window, cx),
        F::AvgOverTime => sums::avg(window, cx),
        F::SumOverTime => sums::sum(window, cx),
        F::StddevOverTime => sums::variance(window, cx, f64::sqrt),
        F::StdvarOverTime => sums::variance(window, cx, |variance| variance),
        F::CountOverTime => Out::Float((window.values.len() + window.hists.len()) as f64),
        F::PresentOverTime | F::AbsentOverTime => Out::Float(1.0),
        F::MinOverTime => order::extreme(window, cx, |new, held| new < held || held.is_nan()),
        F::MaxOverTime => order::extreme(window, cx, |new, held| new > held || held.is_nan()),
        F::TsOfMinOverTime => {
            order::time_of_extreme(window, cx, |new, held| new <= held || held.is_nan())
        }
        F::TsOfMaxOverTime => {
            order::time_of_extreme(window, cx, |new, held| new >= held || held.is_nan())
        }
        F::QuantileOverTime => order::quantile_over_time(window, cx),
        F::MadOverTime => order::mad(window, cx),
        F::FirstOverTime => position::first(window),
        F::LastOverTime => position::last(window),
        F::TsOfFirstOverTime => position::time_of_first(window),
        F::TsOfLastOverTime => position::time_of_last(window),
        F::DoubleExponentialSmoothing => smoothing::smooth(window, cx)?,
        other => {
            let message = format!("{other:?} is not a function over ranges");
            return Err(QueryError::new(QueryErrorKind::Internal, message));
        }
    })
}
