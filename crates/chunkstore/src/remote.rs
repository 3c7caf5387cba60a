//! Objects in any store of the crate [`object_store`]: S3, GCS, Azure, memory, a folder.
//!
//! That crate is asynchronous and this one is not: each request runs as a task of a tokio runtime,
//! while the thread that asked waits.

use std::collections::HashMap;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use futures_util::TryStreamExt;
use headwater_storage::{Error, ErrorKind, Result};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;

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
        let store = self.remote.store.clone();
        let listing = self.remote.wait(async move {
            let found = store.list(prefix.as_ref());
            let names = found.map_ok(|object| object.location.to_string());
            names.try_collect::<Vec<_>>().await
        })?;
        let mut names = listing.map_err(failed("cannot list", folder))?;
        names.retain(|name| !self.remote.is_removed(name));
        names.sort_unstable();
        Ok(names)
    }

    fn upload(&self, name: &str) -> Result<Box<dyn Upload>> {
        if self.remote.is_removed(name) {
            let text = format!("object {name} is still being removed: try again");
            return Err(Error::new(ErrorKind::Unavailable, text).at_path(name));
        }
        Ok(Box::new(RemoteUpload {
            remote: self.remote.clone(),
            path: path(name)?,
            piece: Vec::new(),
            pieces: None,
        }))
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

/// An upload: up to a piece in memory, the pieces before it in the store, where nobody sees them yet.
struct RemoteUpload {
    remote: Arc<Remote>,
    path: Path,
    piece: Vec<u8>,
    /// What the store has of it; `None` before the first full piece.
    pieces: Option<Box<dyn MultipartUpload>>,
}

impl RemoteUpload {
    fn send_piece(&mut self) -> Result<()> {
        let failed = failed("cannot write", self.path.as_ref());
        let payload = PutPayload::from(std::mem::take(&mut self.piece));
        if self.pieces.is_none() {
            let (store, path) = (self.remote.store.clone(), self.path.clone());
            let begun = async move { store.put_multipart(&path).await };
            self.pieces = Some(self.remote.wait(begun)?.map_err(&failed)?);
        }
        match &mut self.pieces {
            Some(pieces) => {
                let sent = pieces.put_part(payload);
                self.remote.wait(sent)?.map_err(&failed)
            }
            None => Ok(()),
        }
    }
}

impl Upload for RemoteUpload {
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            // Full pieces leave when more comes: what is left at the end is never empty.
            if self.piece.len() == PIECE_BYTES {
                self.send_piece()?;
            }
            let room = PIECE_BYTES - self.piece.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.piece.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let failed = failed("cannot write", self.path.as_ref());
        if self.pieces.is_none() {
            let payload = PutPayload::from(std::mem::take(&mut self.piece));
            let (store, path) = (self.remote.store.clone(), self.path.clone());
            let put = async move { store.put(&path, payload).await };
            return self.remote.wait(put)?.map(drop).map_err(failed);
        }
        self.send_piece()?;
        let Some(mut pieces) = self.pieces.take() else {
            return Ok(());
        };
        let completed = async move {
            let completed = pieces.complete().await;
            (completed, pieces)
        };
        let (completed, pieces) = self.remote.wait(completed)?;
        completed.map(drop).map_err(|error| {
            // To be given up when this is dropped.
            self.pieces = Some(pieces);
            failed(error)
        })
    }
}

impl Drop for RemoteUpload {
    fn drop(&mut self) {
        if let Some(mut pieces) = self.pieces.take() {
            // Nobody waits, and what is left is not listed: rules of the bucket remove such pieces.
            let abort = async move { pieces.abort().await };
            drop(self.remote.runtime.spawn(abort));
        }
    }
}

fn path(name: &str) -> Result<Path> {
    Path::parse(name).map_err(|error| failed("cannot name", name)(error.into()))
}

/// A failure of the store in the words of this one.
fn failed(what: &str, name: &str) -> impl Fn(object_store::Error) -> Error + use<> {
    let (what, name) = (what.to_owned(), name.to_owned());
    move |error| {
        let text = format!("{what} object {name}: {error}");
        let kind = kind_of(&error);
        Error::new(kind, text).at_path(&name).because(error)
    }
}

fn kind_of(error: &object_store::Error) -> ErrorKind {
    use object_store::Error as E;
    match error {
        error if lacks_space(error) => ErrorKind::NoSpace,
        E::InvalidPath { .. } | E::NotSupported { .. } | E::NotImplemented { .. } => {
            ErrorKind::Invalid
        }
        E::NotFound { .. } | E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
            ErrorKind::Io
        }
        E::Generic {
            store: "LocalFileSystem",
            ..
        } => ErrorKind::Io,
        _ => ErrorKind::Unavailable,
    }
}

/// Whether a full device or quota is among the causes.
fn lacks_space(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| matches!(cause.kind(), QuotaExceeded | StorageFull))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(store: &'static str, kind: std::io::ErrorKind) -> object_store::Error {
        let source = Box::new(std::io::Error::from(kind));
        object_store::Error::Generic { store, source }
    }

    #[test]
    fn errors_say_what_to_do_next() {
        use std::io::ErrorKind as Cause;
        let missing = object_store::Error::NotFound {
            path: "t/1".into(),
            source: "nothing there".into(),
        };
        for (error, kind) in [
            (missing, ErrorKind::Io),
            (
                generic("LocalFileSystem", Cause::StorageFull),
                ErrorKind::NoSpace,
            ),
            (
                generic("LocalFileSystem", Cause::InvalidData),
                ErrorKind::Io,
            ),
            (
                generic("S3", Cause::ConnectionReset),
                ErrorKind::Unavailable,
            ),
        ] {
            let text = error.to_string();
            let told = failed("cannot read", "t/1")(error);
            assert_eq!(told.kind(), kind, "{text}");
            assert!(
                told.to_string().starts_with("cannot read object t/1: "),
                "{told}"
            );
        }
        assert_eq!(path("a//b").unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(path("a/../b").unwrap_err().kind(), ErrorKind::Invalid);
    }
}
