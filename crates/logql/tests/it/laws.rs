//! Laws that hold for every query: printing loses nothing, a range query is
//! its instant queries, threads and early judgement change nothing, and no
//! text makes anything panic.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_logql::{Engine, EngineLimits, LogQuery, LogValue, Tail, parse};
use headwater_model::Labels;
use headwater_query::{CpuPool, Point, Value};
use headwater_storage::{Direction, MemoryLogs};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

/// How many cases each law is tried on; more through the environment.
fn config() -> ProptestConfig {
    let cases = std::env::var("HEADWATER_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    ProptestConfig::with_cases(cases.unwrap_or(128))
}

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    proptest::sample::select(texts).prop_map(str::to_owned)
}

fn lines() -> impl Strategy<Value = String> {
    let value = one_of(&[
        "1", "20", "-3.5", "x", "", "5ms", "1h", "3KB", "\"q r\"", "NaN", "10.0.0.7",
    ]);
    let key = one_of(&["a", "b", "n", "app", "level", "9x", "a.b"]);
    let pairs = proptest::collection::vec((key, value), 0..4);
    let logfmt = pairs.clone().prop_map(|pairs| {
        let words: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        words.join(" ")
    });
    let json = pairs.prop_map(|pairs| {
        let fields = pairs.iter().map(|(k, v)| match v.parse::<f64>() {
            Ok(n) if n.is_finite() => format!("\"{k}\":{v}"),
            _ => format!("\"{k}\":{{\"v\":{:?}}}", v.trim_matches('"')),
        });
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    });
    let odd = one_of(&[
        "",
        "broken {",
        "a=b=c",
        "\u{1b}[31mred",
        "{\"a\":",
        "é 日本",
    ]);
    prop_oneof![3 => logfmt, 3 => json, 1 => odd]
}

/// Streams, seconds, lines and perhaps metadata.
fn data() -> impl Strategy<Value = MemoryLogs> {
    let entry = (0..3u8, 0..60i64, lines(), any::<bool>());
    proptest::collection::vec(entry, 0..60).prop_map(|entries| {
        let store = MemoryLogs::new();
        for (stream, second, line, metadata) in entries {
            let app = format!("s{stream}");
            let labels = Labels::from_pairs([("app", app.as_str()), ("env", "test")]);
            let metadata = match metadata {
                true => Labels::from_pairs([("level", "m")]),
                false => Labels::empty(),
            };
            store.push(&labels, second * SECOND, line, &metadata);
        }
        store
    })
}

fn stages() -> impl Strategy<Value = String> + Clone {
    let stage = one_of(&[
        "|= \"a\"",
        "!= \"x\"",
        "|~ \"[0-9]+\"",
        "|> \"<_>=<_>\"",
        "|= ip(\"10.0.0.0/8\")",
        "| json",
        "| json v=\"a.v\"",
        "| logfmt",
        "| logfmt --strict",
        "| logfmt b, c=\"a\"",
        "| regexp \"(?P<w>\\\\w+)\"",
        "| pattern \"<k>=<_>\"",
        "| unpack",
        "| decolorize",
        "| a=\"1\"",
        "| level!=\"\"",
        "| n > 1",
        "| n <= 20 or b = \"x\"",
        "| a > 2ms",
        "| b < 1MB",
        "| a=~\"1.*\" and n != 3",
        "| a = ip(\"10.0.0.7\")",
        "| __error__=\"\"",
        "| level_extracted=\"\"",
        "| line_format \"{{.a}}-{{.n}}\"",
        "| label_format z=a",
        "| label_format y=\"<{{.b}}>\"",
        "| drop a, level=\"m\"",
        "| keep app, n",
    ]);
    proptest::collection::vec(stage, 0..5).prop_map(|stages| stages.join(" "))
}

fn log_query() -> impl Strategy<Value = String> + Clone {
    let selector = one_of(&[
        "{app=\"s0\"}",
        "{env=\"test\"}",
        "{app=~\"s[12]\",env!=\"x\"}",
    ]);
    (selector, stages()).prop_map(|(selector, stages)| format!("{selector} {stages}"))
}

fn range_query() -> impl Strategy<Value = String> + Clone {
    let plain = one_of(&[
        "count_over_time",
        "rate",
        "bytes_over_time",
        "bytes_rate",
        "absent_over_time",
    ]);
    let unwrapped = one_of(&[
        "sum_over_time",
        "avg_over_time",
        "min_over_time",
        "max_over_time",
        "stddev_over_time",
        "first_over_time",
        "last_over_time",
        "rate_counter",
        "rate",
    ]);
    let window = one_of(&["[7s]", "[20s]", "[1m]", "[15s] offset 5s"]);
    let unwrap = one_of(&["| unwrap n", "| unwrap duration(a)", "| unwrap bytes(b)"]);
    prop_oneof![
        (plain, log_query(), window.clone())
            .prop_map(|(op, log, window)| format!("{op}({log} | __error__=\"\" {window})")),
        (unwrapped, log_query(), unwrap, window).prop_map(|(op, log, unwrap, window)| {
            format!("{op}({log} {unwrap} | __error__=\"\" {window})")
        }),
    ]
}

