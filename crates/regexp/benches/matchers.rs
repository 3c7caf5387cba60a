//! Anchored matching of label values: what a selector or a relabel rule pays per value.
//!
//! Data: 1000 generated values such as `instance-0042.example.org:9100`; a result is the time
//! for all of them. `general` is a pattern that needs the automaton, the others take fast paths.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headwater_regexp::Regex;

fn matchers(c: &mut Criterion) {
    let values: Vec<String> = (0..1000)
        .map(|i| format!("instance-{i:04}.example.org:9100"))
        .collect();
    let set = values
        .iter()
        .step_by(10)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("|");
    let mut group = c.benchmark_group("is_match");
    group.throughput(Throughput::Elements(values.len() as u64));
    for (name, pattern) in [
        ("prefix", "instance-00.*"),
        ("suffix", ".*:9100"),
        ("contains", ".*0042.*"),
        ("contains_any", ".*(0042|0999|nowhere).*"),
        ("set_of_100", set.as_str()),
        ("any", ".+"),
        ("general", r"instance-\d+[.]example[.](org|com):\d+"),
    ] {
        let regex = Regex::anchored(pattern).expect("valid pattern");
        group.bench_function(name, |b| {
            b.iter(|| values.iter().filter(|value| regex.is_match(value)).count());
        });
    }
    group.finish();
}

fn parsing(c: &mut Criterion) {
    c.bench_function("new/general", |b| {
        b.iter(|| {
            Regex::anchored(r"instance-\d+[.]example[.](org|com):\d+").expect("valid pattern")
        });
    });
    c.bench_function("new/set", |b| {
        b.iter(|| Regex::anchored("api|web|db|cache").expect("valid pattern"))
    });
}

criterion_group!(benches, matchers, parsing);
criterion_main!(benches);
