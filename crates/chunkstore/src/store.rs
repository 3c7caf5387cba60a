//! The store: log, heads, parts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use headwater_env::{Env, FileErrorKind, FilesExt};
use headwater_model::Labels;
use headwater_storage::{Error, ErrorKind, Result};
use headwater_wal::{Wal, WalError};
use parking_lot::{Condvar, Mutex, RwLock};

use crate::cache::BlockCache;
use crate::config::Config;
use crate::flush::{FlushQueues, FlushReason};
use crate::head::Head;
use crate::name::Flushes;
use crate::object::{LocalObjects, ObjectClient, file_error};
use crate::part::{Part, PartError};
use crate::push::{PushStream, encode};
use crate::replay::replay;

/// Records of the log whose memory is kept: as many pushes as come at once, mostly.
const KEPT_RECORDS: usize = 4;
/// Bytes of such a record at most.
const KEPT_RECORD_BYTES: usize = 4 << 20;

/// Entries of many tenants: a log that survives crashes, heads in memory, parts in a store of objects.
///
/// # What is promised
/// A push that has returned is in the log, and with [`Config::sync`] on the device: it is found after
/// any crash. A push that has failed stored nothing that a reader may rely on; trying again is safe,
/// because an entry that is stored twice is delivered once.
#[derive(Debug)]
pub struct ChunkStore {
    pub(crate) env: Env,
    pub(crate) config: Config,
    pub(crate) objects: Arc<dyn ObjectClient>,
    pub(crate) wal: Wal,
    /// Held for reading by pushes, for writing by whoever lets go of the log: what is in the log is
    /// then in heads as well.
    pub(crate) cut: RwLock<()>,
    tenants: RwLock<BTreeMap<String, Arc<Tenant>>>,
    pub(crate) head_bytes: AtomicUsize,
    pub(crate) cache: BlockCache,
    pub(crate) work: Mutex<Work>,
    /// Memory of records of the log, to be used again.
    records: Mutex<Vec<Vec<u8>>>,
    /// Told when there is something to do, when something was done, and when there is room for pushes.
    pub(crate) changed: Condvar,
    /// Parts are told apart by numbers of this process.
    next_part: AtomicU64,
    pub(crate) counts: Counters,
    damaged: Vec<String>,
}

/// What is to be done beside pushes and queries.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) queues: FlushQueues,
    /// Tenants whose parts may be merged.
    pub(crate) to_merge: BTreeMap<String, ()>,
    /// Threads that work.
    pub(crate) workers: usize,
    /// Workers should end.
    pub(crate) stopping: bool,
}

/// What was done since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) flushes: [AtomicU64; FlushReason::ALL.len()],
    pub(crate) failures: AtomicU64,
    pub(crate) merges: AtomicU64,
    pub(crate) expired: AtomicU64,
}

/// What a store has done since it was opened, for those who watch it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCounts {
    /// Heads written to parts, by reason, in the order of [`FlushReason::ALL`].
    pub flushes: [u64; FlushReason::ALL.len()],
    /// Flushes and merges that failed.
    pub failures: u64,
    /// Merges of parts.
    pub merges: u64,
    /// Parts that retention has removed or made smaller.
    pub expired: u64,
    /// Tenants that wait to be flushed.
    pub flush_queue_length: usize,
    /// Bytes of decoded blocks that are kept.
    pub cache_bytes: usize,
    /// Blocks found decoded.
    pub cache_hits: u64,
    /// Blocks that had to be decoded.
    pub cache_misses: u64,
}

/// What one tenant has.
#[derive(Debug, Default)]
pub(crate) struct Tenant {
    pub(crate) state: RwLock<TenantState>,
    /// Held by whoever replaces parts, so that merging and retention do not meet.
    pub(crate) rewriting: Mutex<()>,
}

