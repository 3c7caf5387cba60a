//! What all routes share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::http::HeaderMap;
use headwater_chunkstore::ChunkStore;
use headwater_logql::{Engine, EngineLimits};
use headwater_logs::Limits;
use headwater_storage::SelectLogs;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;
use crate::parts::Parts;

/// The parts, and the bounds on what is done at once.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) parts: Arc<Parts>,
    reads: Arc<Semaphore>,
    /// Room for pushed bodies, in KiB.
    push_room: Arc<Semaphore>,
    /// Room for bodies that are decompressed, in KiB.
    decode_room: Arc<Semaphore>,
    /// Followers by tenant.
    pub(crate) tails: Arc<Mutex<BTreeMap<String, usize>>>,
    pub(crate) shutdown_prepared: Arc<AtomicBool>,
}

impl Api {
    pub(crate) fn new(parts: Parts) -> Self {
        let reads = Arc::new(Semaphore::new(parts.settings.concurrent_reads.max(1)));
        let push_room = Arc::new(Semaphore::new(
            kib(parts.settings.max_inflight_push_bytes) as usize
        ));
        let decode_room = kib(parts.settings.max_inflight_decompressed_bytes) as usize;
        Self {
            parts: Arc::new(parts),
            reads,
            push_room,
            decode_room: Arc::new(Semaphore::new(decode_room)),
            tails: Arc::default(),
            shutdown_prepared: Arc::default(),
        }
    }

    pub(crate) fn store(&self) -> &Arc<ChunkStore> {
        self.parts.ingester.store()
    }

    pub(crate) fn now(&self) -> i64 {
        self.parts.clock.unix_nanos()
    }

    /// Waits until there is room for a body of so many bytes, or of the largest size if nobody knows.
    pub(crate) async fn room_for_push(&self, bytes: Option<usize>) -> Option<OwnedSemaphorePermit> {
        let settings = &self.parts.settings;
        let bytes = bytes.unwrap_or(usize::MAX).min(settings.max_push_bytes);
        let wanted = kib(bytes).min(kib(settings.max_inflight_push_bytes));
        // The semaphore is never closed.
        self.push_room.clone().acquire_many_owned(wanted).await.ok()
    }

    /// Waits until there is room for a body of so many bytes once it is decompressed.
    pub(crate) async fn room_for_decoding(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let most = self.parts.settings.max_inflight_decompressed_bytes;
        let wanted = kib(bytes).min(kib(most));
        // The semaphore is never closed.
        self.decode_room
            .clone()
            .acquire_many_owned(wanted)
            .await
            .ok()
    }

    /// Whose request it is.
    pub(crate) fn tenant(&self, headers: &HeaderMap) -> Result<String, ApiError> {
        match self.parts.settings.auth_enabled {
            true => Ok(headwater_http::tenant(headers)?),
            false => Ok(self.parts.settings.tenant.clone()),
        }
    }

    pub(crate) fn limits(&self, tenant: &str) -> Arc<Limits> {
        self.parts.overrides.of(tenant)
    }

    /// An engine over what the tenant has.
    pub(crate) fn engine(&self, tenant: &str, limits: &Limits) -> Engine {
        let logs: Arc<dyn SelectLogs> = Arc::new(self.store().logs(tenant));
        let engine_limits = EngineLimits::default()
            .with_max_series(limits.max_query_series)
            .with_max_entries(limits.max_entries_limit_per_query)
            .with_max_bytes(self.parts.settings.max_query_bytes);
        let engine = Engine::new(logs, engine_limits);
        match &self.parts.pool {
            Some(pool) => engine.with_pool(pool.clone()),
            None => engine,
        }
    }

    /// Runs work that may take a while or wait for the disk on a thread that may.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = self.reads.clone().acquire_owned().await;
        let api = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            // Held until the work has ended, also where the caller has gone by then.
            let _permit = permit;
            work(&api)
        });
        task.await
            .map_err(|error| ApiError::internal(format_args!("the work failed: {error}")))?
    }

    /// How many follow a tenant.
    #[cfg(feature = "grpc")]
    pub(crate) fn tails(&self, tenant: &str) -> usize {
        self.tails.lock().get(tenant).copied().unwrap_or(0)
    }

    /// Counts a follower of a tenant; the guard gives its place back.
    ///
    /// # Errors
    /// The tenant has too many.
    pub(crate) fn tailing(&self, tenant: &str, limit: usize) -> Result<Tailing, ApiError> {
        let mut tails = self.tails.lock();
        let count = tails.entry(tenant.to_owned()).or_default();
        if limit > 0 && *count >= limit {
            let asked = *count + 1;
            return Err(ApiError::bad(format_args!(
                "max concurrent tail requests limit exceeded, count > limit ({asked} > {limit})"
            )));
        }
        *count += 1;
        Ok(Tailing {
            tails: self.tails.clone(),
            tenant: tenant.to_owned(),
        })
    }
}

/// A follower that is counted.
pub(crate) struct Tailing {
    tails: Arc<Mutex<BTreeMap<String, usize>>>,
    tenant: String,
}

impl Drop for Tailing {
    fn drop(&mut self) {
        let mut tails = self.tails.lock();
        if let Some(count) = tails.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                tails.remove(&self.tenant);
            }
        }
    }
}

/// Whole KiB, at least one.
fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024).max(1)).unwrap_or(u32::MAX >> 4)
}
