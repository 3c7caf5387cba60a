//! Texts, trees and errors.

use std::collections::HashMap;
use std::io::Read;

use headwater_promql::{ParseOptions, parse, prettify, to_json};
use serde_json::Value;

use crate::corpora;

fn error(query: &str) -> String {
    parse(query, ParseOptions::all())
        .map(|expr| panic!("{query} is {expr}"))
        .unwrap_err()
        .to_string()
}

#[test]
fn prints_what_it_parsed() {
    for (query, printed) in [
        ("sum(up)by(job,\"a.b\")", "sum by (job, \"a.b\") (up)"),
        ("-foo^2", "-foo ^ 2"),
        ("a/on(b)group_left c", "a / on (b) group_left () c"),
        (
            "foo{b!=\"1\",a=~\"x\"}[5m]offset-1h@start()",
            "foo{a=~\"x\",b!=\"1\"}[5m] @ start() offset -1h",
        ),
        ("foo[5m*2:step()]", "foo[5m * 2:step()]"),
        ("foo offset (1m+2)", "foo offset (1m + 2)"),
        ("rate(foo[5m] smoothed)", "rate(foo[5m] smoothed)"),
        ("a+fill(0)b", "a + fill (0) b"),
        ("a </ 3", "a </ 3"),
        ("{\"a.b\",c=\"d\"}", "{__name__=\"a.b\",c=\"d\"}"),
        ("topk without(a)(3,foo)", "topk without (a) (3, foo)"),
        (":a:b{c=\"d\"} + :", ":a:b{c=\"d\"} + :"),
        ("a{b=~\"q.*\\335827\"}", "a{b=~\"q.*\\ufffd827\"}"),
        ("a{b=~\"q.*\\ufffd827\"}", "a{b=~\"q.*\\ufffd827\"}"),
        (
            "sum by(a:b,on,bool)(fill)",
            "sum by (\"a:b\", on, bool) (fill)",
        ),
        (
            "fill+fill_left(1)fill_right(1)up",
            "fill + fill_left (1) fill_right (1) up",
        ),
        (
            "a+fill_right(-1)fill_left(Inf)b",
            "a + fill_left (+Inf) fill_right (-1) b",
        ),
        ("foo[0.0019] offset 0.0009", "foo[1ms]"),
        ("0xe+0x12e", "14 + 302"),
        ("and or or", "and or or"),
        (
            "sum # all\n by # them\n (a) # here\n (rate # it\n(foo[5m])) + max # b\n(c)",
            "sum by (a) (rate(foo[5m])) + max(c)",
        ),
        (
            "a+on(b)group_left fill(0)c",
            "a + on (b) group_left () fill (0) c",
        ),
    ] {
        let expr =
            parse(query, ParseOptions::all()).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(expr.to_string(), printed);
        assert_eq!(
            parse(printed, ParseOptions::all()).unwrap().to_string(),
            printed
        );
    }
}

#[test]
fn long_ones_take_several_lines() {
    let long = "a_rather_long_name_of_a_metric_about_requests_total";
    for (query, expected) in [
        (
            format!("max_over_time(rate({long}[5m])[1h:1m])"),
            format!("max_over_time(rate({long}[5m])[1h:1m])"),
        ),
        (
            format!("max_over_time(rate({long}{{code=\"500\"}}[5m])[1h:1m] offset 1d)"),
            format!("max_over_time(\nrate({long}{{code=\"500\"}}[5m])[1h:1m] offset 1d\n)"),
        ),
        (
            format!("max_over_time(({long}{{code=\"500\"}}/{long}{{code=\"5\"}})[1h:1m]@end())"),
            format!(
                "max_over_time(\n  (\n      {long}{{code=\"500\"}}\n    /\n      {long}{{code=\"5\"}}\n  )[1h:1m] @ end()\n)"
            ),
        ),
        (
            format!("-sum by(a)(-{long}+on(b)group_left(c){long})"),
            format!("-sum by (a) (\n    -{long}\n  + on (b) group_left (c)\n    {long}\n)"),
        ),
        (
            format!("topk(3,label_replace({long},\"a\",\"$1\",\"b\",\"(.*)(.*)\"))>bool {long}"),
            format!(
                "  topk(\n    3,\n    label_replace({long}, \"a\", \"$1\", \"b\", \"(.*)(.*)\")\n  )\n> bool\n  {long}"
            ),
        ),
    ] {
        let expr = parse(&query, ParseOptions::stable()).unwrap();
        assert_eq!(prettify(&expr), expected, "{query}");
    }
}

