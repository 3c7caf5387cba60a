//! OpenMetrics.

use headwater_exposition::{Format, Options};

use crate::{MapOwned, events, refuses, says};

const OPENMETRICS: Format = Format::OpenMetrics;

#[test]
fn a_body_with_everything() {
    says(
        "# TYPE rpc_seconds histogram\n# UNIT rpc_seconds seconds\n# HELP rpc_seconds Time\\n\\\"spent\\\".\n\
         rpc_seconds_bucket{le=\"1\"} 5 # {id=\"a\"} 0.5 1520879607.789\n\
         rpc_seconds_bucket{le=\"+Inf\"} 5 1520872607.123 # {} 0.5\nrpc_seconds_created 1.5e9\n\
         # TYPE s stateset\ns{s=\"x\"} 1\n# TYPE u unknown\n# EOF\n",
        OPENMETRICS,
        &[
            "type rpc_seconds histogram",
            "unit rpc_seconds seconds",
            r#"help rpc_seconds "Time\n\"spent\".""#,
            r#"{__name__="rpc_seconds_bucket", le="1.0"} 5 # {id="a"} 0.5 @1520879607789"#,
            r#"{__name__="rpc_seconds_bucket", le="+Inf"} 5 @1520872607123 # {} 0.5"#,
            r#"{__name__="rpc_seconds_created"} 1500000000"#,
            "type s stateset",
            r#"{__name__="s", s="x"} 1"#,
            "type u unknown",
        ],
    );
}

#[test]
fn mistakes_are_placed() {
    for (body, message) in [
        ("", "line 1, column 1: data does not end with # EOF"),
        ("a 1\n", "line 2, column 1: data does not end with # EOF"),
        ("\n# EOF\n", "line 1, column 1: empty line"),
        (
            "# EOF\na 1\n",
            "line 2, column 1: unexpected data after # EOF",
        ),
        (
            "# COMMENT\n# EOF\n",
            "line 1, column 1: only HELP, TYPE, UNIT and EOF may follow #",
        ),
        (
            "# TYPE a untyped\n# EOF\n",
            "line 1, column 10: invalid metric type \"untyped\"",
        ),
        (
            "# UNIT a_b c\n# EOF\n",
            "line 1, column 12: unit \"c\" not a suffix of metric \"a_b\"",
        ),
        (
            "a 1 x\n# EOF\n",
            "line 1, column 5: invalid timestamp \"x\"",
        ),
        (
            "a 1 NaN\n# EOF\n",
            "line 1, column 5: invalid timestamp NaN",
        ),
        (
            "a 1 # 5\n# EOF\n",
            "line 1, column 7: expected the labels of an exemplar",
        ),
        (
            "a 1 # {b=\"c\"}\n# EOF\n",
            "line 1, column 14: expected exemplar value",
        ),
        (
            "a 1 # {b=} 1\n# EOF\n",
            "line 1, column 10: expected a quoted value for label \"b\"",
        ),
        (
            "a 1 # {} 1 Inf\n# EOF\n",
            "line 1, column 12: invalid exemplar timestamp inf",
        ),
    ] {
        refuses(body, OPENMETRICS, message);
    }
}

#[test]
fn created_lines_can_be_starts() {
    let body = "# TYPE a counter\n# HELP a Help.\na_total{l=\"x\"} 1\na_created{l=\"x\"} 1.5\na_total{l=\"y\"} 2\n\
                # TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\nh_created 2\n\
                # TYPE g gauge\ng_created 3\n# EOF\n";
    let options = Options::default().with_created_as_start(true);
    let expected = [
        "type a counter",
        "help a \"Help.\"",
        r#"{__name__="a_total", l="x"} 1 since 1500"#,
        r#"{__name__="a_total", l="y"} 2"#,
        "type h histogram",
        r#"{__name__="h_bucket", le="1.0"} 1 since 2000"#,
        r#"{__name__="h_count"} 1 since 2000"#,
        "type g gauge",
        r#"{__name__="g_created"} 3"#,
    ];
    let read = events(body.as_bytes(), OPENMETRICS, options);
    assert_eq!(read.as_deref(), Ok(expected.map_owned().as_slice()));
}
