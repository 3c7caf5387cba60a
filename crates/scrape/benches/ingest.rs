//! What one scrape costs beside the store: parse, cache, batch. The store takes samples and
//! forgets them, so that its own speed is not measured.
//!
//! Data: a generated body of 2000 series of an HTTP service. `known` is every scrape but the
//! first; `new` is the first, where labels are built and rules applied.

use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headwater_exposition::Format;
use headwater_model::{Exemplar, Labels, Metadata, Timestamp};
use headwater_scrape::{Bodies, JobConfig, Target, discovered_labels, resolve};
use headwater_storage::{AppendError, Appender, FloatSample, SampleValue, SeriesRef, Ticket};

/// Accepts everything and keeps nothing.
#[derive(Default)]
struct Nothing(AtomicU64);

impl Appender for Nothing {
    fn series(&mut self, _: &Labels) -> Result<SeriesRef, AppendError> {
        Ok(SeriesRef(self.0.fetch_add(1, Ordering::Relaxed)))
    }

    fn append(
        &mut self,
        _: SeriesRef,
        _: Timestamp,
        _: Timestamp,
        _: SampleValue<'_>,
    ) -> Result<(), AppendError> {
        Ok(())
    }

    fn append_floats(&mut self, samples: &[FloatSample], _: &mut dyn FnMut(usize, AppendError)) {
        std::hint::black_box(samples);
    }

    fn exemplar(&mut self, _: SeriesRef, _: &Exemplar) -> Result<(), AppendError> {
        Ok(())
    }

    fn metadata(&mut self, _: SeriesRef, _: &Metadata) -> Result<(), AppendError> {
        Ok(())
    }

    fn commit(self: Box<Self>) -> headwater_storage::Result<Ticket> {
        Ok(Ticket::ready())
    }

    fn rollback(self: Box<Self>) {}
}

const SERIES: usize = 2000;

fn body() -> Vec<u8> {
    let mut body =
        String::from("# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n");
    for i in 0..SERIES {
        body.push_str(&format!(
            "http_requests_total{{method=\"GET\",path=\"/api/v1/items/{}\",status=\"{}\"}} {}\n",
            i / 10,
            200 + i % 10,
            i * 7919
        ));
    }
    body.into_bytes()
}

fn target(job: &JobConfig) -> Target {
    let own = Labels::from_pairs([("__address__", "10.0.0.1:8080"), ("cluster", "eu-1")]);
    resolve(&discovered_labels(&Labels::empty(), &own, job), job)
        .expect("valid")
        .expect("kept")
}

fn ingest(c: &mut Criterion) {
    let job = JobConfig::new("bench");
    let target = target(&job);
    let body = body();
    let mut group = c.benchmark_group("scrape");
    group.throughput(Throughput::Elements(SERIES as u64));
    group.bench_function("known", |b| {
        let mut bodies = Bodies::new(job.clone(), target.clone());
        let (mut store, mut time) = (Nothing::default(), 0);
        b.iter(|| {
            time += 1000;
            bodies
                .append(&body, Format::Text, time, &mut store)
                .1
                .expect("well formed");
        });
    });
    group.bench_function("new", |b| {
        let mut store = Nothing::default();
        b.iter(|| {
            let mut bodies = Bodies::new(job.clone(), target.clone());
            bodies
                .append(&body, Format::Text, 1000, &mut store)
                .1
                .expect("well formed");
        });
    });
    group.finish();
}

criterion_group!(benches, ingest);
criterion_main!(benches);
