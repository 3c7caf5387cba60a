//! What comes with an answer: warnings, statistics, limits, plans.

use std::sync::Arc;
use std::time::Duration;

use headwater_model::Labels;
use headwater_promql::{Engine, EngineOptions};
use headwater_query::{
    Answer, EvalRequest, Evaluate, QueryError, QueryErrorKind, StatsLevel, Value,
};
use headwater_storage::{Append, AppendOptions, MemoryStore, SampleValue, block_on};

/// Three series with a sample each minute for an hour.
fn store() -> Arc<MemoryStore> {
    let store = MemoryStore::new();
    let mut batch = store.appender(AppendOptions::default()).unwrap();
    for instance in ["a", "b", "c"] {
        let labels = Labels::from_pairs([("__name__", "load"), ("instance", instance)]);
        let series = batch.series(&labels).unwrap();
        for minute in 0..60 {
            let value = SampleValue::Float(minute as f64);
            batch.append(series, minute * 60_000, 0, value).unwrap();
        }
    }
    batch.commit().unwrap().wait().unwrap();
    Arc::new(store)
}

fn engine(change: impl FnOnce(&mut EngineOptions)) -> Engine {
    let mut options = EngineOptions::default();
    options.threads = 2;
    change(&mut options);
    Engine::new(store(), options).unwrap()
}

fn run(engine: &Engine, request: EvalRequest) -> Result<Answer, QueryError> {
    block_on(engine.evaluate(request))
}

#[test]
fn samples_are_counted_by_step() {
    let engine = engine(|_| {});
    let counts = |query: &str| {
        let mut request = EvalRequest::range(query, 600_000, 720_000, 60_000);
        request.stats = StatsLevel::PerStep;
        let stats = run(&engine, request).unwrap().stats;
        let by_step = |steps: &[(i64, u64)]| steps.iter().map(|(_, n)| *n).collect::<Vec<_>>();
        let (looked, read) = (
            by_step(&stats.samples_per_step),
            by_step(&stats.samples_read_per_step),
        );
        assert_eq!(stats.samples, looked.iter().sum::<u64>(), "{query}");
        assert_eq!(stats.samples_read, read.iter().sum::<u64>(), "{query}");
        (looked, read)
    };
    assert_eq!(counts("sum(load)"), (vec![3, 3, 3], vec![3, 3, 3]));
    for function in ["rate", "max_over_time"] {
        let query = format!("{function}(load[5m])");
        assert_eq!(
            counts(&query),
            (vec![15, 15, 15], vec![15, 3, 3]),
            "{query}"
        );
    }
    assert_eq!(counts("load @ 600"), (vec![3, 3, 3], vec![3, 3, 3]));
    assert_eq!(
        counts("max_over_time(load[5m:1m])"),
        (vec![15, 15, 15], vec![15, 3, 3])
    );
}

#[test]
fn what_a_plan_leaves_out_counts_for_those_who_ask() {
    let engine = engine(|_| {});
    for (query, all, few) in [
        ("load{instance=\"a\"} and load", 4, 2),
        ("rate(load[5m]) + rate(load[5m])", 30, 15),
        ("load and on () vector(time()) > 720", 3, 0),
        ("load unless on () vector(time()) > 0", 3, 0),
    ] {
        for (stats, wanted) in [
            (StatsLevel::None, few),
            (StatsLevel::Totals, all),
            (StatsLevel::PerStep, all),
        ] {
            let mut request = EvalRequest::range(query, 600_000, 720_000, 60_000);
            request.stats = stats;
            let samples = run(&engine, request).unwrap().stats.samples;
            assert_eq!(samples, wanted * 3, "{query} {stats:?}");
        }
    }
}

#[test]
fn warnings_say_where() {
    let engine = engine(|_| {});
    let answer = run(&engine, EvalRequest::instant("1 + rate(load[5m])", 600_000)).unwrap();
    assert_eq!(
        answer.infos,
        [
            "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"load\" (1:10)"
        ]
    );
    let request = EvalRequest::instant("-rate(load[5m]) + rate(load[5m])", 600_000);
    let places: Vec<String> = run(&engine, request)
        .unwrap()
        .infos
        .iter()
        .map(|info| info[info.len() - 6..].to_owned())
        .collect();
    assert_eq!(places, ["(1:24)"], "of one note the last place");
    // Bucket functions name the metric only where names are dropped at the end.
    for (delayed, named) in [(false, ""), (true, " for metric name \"load\"")] {
        let engine = self::engine(|options| options.delayed_name_removal = delayed);
        let request = EvalRequest::instant("histogram_quantile(0.9, load)", 600_000);
        let expected = format!(
            "PromQL warning: bucket label \"le\" is missing or has a malformed value of \"\"{named} (1:25)"
        );
        assert_eq!(run(&engine, request).unwrap().warnings, [expected]);
    }
    let mut request = EvalRequest::instant("load", 600_000);
    request.limit = 2;
    let answer = run(&engine, request).unwrap();
    assert_eq!(answer.warnings, ["results truncated due to limit"]);
    let Value::Vector(vector) = answer.value else {
        panic!("a selector gives a vector");
    };
    let instances: Vec<_> = vector
        .iter()
        .map(|one| one.labels.get("instance"))
        .collect();
    assert_eq!(instances, [Some("a"), Some("b")]);
}

#[test]
fn limits_end_a_query() {
    let error = |engine: &Engine, query: &str| {
        run(engine, EvalRequest::range(query, 0, 3_000_000, 60_000)).unwrap_err()
    };
    let small = engine(|options| options.max_samples = 100);
    let found = error(&small, "load");
    assert_eq!(found.kind(), QueryErrorKind::Limit);
    assert!(
        found
            .to_string()
            .starts_with("query processing would load too many samples into memory"),
        "{found}"
    );
    let slow = engine(|options| options.timeout = Duration::ZERO);
    let found = error(&slow, "load");
    assert_eq!(found.kind(), QueryErrorKind::Timeout);
    let request = EvalRequest::instant("load", 600_000);
    request.cancel.cancel();
    let found = run(&engine(|_| {}), request).unwrap_err();
    assert_eq!(found.kind(), QueryErrorKind::Canceled);
    assert_eq!(
        error(&engine(|_| {}), "load[5m]").to_string(),
        "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector"
    );
}

#[test]
fn many_queries_take_turns() {
    let engine = Arc::new(engine(|options| options.max_concurrency = 1));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let request = EvalRequest::range("sum(rate(load[5m]))", 0, 600_000, 60_000);
                    run(&engine, request).unwrap();
                }
            });
        }
    });
}