fn metric_query() -> impl Strategy<Value = String> + Clone {
    let outer = one_of(&[
        "sum",
        "sum by (app)",
        "count without (app)",
        "max by (level, n)",
        "avg",
        "topk",
        "bottomk by (app)",
        "sort",
        "stddev",
    ]);
    let aggregated = (outer, range_query()).prop_map(|(op, inner)| {
        let k = if op.contains("topk") || op.contains("bottomk") {
            "2, "
        } else {
            ""
        };
        format!("{op} ({k}{inner})")
    });
    let op = one_of(&[
        "+",
        "-",
        "*",
        "/",
        "%",
        ">",
        "<= bool",
        "and",
        "or",
        "unless on (app)",
    ]);
    let number = one_of(&["2", "0", "-1.5"]);
    prop_oneof![
        3 => range_query(),
        3 => aggregated.clone(),
        1 => (aggregated.clone(), one_of(&["+", "/", ">", "== bool"]), number)
            .prop_map(|(a, op, b)| format!("({a}) {op} {b}")),
        1 => (aggregated.clone(), op, aggregated).prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
    ]
}

fn engine(store: &MemoryLogs) -> Engine {
    Engine::new(
        Arc::new(store.clone()),
        EngineLimits::default().with_max_series(0),
    )
}

/// The labels that a query finds in a line of a stream without labels of note.
fn labels_of(query: &str, line: &[u8]) -> BTreeMap<String, String> {
    let stream = Labels::from_pairs([("stream", "s")]);
    let mut tail = Tail::new(query, true).expect("a log query");
    let found = tail.process(&stream, 1, line, &Labels::empty());
    found
        .map(|(_, entry)| entry.parsed.into_iter().collect())
        .unwrap_or_default()
}

/// JSON objects with plain keys.
fn objects() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i32>().prop_map(serde_json::Value::from),
        "\\PC{0,8}".prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
        Just(serde_json::json!([1, {"a": 2}])),
    ];
    let key = one_of(&["a", "b", "c_d", "e", "stream"]);
    leaf.prop_recursive(3, 20, 4, move |inner| {
        proptest::collection::btree_map(key.clone(), inner, 0..4)
            .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into())
    })
}

/// What `| json` should find, said in the simplest way.
fn flattened(prefix: &str, value: &serde_json::Value, out: &mut BTreeMap<String, String>) {
    let name = match prefix {
        "stream" => "stream_extracted",
        name => name,
    };
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                let joined = if prefix.is_empty() {
                    key.clone()
                } else {
                    format!("{prefix}_{key}")
                };
                flattened(&joined, value, out);
            }
        }
        serde_json::Value::Array(_) | serde_json::Value::Null => {}
        serde_json::Value::String(text) => {
            let text = text.replace('\u{fffd}', " ");
            out.entry(name.to_owned()).or_insert(text);
        }
        other => {
            out.entry(name.to_owned()).or_insert(other.to_string());
        }
    }
}

