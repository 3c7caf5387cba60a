//! Objects in any store of the crate [`object_store`]: S3, GCS, Azure, memory, a folder.
//!
//! That crate is asynchronous and this one is not: each request runs as a task of a tokio runtime,
//! while the thread that asked waits.

mod error;
mod upload;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use futures_util::TryStreamExt;
use headwater_storage::{Error, ErrorKind, Result};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;

use self::error::{failed, path};
use self::upload::RemoteUpload;
use crate::object::{Object, ObjectClient, Upload, beyond};

/// Bytes of a piece of an upload. An upload keeps at most one in memory; an object that fits into one
/// is put at once. S3 takes pieces of 5 MiB and more, and ten thousand of them.
pub const PIECE_BYTES: usize = 8 << 20;

/// Objects in an [`ObjectStore`]. Put it into a `PrefixStore` to share a bucket with others.
///
/// ```
/// use std::sync::Arc;
///
/// use headwater_chunkstore::remote::RemoteObjects;
/// use headwater_chunkstore::{ChunkStore, Config};
/// use headwater_env::Env;
///
/// let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// // Or `AmazonS3Builder::from_env()`, with the feature `aws-base` of `object_store`.
/// let bucket = Arc::new(object_store::memory::InMemory::new());
/// let objects = Arc::new(RemoteObjects::new(bucket, runtime.handle().clone()));
/// let store = ChunkStore::open_with(Env::in_memory(1), Config::new("logs"), objects.clone())?;
/// store.flush()?;
/// drop(store);
/// objects.wait_for_removals();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Threads
/// Every call waits for the store and must not be made on a worker of the runtime: it would keep the
/// worker from other tasks, and if that is the only one, wait forever. Threads of one's own and those
/// of `spawn_blocking` are fine. The runtime needs its drivers (`enable_all`), must be driven by threads
/// of its own (the multi-threaded one is) and outlive the objects: once it has ended, calls fail as
/// [`ErrorKind::NotReady`].
///
/// # Removal
/// Stores of clouds let go of an object at once, whoever reads it. One that is open is therefore
/// removed when the last reader has let go of it; until then listings hide it. A crash in between
/// leaves it in the store, as if it had come before the removal.
///
/// # Errors
/// [`ErrorKind::NoSpace`]: the device below a store of files is full. [`ErrorKind::Invalid`]: the store
/// cannot do this, or not with this name. [`ErrorKind::Io`]: there is no such object, it may not be
/// accessed, or a file cannot be. [`ErrorKind::Unavailable`]: everything else; the store, which has
/// tried again as it was set up to, does not answer or refuses.
#[derive(Debug)]
pub struct RemoteObjects {
    remote: Arc<Remote>,
}

impl RemoteObjects {
    /// Objects in `store`; its requests run on `runtime`.
    pub fn new(store: Arc<dyn ObjectStore>, runtime: Handle) -> Self {
        Self {
            remote: Arc::new(Remote {
                store,
                runtime,
                names: Mutex::default(),
                removed: Condvar::new(),
            }),
        }
    }

    /// Waits until removals that have begun are done, before the runtime is shut down for example.
    /// Those of objects that are still open have not begun.
    pub fn wait_for_removals(&self) {
        let mut names = self.remote.names.lock();
        while names.values().any(|usage| usage.readers == 0) {
            self.remote.removed.wait(&mut names);
        }
    }
}

#[derive(Debug)]
struct Remote {
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
    /// Names of objects that are open or being removed; bounded by what the store above has open.
    names: Mutex<HashMap<String, Usage>>,
    /// Told when an object was removed.
    removed: Condvar,
}

/// Without readers the object is being removed.
#[derive(Debug, Default)]
struct Usage {
    readers: usize,
    removed: bool,
}

impl Remote {
    /// Runs a request on the runtime and waits for it. Unlike `Handle::block_on` this does not panic
    /// on a thread of the runtime.
    fn wait<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let (done, answer) = mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // Whoever asked waits below.
            let _ = done.send(request.await);
        });
        answer.recv().map_err(|_| {
            let text = "the runtime of the object store has ended, or a request to it has panicked";
            Error::new(ErrorKind::NotReady, text)
        })
    }

    fn removed_names(&self) -> HashSet<String> {
        let names = self.names.lock();
        let removed = names.iter().filter(|(_, usage)| usage.removed);
        removed.map(|(name, _)| name.clone()).collect()
    }

    fn is_removed(&self, name: &str) -> bool {
        self.names
            .lock()
            .get(name)
            .is_some_and(|usage| usage.removed)
    }
}

