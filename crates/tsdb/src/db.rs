//! The store: a head, its log and blocks behind one handle.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use headwater_blockfmt::BlockMeta;
use headwater_env::{Env, File, FilesExt, OpenMode};
use headwater_storage::Result;
use headwater_wal::{DamagePolicy, list_segments, repair_segment};
use parking_lot::Mutex;

use crate::block::DamagedBlock;
use crate::block::set::{self, BlockSet};
use crate::chunk_snapshot;
use crate::error;
use crate::head::chunk_files::{self, ChunkFiles};
use crate::head::rules::Choice;
use crate::head::{Bounds, Head};
use crate::log::{self, Log};
use crate::maintain::{Early, Retention, Retiring, Worker};
use crate::opening::early;
use crate::options::{Builder, FloatEncoding, Options};
use crate::replay::{Progress, Report, replay};
use crate::stats::Stats;
use crate::strays;

/// A time series database in a directory.
///
/// Clones share the store; it is closed with [`Db::close`] or when the last
/// clone is gone.
#[derive(Clone, Debug)]
pub struct Db {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) head: Arc<Head>,
    pub(crate) log: Log,
    pub(crate) env: Env,
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) blocks: BlockSet,
    /// Held while blocks are made, merged or removed.
    pub(crate) maintenance: Mutex<()>,
    pub(crate) chunk_files: Mutex<ChunkFiles>,
    pub(crate) retiring: Mutex<Retiring>,
    pub(crate) retention: Mutex<Retention>,
    /// Series that have ended leave the head before their time.
    pub(crate) early: Early,
    closed: AtomicBool,
    damage: Vec<String>,
    worker: Mutex<Option<Worker>>,
    /// Held for its lock: the directory belongs to one process.
    _lock: Box<dyn File>,
}

impl Db {
    /// Opens the store in `dir` with default settings; the directory is made
    /// if missing.
    ///
    /// # Errors
    /// As [`Builder::open`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Db> {
        Db::builder(dir).open()
    }

    /// Settings for opening a store.
    pub fn builder(dir: impl AsRef<Path>) -> Builder {
        Builder::new(dir.as_ref())
    }

    pub(crate) fn open_with(builder: Builder) -> Result<Db> {
        let db = Begun::new(builder)?.finish(&Progress::default())?;
        early::take_over(&db)?;
        db.start_worker()?;
        Ok(db)
    }

    /// Starts the thread that maintains the store, if there is to be one.
    pub(crate) fn start_worker(&self) -> Result<()> {
        if self.inner.options.background {
            *self.inner.worker.lock() = Some(Worker::start(&self.inner)?);
        }
        Ok(())
    }

    /// The directory of the store.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// What could not be read when the store was opened, for people.
    pub fn damage(&self) -> &[String] {
        &self.inner.damage
    }

    /// Makes everything committed so far durable.
    ///
    /// # Errors
    /// The log could not be synced.
    pub fn sync(&self) -> Result<()> {
        self.inner.log.sync().map_err(error::log)
    }

    /// Syncs and refuses batches from now on. Queries go on working until
    /// the last clone is gone, which also frees the directory.
    ///
    /// With [`Options::snapshot_on_close`], the head is written down as well;
    /// if that fails, the next start reads the log.
    ///
    /// # Errors
    /// The log could not be synced.
    pub fn close(&self) -> Result<()> {
        let first = !self.inner.closed.swap(true, Ordering::AcqRel);
        let worker = self.inner.worker.lock().take();
        drop(worker);
        let _maintenance = self.inner.maintenance.lock();
        let _order = self.inner.head.order.lock();
        let log = &self.inner.log;
        if first
            && self.inner.options.snapshot_on_close
            && let Err(error) = self.inner.write_chunk_snapshot()
        {
            tracing::error!(%error, "chunk snapshot cannot be written");
        }
        log.sync()
            .and_then(|()| log.wal.close())
            .map_err(error::log)
    }

    /// Encodes new chunks of floats in this way from now on; those that grow
    /// are finished as they were begun.
    ///
    /// # Errors
    /// The store keeps start timestamps, for which XOR has no room.
    pub fn set_float_encoding(&self, encoding: FloatEncoding) -> Result<()> {
        let choice = &self.inner.head.choice;
        if choice.starts && encoding == FloatEncoding::Xor {
            return Err(error::starts_need_xor2());
        }
        choice.set_floats(encoding);
        Ok(())
    }

    /// The blocks that are served, oldest first.
    pub fn blocks(&self) -> Vec<BlockMeta> {
        let all = self.inner.blocks.all();
        all.iter().map(|block| block.meta.clone()).collect()
    }

    /// The blocks of which something is damaged: those that are served in part, and those that are
    /// not served at all. They stay on disk as they are and merges leave them out, until
    /// [`Db::mend_block`] mends them. [`Db::verify_blocks`] also finds what no query has met.
    pub fn damaged_blocks(&self) -> Vec<DamagedBlock> {
        self.inner.blocks.damaged()
    }

    /// A picture of the store. It looks at every series of the head: meant
    /// for status pages and metrics, not for every query.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        let Inner { head, log, .. } = &*self.inner;
        let counters = &head.counters;
        let segments = log.wal.segments().map_err(error::log)?;
        let times = head.times.range();
        let (chunks, series_bytes) = head.chunks_and_bytes();
        let early = self.inner.early.counts();
        let index = head.index.read();
        let ranks = index.ranks().lock().heap_bytes();
        Ok(Stats {
            series: head.series_count().into(),
            stale_series: head.ended_count(),
            stale_compactions: early.triggered,
            stale_compactions_failed: early.failed,
            stale_compaction_millis: early.millis,
            stale_compactions_within: early.within,
            series_created: counters.series_created.get(),
            series_removed: counters.series_removed.get(),
            series_refused: counters.series_refused.get(),
            series_refused_for_memory: counters.series_refused_for_memory.get(),
            memory_bytes: head.memory.measure(head),
            memory_budget: self.inner.options.memory_budget,
            floats_appended: counters.floats_appended.get(),
            histograms_appended: counters.histograms_appended.get(),
            exemplars_appended: counters.exemplars_appended.get(),
            late_appended: counters.late_appended.get(),
            out_of_order: counters.out_of_order.get(),
            out_of_bounds: counters.out_of_bounds.get(),
            duplicates: counters.duplicates.get(),
            snapshots_failed: counters.snapshots_failed.get(),
            unknown_records: counters.unknown_records.get(),
            min_time: times.map(|t| t.start),
            max_time: times.map(|t| t.end),
            chunks,
            series_bytes,
            label_pairs: index.names().map(|(_, values)| values.len() as u64).sum(),
            log_first_segment: segments.first().copied().unwrap_or(0),
            log_segment: segments.last().copied().unwrap_or(0),
            log_bytes: log.wal.size().map_err(error::log)?,
            blocks: self.inner.blocks.all().len() as u64,
            block_bytes: self.inner.blocks.bytes(),
            remembered_bytes: (self.inner.blocks.known.bytes() + ranks) as u64,
        })
    }
}

