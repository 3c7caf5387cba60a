//! Reset hints as a store with chunks gives them back: histograms that fit into the chunk before them
//! follow no reset; of the first one of a chunk nothing is known.

use headwater_model::{FloatHistogram, ResetHint, is_stale_nan};

/// The hint of a histogram that is stored after `previous`, the sample before it if that was a histogram.
pub(crate) fn stored_hint(
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
    // Another layout, or a reset, needs another chunk. Its first histogram could say "reset", but
    // Prometheus's stores say that they do not know (its issue 15346).
    let same_layout = histogram.schema == previous.schema
        && histogram.zero_threshold == previous.zero_threshold
        && histogram.custom_values == previous.custom_values;
    let unhinted = FloatHistogram {
        reset_hint: ResetHint::Unknown,
        ..histogram.clone()
    };
    if same_layout && !unhinted.detect_reset(previous) {
        ResetHint::NotReset
    } else {
        ResetHint::Unknown
    }
}
