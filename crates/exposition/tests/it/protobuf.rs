//! Delimited `MetricFamily` messages, written here byte by byte.

use headwater_exposition::{Format, Options};

use crate::{MapOwned, events};

/// Builds messages: a small writer that knows nothing of the crate's own.
#[derive(Default, Clone)]
struct Message(Vec<u8>);

impl Message {
    fn varint(mut self, number: u8, value: u64) -> Self {
        self.key(number, 0);
        self.raw(value);
        self
    }

    fn double(mut self, number: u8, value: f64) -> Self {
        self.key(number, 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, number: u8, bytes: &[u8]) -> Self {
        self.key(number, 2);
        self.raw(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn nested(self, number: u8, message: Message) -> Self {
        self.bytes(number, &message.0)
    }

    fn key(&mut self, number: u8, wire: u8) {
        self.raw(u64::from(number) << 3 | u64::from(wire));
    }

    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

fn new() -> Message {
    Message::default()
}

fn label(name: &str, value: &str) -> Message {
    new().bytes(1, name.as_bytes()).bytes(2, value.as_bytes())
}

fn family(name: &str, kind: u64, metric: Message) -> Message {
    new()
        .bytes(1, name.as_bytes())
        .bytes(2, b"Help.")
        .varint(3, kind)
        .nested(4, metric)
        .bytes(5, b"")
}

fn delimited(families: &[Message]) -> Vec<u8> {
    let mut body = new();
    for message in families {
        body.raw(message.0.len() as u64);
        body.0.extend(&message.0);
    }
    body.0
}

#[track_caller]
fn says(families: &[Message], options: Options, expected: &[&str]) {
    let lines = events(&delimited(families), Format::Protobuf, options);
    assert_eq!(lines.as_deref(), Ok(expected.map_owned().as_slice()));
}

#[test]
fn simple_metrics() {
    let time = new().varint(1, 1600).varint(2, 500_000_000);
    let exemplar = new()
        .nested(1, label("id", "x"))
        .double(2, 0.5)
        .nested(3, time.clone());
    let counter = new().double(1, 7.0).nested(2, exemplar).nested(3, time);
    let metric = new()
        .nested(1, label("a", "b"))
        .nested(3, counter)
        .varint(6, 123);
    let gauge = new().nested(2, new().double(1, -1.5));
    says(
        &[
            family("c_total", 0, metric),
            family("g", 1, gauge).bytes(5, b"seconds"),
        ],
        Options::default(),
        &[
            "help c_total \"Help.\"",
            "type c_total counter",
            r#"{__name__="c_total", a="b"} 7 @123 since 1600500 # {id="x"} 0.5 @1600500"#,
            "help g \"Help.\"",
            "type g gauge",
            "unit g seconds",
            r#"{__name__="g"} -1.5"#,
        ],
    );
}

#[test]
fn summaries() {
    let quantile = new().double(1, 0.5).double(2, 9.0);
    let summary = new().varint(1, 3).double(2, 12.5).nested(3, quantile);
    says(
        &[family("s", 2, new().nested(4, summary))],
        Options::default(),
        &[
            "help s \"Help.\"",
            "type s summary",
            r#"{__name__="s_count"} 3"#,
            r#"{__name__="s_sum"} 12.5"#,
            r#"{__name__="s", quantile="0.5"} 9"#,
        ],
    );
}

fn native_histogram() -> Message {
    let bucket = new().varint(1, 2).double(2, 1.0);
    new()
        .varint(1, 6)
        .double(2, 18.5)
        .nested(3, bucket)
        .varint(5, 6)
        .double(6, 0.001)
        .varint(7, 1)
        .nested(12, new().varint(1, 3).varint(2, 2))
        .varint(13, 4)
        .varint(13, 2)
}

#[test]
fn histograms_classic_and_native() {
    let body = [family("h", 4, new().nested(7, native_histogram()))];
    let classic = [
        r#"{__name__="h_count"} 6"#,
        r#"{__name__="h_sum"} 18.5"#,
        r#"{__name__="h_bucket", le="1.0"} 2"#,
        r#"{__name__="h_bucket", le="+Inf"} 6"#,
    ];
    let native = r#"{__name__="h"} histogram 6/18.5 [Span { offset: -2, length: 2 }] [2, 1]"#;
    let head = ["help h \"Help.\"", "type h histogram"];
    says(&body, Options::default(), &[&head[..], &classic].concat());
    let options = Options::default().with_native_histograms(true);
    says(&body, options, &[&head[..], &[native]].concat());
    let options = options.with_classic_beside_native(true);
    says(&body, options, &[&head[..], &[native], &classic].concat());
}

#[test]
fn float_histograms() {
    let mut packed = Vec::new();
    [1.5f64, 2.5]
        .iter()
        .for_each(|count| packed.extend(count.to_le_bytes()));
    let histogram = new()
        .double(4, 4.0)
        .double(2, 1.0)
        .nested(12, new().varint(1, 0).varint(2, 2))
        .bytes(14, &packed);
    says(
        &[family("f", 5, new().nested(7, histogram))],
        Options::default().with_native_histograms(true),
        &[
            "help f \"Help.\"",
            "type f gaugehistogram",
            r#"{__name__="f"} floats 4/1 [Span { offset: 0, length: 2 }] [1.5, 2.5]"#,
        ],
    );
}

#[test]
fn damage_is_refused() {
    let body = delimited(&[family("g", 1, new().nested(2, new().double(1, 1.0)))]);
    for cut in 1..body.len() {
        assert!(
            events(&body[..cut], Format::Protobuf, Options::default()).is_err(),
            "cut at {cut}"
        );
    }
    let error = events(&body[..9], Format::Protobuf, Options::default()).expect_err("cut");
    assert_eq!(
        error.to_string(),
        "line 1, column 1: a length exceeds what is left: the body is truncated"
    );
}