/// An answer as a text that can be compared; not a number equals itself.
fn shown(answer: Result<headwater_logql::LogAnswer, headwater_query::QueryError>) -> String {
    match answer {
        Ok(answer) => format!("{:?}", answer.value),
        Err(e) => {
            // Which of several broken lines is named depends on the order of work.
            let text = e.to_string();
            text.split(" for series")
                .next()
                .unwrap_or_default()
                .to_owned()
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn printing_loses_nothing(query in prop_oneof![log_query(), metric_query()]) {
        let printed = parse(&query).expect("a query").to_string();
        let again = parse(&printed).unwrap_or_else(|e| panic!("{printed}: {e}"));
        prop_assert_eq!(again.to_string(), printed);
    }

    #[test]
    fn a_range_query_is_its_instant_queries(store in data(), query in metric_query()) {
        let engine = engine(&store);
        let whole = engine.query_blocking(LogQuery::range(&query, 0, 60 * SECOND, 10 * SECOND));
        let Ok(whole) = whole else {
            return Ok(());
        };
        let LogValue::Metric(Value::Matrix(series)) = whole.value else {
            panic!("a range query gives a matrix");
        };
        for step in 0..=6 {
            let time = step * 10 * SECOND;
            let at = engine.query_blocking(LogQuery::instant(&query, time)).expect("as the whole");
            let LogValue::Metric(Value::Vector(samples)) = at.value else {
                panic!("an instant query gives a vector");
            };
            let mut instant: Vec<String> = samples
                .iter()
                .map(|s| match s.point {
                    Point::Float(value) => format!("{} {value:.9e}", s.labels),
                    Point::Histogram(_) => String::new(),
                })
                .collect();
            instant.sort();
            let millis = time / 1_000_000;
            let mut from_range: Vec<String> = series
                .iter()
                .filter_map(|s| {
                    let floats = &s.columns.floats;
                    let at = floats.times.iter().position(|t| *t == millis)?;
                    Some(format!("{} {:.9e}", s.labels, floats.values[at]))
                })
                .collect();
            from_range.sort();
            prop_assert_eq!(instant, from_range, "{} at {}", &query, step);
        }
    }

    #[test]
    fn threads_change_nothing(store in data(), query in prop_oneof![log_query(), metric_query()]) {
        let pool = CpuPool::new(3).expect("threads");
        let request = LogQuery::range(&query, 0, 60 * SECOND, 10 * SECOND).with_limit(20);
        let alone = engine(&store).query_blocking(request.clone());
        let pooled = engine(&store).with_pool(pool).query_blocking(request);
        match (&alone, &pooled) {
            // Sums of floats depend on their order in the last digits.
            (Ok(a), Ok(b)) if matches!(a.value, LogValue::Metric(_)) => {
                let count = |v: &LogValue| format!("{v:?}").matches("labels").count();
                prop_assert_eq!(count(&a.value), count(&b.value));
            }
            _ => prop_assert_eq!(shown(alone), shown(pooled), "{}", &query),
        }
    }

    /// A limit that is never reached must not change the lines, and the lines
    /// of a limited query are the first of the whole.
    #[test]
    fn limits_cut_the_answer_and_nothing_else(store in data(), query in log_query(), backward: bool) {
        let direction = if backward { Direction::Backward } else { Direction::Forward };
        let request = LogQuery::range(&query, 0, 61 * SECOND, SECOND).with_direction(direction);
        let lines = |limit: usize| -> Vec<(i64, Vec<u8>)> {
            let answer = engine(&store).query_blocking(request.clone().with_limit(limit));
            let LogValue::Streams(streams) = answer.expect("lines").value else {
                panic!("a log query gives lines");
            };
            let entries = streams.into_iter().flat_map(|s| s.entries);
            let mut lines: Vec<_> = entries.map(|e| (e.time, e.line)).collect();
            lines.sort();
            lines
        };
        let (all, some) = (lines(5000), lines(7));
        prop_assert_eq!(some.len(), all.len().min(7));
        let mut times: Vec<i64> = all.iter().map(|(time, _)| *time).collect();
        if backward {
            times.reverse();
        }
        times.truncate(7);
        let mut kept: Vec<i64> = some.iter().map(|(time, _)| *time).collect();
        if backward {
            kept.reverse();
        }
        prop_assert_eq!(kept, times, "{}", &query);
    }

    /// Reading all labels at once and reading a few first give the same lines:
    /// a stage that never changes anything keeps the engine from judging early.
    #[test]
    fn early_judgement_changes_nothing(store in data(), query in log_query()) {
        let request = |text: &str| LogQuery::range(text, 0, 61 * SECOND, SECOND).with_limit(5000);
        let early = engine(&store).query_blocking(request(&query));
        let late = query.replacen('}', "} | label_format nosuch=missing", 1);
        let late = engine(&store).query_blocking(request(&late));
        prop_assert_eq!(shown(early), shown(late), "{}", &query);
    }

    #[test]
    fn json_is_read_as_another_reader_reads_it(object in objects()) {
        let mut want = BTreeMap::new();
        flattened("", &object, &mut want);
        if object.is_object() {
            let got = labels_of("{stream=\"s\"} | json", object.to_string().as_bytes());
            prop_assert_eq!(got, want, "{}", &object);
        }
    }

    #[test]
    fn logfmt_pairs_come_back(pairs in proptest::collection::btree_map("[a-z]{1,5}", "\\PC{1,8}", 0..5)) {
        // Go's quoting of these characters is JSON's.
        let quoted = |value: &String| serde_json::Value::from(value.as_str()).to_string();
        let words: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={}", quoted(v))).collect();
        let got = labels_of("{stream=\"s\"} | logfmt --strict", words.join(" ").as_bytes());
        let want: BTreeMap<String, String> = pairs
            .into_iter()
            .map(|(k, v)| (k, v.replace('\u{fffd}', " ")))
            .collect();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..80), text in "[\\PC\\n\"\\\\{}=:,]{0,60}") {
        for stages in [
            "| json", "| json a=\"x[0].y\"", "| logfmt", "| logfmt --strict --keep-empty", "| unpack",
            "| regexp \"(?P<a>.)(?P<b>.*)\"", "| pattern \"<a>=<b> <_>\"", "| decolorize",
            "|= ip(\"::/0\")", "|> \"<_>a<_>\"",
            "| line_format \"{{ __line__ | upper | trunc 5 | b64enc }}{{ fromJson __line__ }}\"",
        ] {
            let query = format!("{{stream=\"s\"}} {stages}");
            labels_of(&query, &line);
            labels_of(&query, text.as_bytes());
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}", pieces in proptest::collection::vec(
        one_of(&["{", "}", "a", "=", "\"x\"", "(", ")", "|", "json", "[5m]", "rate", "sum", "by", ",",
                 "5", "-", "or", "unwrap", "|=", "ip", "bool", "offset", "5m", "1KB", "`", "--strict", "#"]), 0..30)) {
        let _ = parse(&text);
        if let Ok(expr) = parse(&pieces.join(" ")) {
            let _ = expr.pretty();
        }
    }
}
