use headwater_model::{HistogramColumn, SeriesColumns, Timestamp};

/// Keeps the samples for whose time `keep` answers true.
pub(crate) fn retain(columns: &mut SeriesColumns, keep: impl Fn(Timestamp) -> bool) {
    let floats = &mut columns.floats;
    let mut kept = 0;
    for at in 0..floats.times.len() {
        if keep(floats.times[at]) {
            floats.times[kept] = floats.times[at];
            floats.values[kept] = floats.values[at];
            if !floats.starts.is_empty() {
                floats.starts[kept] = floats.starts[at];
            }
            kept += 1;
        }
    }
    floats.times.truncate(kept);
    floats.values.truncate(kept);
    floats.starts.truncate(kept);

    let old = &columns.histograms;
    if old.times().iter().all(|time| keep(*time)) {
        return;
    }
    let mut histograms = HistogramColumn::default();
    for (at, _) in old.times().iter().enumerate().filter(|(_, t)| keep(**t)) {
        histograms.push_from(old, at);
    }
    columns.histograms = histograms;
}

#[cfg(test)]
mod tests {
    use headwater_model::Histogram;

    use super::*;

    #[test]
    fn both_kinds_are_sifted() {
        let mut columns = SeriesColumns::default();
        for time in 0..10 {
            columns.floats.push_with_start(time, time as f64, time);
            columns
                .histograms
                .push_integer(time, Histogram::default(), 0);
        }
        retain(&mut columns, |time| time % 3 == 0);
        assert_eq!(columns.floats.times, [0, 3, 6, 9]);
        assert_eq!(columns.floats.starts, [0, 3, 6, 9]);
        assert_eq!(columns.histograms.times(), [0, 3, 6, 9]);
    }
}