impl ObjectClient for RemoteObjects {
    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let prefix = match folder {
            "" => None,
            folder => Some(path(folder)?),
        };
        // Asked before the store is: what is being removed now may be gone when the answer, which
        // still has it, comes.
        let hidden = self.remote.removed_names();
        let store = self.remote.store.clone();
        let listing = self.remote.wait(async move {
            let found = store.list(prefix.as_ref());
            let names = found.map_ok(|object| object.location.to_string());
            names.try_collect::<Vec<_>>().await
        })?;
        let mut names = listing.map_err(failed("cannot list", folder))?;
        names.retain(|name| !hidden.contains(name));
        names.sort_unstable();
        Ok(names)
    }

    fn upload(&self, name: &str) -> Result<Box<dyn Upload>> {
        if self.remote.is_removed(name) {
            let text = format!("object {name} is still being removed: try again");
            return Err(Error::new(ErrorKind::Unavailable, text).at_path(name));
        }
        let upload = RemoteUpload::new(self.remote.clone(), path(name)?);
        Ok(Box::new(upload))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Object>> {
        let path = path(name)?;
        let reader = Reader::new(&self.remote, name)?;
        let store = self.remote.store.clone();
        let asked = path.clone();
        let head = self.remote.wait(async move { store.head(&asked).await })?;
        let length = head.map_err(failed("cannot open", name))?.size;
        Ok(Arc::new(RemoteObject {
            reader,
            path,
            length,
        }))
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = path(name)?;
        {
            let mut names = self.remote.names.lock();
            let usage = names.entry(name.to_owned()).or_default();
            if std::mem::replace(&mut usage.removed, true) || usage.readers > 0 {
                return Ok(());
            }
        }
        let removal = Removal::new(&self.remote, name);
        self.remote.wait(removal.run(path))?
    }
}

/// One of those who read an object; while there are any, it is not removed.
#[derive(Debug)]
struct Reader {
    remote: Arc<Remote>,
    name: String,
}

impl Reader {
    fn new(remote: &Arc<Remote>, name: &str) -> Result<Self> {
        let mut names = remote.names.lock();
        let usage = names.entry(name.to_owned()).or_default();
        if usage.removed {
            let text = format!("cannot open object {name}: it was removed");
            return Err(Error::new(ErrorKind::Io, text).at_path(name));
        }
        usage.readers += 1;
        Ok(Self {
            remote: remote.clone(),
            name: name.to_owned(),
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut names = self.remote.names.lock();
        let Some(usage) = names.get_mut(&self.name) else {
            return;
        };
        usage.readers -= 1;
        match (usage.readers, usage.removed) {
            (0, false) => drop(names.remove(&self.name)),
            (0, true) => {
                drop(names);
                let removal = Removal::new(&self.remote, &self.name);
                if let Ok(path) = path(&self.name) {
                    // Readers end anywhere, on workers of the runtime too: nobody waits here. What
                    // cannot be removed is found by whoever opens the store next.
                    drop(self.remote.runtime.spawn(removal.run(path)));
                }
            }
            _ => {}
        }
    }
}

/// An object is being removed. When this ends, however it does, its name is free again.
struct Removal {
    remote: Arc<Remote>,
    name: String,
}

impl Removal {
    fn new(remote: &Arc<Remote>, name: &str) -> Self {
        Self {
            remote: remote.clone(),
            name: name.to_owned(),
        }
    }

    async fn run(self, path: Path) -> Result<()> {
        match self.remote.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("cannot remove", &self.name)(error)),
        }
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        self.remote.names.lock().remove(&self.name);
        self.remote.removed.notify_all();
    }
}

#[derive(Debug)]
struct RemoteObject {
    reader: Reader,
    path: Path,
    length: u64,
}

impl Object for RemoteObject {
    fn len(&self) -> u64 {
        self.length
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        if range.start > range.end || range.end > self.length {
            return Err(beyond(&range, self.length));
        }
        if range.is_empty() {
            // Stores refuse to read nothing.
            return Ok(Bytes::new());
        }
        let (remote, wanted) = (&self.reader.remote, range.clone());
        let (store, path) = (remote.store.clone(), self.path.clone());
        let read = remote.wait(async move { store.get_range(&path, wanted).await })?;
        let bytes = read.map_err(failed("cannot read", &self.reader.name))?;
        if bytes.len() as u64 != range.end - range.start {
            return Err(beyond(&range, range.start + bytes.len() as u64));
        }
        Ok(bytes)
    }
}
