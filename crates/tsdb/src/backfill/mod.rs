//! Blocks of samples that were measured elsewhere or computed later.
//!
//! ```
//! use headwater_env::Env;
//! use headwater_model::Labels;
//! use headwater_tsdb::{Db, backfill::Backfill};
//!
//! let env = Env::in_memory(1);
//! let mut backfill = Backfill::new(env.clone(), "data");
//! let labels = Labels::from_pairs([("__name__", "harvest_tons"), ("field", "north")]);
//! // In any order, of any age.
//! backfill.add_floats(&labels, &[7_200_000, 0], &[3.5, 2.5]).unwrap();
//! let blocks = backfill.finish(&|_, _| {}).unwrap();
//! assert_eq!(blocks.len(), 2);
//! assert_eq!(Db::builder("data").env(env).open().unwrap().blocks().len(), 2);
//! ```
//!
//! A store that is open does not look for blocks that others put beside its own; it finds them
//! at its next start.

#[cfg(feature = "openmetrics")]
mod openmetrics;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use headwater_blockfmt::{BlockMeta, encode_columns};
use headwater_env::{Env, FilesExt};
use headwater_model::{FloatColumn, Labels, SeriesColumns, TimeRange, Timestamp};
use headwater_storage::{Error, ErrorKind, Result, merge_columns};
use parking_lot::Mutex;

use crate::block::new_meta;
use crate::block::write::BlockWriter;
use crate::error;

/// Told how much is done, of how much.
pub type Progress<'p> = &'p (dyn Fn(u64, u64) + Sync);

/// Collects samples and makes blocks of them.
#[derive(Debug)]
pub struct Backfill {
    env: Env,
    dir: PathBuf,
    block_range: i64,
    max_samples: u64,
    threads: usize,
    ranges: BTreeMap<i64, HashMap<Labels, SeriesColumns>>,
    samples: u64,
    made: Vec<BlockMeta>,
}

/// The samples of one block.
type Series = HashMap<Labels, SeriesColumns>;

impl Backfill {
    /// Blocks of two hours in `dir`, which is made with the first of them.
    pub fn new(env: Env, dir: impl AsRef<Path>) -> Backfill {
        Backfill {
            env,
            dir: dir.as_ref().to_path_buf(),
            block_range: 2 * 3600 * 1000,
            max_samples: 64 << 20,
            threads: std::thread::available_parallelism().map_or(1, |n| n.get()),
            ranges: BTreeMap::new(),
            samples: 0,
            made: Vec::new(),
        }
    }

    /// Milliseconds that a block spans.
    #[must_use]
    pub fn block_range(mut self, millis: i64) -> Backfill {
        self.block_range = millis.max(1);
        self
    }

    /// Samples that are held in memory, 16 bytes each; beyond that, blocks are made early, and a
    /// range may get several, which the store merges later.
    #[must_use]
    pub fn max_samples(mut self, samples: u64) -> Backfill {
        self.max_samples = samples.max(1);
        self
    }

