//! Work beside pushes and queries: writing heads to parts, letting go of the log, merging.
//!
//! Whoever owns the store decides which threads do it: workers of the store, or the caller of
//! [`ChunkStore::flush`] and [`ChunkStore::sweep`], as tests do.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use headwater_storage::{Error, ErrorKind, Result};

use crate::flush::{FlushReason, Taken};
use crate::merge::of_part;
use crate::name::Flushes;
use crate::part::PartWriter;
use crate::store::{ChunkStore, Tenant, log_error};

/// Threads that flush and merge. They end when this is dropped.
#[derive(Debug)]
#[must_use = "the threads end when this is dropped"]
pub struct Workers {
    store: Arc<ChunkStore>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.store.work.lock().stopping = true;
        self.store.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has done what it could; the log has the entries.
            let _ = thread.join();
        }
        let mut work = self.store.work.lock();
        work.stopping = false;
        work.workers = 0;
    }
}

impl ChunkStore {
    /// Starts threads that write heads to parts as soon as they are full or due, and one that merges
    /// parts. `report` is told of failures, which are tried again.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn start_workers(
        self: &Arc<Self>,
        flushers: usize,
        report: impl Fn(&Error) + Send + Sync + 'static,
    ) -> Result<Workers> {
        let report = Arc::new(report);
        let mut workers = Workers {
            store: self.clone(),
            threads: Vec::new(),
        };
        let flushers = flushers.clamp(1, self.config.flush_queues.max(1));
        self.work.lock().workers = flushers;
        for number in 0..=flushers {
            let (store, report) = (self.clone(), report.clone());
            let run = move || match number {
                0 => store.merge_until_stopped(&*report),
                _ => store.flush_until_stopped(&*report),
            };
            let name = if number == 0 {
                "merge".to_owned()
            } else {
                format!("flush-{number}")
            };
            let thread = std::thread::Builder::new().name(name).spawn(run);
            let failed =
                |error| Error::new(ErrorKind::Io, format!("cannot start a thread: {error}"));
            workers.threads.push(thread.map_err(failed)?);
        }
        Ok(workers)
    }

    fn flush_until_stopped(&self, report: &dyn Fn(&Error)) {
        loop {
            let taken = {
                let mut work = self.work.lock();
                loop {
                    if work.stopping {
                        return;
                    }
                    match work.queues.take() {
                        Some(taken) => break taken,
                        None => self.changed.wait(&mut work),
                    }
                }
            };
            if let Err(error) = self.work_on(&taken) {
                report(&error);
            }
        }
    }

    fn merge_until_stopped(&self, report: &dyn Fn(&Error)) {
        loop {
            let tenant = {
                let mut work = self.work.lock();
                loop {
                    if work.stopping {
                        return;
                    }
                    match work.to_merge.pop_first() {
                        Some((tenant, ())) => break tenant,
                        None => self.changed.wait(&mut work),
                    }
                }
            };
            if let Err(error) = self.merge_tenant(&tenant) {
                self.counts.failures.fetch_add(1, Ordering::Relaxed);
                report(&error);
            }
        }
    }

    /// Asks for a tenant to be flushed, by the workers if there are any.
    pub(crate) fn request_flush(&self, tenant: &str, reason: FlushReason) {
        if self.work.lock().queues.put(tenant, reason) {
            self.changed.notify_all();
        }
    }

    /// Asks for all heads that are due to be flushed, and for those whose flush has failed. Without
    /// workers this is done before it returns, and small parts are merged. Answers the reasons.
    ///
    /// # Errors
    /// As [`ChunkStore::flush`].
    pub fn sweep(&self) -> Result<Vec<FlushReason>> {
        let (now, mut reasons) = (self.env.clock.monotonic(), Vec::new());
        for (name, tenant) in self.all_tenants() {
            let due = {
                let state = tenant.state.read();
                let failed = (!state.closed.is_empty()).then_some(FlushReason::Full);
                failed.or_else(|| self.config.due(&state.head, now))
            };
            if let Some(reason) = due {
                self.request_flush(&name, reason);
                reasons.push(reason);
            }
        }
        if self.work.lock().workers == 0 {
            self.work_off()?;
            for name in self.tenants() {
                self.merge_tenant(&name)?;
            }
        }
        Ok(reasons)
    }

    /// Writes all heads to parts and lets go of the log before them. Queries see the entries all the while.
    ///
    /// # Errors
    /// A part could not be written; its entries stay in memory and in the log, and the next flush tries again.
    pub fn flush(&self) -> Result<()> {
        for (name, tenant) in self.all_tenants() {
            let state = tenant.state.read();
            if state.heads().any(|head| !head.is_empty()) {
                self.request_flush(&name, FlushReason::Forced);
            }
        }
        let failures = self.counts.failures.load(Ordering::Relaxed);
        self.work_off()?;
        if self.counts.failures.load(Ordering::Relaxed) > failures {
            let text = "a worker could not write heads to a part; it has reported why";
            return Err(Error::new(ErrorKind::Io, text));
        }
        self.let_go_of_log()
    }

    /// Works on the queues until nothing waits and nobody works; the first error is told at the end.
    fn work_off(&self) -> Result<()> {
        let mut failed = Ok(());
        let mut work = self.work.lock();
        while !work.queues.is_idle() {
            match work.queues.take() {
                Some(taken) => {
                    drop(work);
                    let done = self.work_on(&taken);
                    failed = failed.and(done);
                    work = self.work.lock();
                }
                None => self.changed.wait(&mut work),
            }
        }
        failed
    }

    /// Writes the heads of a tenant that was taken from its queue.
    fn work_on(&self, taken: &Taken) -> Result<()> {
        let flushed = match self.find(&taken.tenant) {
            Some(tenant) => self.flush_tenant(&taken.tenant, &tenant, taken.reason),
            None => Ok(()),
        };
        let let_go = flushed.and_then(|()| self.let_go_of_log());
        if let_go.is_err() {
            self.counts.failures.fetch_add(1, Ordering::Relaxed);
        }
        let mut work = self.work.lock();
        work.queues.done(taken);
        work.to_merge.insert(taken.tenant.clone(), ());
        drop(work);
        self.changed.notify_all();
        let_go
    }

    /// Called by one thread at a time for a tenant: the queues see to that.
    fn flush_tenant(&self, name: &str, tenant: &Tenant, reason: FlushReason) -> Result<()> {
        tenant.state.write().close_head();
        loop {
            let (head, number) = {
                let state = tenant.state.read();
                let Some(head) = state.closed.first().cloned() else {
                    return Ok(());
                };
                (head, state.last_flush + 1)
            };
            let flushes = Flushes::one(number);
            let part = self.write_part(name, flushes, |pass_on| {
                let writer = PartWriter::new(self.config.part).map_err(of_part)?;
                head.write(writer, pass_on)
            })?;
            let mut state = tenant.state.write();
            state.parts.push(part);
            state.last_flush = number;
            state.closed.remove(0);
            drop(state);
            self.head_bytes.fetch_sub(head.bytes(), Ordering::Relaxed);
            self.counts.flushes[reason as usize].fetch_add(1, Ordering::Relaxed);
            // Those who wait for room hold the lock while they look, so the news reaches them.
            drop(self.work.lock());
            self.changed.notify_all();
        }
    }

    /// Removes the segments of the log whose entries all lie in parts.
    fn let_go_of_log(&self) -> Result<()> {
        let _no_push = self.cut.write();
        let tenants = self.all_tenants();
        let first_needed = tenants.iter().filter_map(|(_, tenant)| {
            let state = tenant.state.read();
            let heads = state.heads().filter(|head| !head.is_empty());
            heads.map(|head| head.first_segment).min()
        });
        let segment = match first_needed.min() {
            Some(segment) => segment,
            None if self.wal.position().offset == 0 => self.wal.position().segment,
            None => self
                .wal
                .cut()
                .map_err(log_error("cannot begin a new segment of the log"))?,
        };
        self.wal
            .truncate_before(segment)
            .map_err(log_error("cannot remove old segments of the log"))
    }

    /// Flushes and closes the log.
    ///
    /// # Errors
    /// As [`ChunkStore::flush`]; nothing is lost, the log has it.
    pub fn close(&self) -> Result<()> {
        self.flush()?;
        self.wal.close().map_err(log_error("cannot close the log"))
    }
}
