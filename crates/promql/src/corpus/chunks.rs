//! Reset hints as a store with chunks gives them back: a chunk says of its first histogram whether
//! it follows a reset; those that fit into the chunk do not.

use headwater_model::{FloatHistogram, ResetHint, is_stale_nan};

/// The hint of a histogram that is stored after `previous`, the sample before it if that was a histogram.
pub(super) fn stored_hint(
    previous: Option<&FloatHistogram>,
    histogram: &FloatHistogram,
) -> ResetHint {
    if matches!(histogram.reset_hint, ResetHint::Gauge | ResetHint::Reset) {
        return histogram.reset_hint;
    }
    let Some(previous) = previous else {
        return ResetHint::Unknown;
    };
    if previous.reset_hint == ResetHint::Gauge || is_stale_nan(previous.sum) {
        return ResetHint::Unknown;
    }
    if histogram.count < previous.count {
        return ResetHint::Reset;
    }
    // Another layout needs another chunk, which does not know.
    let same_layout = histogram.schema == previous.schema
        && histogram.zero_threshold == previous.zero_threshold
        && histogram.custom_values == previous.custom_values;
    if !same_layout {
        return ResetHint::Unknown;
    }
    let unhinted = FloatHistogram {
        reset_hint: ResetHint::Unknown,
        ..histogram.clone()
    };
    if unhinted.detect_reset(previous) {
        ResetHint::Reset
    } else {
        ResetHint::NotReset
    }
}
