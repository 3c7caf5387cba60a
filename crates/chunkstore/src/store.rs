//! The store: log, heads, parts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use headwater_env::{Env, FileError, FileErrorKind, FilesExt};
use headwater_model::Labels;
use headwater_storage::{Error, ErrorKind, Result};
use headwater_wal::{
    DamageReason, Framing, SegmentDecoder, Wal, WalError, list_segments, segment_path,
};
use parking_lot::{Mutex, RwLock};

use crate::config::Config;
use crate::head::Head;
use crate::part::Part;
use crate::push::{PushStream, decode, encode};

/// Entries of many tenants: a log that survives crashes, heads in memory, parts on disk.
///
/// # What is promised
/// A push that has returned is in the log, and with [`Config::sync`] on the device: it is found after
/// any crash. A push that has failed stored nothing that a reader may rely on; trying again is safe,
/// because an entry that is stored twice is delivered once.
#[derive(Debug)]
pub struct ChunkStore {
    env: Env,
    config: Config,
    wal: Wal,
    /// Held for reading by pushes, for writing by whoever takes the heads: what is in the log before
    /// a cut is then in the heads that were taken.
    cut: RwLock<()>,
    tenants: RwLock<BTreeMap<String, Arc<Tenant>>>,
    head_bytes: AtomicUsize,
    flushing: Mutex<()>,
    damaged: Vec<String>,
}

/// What one tenant has.
#[derive(Debug, Default)]
pub(crate) struct Tenant {
    pub(crate) state: RwLock<TenantState>,
}

#[derive(Debug, Default)]
pub(crate) struct TenantState {
    pub(crate) head: Head,
    /// Heads that are being written to parts, oldest first.
    pub(crate) closed: Vec<Arc<Head>>,
    pub(crate) parts: Vec<Arc<Part>>,
}

/// Why heads are written to a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushReason {
    /// They have grown large enough.
    Full,
    /// Their oldest entry has waited long enough.
    MaxAge,
    /// Nothing came for a while.
    Idle,
    /// Somebody asked for it.
    Forced,
}

impl FlushReason {
    /// The word that metrics and logs use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::MaxAge => "max_age",
            Self::Idle => "idle",
            Self::Forced => "forced",
        }
    }
}

fn io(path: &Path, what: &str) -> impl Fn(FileError) -> Error {
    let (path, what) = (path.to_owned(), what.to_owned());
    move |error| {
        let kind = match error.kind() {
            FileErrorKind::NoSpace => ErrorKind::NoSpace,
            _ => ErrorKind::Io,
        };
        Error::new(kind, format!("{what} {}: {error}", path.display()))
            .at_path(path.clone())
            .because(error)
    }
}