#[derive(Debug, Default)]
pub(crate) struct TenantState {
    pub(crate) head: Head,
    /// Heads that are being written to parts, oldest first.
    pub(crate) closed: Vec<Arc<Head>>,
    /// In the order of writing.
    pub(crate) parts: Vec<Arc<StoredPart>>,
    /// The number of the newest flush.
    pub(crate) last_flush: u64,
}

/// A part with its place.
#[derive(Debug)]
pub(crate) struct StoredPart {
    pub(crate) part: Part,
    pub(crate) flushes: Flushes,
    /// Tells parts apart in this process.
    pub(crate) id: u64,
}

impl std::ops::Deref for StoredPart {
    type Target = Part;

    fn deref(&self) -> &Part {
        &self.part
    }
}

pub(crate) fn log_error(what: &str) -> impl Fn(WalError) -> Error + '_ {
    move |error| {
        let kind = match &error {
            WalError::File(file) if file.kind() == FileErrorKind::NoSpace => ErrorKind::NoSpace,
            WalError::TooLarge { .. } => ErrorKind::Invalid,
            WalError::Closed => ErrorKind::NotReady,
            _ => ErrorKind::Io,
        };
        Error::new(kind, format!("{what}: {error}")).because(error)
    }
}

impl ChunkStore {
    /// Opens the store in `config.dir`, with parts in its folder `parts`: reads their footers and
    /// replays the log.
    ///
    /// Parts that are damaged are left where they are and named by [`ChunkStore::damaged`];
    /// the others are served.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(env: Env, config: Config) -> Result<Self> {
        let objects = LocalObjects::new(env.files.clone(), config.dir.join("parts"))?;
        Self::open_with(env, config, Arc::new(objects))
    }

    /// Opens the store in `config.dir` whose parts lie elsewhere.
    ///
    /// # Errors
    /// The folder or the objects cannot be read or written.
    pub fn open_with(env: Env, config: Config, objects: Arc<dyn ObjectClient>) -> Result<Self> {
        let log = config.dir.join("wal");
        let made = env.files.create_dir_durable(&log);
        made.map_err(file_error(&log, "cannot make"))?;
        let (mut damaged, mut next_part) = (Vec::new(), 0);
        let mut tenants = open_parts(&*objects, &mut next_part, &mut damaged)?;
        let (now, mut head_bytes) = (env.clock.monotonic(), 0);
        let take = |segment: u64, tenant: &str, streams: &[PushStream]| {
            if !tenants.contains_key(tenant) {
                tenants.insert(tenant.to_owned(), Arc::default());
            }
            let head = &mut tenants[tenant].state.write().head;
            head_bytes += head.push(streams, now, segment);
        };
        damaged.extend(replay(&*env.files, &log, config.replay_threads, take)?);
        // Batches are synced by those who wait for them together, so the log itself does not sync.
        let wal = Wal::open(env.files.clone(), &log, headwater_wal::Config::queue())
            .map_err(log_error("cannot open the log"))?;
        Ok(Self {
            objects,
            wal,
            cut: RwLock::new(()),
            tenants: RwLock::new(tenants),
            head_bytes: AtomicUsize::new(head_bytes),
            cache: BlockCache::new(config.cache_bytes),
            work: Mutex::new(Work {
                queues: FlushQueues::new(config.flush_queues),
                to_merge: BTreeMap::new(),
                workers: 0,
                stopping: false,
            }),
            records: Mutex::default(),
            changed: Condvar::new(),
            next_part: AtomicU64::new(next_part),
            counts: Counters::default(),
            damaged,
            env,
            config,
        })
    }

    /// What could not be read when the store was opened, one sentence each.
    pub fn damaged(&self) -> &[String] {
        &self.damaged
    }

    /// Bytes that heads hold.
    pub fn head_bytes(&self) -> usize {
        self.head_bytes.load(Ordering::Relaxed)
    }

    /// What was done since the store was opened.
    pub fn counts(&self) -> StoreCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (cache_bytes, cache_hits, cache_misses) = self.cache.counts();
        StoreCounts {
            flushes: std::array::from_fn(|at| read(&self.counts.flushes[at])),
            failures: read(&self.counts.failures),
            merges: read(&self.counts.merges),
            expired: read(&self.counts.expired),
            flush_queue_length: self.work.lock().queues.len(),
            cache_bytes,
            cache_hits,
            cache_misses,
        }
    }

    /// Stores entries of a tenant. Returns once they are in the log and, with [`Config::sync`], on the
    /// device; queries see them from then on.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: the tenant's name cannot be a folder. [`ErrorKind::Limit`]: heads hold
    /// [`Config::max_head_bytes`], try again later. [`ErrorKind::NoSpace`]: free space on the device.
    /// [`ErrorKind::NotReady`]: the store is closed. Others: the device has failed.
    pub fn push(&self, tenant: &str, streams: &[PushStream]) -> Result<()> {
        check_tenant(tenant)?;
        self.wait_for_room()?;
        let mut record = self.records.lock().pop().unwrap_or_default();
        encode(tenant, streams, &mut record);
        let (ticket, full) = {
            let _no_cut = self.cut.read();
            let segment = self.wal.position().segment;
            let appended = self.wal.append(&[&record]);
            self.keep_record(record);
            let ticket = appended.map_err(log_error("cannot write the log"))?;
            let tenant = self.tenant(tenant);
            let mut state = tenant.state.write();
            let grown = state
                .head
                .push(streams, self.env.clock.monotonic(), segment);
            self.head_bytes.fetch_add(grown, Ordering::Relaxed);
            (ticket, state.head.bytes() >= self.config.flush_bytes)
        };
        if full {
            self.request_flush(tenant, FlushReason::Full);
        }
        if self.config.sync {
            ticket.wait().map_err(log_error("cannot sync the log"))
        } else {
            Ok(())
        }
    }

    /// Keeps the memory of a record for the next.
    fn keep_record(&self, record: Vec<u8>) {
        let mut records = self.records.lock();
        if records.len() < KEPT_RECORDS && record.capacity() <= KEPT_RECORD_BYTES {
            records.push(record);
        }
    }

    /// Waits until heads may grow. A push that comes through may exceed the bound by its own size.
    fn wait_for_room(&self) -> Result<()> {
        let has_room = || self.head_bytes() < self.config.max_head_bytes;
        if has_room() {
            return Ok(());
        }
        let until = Instant::now() + self.config.max_push_wait;
        let mut work = self.work.lock();
        while work.workers > 0 && !work.stopping {
            if has_room() {
                return Ok(());
            }
            if self.changed.wait_until(&mut work, until).timed_out() {
                break;
            }
        }
        drop(work);
        match has_room() {
            true => Ok(()),
            false => Err(Error::new(
                ErrorKind::Limit,
                format!(
                    "entries that wait to be written to parts hold {} bytes, more than max_head_bytes ({}): push slower, or see why parts cannot be written",
                    self.head_bytes(),
                    self.config.max_head_bytes
                ),
            )),
        }
    }

    fn tenant(&self, name: &str) -> Arc<Tenant> {
        if let Some(tenant) = self.tenants.read().get(name) {
            return tenant.clone();
        }
        self.tenants
            .write()
            .entry(name.to_owned())
            .or_default()
            .clone()
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Tenant>> {
        self.tenants.read().get(name).cloned()
    }

    /// All tenants with their names.
    pub(crate) fn all_tenants(&self) -> Vec<(String, Arc<Tenant>)> {
        let tenants = self.tenants.read();
        let pairs = tenants.iter();
        pairs
            .map(|(name, tenant)| (name.clone(), tenant.clone()))
            .collect()
    }

    /// Names of all tenants that have entries.
    pub fn tenants(&self) -> Vec<String> {
        self.tenants.read().keys().cloned().collect()
    }

    /// Labels of all streams of a tenant, sorted, each once.
    pub fn streams(&self, tenant: &str) -> Vec<Labels> {
        let Some(tenant) = self.find(tenant) else {
            return Vec::new();
        };
        let state = tenant.state.read();
        let mut labels: Vec<Labels> = state.heads().flat_map(Head::labels).cloned().collect();
        labels.extend(state.parts.iter().flat_map(|part| part.streams()).cloned());
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// Opens a part that was written just now.
    pub(crate) fn open_part(&self, tenant: &str, flushes: Flushes) -> Result<Arc<StoredPart>> {
        let id = self.next_part.fetch_add(1, Ordering::Relaxed);
        open_part(&*self.objects, &flushes.name(tenant), flushes, id).map(Arc::new)
    }
}

impl TenantState {
    /// Heads, oldest first.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &Head> {
        self.closed.iter().map(|head| &**head).chain([&self.head])
    }

    pub(crate) fn close_head(&mut self) {
        if !self.head.is_empty() {
            self.closed.push(Arc::new(std::mem::take(&mut self.head)));
        }
    }
}

