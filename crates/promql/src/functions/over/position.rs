//! The first and the last sample of a range, and their times.

use headwater_model::Timestamp;

use super::Out;
use crate::exec::samples::Window;

pub(super) fn first(window: &Window<'_>) -> Out {
    match (window.times.first(), window.hist_times.first()) {
        (Some(float), hist) if hist.is_none_or(|hist| float < hist) => Out::Float(window.values[0]),
        (_, Some(_)) => Out::Hist(window.hists[0].clone()),
        _ => Out::None,
    }
}

pub(super) fn last(window: &Window<'_>) -> Out {
    match (window.times.last(), window.hist_times.last()) {
        (Some(float), hist) if hist.is_none_or(|hist| hist < float) => {
            Out::Float(window.values[window.values.len() - 1])
        }
        (_, Some(_)) => Out::Hist(window.hists[window.hists.len() - 1].clone()),
        _ => Out::None,
    }
}

fn seconds(time: Option<Timestamp>) -> Out {
    time.map_or(Out::None, |time| Out::Float(time as f64 / 1000.0))
}

pub(super) fn time_of_first(window: &Window<'_>) -> Out {
    seconds(
        window
            .times
            .first()
            .into_iter()
            .chain(window.hist_times.first())
            .min()
            .copied(),
    )
}

pub(super) fn time_of_last(window: &Window<'_>) -> Out {
    seconds(
        window
            .times
            .last()
            .into_iter()
            .chain(window.hist_times.last())
            .max()
            .copied(),
    )
}
