//! What all routes share.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

use crate::error::{ApiError, ErrorType};
use crate::parts::{Parts, Phase};
use crate::receive::Receiver;

/// Stack of a thread for deep expressions. A level takes some 4 KiB where nothing is optimised, and
/// the parser takes a thousand levels; memory is taken only as far as it is used.
const DEEP_STACK_BYTES: usize = 32 << 20;

/// The parts, and the bound on work that does not run on the engine's own threads.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) parts: Arc<Parts>,
    reads: Arc<Semaphore>,
    pub(crate) remote_reads: Arc<Semaphore>,
    pub(crate) writes: Arc<Semaphore>,
    /// Remote write, if it is on.
    pub(crate) receiver: Option<Arc<Receiver>>,
}

impl Api {
    pub(crate) fn new(parts: Parts) -> Self {
        let at_once = |most: usize| Arc::new(Semaphore::new(most.max(1)));
        let settings = &parts.settings;
        let receiver = |store| Arc::new(Receiver::new(store, &parts.registry));
        Self {
            reads: at_once(settings.concurrent_reads),
            remote_reads: at_once(settings.concurrent_remote_reads),
            writes: at_once(settings.concurrent_writes),
            receiver: parts.write.clone().map(receiver),
            parts: Arc::new(parts),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.parts.server.phase()
    }

    /// Runs a read on a thread that may be busy or wait: label questions walk over indexes for as
    /// long as it takes, and other requests must not stand behind them.
    ///
    /// # Errors
    /// Those of the read, or the read panicked.
    pub(crate) async fn read<T, F>(
        &self,
        work: impl FnOnce(Arc<Parts>) -> F + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ApiError>>,
    {
        let permit = self.reads.clone().acquire_owned().await;
        let (parts, handle) = (self.parts.clone(), Handle::current());
        let task = tokio::task::spawn_blocking(move || {
            // Held until the work has ended, also where the caller has gone by then.
            let _permit = permit;
            handle.block_on(work(parts))
        });
        task.await.map_err(|error| {
            ApiError::new(ErrorType::Internal, format!("the read failed: {error}"))
        })?
    }

    /// Runs work that follows an expression down to its deepest level, on a thread whose stack has
    /// room for all the levels that the parser takes, also in a build that is not optimised.
    ///
    /// # Errors
    /// Those of the work, or it panicked.
    pub(crate) async fn descend<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Parts) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = self.reads.clone().acquire_owned().await;
        let (parts, (tell, told)) = (self.parts.clone(), oneshot::channel());
        let thread = std::thread::Builder::new()
            .name("api-expression".to_owned())
            .stack_size(DEEP_STACK_BYTES);
        let failed = |error: &dyn std::fmt::Display| {
            ApiError::new(ErrorType::Internal, format!("the work failed: {error}"))
        };
        thread
            .spawn(move || {
                let _permit = permit;
                // Nobody may be waiting any more.
                let _ = tell.send(work(&parts));
            })
            .map_err(|error| failed(&error))?;
        told.await.map_err(|error| failed(&error))?
    }
}