impl Inner {
    /// An error if the store takes no batches any more.
    pub(crate) fn writable(&self) -> Result<()> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(error::closed()),
            false => Ok(()),
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("dir", &self.dir)
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

/// A store whose blocks are open, and whose log has not been read yet.
pub(crate) struct Begun {
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) env: Env,
    opened: set::Opened,
    lock: Box<dyn File>,
}

impl Begun {
    pub(crate) fn new(builder: Builder) -> Result<Begun> {
        let Builder { dir, options, env } = builder;
        check(&options)?;
        env.files.create_dir_durable(&dir).map_err(error::file)?;
        let lock = lock(&env, &dir)?;
        set::remove_leftovers(env.files.as_ref(), &dir)?;
        let mut opened = set::open_all(env.files.as_ref(), &dir)?;
        opened
            .damage
            .extend(strays::move_away(env.files.as_ref(), &dir)?);
        opened
            .damage
            .iter()
            .for_each(|line| tracing::warn!("{line}"));
        Ok(Begun {
            dir,
            options,
            env,
            opened,
            lock,
        })
    }

    /// An empty head with the bounds that the settings say.
    pub(crate) fn blank_head(&self) -> Head {
        let options = &self.options;
        let bounds = Bounds {
            chunk_range: options.block_range.max(1),
            max_series: options.max_series,
            max_exemplars: options.max_exemplars,
            memory_budget: options.memory_budget,
            late_window: i64::try_from(options.out_of_order_window.as_millis()).unwrap_or(i64::MAX),
        };
        Head::new(bounds, Choice::new(options))
    }

    /// The blocks that can be served.
    pub(crate) fn blocks(&self) -> BlockSet {
        BlockSet::new(self.opened.blocks.clone(), self.opened.unserved.clone())
    }

    /// Reads the log.
    pub(crate) fn finish(self, progress: &Progress) -> Result<Db> {
        let blocks = self.blocks();
        let end = blocks.in_order_end(self.options.block_range.max(1));
        let (head, in_files, report) = self.replayed(end, progress)?;
        let Begun {
            dir, options, env, ..
        } = self;
        head.counters.unknown_records.add(report.unknown_records);
        repair(&env, &report)?;
        if options.memory_budget > 0 {
            head.memory.measure(&head);
        }
        let log = Log::open(Arc::clone(&env.files), &dir, &options)?;
        let files = Arc::clone(&env.files);
        let chunk_files = ChunkFiles::new(files, &chunk_files::dir(&dir), in_files);
        let mut damage = self.opened.damage;
        damage.extend(describe(&report));
        let inner = Arc::new(Inner {
            head: Arc::new(head),
            blocks,
            maintenance: Mutex::new(()),
            chunk_files: Mutex::new(chunk_files),
            retiring: Mutex::default(),
            retention: Mutex::new(Retention::of(&options)),
            early: Early::new(options.stale_series_threshold),
            log,
            env,
            dir,
            options,
            closed: AtomicBool::new(false),
            damage,
            worker: Mutex::new(None),
            _lock: self.lock,
        });
        Ok(Db { inner })
    }

