//! A store with everything in it, written here, compacted several times, and read by Debian's
//! promtool and Prometheus: the same samples.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use headwater_env::Env;
use headwater_model::number::format_float_go;
use headwater_model::{
    FloatHistogram, Histogram, Matcher, ResetHint, SeriesColumns, Span, TimeRange, stale_nan,
};
use headwater_storage::{Delete, SampleValue, Select, SelectRequest, block_on};
use headwater_tsdb::Db;

use crate::peers::Server;
use crate::support::{batch, builder, commit, labels, program};

const BASE: i64 = 1_767_225_600_000;
const STEP: i64 = 15_000;
const ROUNDS: i64 = 700;

/// What may be read of series by 2.42: no bounds of one's own.
fn histogram(at: i64, hint: ResetHint) -> Histogram {
    // Buckets come and go, counts begin anew, the resolution changes.
    let (at, schema) = (at % 150, if at % 300 < 100 { 2 } else { 1 });
    let wide = at % 7 == 0;
    Histogram {
        schema,
        reset_hint: hint,
        zero_threshold: 0.001,
        zero_count: (at / 3) as u64,
        count: (at / 3 + 3 * at + 4 + i64::from(wide)) as u64,
        sum: at as f64 * 1.25,
        positive_spans: vec![
            Span {
                offset: -2,
                length: 2,
            },
            Span {
                offset: 1,
                length: 1 + u32::from(wide),
            },
        ],
        positive_deltas: match wide {
            true => vec![at + 1, 0, 0, -at],
            false => vec![at + 1, 0, 0],
        },
        negative_spans: vec![Span {
            offset: 0,
            length: 1,
        }],
        negative_deltas: vec![1],
        ..Histogram::default()
    }
}

fn stale_histogram() -> Histogram {
    Histogram {
        sum: stale_nan(),
        ..Histogram::default()
    }
}

fn fill(db: &Db) {
    for at in 0..ROUNDS {
        let time = BASE + at * STEP;
        let mut batch = batch(db);
        for n in 0..12i64 {
            // Some series end on the way and others begin.
            let generation = if n < 4 { at / 250 } else { 0 };
            let pairs = [
                ("__name__", "floats"),
                ("generation", &generation.to_string()),
                ("text", "a \"b\"\\\n é"),
                ("n", &n.to_string()),
            ];
            let series = batch.series(&labels(&pairs)).unwrap();
            let value = match (at + n) % 40 {
                39 => stale_nan(),
                38 => f64::NEG_INFINITY,
                37 => -0.0,
                36 => f64::MIN_POSITIVE / 8.0,
                other => (at * n) as f64 + other as f64 / 10.0,
            };
            batch.append_float(series, time, value).unwrap();
        }
        let integers = batch.series(&labels(&[("__name__", "integers")])).unwrap();
        let floats = batch
            .series(&labels(&[("__name__", "float_histograms")]))
            .unwrap();
        let gauges = batch
            .series(&labels(&[("__name__", "gauge_histograms")]))
            .unwrap();
        let integer = match at % 90 {
            89 => stale_histogram(),
            _ => histogram(at, ResetHint::Unknown),
        };
        let float: FloatHistogram = integer.to_float();
        let gauge = histogram(at * 31 % 97, ResetHint::Gauge);
        batch
            .append(integers, time, 0, SampleValue::Histogram(&integer))
            .unwrap();
        batch
            .append(floats, time, 0, SampleValue::FloatHistogram(&float))
            .unwrap();
        batch
            .append(gauges, time, 0, SampleValue::Histogram(&gauge))
            .unwrap();
        if at % 5 == 4 {
            // Late ones between others, of series that are known and of one that is not.
            let late = batch.series(&labels(&[("__name__", "late")])).unwrap();
            let by = 1 + at * 7 % 60;
            batch
                .append_float(late, time - by * STEP + at % 9, at as f64)
                .unwrap();
        }
        commit(batch);
        if at % 150 == 149 {
            db.maintain().unwrap();
        }
        if at == 400 {
            let two = vec![Matcher::equal("n", "2")];
            let range = TimeRange::new(BASE + 30 * STEP, BASE + 60 * STEP);
            block_on(db.delete(two, range)).unwrap();
            let all = vec![Matcher::equal("__name__", "integers")];
            let range = TimeRange::new(BASE + 380 * STEP, BASE + 390 * STEP);
            block_on(db.delete(all, range)).unwrap();
        }
    }
    let recent = vec![Matcher::equal("n", "5")];
    let range = TimeRange::new(BASE + 650 * STEP, BASE + 660 * STEP);
    block_on(db.delete(recent, range)).unwrap();
}

/// A histogram: time, count, sum, and of each bucket that is not empty the bounds and the count.
type Shape = (i64, f64, f64, Vec<[f64; 3]>);

