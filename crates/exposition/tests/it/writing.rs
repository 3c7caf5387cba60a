//! What is written, and that the parsers read it back.

use headwater_exposition::{
    Bucket, Escaping, Metric, MetricFamily, MetricValue, Options, Protocol, content_type,
    write_body,
};
use headwater_model::{Exemplar, Histogram, Labels, MetricType, Span};

use crate::events;

fn families() -> Vec<MetricFamily> {
    let exemplar = Exemplar {
        labels: Labels::from_pairs([("id", "x")]),
        value: 0.5,
        time: Some(1500),
    };
    let buckets = vec![Bucket {
        upper_bound: 1.0,
        cumulative_count: 2,
        exemplar: Some(exemplar),
    }];
    vec![
        MetricFamily::new("a_total", "Say \"hi\"\\\n.", MetricType::Counter)
            .with(Metric::new(MetricValue::Number(1e6)).label("l", "v\n\"\\"))
            .with(
                Metric::new(MetricValue::Number(0.5))
                    .label("l", "w")
                    .at(-1234),
            ),
        MetricFamily::new("empty", "", MetricType::Gauge),
        MetricFamily::new("my.gauge", "", MetricType::Gauge)
            .with(Metric::new(MetricValue::Number(1.0)).label("x.y", "z")),
        MetricFamily::new("h", "", MetricType::Histogram).with(Metric::new(MetricValue::Buckets {
            count: 3,
            sum: 4.5,
            buckets,
        })),
        MetricFamily::new("s", "", MetricType::Summary).with(Metric::new(MetricValue::Summary {
            count: 1,
            sum: 2.0,
            quantiles: vec![(0.5, 2.0)],
        })),
    ]
}

fn written(protocol: Protocol, escaping: Escaping) -> String {
    String::from_utf8(write_body(&families(), protocol, escaping)).expect("text")
}

#[test]
fn classic_text() {
    assert_eq!(
        written(Protocol::PrometheusText0_0_4, Escaping::AllowUtf8),
        r#"# HELP a_total Say "hi"\\\n.
# TYPE a_total counter
a_total{l="v\n\"\\"} 1e+06
a_total{l="w"} 0.5 -1234
# TYPE my_gauge gauge
my_gauge{x_y="z"} 1
# TYPE h histogram
h_bucket{le="1"} 2
h_bucket{le="+Inf"} 3
h_sum 4.5
h_count 3
# TYPE s summary
s{quantile="0.5"} 2
s_sum 2
s_count 1
"#
    );
}

#[test]
fn openmetrics() {
    assert_eq!(
        written(Protocol::OpenMetricsText1_0_0, Escaping::AllowUtf8),
        r#"# HELP a Say \"hi\"\\\n.
# TYPE a counter
a_total{l="v\n\"\\"} 1e+06
a_total{l="w"} 0.5 -1.234
# TYPE "my.gauge" gauge
{"my.gauge","x.y"="z"} 1.0
# TYPE h histogram
h_bucket{le="1.0"} 2.0 # {id="x"} 0.5 1.500
h_bucket{le="+Inf"} 3.0
h_sum 4.5
h_count 3.0
# TYPE s summary
s{quantile="0.5"} 2.0
s_sum 2.0
s_count 1.0
# EOF
"#
    );
}

#[test]
fn every_format_reads_back() {
    let samples = |protocol: Protocol| {
        let body = write_body(&families(), protocol, Escaping::AllowUtf8);
        let mut lines = events(&body, protocol.format(), Options::default()).expect("well formed");
        lines.retain(|line| line.starts_with('{'));
        // Exemplars are not in the classic format.
        lines
            .iter_mut()
            .for_each(|line| line.truncate(line.find(" # ").unwrap_or(line.len())));
        lines.sort();
        lines
    };
    let text = samples(Protocol::PrometheusText1_0_0);
    assert_eq!(text.len(), 10);
    assert_eq!(text, samples(Protocol::OpenMetricsText1_0_0));
    assert_eq!(text, samples(Protocol::PrometheusProto));
}

#[test]
fn native_histograms_travel_in_protobuf() {
    let histogram = Histogram {
        schema: -1,
        count: 6,
        sum: 3.5,
        zero_threshold: 0.01,
        zero_count: 1,
        positive_spans: vec![Span {
            offset: -2,
            length: 2,
        }],
        positive_deltas: vec![3, -1],
        ..Histogram::default()
    };
    let empty = Histogram::default();
    let family = MetricFamily::new("h", "", MetricType::Histogram)
        .with(Metric::new(MetricValue::Histogram(histogram)))
        .with(Metric::new(MetricValue::Histogram(empty)).label("a", "b"));
    let body = write_body(&[family], Protocol::PrometheusProto, Escaping::AllowUtf8);
    let options = Options::default().with_native_histograms(true);
    let lines =
        events(&body, headwater_exposition::Format::Protobuf, options).expect("well formed");
    assert_eq!(
        lines[2..],
        [
            r#"{__name__="h"} histogram 6/3.5 [Span { offset: -2, length: 2 }] [3, -1]"#,
            r#"{__name__="h", a="b"} histogram 0/0 [Span { offset: 0, length: 0 }] []"#
        ]
    );
}

#[test]
fn content_types() {
    assert_eq!(
        content_type(Protocol::PrometheusText0_0_4, Escaping::Underscores),
        "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
    );
    assert_eq!(
        content_type(Protocol::OpenMetricsText1_0_0, Escaping::AllowUtf8),
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
    );
}