    /// Threads that read and write; as many as there are processors if not said.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Backfill {
        self.threads = threads.max(1);
        self
    }

    /// Adds float samples of a series, in any order.
    ///
    /// # Errors
    /// Memory was full and a block could not be written, or a time has two values.
    pub fn add_floats(
        &mut self,
        labels: &Labels,
        times: &[Timestamp],
        values: &[f64],
    ) -> Result<()> {
        let range_of = |time: Timestamp| time.div_euclid(self.block_range);
        let mut at = 0;
        while at < times.len().min(values.len()) {
            let range = range_of(times[at]);
            let same = times[at..]
                .iter()
                .take_while(|time| range_of(**time) == range);
            let end = at + same.count();
            let end = end.min(values.len());
            let floats = &mut column(&mut self.ranges, range, labels).floats;
            floats.times.extend_from_slice(&times[at..end]);
            floats.values.extend_from_slice(&values[at..end]);
            self.samples += (end - at) as u64;
            at = end;
        }
        self.spill()
    }

    /// Adds samples of a series, as a query answers them.
    ///
    /// # Errors
    /// As [`Backfill::add_floats`].
    pub fn add(&mut self, labels: &Labels, columns: &SeriesColumns) -> Result<()> {
        self.add_floats(labels, &columns.floats.times, &columns.floats.values)?;
        let histograms = &columns.histograms;
        for (at, time) in histograms.times().iter().enumerate() {
            let range = time.div_euclid(self.block_range);
            let into = &mut column(&mut self.ranges, range, labels).histograms;
            into.push_from(histograms, at);
            self.samples += 1;
        }
        self.spill()
    }

    fn spill(&mut self) -> Result<()> {
        if self.samples < self.max_samples {
            return Ok(());
        }
        self.write(&|_, _| {})
    }

    /// Makes blocks of what is left; answers all blocks that were made, oldest first. `progress`
    /// is told of blocks.
    ///
    /// # Errors
    /// A block could not be written, or a time has two values. Blocks that are made stay.
    pub fn finish(mut self, progress: Progress<'_>) -> Result<Vec<BlockMeta>> {
        self.write(progress)?;
        self.made.sort_by_key(|meta| (meta.min_time, meta.max_time));
        Ok(self.made)
    }

    /// Makes blocks of everything in memory, several at a time.
    fn write(&mut self, progress: Progress<'_>) -> Result<()> {
        self.env
            .files
            .create_dir_durable(&self.dir)
            .map_err(error::file)?;
        self.samples = 0;
        let ranges: Vec<Mutex<Series>> = std::mem::take(&mut self.ranges)
            .into_values()
            .map(Mutex::new)
            .collect();
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let made = Mutex::new(Vec::new());
        let work = || {
            while let Some(series) = ranges.get(next.fetch_add(1, Ordering::Relaxed)) {
                let meta = self.block(std::mem::take(&mut *series.lock()))?;
                made.lock().extend(meta);
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                progress(done as u64, ranges.len() as u64);
            }
            Ok(())
        };
        let outcome = on_threads(self.threads.min(ranges.len()), work);
        self.made.extend(made.into_inner());
        outcome
    }

    fn block(&self, series: Series) -> Result<Option<BlockMeta>> {
        let mut series: Vec<(Labels, SeriesColumns)> = series.into_iter().collect();
        series.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut range = TimeRange::new(Timestamp::MAX, Timestamp::MIN);
        for (labels, columns) in &mut series {
            in_order(labels, columns)?;
            let times = columns
                .floats
                .times
                .iter()
                .chain(columns.histograms.times());
            for time in times {
                range = TimeRange::new(range.start.min(*time), range.end.max(*time));
            }
        }
        if range.is_empty() {
            return Ok(None);
        }
        let texts = series.iter().flat_map(|(labels, _)| labels);
        let symbols: BTreeSet<&str> = texts.flat_map(|(name, value)| [name, value]).collect();
        let files = Arc::clone(&self.env.files);
        let mut writer =
            BlockWriter::create(files, &self.dir, new_meta(&self.env, range), symbols)?;
        for (labels, columns) in &series {
            writer.add(labels, &encode_columns(columns))?;
        }
        writer.finish()
    }
}

fn column<'r>(
    ranges: &'r mut BTreeMap<i64, Series>,
    range: i64,
    labels: &Labels,
) -> &'r mut SeriesColumns {
    let series = ranges.entry(range).or_default();
    // Most series come more than once, and labels are cheap to clone but not for nothing.
    if !series.contains_key(labels) {
        series.insert(labels.clone(), SeriesColumns::default());
    }
    series.entry(labels.clone()).or_default()
}

/// Does the same work on several threads; the first error is answered.
fn on_threads(threads: usize, work: impl Fn() -> Result<()> + Sync) -> Result<()> {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        let mut outcome = Ok(());
        for thread in running {
            let one = thread
                .join()
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "a thread panicked")));
            outcome = outcome.and(one);
        }
        outcome
    })
}

/// Puts samples in the order of their times, each once.
fn in_order(labels: &Labels, columns: &mut SeriesColumns) -> Result<()> {
    let floats = &mut columns.floats;
    if floats.times.windows(2).any(|pair| pair[0] >= pair[1]) {
        let mut samples: Vec<(Timestamp, f64)> = floats
            .times
            .drain(..)
            .zip(floats.values.drain(..))
            .collect();
        samples.sort_by_key(|(time, _)| *time);
        let same = |a: &(Timestamp, f64), b: &(Timestamp, f64)| {
            a.0 == b.0 && a.1.to_bits() == b.1.to_bits()
        };
        samples.dedup_by(|b, a| same(a, b));
        if let Some(twice) = samples.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let (time, a, b) = (twice[0].0, twice[0].1, twice[1].1);
            let message = format!("{labels} has two values at {time}: {a} and {b}");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let mut sorted = FloatColumn::default();
        samples
            .iter()
            .for_each(|(time, value)| sorted.push(*time, *value));
        *floats = sorted;
    }
    let histograms = &columns.histograms;
    if histograms.times().windows(2).any(|pair| pair[0] >= pair[1]) {
        let each: Vec<SeriesColumns> = (0..histograms.len())
            .map(|at| {
                let mut one = SeriesColumns::default();
                one.histograms.push_from(histograms, at);
                one
            })
            .collect();
        let mut merged = SeriesColumns::default();
        merge_columns(&each, &mut merged);
        columns.histograms = merged.histograms;
    }
    Ok(())
}
