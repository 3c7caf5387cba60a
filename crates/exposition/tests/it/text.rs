//! The Prometheus text format.

use headwater_exposition::{Format, Options, Parser};
use proptest::prelude::*;

use crate::{events, refuses, says};

const TEXT: Format = Format::Text;

#[test]
fn a_body_with_everything() {
    says(
        "# HELP go_gc A \\\\ summary\\nof pauses.\n# TYPE go_gc summary\n\
         go_gc{quantile=\"0\",} 4.9351e-05\ngo_gc{ quantile = \"0.90\" , a=\"b\" } 8e-1 123\n\
         go_gc_count 99\n\n   # a comment\n#HELP not one\n# TYPE h histogram\n\
         h_bucket{le=\"1\"} 2\t-5\n  h_bucket {le=\"+inf\"}3\nh_x{quantile=\"1\"} NaN",
        TEXT,
        &[
            r#"help go_gc "A \\ summary\nof pauses.""#,
            "type go_gc summary",
            r#"{__name__="go_gc", quantile="0.0"} 0.000049351"#,
            r#"{__name__="go_gc", a="b", quantile="0.9"} 0.8 @123"#,
            r#"{__name__="go_gc_count"} 99"#,
            "type h histogram",
            r#"{__name__="h_bucket", le="1.0"} 2 @-5"#,
            r#"{__name__="h_bucket", le="+Inf"} 3"#,
            r#"{__name__="h_x", quantile="1"} NaN"#,
        ],
    );
}

#[test]
fn quoted_names() {
    says(
        "# HELP \"a.b\" Dots.\n# TYPE \"a.b\" gauge\n{\"a.b\",\"l.m\"=\"v\",n=\"w\"} 1\n{\"q\\\"\"} 2\na{\"é\"=\"\\\"\"} 3\n",
        TEXT,
        &[
            r#"help a.b "Dots.""#,
            "type a.b gauge",
            r#"{__name__="a.b", "l.m"="v", n="w"} 1"#,
            r#"{__name__="q\""} 2"#,
            r#"{__name__="a", "é"="\""} 3"#,
        ],
    );
}

#[test]
fn values_keep_what_is_inside_quotes() {
    says(
        "a{b=\"}# 1\\\\\",c=\"x\ny\"} 1\n",
        TEXT,
        &[r#"{__name__="a", b="}# 1\\", c="x\ny"} 1"#],
    );
    says(
        "a{b=\"\",c=\"\\q\"} 1\n",
        TEXT,
        &[r#"{__name__="a", c="\\q"} 1"#],
    );
}

#[test]
fn mistakes_are_placed() {
    for (body, message) in [
        ("a", "line 1, column 2: expected value"),
        ("a\n", "line 1, column 2: expected value"),
        ("a 1\nb x 1\n", "line 2, column 3: invalid value \"x\""),
        (
            "a 1 1.5\n",
            "line 1, column 5: invalid timestamp \"1.5\": expected milliseconds",
        ),
        (
            "a 1 1 1\n",
            "line 1, column 7: expected the end of the line",
        ),
        (
            "é 1\n",
            "line 1, column 1: expected a metric name or a label set",
        ),
        ("9a 1\n", "line 1, column 1: invalid metric name \"9a\""),
        ("a{b=\"c\" 1\n", "line 1, column 2: label set has no end"),
        ("a{b=\"c} 1\n", "line 1, column 5: quoted text has no end"),
        (
            "a{b=c} 1\n",
            "line 1, column 5: expected a quoted value for label \"b\"",
        ),
        (
            "a{b} 1\n",
            "line 1, column 4: expected = behind the label name \"b\"",
        ),
        ("a{1=\"x\"} 1\n", "line 1, column 3: expected a label name"),
        (
            "a{b=\"c\"d=\"e\"} 1\n",
            "line 1, column 8: expected a comma or the end of the label set",
        ),
        (
            "{} 1\n",
            "line 1, column 3: metric name not set while parsing",
        ),
        (
            "{\"a\",\"b\"} 1\n",
            "line 1, column 9: expected = behind the label name \"b\"",
        ),
        (
            "# TYPE a b\n",
            "line 1, column 10: invalid metric type \"b\"",
        ),
        ("# HELP\n", "line 1, column 7: expected a metric name"),
    ] {
        refuses(body, TEXT, message);
    }
    let error = Parser::new(b"a 1\nb\xff 1\n", TEXT, Options::default()).expect_err("not text");
    assert_eq!(error.to_string(), "line 2, column 2: invalid UTF-8");
}

proptest! {
    /// No body makes a parser panic or run forever.
    #[test]
    fn any_body_is_answered(body in r#"([a#{}="\\,\n 1é]|# TYPE |# HELP |# EOF\n){0,60}"#) {
        for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
            let _ = events(body.as_bytes(), format, Options::default());
        }
    }

    #[test]
    fn any_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for native in [false, true] {
            let _ = events(&body, Format::Protobuf, Options::default().with_native_histograms(native));
        }
    }

    /// What a value says comes back, however it has to be escaped.
    #[test]
    fn label_values_come_back(value in ".{0,20}") {
        let escaped = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n");
        let body = format!("a{{b=\"{escaped}\"}} 1\n");
        let mut parser = Parser::new(body.as_bytes(), TEXT, Options::default()).expect("text");
        let Ok(Some(headwater_exposition::Event::Sample(sample))) = parser.next_event() else {
            return Err(TestCaseError::fail("no sample"));
        };
        let mut labels = headwater_model::LabelsBuilder::new();
        sample.labels(&mut labels).expect("well formed");
        prop_assert_eq!(labels.get("b"), Some(value.as_str()));
    }
}
