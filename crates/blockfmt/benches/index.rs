//! An index of 20 000 series: written, opened, and read.
//!
//! Data: 200 metrics on 100 instances, seven labels each, two chunks each. `open` is what a store
//! does for every block at start; `series` reads labels and chunks of every series in the order of
//! postings; `postings` looks up one value of a label that has 100; `values` walks them.

use std::collections::BTreeSet;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headwater_blockfmt::index::{ChunkMeta, Index, IndexWriter};
use headwater_model::Labels;

const METRICS: usize = 200;
const INSTANCES: usize = 100;

fn series() -> Vec<Labels> {
    let labels = |metric: usize, instance: usize| {
        Labels::from_pairs([
            (
                "__name__",
                format!("http_requests_of_kind_{metric:03}_total"),
            ),
            (
                "instance",
                format!("10.0.{}.{}:9100", instance / 16, instance % 16),
            ),
            ("job", format!("job-{}", metric % 7)),
            ("code", format!("{}", 200 + metric % 5)),
            ("env", "production".to_owned()),
            ("region", format!("region-{}", instance % 4)),
            ("shard", format!("{}", (metric * 31 + instance) % 64)),
        ])
    };
    let mut series: Vec<_> = (0..METRICS * INSTANCES)
        .map(|at| labels(at / INSTANCES, at % INSTANCES))
        .collect();
    series.sort();
    series
}

fn write(series: &[Labels]) -> Vec<u8> {
    let symbols: BTreeSet<&str> = series
        .iter()
        .flat_map(|labels| labels.iter())
        .flat_map(<[&str; 2]>::from)
        .collect();
    let mut writer = IndexWriter::new(symbols).unwrap();
    for (at, labels) in series.iter().enumerate() {
        let chunk = |half: i64| ChunkMeta {
            min_time: half * 100,
            max_time: half * 100 + 90,
            reference: at as u64 * 300,
        };
        writer.add_series(labels, &[chunk(0), chunk(1)]).unwrap();
    }
    writer.finish().unwrap()
}

fn index(criterion: &mut Criterion) {
    let series = series();
    let file = write(&series);
    let mut group = criterion.benchmark_group("index");
    group.throughput(Throughput::Elements(series.len() as u64));
    group.bench_function("write", |bencher| {
        bencher.iter(|| write(black_box(&series)).len())
    });
    group.bench_function("open", |bencher| {
        bencher.iter(|| Index::open(black_box(&file[..])).unwrap().symbol_count())
    });
    let index = Index::open(&file[..]).unwrap();
    group.bench_function("series", |bencher| {
        let (mut labels, mut chunks) = (Vec::new(), Vec::new());
        bencher.iter(|| {
            for reference in index.all_postings().unwrap() {
                index
                    .series(reference)
                    .unwrap()
                    .read_into(&mut labels, &mut chunks)
                    .unwrap();
                black_box((&labels, &chunks));
            }
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("postings", |bencher| {
        bencher.iter(|| {
            index
                .postings("instance", black_box("10.0.3.7:9100"))
                .unwrap()
                .len()
        });
    });
    group.throughput(Throughput::Elements(INSTANCES as u64));
    group.bench_function("values", |bencher| {
        bencher.iter(|| {
            index
                .label_values(black_box("instance"))
                .map(str::len)
                .sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, index);
criterion_main!(benches);