    /// The head that snapshot, head chunk files and log make; `end` is where
    /// blocks end. If the snapshot is of no use, the log is read from its start.
    fn replayed(
        &self,
        end: Option<i64>,
        progress: &Progress,
    ) -> Result<(Head, chunk_files::Found, Report)> {
        let Begun {
            env, dir, options, ..
        } = self;
        let started = env.clock.monotonic();
        let mut failed = 0;
        loop {
            let head = self.blank_head();
            head.counters.snapshots_failed.add(failed);
            end.iter()
                .for_each(|end| head.times.has_blocks_before(*end));
            let min_valid = head.times.min_valid();
            let (files, chunks_dir) = (env.files.as_ref(), chunk_files::dir(dir));
            let threads = options.replay_threads;
            let mut in_files = chunk_files::read(files, &chunks_dir, min_valid, threads)?;
            for line in &in_files.damage {
                tracing::warn!("{line}; the log has these samples");
            }
            let wanted = options.snapshot_on_close && failed == 0 && in_files.damage.is_empty();
            let snapshot = match wanted {
                true => chunk_snapshot::find(files, dir, min_valid)?,
                false => None,
            };
            let mut report = replay(
                &head,
                &env.files,
                dir,
                std::mem::take(&mut in_files.chunks),
                snapshot.as_ref(),
                threads,
                progress,
            )?;
            let Some(why) = report.bad_snapshot.take() else {
                if !report.ended.is_empty() {
                    let segment = list_segments(files, &log::dir(dir)).map_err(error::log)?;
                    let segment = segment.last().copied().unwrap_or(0);
                    head.truncate_before(head.times.end_of_blocks(), segment);
                }
                tell(&report, env.clock.monotonic().saturating_sub(started));
                return Ok((head, in_files, report));
            };
            tracing::error!(why, "chunk snapshot cannot be loaded, the log is read");
            failed += 1;
        }
    }
}

/// Refuses settings that contradict each other.
fn check(options: &Options) -> Result<()> {
    if options.start_timestamps && options.float_encoding == FloatEncoding::Xor {
        return Err(error::starts_need_xor2());
    }
    Ok(())
}

fn lock(env: &Env, dir: &Path) -> Result<Box<dyn File>> {
    let path = dir.join("lock");
    let file = env
        .files
        .open(&path, OpenMode::Write)
        .map_err(error::file)?;
    match file.try_lock().map_err(error::file)? {
        true => Ok(file),
        false => Err(error::locked(dir)),
    }
}

/// Rewrites damaged segments, so that Prometheus can read the log as well.
fn repair(env: &Env, report: &Report) -> Result<()> {
    let mut done = std::collections::HashSet::new();
    for (dir, damage) in &report.damage {
        if done.insert((dir, damage.segment)) {
            let framing = headwater_wal::Framing::Pages(headwater_wal::Compression::Snappy);
            repair_segment(&env.files, dir, framing, DamagePolicy::Skip, damage.segment)
                .map_err(error::log)?;
        }
    }
    Ok(())
}

fn tell(report: &Report, took: std::time::Duration) {
    tracing::info!(
        records = report.records,
        samples = report.samples,
        took_ms = took.as_millis() as u64,
        "log replayed"
    );
    for line in describe(report) {
        tracing::warn!("{line}");
    }
}

/// What a replay has to complain about.
fn describe(report: &Report) -> Vec<String> {
    let counted = [
        (
            report.unknown_series,
            "entries of series that the log does not introduce",
        ),
        (report.bad_records, "records whose end cannot be read"),
        (
            report.unknown_records,
            "records of types that are not known here",
        ),
        (
            report.refused_series,
            "series beyond the limit on their number",
        ),
    ];
    let counted = counted
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("log: {count} {what} were left out"));
    let damaged = report
        .damage
        .iter()
        .map(|(dir, damage)| format!("log {}: {damage}", dir.display()));
    let missing = report.missing.iter().map(|(dir, from, to)| {
        let (count, dir) = (to - from, dir.display());
        format!("log {dir}: {count} segments from {from:08} on are missing")
    });
    damaged.chain(missing).chain(counted).collect()
}
