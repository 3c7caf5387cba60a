//! Rings in the memory of one process, for `-target=all` and for tests.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_ring::Desc;
use headwater_storage::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::error::KvError;
use crate::store::{Change, RingStore};

/// Rings in memory. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    rings: Arc<Mutex<HashMap<String, watch::Sender<Arc<Desc>>>>>,
}

impl MemoryStore {
    /// A store without rings.
    pub fn new() -> Self {
        Self::default()
    }

    fn sender(&self, ring: &str) -> watch::Sender<Arc<Desc>> {
        let mut rings = self.rings.lock();
        rings.entry(ring.to_owned()).or_default().clone()
    }
}

impl RingStore for MemoryStore {
    fn publish<'a>(
        &'a self,
        ring: &'a str,
        change: &'a mut Change<'a>,
    ) -> BoxFuture<'a, Result<Arc<Desc>, KvError>> {
        Box::pin(async move {
            let sender = self.sender(ring);
            // The ring stays locked while the change runs, so nobody can be faster.
            let mut outcome = Ok(());
            sender.send_if_modified(|current| match change(current) {
                Ok(Some(new)) if new != **current => {
                    *current = Arc::new(new);
                    true
                }
                Ok(_) => false,
                Err(e) => {
                    outcome = Err(e);
                    false
                }
            });
            outcome.map(|()| sender.borrow().clone())
        })
    }

    fn watch(&self, ring: &str) -> watch::Receiver<Arc<Desc>> {
        self.sender(ring).subscribe()
    }
}