/// Tenants are folders: the characters that Loki allows, without names that mean something else.
fn check_tenant(tenant: &str) -> Result<()> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"!-_.*'()".contains(&byte);
    let invalid = |why: &str| {
        Err(Error::new(
            ErrorKind::Invalid,
            format!("tenant {tenant:?}: {why}"),
        ))
    };
    match tenant {
        "" => invalid("the name is empty"),
        "." | ".." => invalid("the name is that of another folder"),
        _ if tenant.len() > 150 => invalid("the name is longer than 150 bytes"),
        _ if !tenant.bytes().all(fine) => {
            invalid("the name has characters other than letters, digits and !-_.*'()")
        }
        _ => Ok(()),
    }
}

/// Opens all parts, and removes those that others have taken in: a crash came between.
fn open_parts(
    objects: &dyn ObjectClient,
    next_id: &mut u64,
    damaged: &mut Vec<String>,
) -> Result<BTreeMap<String, Arc<Tenant>>> {
    let mut found: BTreeMap<String, TenantState> = BTreeMap::new();
    let mut names: Vec<(String, Flushes, String)> = Vec::new();
    for name in objects.list("")? {
        if let (Some((tenant, _)), Some(flushes)) = (name.split_once('/'), Flushes::of_name(&name))
        {
            names.push((tenant.to_owned(), flushes, name));
        }
    }
    // Of parts that begin with the same flush, the one that replaces the others comes first.
    let rank = |flushes: Flushes| {
        (
            flushes.first,
            u64::MAX - flushes.last,
            u64::MAX - flushes.edition,
        )
    };
    names.sort_by_key(|(tenant, flushes, _)| (tenant.clone(), rank(*flushes)));
    for (tenant, flushes, name) in names {
        let state = found.entry(tenant).or_default();
        state.last_flush = state.last_flush.max(flushes.last);
        if state
            .parts
            .last()
            .is_some_and(|before| before.flushes.replaces(flushes))
        {
            objects.remove(&name)?;
            continue;
        }
        match open_part(objects, &name, flushes, *next_id) {
            Ok(part) => state.parts.push(Arc::new(part)),
            // It may be sound, so it must not be missing from answers: the caller tries again.
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
            Err(error) => damaged.push(error.to_string()),
        }
        *next_id += 1;
    }
    let tenant = |(name, state): (String, TenantState)| {
        let tenant = Tenant {
            state: RwLock::new(state),
            ..Tenant::default()
        };
        (name, Arc::new(tenant))
    };
    Ok(found.into_iter().map(tenant).collect())
}

fn open_part(
    objects: &dyn ObjectClient,
    name: &str,
    flushes: Flushes,
    id: u64,
) -> Result<StoredPart> {
    let part = Part::read_from(objects.open(name)?).map_err(|error| {
        let kind = match &error {
            PartError::Read(error) if error.kind() == ErrorKind::Unavailable => error.kind(),
            _ => ErrorKind::Corrupt,
        };
        Error::new(kind, format!("part {name}: {error}"))
            .at_path(name)
            .because(error)
    })?;
    Ok(StoredPart { part, flushes, id })
}
