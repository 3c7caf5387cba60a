//! What all threads of a query share: whether to go on, and what it has cost.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_query::{CancelToken, QueryError, QueryErrorKind};
use headwater_storage::{LogCosts, LogCursor};

use super::engine::LogStats;

/// The common state of one query.
#[derive(Debug)]
pub(crate) struct Scan {
    cancel: CancelToken,
    threads: usize,
    lines: AtomicU64,
    bytes: AtomicU64,
    kept: AtomicU64,
    rest: Mutex<(LogCosts, Vec<String>)>,
}

impl Scan {
    pub(crate) fn new(cancel: CancelToken, threads: usize) -> Self {
        Self {
            cancel,
            threads,
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

    pub(crate) fn finish(self) -> (LogStats, Vec<String>) {
        let (storage, warnings) = self
            .rest
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let stats = LogStats {
            lines: self.lines.into_inner(),
            bytes: self.bytes.into_inner(),
            kept: self.kept.into_inner(),
            storage,
            ..LogStats::default()
        };
        (stats, warnings)
    }

    /// Divides the streams over the threads.
    pub(crate) fn split(&self, cursor: Box<dyn LogCursor>) -> Vec<Box<dyn LogCursor>> {
        match self.threads {
            1 => vec![cursor],
            threads => cursor.split(threads),
        }
    }

    /// Works on all parts, each on its own thread; the first error wins.
    pub(crate) fn run<P: Send, T: Send>(
        &self,
        parts: Vec<P>,
        work: impl Fn(P) -> Result<T, QueryError> + Sync,
    ) -> Result<Vec<T>, QueryError> {
        if parts.len() <= 1 {
            return parts.into_iter().map(work).collect();
        }
        let work = &work;
        std::thread::scope(|scope| {
            let threads: Vec<_> = parts
                .into_iter()
                .map(|part| scope.spawn(move || work(part)))
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Result<T, QueryError>>| {
                thread.join().unwrap_or_else(|_| {
                    let message = "a part of the query panicked";
                    Err(QueryError::new(QueryErrorKind::Internal, message))
                })
            };
            threads.into_iter().map(join).collect()
        })
    }
}
