//! What the head writes to its log, and when commits are durable.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use headwater_blockfmt::record::TombstonesWriter;
use headwater_env::{FileError, Files};
use headwater_model::TimeRange;
use headwater_storage::{Error, ErrorKind, Result, Ticket, TicketSender};
use headwater_wal::{Config, Framing, SyncPolicy, Wal, list_segments, segment_path};
use parking_lot::{Condvar, Mutex};

use crate::error;
use crate::head::contents::Contents;
use crate::log_records;
use crate::options::{Durability, Options};

/// The directory of the log in a data directory.
pub(crate) fn dir(data: &Path) -> PathBuf {
    data.join("wal")
}

/// The directory of the log of late samples.
pub(crate) fn late_dir(data: &Path) -> PathBuf {
    data.join("wbl")
}

/// The logs of a head.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) wal: Wal,
    late: Arc<LateLog>,
    syncer: Option<Syncer>,
}

/// The log of late samples, made with the first of them.
#[derive(Debug)]
struct LateLog {
    files: Arc<dyn Files>,
    dir: PathBuf,
    config: Config,
    wal: Mutex<Option<Wal>>,
}

impl LateLog {
    fn get_or_open(&self) -> headwater_wal::Result<Wal> {
        let mut wal = self.wal.lock();
        if let Some(wal) = &*wal {
            return Ok(wal.clone());
        }
        let opened = Wal::open(Arc::clone(&self.files), &self.dir, self.config.clone())?;
        *wal = Some(opened.clone());
        Ok(opened)
    }

    fn sync(&self) -> headwater_wal::Result<()> {
        let wal = self.wal.lock().clone();
        wal.map_or(Ok(()), |wal| wal.sync())
    }
}

impl Log {
    pub(crate) fn open(files: Arc<dyn Files>, data: &Path, options: &Options) -> Result<Log> {
        let policy = match options.durability {
            Durability::Interval(every) => SyncPolicy::Interval(every),
            Durability::OnCommit | Durability::System => SyncPolicy::Never,
        };
        let config = Config::default()
            .framing(framing(options))
            .segment_bytes(options.segment_bytes)
            .sync(policy);
        let late = Arc::new(LateLog {
            files: Arc::clone(&files),
            dir: late_dir(data),
            config: config.clone(),
            wal: Mutex::new(None),
        });
        let wal = Wal::open(files, &dir(data), config).map_err(error::log)?;
        let syncer = match options.durability {
            Durability::OnCommit => Some(Syncer::start(wal.clone(), Arc::clone(&late))?),
            _ => None,
        };
        Ok(Log { wal, late, syncer })
    }

    /// The records of a batch, in the order in which a replay needs them.
    pub(crate) fn encode(&self, contents: &Contents) -> Vec<Vec<u8>> {
        log_records::encode(contents)
    }

    /// The records of the late samples of a batch.
    pub(crate) fn encode_late(&self, contents: &Contents) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        log_records::encode_section(&contents.late, &mut records);
        records
    }

    /// Writes records and those of late samples; the ticket resolves when
    /// they are as durable as the store promises.
    pub(crate) fn write(&self, records: &[Vec<u8>], late: &[Vec<u8>]) -> Result<Ticket> {
        if records.is_empty() && late.is_empty() {
            return Ok(Ticket::ready());
        }
        if !records.is_empty() {
            self.wal.append(records).map_err(error::log)?;
        }
        if !late.is_empty() {
            let log = self.late.get_or_open().map_err(error::log)?;
            log.append(late).map_err(error::log)?;
        }
        Ok(match &self.syncer {
            Some(syncer) => syncer.ticket(),
            None => Ticket::ready(),
        })
    }

    /// Makes everything written so far durable.
    pub(crate) fn sync(&self) -> headwater_wal::Result<()> {
        self.wal.sync().and_then(|()| self.late.sync())
    }

    /// Whether there is a log of late samples with anything in it.
    pub(crate) fn has_late(&self) -> headwater_wal::Result<bool> {
        let late = &self.late;
        let mut segments = list_segments(late.files.as_ref(), &late.dir)?.into_iter();
        let has_bytes = |segment: u64| {
            let len = late.files.file_len(&segment_path(&late.dir, segment));
            len.map(|len| len.unwrap_or(0) > 0)
        };
        Ok(segments.try_fold(false, |any, segment| {
            Ok::<_, FileError>(any || has_bytes(segment)?)
        })?)
    }

    /// Begins a segment of the log of late samples; says which. What is in
    /// earlier ones may be removed once a block has it.
    pub(crate) fn cut_late(&self) -> headwater_wal::Result<u64> {
        self.late.get_or_open()?.cut()
    }

    /// Removes the segments of late samples before `segment`.
    pub(crate) fn truncate_late(&self, segment: u64) -> headwater_wal::Result<()> {
        self.late.get_or_open()?.truncate_before(segment)
    }

    /// The record of deleted ranges.
    pub(crate) fn encode_tombstones(stones: &[(u64, TimeRange)]) -> Vec<u8> {
        let mut record = Vec::new();
        let mut writer = TombstonesWriter::new(&mut record);
        for (log_ref, range) in stones {
            writer.push(*log_ref, range.start, range.end);
        }
        record
    }
}

pub(crate) fn framing(options: &Options) -> Framing {
    Framing::Pages(options.log_compression)
}

/// The thread that makes commits durable and resolves their tickets.
#[derive(Debug)]
struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    come: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    senders: Vec<TicketSender>,
    stop: bool,
}

impl Syncer {
    fn start(wal: Wal, late: Arc<LateLog>) -> Result<Syncer> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            come: Condvar::new(),
        });
        let thread = std::thread::Builder::new().name("tsdb-sync".into());
        let of_thread = Arc::clone(&shared);
        let thread = thread
            .spawn(move || sync_for_tickets(&wal, &late, &of_thread))
            .map_err(|e| Error::new(ErrorKind::Io, "cannot start the syncing thread").because(e))?;
        Ok(Syncer {
            shared,
            thread: Some(thread),
        })
    }

    /// A ticket for what has been written up to now.
    fn ticket(&self) -> Ticket {
        let (sender, ticket) = Ticket::pair();
        self.shared.waiting.lock().senders.push(sender);
        self.shared.come.notify_one();
        ticket
    }
}

fn sync_for_tickets(wal: &Wal, late: &LateLog, shared: &Shared) {
    loop {
        let senders = {
            let mut waiting = shared.waiting.lock();
            shared
                .come
                .wait_while(&mut waiting, |w| w.senders.is_empty() && !w.stop);
            if waiting.senders.is_empty() {
                return;
            }
            std::mem::take(&mut waiting.senders)
        };
        let synced = wal.sync().and_then(|()| late.sync());
        let outcome = synced.map_err(|e| e.to_string());
        for sender in senders {
            sender.resolve(match &outcome {
                Ok(()) => Ok(()),
                Err(message) => Err(Error::new(ErrorKind::Io, message.clone())),
            });
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.shared.waiting.lock().stop = true;
        self.shared.come.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
