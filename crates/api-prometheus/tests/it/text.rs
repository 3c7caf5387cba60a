//! Answers of the original, read and written again: byte for byte the same text.

use std::io::Read;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use headwater_api_prometheus::{Phase, router};
use headwater_model::{Labels, SeriesColumns};
use headwater_query::{
    Answer, EvalRequest, Evaluate, InstantSample, Point, QueryError, RangeSeries, Value,
};
use headwater_storage::BoxFuture;
use serde_json::Value as Json;
use serde_json::value::RawValue;
use tower::ServiceExt;

use crate::corpora;
use crate::fakes::full;

/// Answers what it is told to.
struct Told(Answer);

impl Evaluate for Told {
    fn evaluate(&self, _: EvalRequest) -> BoxFuture<'_, Result<Answer, QueryError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

#[derive(serde::Deserialize)]
struct Line {
    status: u16,
    body: Box<RawValue>,
}

#[tokio::test]
async fn what_was_recorded_is_written_again() {
    let Some(path) = corpora::file("prometheus/promql/responses.jsonl.gz") else {
        return;
    };
    let file = std::fs::File::open(path).expect("a readable file");
    let mut text = String::new();
    let mut unpacked = flate2::read::GzDecoder::new(file);
    unpacked.read_to_string(&mut text).expect("text");
    let (mut written, mut with_histograms) = (0, 0);
    for line in text.lines() {
        let line: Line = serde_json::from_str(line).expect("JSON");
        let raw = line.body.get();
        if line.status != 200 || raw.contains("\"stats\"") {
            continue;
        }
        match answer(&serde_json::from_str(raw).expect("JSON")) {
            None => with_histograms += 1,
            Some(answer) => {
                assert_eq!(write(answer).await, raw);
                written += 1;
            }
        }
    }
    println!("text: {written} the same, {with_histograms} left out because of histograms");
    assert!(written > 500, "only {written} answers were compared");
}

async fn write(answer: Answer) -> String {
    let mut parts = full(Phase::Ready);
    parts.engine = Some(Arc::new(Told(answer)));
    let request = Request::get("/api/v1/query?query=up").body(Body::empty());
    let response = router(parts).oneshot(request.expect("a request")).await;
    let body = response.expect("an answer").into_body();
    let bytes = to_bytes(body, 1 << 28).await.expect("a body");
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The answer that a body stands for; `None` if it holds histograms, whose buckets say too little.
fn answer(body: &Json) -> Option<Answer> {
    let data = &body["data"];
    let result = data["result"].as_array().expect("a list");
    let value = match data["resultType"].as_str().expect("a word") {
        "scalar" => Value::Scalar {
            time: time(&result[0]),
            value: number(&result[1]),
        },
        "string" => Value::String {
            time: time(&result[0]),
            value: result[1].as_str().expect("text").to_owned(),
        },
        "vector" => Value::Vector(result.iter().map(sample).collect::<Option<_>>()?),
        _ => Value::Matrix(result.iter().map(series).collect::<Option<_>>()?),
    };
    Some(Answer {
        value,
        warnings: texts(&body["warnings"]),
        infos: texts(&body["infos"]),
        ..Answer::default()
    })
}

fn sample(json: &Json) -> Option<InstantSample> {
    let point = json.get("value")?;
    Some(InstantSample {
        labels: labels(&json["metric"]),
        time: time(&point[0]),
        point: Point::Float(number(&point[1])),
    })
}

fn series(json: &Json) -> Option<RangeSeries> {
    if json.get("histograms").is_some() {
        return None;
    }
    let mut columns = SeriesColumns::default();
    for point in json["values"].as_array()? {
        columns.floats.push(time(&point[0]), number(&point[1]));
    }
    Some(RangeSeries {
        labels: labels(&json["metric"]),
        columns,
    })
}

fn labels(json: &Json) -> Labels {
    let pairs = json.as_object().expect("labels").iter();
    Labels::from_pairs(pairs.map(|(name, value)| (name, value.as_str().expect("text"))))
}

fn time(json: &Json) -> i64 {
    (json.as_f64().expect("a number") * 1000.0).round() as i64
}

fn number(json: &Json) -> f64 {
    json.as_str().expect("text").parse().expect("a number")
}

fn texts(json: &Json) -> Vec<String> {
    let list = json.as_array().into_iter().flatten();
    list.map(|text| text.as_str().expect("text").to_owned())
        .collect()
}