fn log_error(what: &str) -> impl Fn(WalError) -> Error + '_ {
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
    /// Opens the store in `config.dir`: reads the footers of its parts and replays its log.
    ///
    /// Parts that are damaged are left where they are and named by [`ChunkStore::damaged`];
    /// the others are served.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(env: Env, config: Config) -> Result<Self> {
        let (log, parts) = (config.dir.join("wal"), config.dir.join("parts"));
        for folder in [&log, &parts] {
            env.files
                .create_dir_durable(folder)
                .map_err(io(folder, "cannot make"))?;
        }
        let mut damaged = Vec::new();
        let mut tenants = open_parts(&env, &parts, &mut damaged)?;
        let head_bytes = replay(&env, &log, &mut tenants, &mut damaged)?;
        // Batches are synced by those who wait for them together, so the log itself does not sync.
        let wal = Wal::open(env.files.clone(), &log, headwater_wal::Config::queue())
            .map_err(log_error("cannot open the log"))?;
        Ok(Self {
            env,
            config,
            wal,
            cut: RwLock::new(()),
            tenants: RwLock::new(tenants),
            head_bytes: AtomicUsize::new(head_bytes),
            flushing: Mutex::new(()),
            damaged,
        })
    }

    /// What could not be read when the store was opened, one sentence each.
    pub fn damaged(&self) -> &[String] {
        &self.damaged
    }

    /// Bytes that all heads hold.
    pub fn head_bytes(&self) -> usize {
        self.head_bytes.load(Ordering::Relaxed)
    }

    /// Stores entries of one tenant; blocks until they are as durable as the settings ask.
    ///
    /// # Errors
    /// [`ErrorKind::NoSpace`] or [`ErrorKind::Io`]: the log could not be written, try again later.
    /// [`ErrorKind::Limit`]: the heads are full because flushing does not keep up, try again later.
    /// [`ErrorKind::Invalid`]: the tenant's name cannot be that of a folder.
    pub fn push(&self, tenant: &str, streams: &[PushStream]) -> Result<()> {
        check_tenant(tenant)?;
        let held = self.head_bytes();
        if held >= self.config.max_head_bytes {
            let limit = self.config.max_head_bytes;
            return Err(Error::new(
                ErrorKind::Limit,
                format!("heads hold {held} bytes, the limit is {limit}: flushing does not keep up"),
            ));
        }
        let record = encode(tenant, streams);
        let ticket = {
            let _no_cut = self.cut.read();
            let ticket = self
                .wal
                .append(&[record])
                .map_err(log_error("cannot write the log"))?;
            let grown = self
                .tenant(tenant)
                .state
                .write()
                .head
                .push(streams, self.env.clock.monotonic());
            self.head_bytes.fetch_add(grown, Ordering::Relaxed);
            ticket
        };
        if self.config.sync {
            ticket.wait().map_err(log_error("cannot sync the log"))
        } else {
            Ok(())
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
        let heads = state.closed.iter().map(|head| &**head).chain([&state.head]);
        let mut labels: Vec<Labels> = heads.flat_map(Head::labels).cloned().collect();
        labels.extend(state.parts.iter().flat_map(|part| part.streams()).cloned());
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// The reason for which some tenant's heads should be written now, if there is one.
    pub fn flush_due(&self) -> Option<FlushReason> {
        let now = self.env.clock.monotonic();
        let tenants: Vec<Arc<Tenant>> = self.tenants.read().values().cloned().collect();
        tenants
            .iter()
            .find_map(|tenant| self.config.due(&tenant.state.read(), now))
    }

    /// Writes all heads to parts and lets go of the log before them. Queries see the entries all the while.
    ///
    /// # Errors
    /// A part could not be written; its entries stay in memory and in the log, and the next flush tries again.
    pub fn flush(&self) -> Result<()> {
        let _one_at_a_time = self.flushing.lock();
        let (segment, tenants) = {
            let _no_push = self.cut.write();
            let segment = self
                .wal
                .cut()
                .map_err(log_error("cannot begin a new segment of the log"))?;
            let tenants: Vec<(String, Arc<Tenant>)> = self
                .tenants
                .read()
                .iter()
                .map(|(name, tenant)| (name.clone(), tenant.clone()))
                .collect();
            for (_, tenant) in &tenants {
                tenant.state.write().close_head();
            }
            (segment, tenants)
        };
        for (name, tenant) in &tenants {
            self.flush_tenant(name, tenant)?;
        }
        self.wal
            .truncate_before(segment)
            .map_err(log_error("cannot remove old segments of the log"))
    }

    fn flush_tenant(&self, name: &str, tenant: &Tenant) -> Result<()> {
        loop {
            let Some(head) = tenant.state.read().closed.first().cloned() else {
                return Ok(());
            };
            let object = head.to_part(self.config.part).map_err(|error| {
                Error::new(ErrorKind::Internal, error.to_string()).because(error)
            })?;
            let path = self.write_part(name, &object)?;
            let part = open_part(&self.env, &path)?;
            let mut state = tenant.state.write();
            state.parts.push(Arc::new(part));
            state.closed.remove(0);
            self.head_bytes.fetch_sub(head.bytes(), Ordering::Relaxed);
        }
    }

    /// Parts are numbered so that a listing shows them in the order of writing.
    fn write_part(&self, tenant: &str, object: &[u8]) -> Result<PathBuf> {
        let folder = self.config.dir.join("parts").join(tenant);
        self.env
            .files
            .create_dir_durable(&folder)
            .map_err(io(&folder, "cannot make"))?;
        let names = self
            .env
            .files
            .list(&folder)
            .map_err(io(&folder, "cannot list"))?;
        let next = names
            .iter()
            .filter_map(|entry| part_number(&entry.name))
            .max()
            .map_or(1, |last| last + 1);
        let path = folder.join(format!("{next:010}.part"));
        self.env
            .files
            .write_atomic(&path, object)
            .map_err(io(&path, "cannot write"))?;
        Ok(path)
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

impl Config {
    fn due(&self, state: &TenantState, now: std::time::Duration) -> Option<FlushReason> {
        let first = state.head.first_push?;
        if state.head.bytes() >= self.flush_bytes || !state.closed.is_empty() {
            return Some(FlushReason::Full);
        }
        if now.saturating_sub(first) >= self.max_age {
            return Some(FlushReason::MaxAge);
        }
        (now.saturating_sub(state.head.last_push) >= self.idle).then_some(FlushReason::Idle)
    }
}

impl TenantState {
    fn close_head(&mut self) {
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

fn part_number(name: &str) -> Option<u64> {
    name.strip_suffix(".part")?.parse().ok()
}

type Tenants = BTreeMap<String, Arc<Tenant>>;

fn open_parts(env: &Env, folder: &Path, damaged: &mut Vec<String>) -> Result<Tenants> {
    let mut tenants = Tenants::new();
    for tenant in env
        .files
        .list(folder)
        .map_err(io(folder, "cannot list"))?
        .into_iter()
        .filter(|entry| entry.is_dir)
    {
        let folder = folder.join(&tenant.name);
        let mut parts = Vec::new();
        for entry in env
            .files
            .list(&folder)
            .map_err(io(&folder, "cannot list"))?
        {
            let path = folder.join(&entry.name);
            if part_number(&entry.name).is_none() {
                // What a crash has left of a part that was being written; its entries are in the log.
                env.files
                    .remove_file(&path)
                    .map_err(io(&path, "cannot remove"))?;
                continue;
            }
            match open_part(env, &path) {
                Ok(part) => parts.push(Arc::new(part)),
                Err(error) => damaged.push(error.to_string()),
            }
        }
        let state = TenantState {
            parts,
            ..TenantState::default()
        };
        tenants.insert(
            tenant.name,
            Arc::new(Tenant {
                state: RwLock::new(state),
            }),
        );
    }
    Ok(tenants)
}

fn open_part(env: &Env, path: &Path) -> Result<Part> {
    let region = env.files.map(path).map_err(io(path, "cannot read"))?;
    Part::open(Bytes::from_owner(region)).map_err(|error| {
        Error::new(
            ErrorKind::Corrupt,
            format!("part {}: {error}", path.display()),
        )
        .at_path(path)
        .because(error)
    })
}

/// Puts what the log holds back into heads; answers how many bytes they hold.
fn replay(
    env: &Env,
    folder: &Path,
    tenants: &mut Tenants,
    damaged: &mut Vec<String>,
) -> Result<usize> {
    let mut bytes = 0;
    let now = env.clock.monotonic();
    for segment in
        list_segments(env.files.as_ref(), folder).map_err(log_error("cannot list the log"))?
    {
        let path = segment_path(folder, segment);
        let data = env.files.read(&path).map_err(io(&path, "cannot read"))?;
        let mut decoder = SegmentDecoder::new(Framing::Frames, segment, &data);
        while let Some(record) = decoder.next_record() {
            match decode(record) {
                Ok((tenant, streams)) => {
                    bytes += tenants
                        .entry(tenant)
                        .or_default()
                        .state
                        .write()
                        .head
                        .push(&streams, now)
                }
                Err(error) => damaged.push(format!("log {}: {error}", path.display())),
            }
        }
        // A record that ends early was being written when the process died: nobody was told that it is stored.
        let unexpected = decoder
            .damage()
            .iter()
            .filter(|damage| damage.reason != DamageReason::Torn);
        damaged.extend(unexpected.map(|damage| format!("log {}: {damage}", path.display())));
    }
    Ok(bytes)
}
