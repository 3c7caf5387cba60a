//! The trait that every way of keeping rings in common implements.

use std::sync::Arc;

use headwater_ring::Desc;
use headwater_storage::BoxFuture;
use tokio::sync::watch;

use crate::error::KvError;

/// A change of a ring: gets it as it is and returns it as it should be, or
/// `None` to leave it. It may be called several times, when others are faster.
pub type Change<'a> = dyn FnMut(&Desc) -> Result<Option<Desc>, KvError> + Send + 'a;

/// Rings kept in common by several processes, each under a name such as
/// `ring` or `compactor`.
///
/// # Contract
/// * `publish` applies the change to the newest ring it knows of; what it
///   returns is seen by later calls in the same process.
/// * A member missing in the changed ring is removed everywhere in the end.
/// * Watchers see the newest ring in the end; they may miss ones in between.
pub trait RingStore: Send + Sync {
    /// Changes a ring and returns it as it is afterwards.
    ///
    /// # Errors
    /// The store does not answer, others were faster too often, or what the
    /// change itself returns.
    fn publish<'a>(
        &'a self,
        ring: &'a str,
        change: &'a mut Change<'a>,
    ) -> BoxFuture<'a, Result<Arc<Desc>, KvError>>;

    /// Follows a ring; the receiver holds the newest one that is known.
    fn watch(&self, ring: &str) -> watch::Receiver<Arc<Desc>>;
}

/// What every store can do with these two.
pub trait RingStoreExt: RingStore {
    /// The ring as it is known here.
    fn current(&self, ring: &str) -> Arc<Desc> {
        self.watch(ring).borrow().clone()
    }

    /// Removes a member, for example one that will never come back.
    fn forget<'a>(
        &'a self,
        ring: &'a str,
        id: &'a str,
    ) -> impl Future<Output = Result<(), KvError>> + Send + 'a {
        async move {
            let mut change = |desc: &Desc| {
                let mut desc = desc.clone();
                Ok(desc.instances.remove(id).map(|_| desc))
            };
            self.publish(ring, &mut change).await.map(drop)
        }
    }
}

impl<S: RingStore + ?Sized> RingStoreExt for S {}
