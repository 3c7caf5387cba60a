//! What is measured: writing a part of 16 MB of lines in three shapes (logfmt, JSON, access log)
//! over 20 streams, opening it, reading all times, all lines, and asking filters for a word.
//! Throughput is in bytes of lines. The sizes reached are printed once, beside zstd of the raw lines.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headwater_chunkstore::part::{Column, Part, PartOptions, PartWriter, Probe, Rows};
use headwater_model::Labels;

const STREAMS: usize = 20;
const BYTES_A_STREAM: usize = 16_000_000 / STREAMS;

fn noise(at: u64) -> u64 {
    let x = (at ^ (at >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 13
}

fn line(stream: usize, at: u64) -> String {
    let (n, words) = (
        noise(at * 31 + stream as u64),
        ["started", "finished", "retrying", "refused"],
    );
    let word = words[(n % 4) as usize];
    match stream % 3 {
        0 => format!(
            "ts=2026-01-01T00:{:02}:{:02}Z level=info component=worker-{} msg=\"task {word}\" took={}ms id={n:x}",
            at / 60 % 60,
            at % 60,
            n % 8,
            n % 977
        ),
        1 => format!(
            "{{\"level\":\"info\",\"status\":{},\"path\":\"/api/v1/items/{}\",\"duration\":{},\"trace\":\"{n:016x}\",\"msg\":\"{word}\"}}",
            200 + n % 5,
            n % 5000,
            n % 2000
        ),
        _ => format!(
            "10.0.{}.{} - - [01/Jan/2026:00:{:02}:{:02} +0000] \"GET /static/{} HTTP/1.1\" {} {}",
            n % 4,
            n % 250,
            at / 60 % 60,
            at % 60,
            n % 300,
            200 + n % 3,
            n % 90000
        ),
    }
}

fn streams() -> Vec<(Labels, Vec<String>)> {
    let lines = |stream: usize| {
        let (mut out, mut bytes, mut at) = (Vec::new(), 0, 0);
        while bytes < BYTES_A_STREAM {
            out.push(line(stream, at));
            bytes += out[out.len() - 1].len();
            at += 1;
        }
        out
    };
    (0..STREAMS)
        .map(|at| {
            (
                Labels::from_pairs([("app", format!("app-{at:02}"))]),
                lines(at),
            )
        })
        .collect()
}

fn write(streams: &[(Labels, Vec<String>)]) -> Vec<u8> {
    let mut writer = PartWriter::new(PartOptions::default()).unwrap();
    for (labels, lines) in streams {
        writer.stream(labels).unwrap();
        for (at, line) in lines.iter().enumerate() {
            writer
                .push(
                    at as i64 * 1_000_000 + noise(at as u64) as i64 % 1000,
                    line.as_bytes(),
                    &Labels::empty(),
                )
                .unwrap();
        }
    }
    writer.finish().unwrap()
}

fn part(criterion: &mut Criterion) {
    let streams = streams();
    let raw: String = streams
        .iter()
        .flat_map(|(_, lines)| lines)
        .map(|line| format!("{line}\n"))
        .collect();
    let object = write(&streams);
    let zstd = zstd::bulk::compress(raw.as_bytes(), 3).unwrap().len();
    println!(
        "raw {} bytes, zstd -3 {zstd}, part {} ({:.2} of zstd)",
        raw.len(),
        object.len(),
        object.len() as f64 / zstd as f64
    );
    let part = Part::open(object.into()).unwrap();
    let mut group = criterion.benchmark_group("part");
    group
        .sample_size(10)
        .throughput(Throughput::Bytes(raw.len() as u64));
    group.bench_function("write", |bencher| {
        bencher.iter(|| write(black_box(&streams)))
    });
    let mut rows = Rows::default();
    for (name, columns) in [
        ("read times", vec![Column::Times]),
        ("read lines", vec![Column::Lines]),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                part.blocks()
                    .iter()
                    .for_each(|block| part.read(block, &columns, &mut rows).unwrap())
            });
        });
    }
    let probe = Probe::new(b" nowhere ");
    group.bench_function("ask filters", |bencher| {
        bencher.iter(|| {
            part.blocks()
                .iter()
                .filter(|block| part.may_contain(block, black_box(&probe)).unwrap())
                .count()
        });
    });
    group.finish();
}

criterion_group!(benches, part);
criterion_main!(benches);
