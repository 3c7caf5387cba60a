//! What a query cost, in JSON.

use std::time::Duration;

use headwater_model::Timestamp;
use headwater_query::QueryStats;

use super::text::{PushText, push_number, push_time, push_unsigned};

/// Which numbers were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatsDetail {
    /// Timings and totals.
    Totals,
    /// Samples of every step too.
    PerStep,
}

/// Appends `{"timings":{…},"samples":{…}}`.
pub(crate) fn push_stats(out: &mut Vec<u8>, stats: &QueryStats, detail: StatsDetail) {
    out.push_str("{\"timings\":{");
    let evaluated = stats.prepare_time + stats.eval_time + stats.sort_time;
    let timings: [(&str, Duration); 6] = [
        ("evalTotalTime", evaluated),
        ("resultSortTime", stats.sort_time),
        ("queryPreparationTime", stats.prepare_time),
        ("innerEvalTime", stats.eval_time),
        ("execQueueTime", stats.queue_time),
        ("execTotalTime", stats.total_time),
    ];
    for (at, (name, time)) in timings.iter().enumerate() {
        push_key(out, name, at == 0);
        push_number(out, time.as_secs_f64());
    }
    out.push_str("},\"samples\":{");
    push_samples(out, stats, detail);
    out.push_str("}}");
}

fn push_samples(out: &mut Vec<u8>, stats: &QueryStats, detail: StatsDetail) {
    let mut first = true;
    let totals = [
        (
            "totalQueryableSamples",
            stats.samples,
            &stats.samples_per_step,
        ),
        (
            "samplesRead",
            stats.samples_read,
            &stats.samples_read_per_step,
        ),
    ];
    for (name, total, per_step) in totals {
        if detail == StatsDetail::PerStep && !per_step.is_empty() {
            push_key(out, &format!("{name}PerStep"), first);
            push_steps(out, per_step);
            first = false;
        }
        push_key(out, name, first);
        push_unsigned(out, total);
        first = false;
    }
    push_key(out, "peakSamples", false);
    push_unsigned(out, stats.peak_samples);
}

fn push_key(out: &mut Vec<u8>, name: &str, first: bool) {
    out.push_str(if first { "\"" } else { ",\"" });
    out.push_str(name);
    out.push_str("\":");
}

fn push_steps(out: &mut Vec<u8>, steps: &[(Timestamp, u64)]) {
    out.push(b'[');
    for (at, (time, samples)) in steps.iter().enumerate() {
        out.push_str(if at > 0 { ",[" } else { "[" });
        push_time(out, *time);
        out.push(b',');
        push_unsigned(out, *samples);
        out.push(b']');
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_and_steps() {
        let mut stats = QueryStats::default();
        stats.eval_time = Duration::from_micros(250);
        stats.samples = 4;
        stats.samples_per_step = vec![(1000, 1), (2500, 3)];
        stats.samples_read = 2;
        stats.peak_samples = 3;
        let mut out = Vec::new();
        push_stats(&mut out, &stats, StatsDetail::PerStep);
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["timings"]["evalTotalTime"], 0.00025);
        assert_eq!(
            json["samples"],
            serde_json::json!({
                "totalQueryableSamplesPerStep": [[1, 1], [2.5, 3]],
                "totalQueryableSamples": 4,
                "samplesRead": 2,
                "peakSamples": 3,
            })
        );
    }
}