#[test]
fn what_is_not_enabled_says_so() {
    for (query, expected) in [
        (
            "a + (b * on (c) fill(0) d)",
            "1:6: parse error: binop fill modifiers are experimental and not enabled",
        ),
        (
            "a + fill_left(0) b $",
            "1:20: parse error: unexpected character: '$'",
        ),
        (
            "1 + info(a)",
            "1:5: parse error: function \"info\" is not enabled",
        ),
        (
            "limitk(a)",
            "1:1: parse error: limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
        ),
        (
            "rate(a[5m] anchored)",
            "1:6: parse error: anchored modifier is experimental and not enabled",
        ),
    ] {
        let error = parse(query, ParseOptions::stable()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{query}");
    }
}

#[test]
fn binds_as_it_should() {
    for (query, tree) in [
        ("1 + 2 * 3 ^ 4 ^ 5", "1 + (2 * (3 ^ (4 ^ 5)))"),
        ("a or b and c unless d", "a or ((b and c) unless d)"),
        ("a - b - c", "(a - b) - c"),
        ("-a ^ b * c", "(-(a ^ b)) * c"),
        ("foo offset 2 ^ 2", "(foo offset 2s) ^ 2"),
    ] {
        let expr = parse(query, ParseOptions::all()).unwrap();
        let explicit = parse(tree, ParseOptions::all()).unwrap();
        assert_eq!(
            without_parens(to_json(&expr)),
            without_parens(to_json(&explicit)),
            "{query}"
        );
    }
}

fn without_parens(node: Value) -> Value {
    match node {
        Value::Object(map) if map.get("type") == Some(&Value::from("parenExpr")) => {
            without_parens(map["expr"].clone())
        }
        Value::Object(map) => map
            .into_iter()
            .map(|(k, v)| (k, without_parens(v)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other,
    }
}

#[test]
fn nesting_has_a_bound() {
    assert!(error(&"(".repeat(1 << 20)).contains("nested"));
    assert!(error(&format!("1{}", "+1".repeat(10_000))).contains("nested"));
}

#[test]
fn errors_say_what_and_where() {
    let table = include_str!("../data/parse_errors.txt");
    let mut wrong = Vec::new();
    for (query, expected) in table.lines().filter_map(|line| line.split_once(" ==> ")) {
        let found = error(query).replacen("parse error: ", "", 1);
        if found != expected {
            wrong.push(format!("{query}: expected {expected:?}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn errors_are_worded_as_in_prometheus() {
    let Some(folder) = corpora::folder("prometheus/promql") else {
        return;
    };
    let queries: Vec<Value> =
        serde_json::from_slice(&std::fs::read(folder.join("queries.json")).unwrap()).unwrap();
    let mut text = String::new();
    let file = std::fs::File::open(folder.join("responses.jsonl.gz")).unwrap();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    let answers: HashMap<u64, Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (line["id"].as_u64().unwrap(), line))
        .collect();
    let mut wrong = Vec::new();
    for query in &queries {
        let answer = &answers[&query["id"].as_u64().unwrap()];
        let body = match &answer["body"] {
            Value::String(text) => serde_json::from_str(text).unwrap(),
            body => body.clone(),
        };
        let text = query["query"].as_str().unwrap();
        let expected = body["error"].as_str().unwrap_or_default();
        let expected = expected
            .strip_prefix("invalid parameter \"query\": ")
            .filter(|e| e.contains("parse error"));
        let features = query["feature_flags"].to_string();
        let options = if features.contains("experimental") {
            ParseOptions::all()
        } else {
            ParseOptions::stable()
        };
        let found = parse(text, options).err().map(|error| error.to_string());
        if found.as_deref() != expected {
            wrong.push(format!("{text:?}: expected {expected:?}, found {found:?}"));
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn formats_as_prometheus_does() {
    let Some(folder) = corpora::folder("prometheus/api") else {
        return;
    };
    for name in [
        "082-format-query.json",
        "083-format-query-post.json",
        "084-format-query-long.json",
    ] {
        let exchange: Value =
            serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap();
        let request = &exchange["request"];
        let from = request["path"]
            .as_str()
            .unwrap()
            .split_once("query=")
            .map(|(_, q)| q.to_owned());
        let Some(encoded) = from.or_else(|| {
            request["body"]
                .as_str()?
                .strip_prefix("query=")
                .map(str::to_owned)
        }) else {
            continue;
        };
        let query = percent_decode(&encoded);
        let expr = parse(&query, ParseOptions::stable()).unwrap();
        assert_eq!(
            Some(prettify(&expr).as_str()),
            exchange["body"]["data"].as_str(),
            "{query}"
        );
    }
    for at in 87..=97 {
        let name = format!("{at:03}-parse-query-{}.json", at - 87);
        let exchange: Value =
            serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap();
        let query = percent_decode(
            exchange["request"]["path"]
                .as_str()
                .unwrap()
                .split_once("query=")
                .unwrap()
                .1,
        );
        let expr = parse(&query, ParseOptions::stable()).unwrap();
        assert_eq!(to_json(&expr), exchange["body"]["data"], "{query}");
    }
}

fn percent_decode(text: &str) -> String {
    let bytes = text.replace('+', " ").into_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        if bytes[at] == b'%' {
            out.push(
                u8::from_str_radix(std::str::from_utf8(&bytes[at + 1..at + 3]).unwrap(), 16)
                    .unwrap(),
            );
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap()
}
