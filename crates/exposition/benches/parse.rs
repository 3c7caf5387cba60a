//! How fast bodies are read, in bytes per second, as a scrape of known series does it: every
//! line is parsed and its series found in a map by its bytes; no labels are built. `labels`
//! builds them, as the first scrape of a target does.
//!
//! Data: the exposition texts of the corpora (`HEADWATER_CORPORA`), where they are, and a
//! generated body of 2000 series of an HTTP service.

use std::collections::HashMap;
use std::hint::black_box;
use std::path::PathBuf;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headwater_exposition::{Event, Format, Options, Parser, Value};
use headwater_model::LabelsBuilder;

fn generated() -> Vec<u8> {
    let mut body = String::from("# TYPE http_requests_total counter\n");
    for i in 0..2000 {
        body.push_str(&format!(
            "http_requests_total{{method=\"GET\",path=\"/api/v1/items/{}\",status=\"{}\",instance=\"10.0.0.{}:8080\"}} {}\n",
            i / 10, 200 + i % 5, i % 250, i * 7919
        ));
    }
    body.into_bytes()
}

fn bodies() -> Vec<(String, Vec<u8>)> {
    let root = std::env::var_os("HEADWATER_CORPORA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"),
        PathBuf::from,
    );
    let mut bodies = vec![("generated.prom.txt".to_owned(), generated())];
    let folder = root.join("prometheus/textparse");
    match std::fs::read_dir(&folder) {
        Err(_) => eprintln!("skipped: no corpora at {}", folder.display()),
        Ok(entries) => {
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                bodies.extend(std::fs::read(entry.path()).ok().map(|body| (name, body)));
            }
        }
    }
    bodies.sort();
    bodies
}

fn format_of(name: &str) -> Format {
    if name.ends_with(".om.txt") {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

fn parse(c: &mut Criterion) {
    let bodies = bodies();
    let mut group = c.benchmark_group("known_series");
    for (name, body) in &bodies {
        let mut known: HashMap<Vec<u8>, u64, _> = hashbrown_map();
        each_sample(body, format_of(name), |series, _| {
            let next = known.len() as u64;
            known.insert(series.to_vec(), next);
        });
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut found = 0;
                each_sample(body, format_of(name), |series, value| {
                    found += known.get(series).copied().unwrap_or(0);
                    black_box(value);
                });
                found
            });
        });
    }
    group.finish();

    let mut group = c.benchmark_group("labels");
    for (name, body) in &bodies {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |b| {
            let mut labels = LabelsBuilder::new();
            b.iter(|| {
                let mut parser =
                    Parser::new(body, format_of(name), Options::default()).expect("text");
                while let Some(event) = parser.next_event().expect("well formed") {
                    if let Event::Sample(sample) = event {
                        labels.clear();
                        sample.labels(&mut labels).expect("well formed");
                        black_box(labels.build());
                    }
                }
            });
        });
    }
    group.finish();
}

fn hashbrown_map<K, V>() -> HashMap<K, V, hashbrown::DefaultHashBuilder> {
    HashMap::default()
}

fn each_sample(body: &[u8], format: Format, mut visit: impl FnMut(&[u8], Value<'_>)) {
    let mut parser = Parser::new(body, format, Options::default()).expect("text");
    while let Some(event) = parser.next_event().expect("well formed") {
        if let Event::Sample(sample) = event {
            visit(sample.series, sample.value);
        }
    }
}

criterion_group!(benches, parse);
criterion_main!(benches);
