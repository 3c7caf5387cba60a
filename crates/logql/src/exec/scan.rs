//! What all threads of a query share: whether to go on, and what it has cost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use headwater_query::{CancelToken, CpuPool, QueryError};
use headwater_storage::{LogCosts, LogCursor};

use super::engine::LogStats;

/// Parts of the streams for each thread.
const PARTS_PER_THREAD: usize = 4;

/// The common state of one query.
#[derive(Debug)]
pub(crate) struct Scan {
    cancel: CancelToken,
    pool: Option<Arc<CpuPool>>,
    lines: AtomicU64,
    bytes: AtomicU64,
    kept: AtomicU64,
    rest: Mutex<(LogCosts, Vec<String>)>,
}

impl Scan {
    pub(crate) fn new(cancel: CancelToken, pool: Option<Arc<CpuPool>>) -> Self {
        Self {
            cancel,
            pool,
            lines: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            kept: AtomicU64::new(0),
            rest: Mutex::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), QueryError> {
        self.cancel.check("query execution")
    }

    pub(crate) fn read(&self, lines: u64, bytes: u64) {
        self.lines.fetch_add(lines, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn kept(&self, lines: u64) {
        self.kept.fetch_add(lines, Ordering::Relaxed);
    }

    fn rest(&self) -> std::sync::MutexGuard<'_, (LogCosts, Vec<String>)> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn costs(&self, costs: LogCosts) {
        self.rest().0 += costs;
    }

    pub(crate) fn warn(&self, warnings: Vec<String>) {
        self.rest().1.extend(warnings);
    }

    /// The costs and warnings so far.
    pub(crate) fn finish(&self) -> (LogStats, Vec<String>) {
        let (storage, warnings) = self.rest().clone();
        let stats = LogStats {
            lines: self.lines.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            kept: self.kept.load(Ordering::Relaxed),
            storage,
            ..LogStats::default()
        };
        (stats, warnings)
    }

    /// Divides the streams over the threads, finer than there are threads,
    /// because streams differ in size.
    pub(crate) fn split(&self, cursor: Box<dyn LogCursor>) -> Vec<Box<dyn LogCursor>> {
        match &self.pool {
            Some(pool) if pool.threads() > 1 => cursor.split(pool.threads() * PARTS_PER_THREAD),
            _ => vec![cursor],
        }
    }

    /// Works on all parts, on as many threads as are idle; the first error wins.
    pub(crate) fn run<P: Send + 'static, T: Send + 'static>(
        &self,
        parts: Vec<P>,
        work: impl Fn(P) -> Result<T, QueryError> + Send + Sync + 'static,
    ) -> Result<Vec<T>, QueryError> {
        match &self.pool {
            Some(pool) => pool.run_parts(parts, work).into_iter().collect(),
            None => parts.into_iter().map(work).collect(),
        }
    }
}
