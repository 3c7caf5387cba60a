//! Threads for the engines: synchronous work, bounded in number.
//!
//! A job never waits for a job that has not begun. [`CpuPool::run_parts`] lets idle threads help:
//! the caller works on the parts too, and once none is left it waits only for parts that another
//! thread is working on.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::{Condvar, Mutex};

use crate::error::{QueryError, QueryErrorKind};

type Job = Box<dyn FnOnce() + Send>;

/// Expressions nest, and evaluation recurses into them; pages that are not used cost nothing.
const STACK_BYTES: usize = 32 << 20;

/// Jobs that may wait for a thread.
const QUEUE_LEN: usize = 4096;

/// A fixed set of threads and a bounded, fair queue of jobs. Threads end when the pool is dropped.
#[derive(Debug)]
pub struct CpuPool {
    queue: Sender<Job>,
    threads: usize,
}

impl CpuPool {
    /// A pool of `threads` threads, at least one.
    ///
    /// # Errors
    /// The operating system gave no thread.
    pub fn new(threads: usize) -> std::io::Result<Arc<Self>> {
        let (queue, jobs) = bounded::<Job>(QUEUE_LEN);
        let threads = threads.max(1);
        for number in 0..threads {
            let jobs: Receiver<Job> = jobs.clone();
            let builder = thread::Builder::new()
                .name(format!("query-{number}"))
                .stack_size(STACK_BYTES);
            builder.spawn(move || jobs.iter().for_each(|job| job()))?;
        }
        Ok(Arc::new(Self { queue, threads }))
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs a job on the pool; the future is its result. A panic of the job becomes an internal error.
    ///
    /// # Errors
    /// The queue is full, or what the job itself returns.
    pub fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, QueryError> + Send + 'static,
    ) -> Outcome<T> {
        let state = Arc::new(Mutex::new(Promise {
            result: None,
            waker: None,
        }));
        let promised = state.clone();
        let sent = self.queue.try_send(Box::new(move || {
            let result =
                catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|panic| Err(panicked(&*panic)));
            let mut promise = promised.lock();
            promise.result = Some(result);
            if let Some(waker) = promise.waker.take() {
                waker.wake();
            }
        }));
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = sent {
            let message = format!("too many queries: {QUEUE_LEN} wait for a thread already");
            state.lock().result = Some(Err(QueryError::new(QueryErrorKind::Limit, message)));
        }
        Outcome(state)
    }

    /// Runs `work` for every part, on this thread and on others that are idle; results in the order of the parts.
    pub fn run_parts<P, T>(
        &self,
        parts: Vec<P>,
        work: impl Fn(P) -> T + Send + Sync + 'static,
    ) -> Vec<T>
    where
        P: Send + 'static,
        T: Send + 'static,
    {
        let count = parts.len();
        if count <= 1 {
            return parts.into_iter().map(work).collect();
        }
        let shared = Arc::new(Shared {
            work,
            state: Mutex::new(Parts {
                waiting: parts.into_iter().enumerate().rev().collect(),
                results: (0..count).map(|_| None).collect(),
                running: 0,
                panicked: false,
            }),
            changed: Condvar::new(),
        });
        for _ in 1..self.threads.min(count) {
            let shared = shared.clone();
            // If the queue is full, this thread does the work alone.
            let _ = self.queue.try_send(Box::new(move || shared.help()));
        }
        shared.help();
        shared.collect()
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> QueryError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown reason");
    QueryError::new(
        QueryErrorKind::Internal,
        format!("unexpected error: {text}"),
    )
}

struct Shared<P, T, F> {
    work: F,
    state: Mutex<Parts<P, T>>,
    changed: Condvar,
}

struct Parts<P, T> {
    waiting: Vec<(usize, P)>,
    results: Vec<Option<T>>,
    running: usize,
    panicked: bool,
}

impl<P, T, F: Fn(P) -> T> Shared<P, T, F> {
    fn help(&self) {
        loop {
            let mut state = self.state.lock();
            let Some((at, part)) = state.waiting.pop() else {
                return;
            };
            state.running += 1;
            drop(state);
            let result = catch_unwind(AssertUnwindSafe(|| (self.work)(part)));
            let mut state = self.state.lock();
            state.running -= 1;
            match result {
                Ok(result) => state.results[at] = Some(result),
                Err(_) => {
                    state.panicked = true;
                    state.waiting.clear();
                }
            }
            self.changed.notify_all();
        }
    }

    fn collect(&self) -> Vec<T> {
        let mut state = self.state.lock();
        while state.running > 0 {
            self.changed.wait(&mut state);
        }
        assert!(!state.panicked, "a part of the work panicked");
        state.results.iter_mut().filter_map(Option::take).collect()
    }
}

#[derive(Debug)]
struct Promise<T> {
    result: Option<Result<T, QueryError>>,
    waker: Option<Waker>,
}

/// The result of a job, once it is there.
#[derive(Debug)]
pub struct Outcome<T>(Arc<Mutex<Promise<T>>>);

impl<T> Future for Outcome<T> {
    type Output = Result<T, QueryError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut promise = self.0.lock();
        match promise.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                promise.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use headwater_storage::block_on;

    use super::*;

    #[test]
    fn jobs_run_and_panics_become_errors() {
        let pool = CpuPool::new(2).unwrap();
        assert_eq!(block_on(pool.run(|| Ok(7))).unwrap(), 7);
        let error =
            block_on(pool.run(|| -> Result<(), QueryError> { panic!("oops") })).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (QueryErrorKind::Internal, "unexpected error: oops")
        );
    }

    #[test]
    fn parts_keep_their_order_even_on_a_busy_pool() {
        let pool = CpuPool::new(1).unwrap();
        let inner = pool.clone();
        let sums = block_on(
            pool.run(move || Ok(inner.run_parts((0..50).collect(), |part: i32| part * 2))),
        )
        .unwrap();
        assert_eq!(sums, (0..50).map(|part| part * 2).collect::<Vec<_>>());
    }
}
