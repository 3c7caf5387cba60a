//! Float chunks and log records: nanoseconds a sample, written and read.
//!
//! Data: 120 samples a chunk, 15 s apart. `even` keeps the interval; `jitter` moves each sample
//! by up to 5 ms. `flat` never changes its value, `counter` grows by a whole number below 100,
//! `gauge` has a random fraction. Random numbers are fixed. One chunk is worked on again and
//! again, so that it stays in the cache: this measures the codec and not the memory.
//! Log records have 5000 samples of as many series, as a scrape of a large target has.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use headwater_blockfmt::record::{Record, SampleEntry, SamplesWriter};
use headwater_blockfmt::{Encoding, XorAppender, chunk, decode, encode_columns};
use headwater_model::{Histogram, SeriesColumns, Span, TimeRange};

const SAMPLES: u64 = 120;

/// A small generator whose numbers never change.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

fn samples(times: &str, values: &str) -> Vec<(i64, f64)> {
    let mut numbers = Numbers(42);
    let mut value = 1000.0;
    let sample = |at| {
        let jitter = if times == "jitter" {
            (numbers.next() % 11) as i64 - 5
        } else {
            0
        };
        match values {
            "counter" => value += (numbers.next() % 100) as f64,
            "gauge" => value = (numbers.next() % 100_000) as f64 / 997.0,
            _ => {}
        }
        (1_767_225_600_000 + at as i64 * 15_000 + jitter, value)
    };
    (0..SAMPLES).map(sample).collect()
}

fn floats(criterion: &mut Criterion) {
    for times in ["even", "jitter"] {
        for values in ["flat", "counter", "gauge"] {
            let samples = samples(times, values);
            let name = format!("{times}-{values}");
            bench_xor(criterion, &name, &samples);
            bench_xor2(criterion, &name, &samples);
        }
    }
}

fn bench_xor(criterion: &mut Criterion, name: &str, samples: &[(i64, f64)]) {
    let mut group = criterion.benchmark_group("xor");
    group.throughput(Throughput::Elements(SAMPLES));
    let encode = || {
        let mut appender = XorAppender::new();
        for &(time, value) in black_box(samples) {
            appender.append(time, value);
        }
        appender
    };
    group.bench_function(BenchmarkId::new("encode", name), |bencher| {
        bencher.iter(encode)
    });
    let appender = encode();
    bench_decode(&mut group, name, Encoding::Xor, &appender.to_bytes());
    group.finish();
}

fn bench_xor2(criterion: &mut Criterion, name: &str, samples: &[(i64, f64)]) {
    let mut group = criterion.benchmark_group("xor2");
    group.throughput(Throughput::Elements(SAMPLES));
    let encode = || {
        let mut appender = chunk::Xor2Appender::new();
        for &(time, value) in black_box(samples) {
            appender.append(time, value);
        }
        appender
    };
    group.bench_function(BenchmarkId::new("encode", name), |bencher| {
        bencher.iter(encode)
    });
    let appender = encode();
    bench_decode(&mut group, name, Encoding::Xor2, appender.bytes());
    group.finish();
}

fn bench_decode(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    encoding: Encoding,
    data: &[u8],
) {
    let mut columns = SeriesColumns::default();
    group.bench_function(BenchmarkId::new("decode", name), |bencher| {
        bencher.iter(|| {
            columns.clear();
            decode(encoding, black_box(data), TimeRange::ALL, &mut columns).unwrap();
            columns.len()
        });
    });
}

fn records(criterion: &mut Criterion) {
    const SERIES: u64 = 5000;
    let mut group = criterion.benchmark_group("samples record");
    group.throughput(Throughput::Elements(SERIES));
    let encode = |out: &mut Vec<u8>| {
        out.clear();
        let mut writer = SamplesWriter::new(out);
        for at in 0..SERIES {
            let sample = SampleEntry {
                reference: 90_000 + at,
                time: 1_767_225_600_000,
                start: 0,
                value: at as f64,
            };
            writer.push(black_box(sample));
        }
    };
    let mut record = Vec::new();
    group.bench_function("encode", |bencher| bencher.iter(|| encode(&mut record)));
    encode(&mut record);
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            let Record::Samples(samples) = Record::parse(black_box(&record)).unwrap() else {
                unreachable!()
            };
            samples.fold(0.0, |sum, sample| sum + sample.unwrap().value)
        });
    });
    group.finish();
}

/// 60 histograms of 20 buckets that grow, as a busy service reports its latency.
fn histograms(criterion: &mut Criterion) {
    const HISTOGRAMS: u64 = 60;
    let mut numbers = Numbers(7);
    let mut counts = [0i64; 20];
    let mut columns = SeriesColumns::default();
    for at in 0..HISTOGRAMS as i64 {
        counts
            .iter_mut()
            .for_each(|count| *count += (numbers.next() % 9) as i64);
        let deltas = counts.iter().scan(0, |before, &count| {
            Some(count - std::mem::replace(before, count))
        });
        let histogram = Histogram {
            schema: 3,
            count: counts.iter().sum::<i64>() as u64,
            sum: counts.iter().sum::<i64>() as f64 * 0.731,
            positive_spans: vec![
                Span {
                    offset: -5,
                    length: 12,
                },
                Span {
                    offset: 2,
                    length: 8,
                },
            ],
            positive_deltas: deltas.collect(),
            ..Histogram::default()
        };
        columns
            .histograms
            .push_integer(1_767_225_600_000 + at * 15_000, histogram, 0);
    }
    let mut group = criterion.benchmark_group("histogram");
    group.throughput(Throughput::Elements(HISTOGRAMS));
    group.bench_function("encode", |bencher| {
        bencher.iter(|| encode_columns(black_box(&columns)).len())
    });
    let chunks = encode_columns(&columns);
    let mut into = SeriesColumns::default();
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            into.clear();
            for chunk in black_box(&chunks) {
                decode(chunk.encoding, &chunk.data, TimeRange::ALL, &mut into).unwrap();
            }
            into.len()
        });
    });
    group.finish();
}

criterion_group!(benches, floats, histograms, records);
criterion_main!(benches);
