//! What it costs to decode a request of remote write: 2000 series of ten labels, one sample each,
//! decompressed, as Prometheus sends them. By hand (labels stay bytes) and into structs.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headwater_wire::messages::{Label, Sample, TimeSeries, WriteRequest};
use headwater_wire::{MAX_DECOMPRESSED, snappy, write1};
use prost::Message;

fn request() -> WriteRequest {
    let label = |name: &str, value: String| Label {
        name: name.into(),
        value,
    };
    let series = |at: usize| TimeSeries {
        labels: vec![
            label("__name__", "http_requests_total".into()),
            label("cluster", "one".into()),
            label("code", "200".into()),
            label("handler", format!("/api/v1/h{}", at % 8)),
            label("instance", format!("10.0.{}.{}:9100", at / 100, at % 100)),
            label("job", "bench".into()),
            label("namespace", format!("ns{}", at % 7)),
            label("pod", format!("pod-{at}")),
        ],
        samples: vec![Sample {
            value: at as f64,
            timestamp: 1_700_000_000_000,
        }],
        ..TimeSeries::default()
    };
    WriteRequest {
        timeseries: (0..2000).map(series).collect(),
        ..WriteRequest::default()
    }
}

fn by_hand(body: &[u8]) -> usize {
    let (mut request, mut sum) = (write1::Request::new(body), 0);
    while let Some(series) = request.next_series().unwrap() {
        sum += series.label_bytes().len();
        let mut parts = series.parts();
        while let Some(part) = parts.next_part().unwrap() {
            if let write1::Part::Sample(sample) = part {
                sum += sample.time as usize;
            }
        }
    }
    sum
}

fn decode(c: &mut Criterion) {
    let body = request().encode_to_vec();
    let sent = snappy::compress(&body);
    let mut group = c.benchmark_group("remote write 1.0, 2000 series");
    group.throughput(Throughput::Elements(2000));
    let mut plain = Vec::new();
    group.bench_function("decompress", |b| {
        b.iter(|| snappy::decompress(&sent, MAX_DECOMPRESSED, &mut plain).unwrap());
    });
    group.bench_function("by hand", |b| b.iter(|| by_hand(&body)));
    group.bench_function("into structs", |b| {
        b.iter(|| WriteRequest::decode(&*body).unwrap())
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