/// What a store holds.
#[derive(Default)]
struct Contents {
    /// The floats as lines of a dump, sorted.
    floats: Vec<String>,
    /// How many each metric has that are no stale markers.
    counts: BTreeMap<String, usize>,
    /// The histograms that are no stale markers, by metric.
    histograms: BTreeMap<String, Vec<Shape>>,
}

fn contents(db: &Db) -> Contents {
    let request = SelectRequest::new(Vec::new(), TimeRange::ALL);
    let mut cursor = block_on(db.select(request)).unwrap();
    let mut columns = SeriesColumns::default();
    let mut out = Contents::default();
    while let Some(labels) = cursor.advance().unwrap() {
        cursor.read(&mut columns).unwrap();
        let name = labels.get("__name__").unwrap().to_owned();
        let floats = columns.floats.times.iter().zip(&columns.floats.values);
        for (time, value) in floats {
            let counted = usize::from(!headwater_model::is_stale_nan(*value));
            *out.counts.entry(name.clone()).or_default() += counted;
            out.floats
                .push(format!("{labels} {} {time}", format_float_go(*value)));
        }
        let histograms = &columns.histograms;
        for (at, time) in histograms.times().iter().enumerate() {
            let histogram = histograms.get(at);
            if !histogram.is_stale() {
                let shapes = out.histograms.entry(name.clone()).or_default();
                shapes.push(shape(*time, &histogram.to_float()));
            }
        }
    }
    out.floats.sort();
    out
}

fn shape(time: i64, histogram: &FloatHistogram) -> Shape {
    let buckets = histogram.all_buckets().into_iter();
    let buckets = buckets.filter(|bucket| bucket.count != 0.0);
    let buckets = buckets.map(|bucket| [bucket.lower, bucket.upper, bucket.count]);
    (time, histogram.count, histogram.sum, buckets.collect())
}

/// The histograms that a server answers with.
fn shapes(server: &Server, name: &str, end: i64) -> Vec<Shape> {
    let path = format!("/api/v1/query?query={name}[4h]&time={end}");
    let body = server.get(&path).expect("an answer");
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    let number = |value: &serde_json::Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let list = json["data"]["result"][0]["histograms"].as_array().unwrap();
    list.iter()
        .map(|pair| {
            let time = (pair[0].as_f64().unwrap() * 1000.0).round() as i64;
            let buckets = pair[1]["buckets"].as_array().into_iter().flatten();
            let buckets = buckets.map(|b| [number(&b[1]), number(&b[2]), number(&b[3])]);
            (
                time,
                number(&pair[1]["count"]),
                number(&pair[1]["sum"]),
                buckets.collect(),
            )
        })
        .collect()
}

#[test]
fn everything_goes_to_debians_prometheus() {
    if !program("promtool") || !program("prometheus") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let db = builder(&data, Env::real())
        .configure(|options| {
            options.block_range = 20 * 60_000;
            options.max_block_range = 180 * 60_000;
            options.out_of_order_window = Duration::from_secs(3600);
            options.segment_bytes = 64 << 10;
        })
        .open()
        .unwrap();
    fill(&db);
    db.maintain().unwrap();
    let levels: Vec<u32> = db
        .blocks()
        .iter()
        .map(|meta| meta.compaction.level)
        .collect();
    assert!(levels.iter().max() >= Some(&3), "{levels:?}");
    let wanted = contents(&db);
    assert!(wanted.floats.len() > 8000, "{}", wanted.floats.len());
    drop(db);
    let output = Command::new("promtool")
        .args(["tsdb", "dump"])
        .arg(&data)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut found: Vec<&str> = text.lines().collect();
    found.sort_unstable();
    // That version dumps no histograms.
    for (found, wanted) in found.iter().zip(&wanted.floats) {
        assert_eq!(found, wanted);
    }
    assert_eq!(found.len(), wanted.floats.len());
    // The server merges what overlaps and answers from it.
    let flags = [
        "--enable-feature=native-histograms",
        "--storage.tsdb.retention.time=100y",
    ];
    let server = Server::start_with(dir.path(), "global: {}\n", &flags);
    let end = (BASE + (ROUNDS - 1) * STEP) / 1000;
    for (name, count) in wanted.counts {
        let answer = server.value(&format!("sum(count_over_time({name}[4h]))"), end);
        assert_eq!(answer, Some(count.to_string()), "{name}");
    }
    assert_eq!(wanted.histograms.len(), 3);
    for (name, wanted) in wanted.histograms {
        let found = shapes(&server, &name, end);
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(found, wanted, "{name}");
        }
        assert_eq!(found.len(), wanted.len(), "{name}");
    }
}
