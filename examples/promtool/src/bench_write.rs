//! `tsdb bench write`: how fast samples are written.
//!
//! The same work as Prometheus's command of this name: series in batches of 1000, a commit a batch
//! and scrape, 30 s between scrapes, values that grow by 1000; a batch takes a hundred scrapes in
//! one go, several batches at the same time. The log is not compressed and no blocks are made.

use std::collections::HashSet;
use std::io::BufRead;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use headwater_model::Labels;
use headwater_storage::{Append, FloatSample, SeriesRef};
use headwater_tsdb::{Db, Durability};
use headwater_wal::Compression;

use crate::failure::{Context, Failure, Outcome};
use crate::flags::BenchWrite;
use crate::go_text;

/// Series that one batch has.
const BATCH: usize = 1000;
/// Scrapes that a batch takes in one go.
const AT_ONCE: u64 = 100;
/// Milliseconds between scrapes.
const STEP: i64 = 30_000;
const FIRST_VALUE: f64 = 123_456_789.0;
const GROWTH: f64 = 1000.0;

pub(crate) fn run(options: &BenchWrite) -> Outcome {
    let storage = options.out.join("storage");
    if storage.exists() {
        std::fs::remove_dir_all(&storage).context(storage.display())?;
    }
    let series = stage("readData", || read_series(&options.file, options.metrics))?;
    let db = Db::builder(&storage)
        .configure(|settings| {
            settings.background = false;
            settings.durability = Durability::System;
            settings.log_compression = Compression::None;
        })
        .open()?;
    let started = Instant::now();
    let total = stage("ingestScrapes", || {
        let total = ingest(&db, &series, options.scrapes)?;
        println!("ingestion completed");
        Ok(total)
    })?;
    let seconds = started.elapsed().as_secs_f64();
    println!(" > total samples: {total}");
    println!(" > samples/sec: {}", total as f64 / seconds);
    stage("stopStorage", || Ok(db.close()?))
}

/// Says when a part of the work begins, when it ends and how long it took.
fn stage<T>(name: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    println!(">> start stage={name}");
    let started = Instant::now();
    let done = work()?;
    let took = go_text::duration(started.elapsed());
    println!(">> completed stage={name} duration={took}");
    Ok(done)
}

/// The labels of up to `limit` series, each once.
fn read_series(path: &Path, limit: usize) -> Outcome<Vec<Labels>> {
    let file = std::fs::File::open(path).context(path.display())?;
    let mut seen = HashSet::new();
    let mut series = Vec::new();
    for (at, line) in std::io::BufReader::new(file).lines().enumerate() {
        if series.len() == limit {
            break;
        }
        let place = || format!("{} line {}", path.display(), at + 1);
        let labels = parse(&line.context(place())?).context(place())?;
        if seen.insert(labels.clone()) {
            series.push(labels);
        }
    }
    Ok(series)
}

/// A flat JSON object as labels.
fn parse(line: &str) -> Result<Labels, String> {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(line).map_err(|error| error.to_string())?;
    let mut pairs = Vec::with_capacity(object.len());
    for (name, value) in object {
        match value {
            serde_json::Value::String(value) => pairs.push((name, value)),
            other => return Err(format!("the value of {name:?} is no text but {other}")),
        }
    }
    Ok(Labels::from_pairs(pairs))
}

/// Series that are written together, and what the store calls them.
struct Batch<'a> {
    labels: &'a [Labels],
    references: Vec<SeriesRef>,
}

fn ingest(db: &Db, series: &[Labels], scrapes: u64) -> Outcome<u64> {
    let mut batches: Vec<Batch<'_>> = series
        .chunks(BATCH)
        .map(|labels| Batch {
            labels,
            references: Vec::new(),
        })
        .collect();
    let total = AtomicU64::new(0);
    for first in (0..scrapes).step_by(AT_ONCE as usize) {
        let start = first as i64 * STEP;
        in_parallel(&mut batches, |batch| {
            let count = write(db, batch, start)?;
            total.fetch_add(count, Ordering::Relaxed);
            Ok(())
        })?;
    }
    Ok(total.into_inner())
}

/// Does the work for every batch, on as many threads as there are processors.
fn in_parallel(
    batches: &mut [Batch<'_>],
    work: impl Fn(&mut Batch<'_>) -> Outcome + Sync,
) -> Outcome {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let next = AtomicUsize::new(0);
    let cells: Vec<std::sync::Mutex<&mut Batch<'_>>> =
        batches.iter_mut().map(std::sync::Mutex::new).collect();
    let run = || {
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut batch = cell.lock().map_err(|_| Failure::new("a writer panicked"))?;
            work(&mut batch)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        handles
            .into_iter()
            .try_for_each(|handle| match handle.join() {
                Ok(outcome) => outcome,
                Err(_) => Err(Failure::new("a writer panicked")),
            })
    })
}

/// A hundred scrapes of one batch after the time `start`; says how many samples these were.
fn write(db: &Db, batch: &mut Batch<'_>, start: i64) -> Outcome<u64> {
    let mut samples: Vec<FloatSample> = Vec::with_capacity(batch.labels.len());
    let mut total = 0;
    for scrape in 1..=AT_ONCE {
        let mut appender = db.appender(Default::default())?;
        if batch.references.is_empty() {
            for labels in batch.labels {
                let reference = appender.series(labels).context(labels)?;
                batch.references.push(reference);
            }
        }
        samples.clear();
        samples.extend(batch.references.iter().map(|series| FloatSample {
            series: *series,
            time: start + scrape as i64 * STEP,
            value: FIRST_VALUE + scrape as f64 * GROWTH,
        }));
        let mut failed = None;
        appender.append_floats(&samples, &mut |at, error| failed = Some((at, error)));
        if let Some((at, error)) = failed {
            let labels = &batch.labels[at];
            return Err(Failure::new(format_args!("{labels}: {error}")));
        }
        appender.commit()?.wait()?;
        total += samples.len() as u64;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_flat_objects() {
        let labels = parse(r#"{"__name__":"up","job":"a:b"}"#).expect("labels");
        assert_eq!(labels.to_string(), r#"{__name__="up", job="a:b"}"#);
        assert!(parse(r#"{"a":1}"#).is_err());
        assert!(parse("[]").is_err());
    }
}
