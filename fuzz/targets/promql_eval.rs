//! Evaluation: whatever parses is answered or refused, on small data and with a small budget, without
//! a panic and without holding more than the budget.
//!
//! The first byte chooses the options and the times, the rest is the query.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use headwater_model::{FloatHistogram, Labels, Span, stale_nan};
use headwater_promql::{Engine, EngineOptions, ParseOptions};
use headwater_query::{EvalRequest, Evaluate, QueryErrorKind, Value};
use headwater_storage::{Append, AppendOptions, MemoryStore, SampleValue, block_on};
use libfuzzer_sys::fuzz_target;

const SAMPLES: i64 = 40;
const INTERVAL: i64 = 30_000;
const BUDGET: u64 = 1 << 20;

fn store() -> Arc<MemoryStore> {
    let store = MemoryStore::new();
    let mut batch = store.appender(AppendOptions::default()).unwrap();
    for (name, job, le) in [
        ("a_total", "x", ""),
        ("a_total", "y", ""),
        ("b", "x", ""),
        ("h_bucket", "x", "1"),
        ("h_bucket", "x", "+Inf"),
        ("target_info", "x", ""),
        ("native", "x", ""),
        ("native", "y", ""),
    ] {
        let labels = Labels::from_pairs([("__name__", name), ("job", job), ("le", le), ("instance", "i")]);
        let series = batch.series(&labels).unwrap();
        for sample in 0..SAMPLES {
            let value = match (name, sample) {
                ("b", 7) => f64::NAN,
                ("b", 8) => f64::NEG_INFINITY,
                (_, 20) => stale_nan(),
                ("a_total", 30..) => (sample - 30) as f64,
                _ => (sample * 3 % 17 + sample) as f64,
            };
            let histogram = native(sample as f64, job == "y");
            let value = match name {
                "native" if sample != 13 => SampleValue::FloatHistogram(&histogram),
                _ => SampleValue::Float(value),
            };
            batch.append(series, sample * INTERVAL, 0, value).unwrap();
        }
    }
    batch.commit().unwrap().wait().unwrap();
    Arc::new(store)
}

fn native(count: f64, custom: bool) -> FloatHistogram {
    let spans = vec![Span { offset: 0, length: 2 }];
    let mut histogram = FloatHistogram {
        count: count * 3.0,
        sum: count * 5.0,
        positive_spans: spans,
        positive_buckets: vec![count, count * 2.0],
        ..FloatHistogram::default()
    };
    if custom {
        histogram.schema = -53;
        histogram.custom_values = vec![1.0, 2.5].into();
    }
    histogram
}

fn engine(delayed: bool, optimise: bool) -> Engine {
    let mut options = EngineOptions::default();
    options.parse = ParseOptions::all();
    options.delayed_name_removal = delayed;
    options.optimise = optimise;
    options.use_start_timestamps = true;
    options.threads = 1;
    options.max_samples = 20_000;
    options.max_bytes = BUDGET;
    options.timeout = Duration::from_secs(2);
    Engine::new(store(), options).unwrap()
}

static ENGINES: LazyLock<[Engine; 4]> = LazyLock::new(|| {
    [(false, true), (true, true), (false, false), (true, false)].map(|(delayed, optimise)| engine(delayed, optimise))
});

fuzz_target!(|input: (u8, &str)| {
    let (choice, query) = input;
    let engine = &ENGINES[usize::from(choice & 3)];
    let start = i64::from(choice >> 4) * 60_000;
    let request = if choice & 4 == 0 {
        EvalRequest::instant(query, start)
    } else {
        EvalRequest::range(query, start, start + 600_000, 45_000)
    };
    match block_on(engine.evaluate(request)) {
        Ok(answer) => {
            assert!(answer.stats.peak_samples <= 20_000, "{}", answer.stats.peak_samples);
            if let Value::Matrix(series) = answer.value {
                let bytes: usize = series.iter().map(|series| series.columns.len() * 16).sum();
                assert!(bytes as u64 <= 2 * BUDGET, "{bytes} bytes");
            }
        }
        Err(error) => assert_ne!(error.kind(), QueryErrorKind::Internal, "{error}"),
    }
});
