//! What the head writes to its log, and when commits are durable.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use headwater_blockfmt::record::{
    ExemplarEntry, ExemplarsWriter, FloatHistogramsWriter, HistogramsWriter, MetadataWriter,
    SampleEntry, SamplesWriter, SeriesWriter, TombstonesWriter,
};
use headwater_env::Files;
use headwater_model::TimeRange;
use headwater_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use headwater_storage::{Error, ErrorKind, Result, Ticket, TicketSender};
use headwater_wal::{Config, Framing, SyncPolicy, Wal};
use parking_lot::{Condvar, Mutex};

use crate::error;
use crate::head::batch::{Contents, Entry, Section};
use crate::options::{Durability, Options};

/// Entries of one record at most: a reader holds a record in memory, and
/// damage costs records.
const RECORD_ENTRIES: usize = 16 << 10;

/// The directory of the log in a data directory.
pub(crate) fn dir(data: &Path) -> PathBuf {
    data.join("wal")
}

/// The log of a head.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) wal: Wal,
    syncer: Option<Syncer>,
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
        let wal = Wal::open(files, &dir(data), config).map_err(error::log)?;
        let syncer = match options.durability {
            Durability::OnCommit => Some(Syncer::start(wal.clone())?),
            _ => None,
        };
        Ok(Log { wal, syncer })
    }

    /// The records of a batch, in the order in which a replay needs them.
    pub(crate) fn encode(&self, contents: &Contents) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        for series in contents.new_series.chunks(RECORD_ENTRIES) {
            let mut record = Vec::new();
            let mut writer = SeriesWriter::new(&mut record);
            for (log_ref, labels) in series {
                writer.push(*log_ref, labels);
            }
            records.push(record);
        }
        encode_metadata(contents, &mut records);
        for section in &contents.sections {
            encode_section(section, &mut records);
        }
        encode_exemplars(contents, &mut records);
        records
    }

    /// Writes records; the ticket resolves when they are as durable as the
    /// store promises.
    pub(crate) fn write(&self, records: &[Vec<u8>]) -> Result<Ticket> {
        if records.is_empty() {
            return Ok(Ticket::ready());
        }
        self.wal.append(records).map_err(error::log)?;
        Ok(match &self.syncer {
            Some(syncer) => syncer.ticket(),
            None => Ticket::ready(),
        })
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

fn encode_section(section: &Section, records: &mut Vec<Vec<u8>>) {
    for floats in section.floats.chunks(RECORD_ENTRIES) {
        // Twelve bytes are usual: a difference of references, one of times
        // in a byte or two, the value.
        let mut record = Vec::with_capacity(32 + 12 * floats.len());
        let mut writer = SamplesWriter::new(&mut record);
        for entry in floats {
            writer.push(SampleEntry {
                reference: entry.log_ref,
                time: entry.time,
                start: 0,
                value: entry.value,
            });
        }
        records.push(record);
    }
    encode_integers(&section.integers, records);
    encode_float_histograms(&section.float_histograms, records);
}

fn encode_integers(entries: &[Entry<Arc<headwater_model::Histogram>>], records: &mut Vec<Vec<u8>>) {
    for custom in [false, true] {
        let mut record = Vec::new();
        let mut writer = match custom {
            true => HistogramsWriter::custom(&mut record),
            false => HistogramsWriter::new(&mut record),
        };
        let of_this_type = entries
            .iter()
            .filter(|e| (e.value.schema == CUSTOM_BUCKETS_SCHEMA) == custom);
        let mut any = false;
        for entry in of_this_type {
            writer.push(entry.log_ref, entry.time, 0, &entry.value);
            any = true;
        }
        if any {
            records.push(record);
        }
    }
}

fn encode_float_histograms(
    entries: &[Entry<Arc<headwater_model::FloatHistogram>>],
    records: &mut Vec<Vec<u8>>,
) {
    for custom in [false, true] {
        let mut record = Vec::new();
        let mut writer = match custom {
            true => FloatHistogramsWriter::custom(&mut record),
            false => FloatHistogramsWriter::new(&mut record),
        };
        let of_this_type = entries
            .iter()
            .filter(|e| (e.value.schema == CUSTOM_BUCKETS_SCHEMA) == custom);
        let mut any = false;
        for entry in of_this_type {
            writer.push(entry.log_ref, entry.time, 0, &entry.value);
            any = true;
        }
        if any {
            records.push(record);
        }
    }
}

fn encode_exemplars(contents: &Contents, records: &mut Vec<Vec<u8>>) {
    for exemplars in contents.exemplars.chunks(RECORD_ENTRIES) {
        let mut record = Vec::new();
        let mut writer = ExemplarsWriter::new(&mut record);
        for entry in exemplars {
            let (_, exemplar) = &entry.value;
            let head = ExemplarEntry {
                reference: entry.log_ref,
                time: entry.time,
                value: exemplar.value,
            };
            writer.push(head, &exemplar.labels);
        }
        records.push(record);
    }
}

fn encode_metadata(contents: &Contents, records: &mut Vec<Vec<u8>>) {
    for entries in contents.metadata.chunks(RECORD_ENTRIES) {
        let mut record = Vec::new();
        let mut writer = MetadataWriter::new(&mut record);
        for entry in entries {
            writer.push(entry.log_ref, &entry.value);
        }
        records.push(record);
    }
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
    fn start(wal: Wal) -> Result<Syncer> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            come: Condvar::new(),
        });
        let thread = std::thread::Builder::new().name("tsdb-sync".into());
        let of_thread = Arc::clone(&shared);
        let thread = thread
            .spawn(move || sync_for_tickets(&wal, &of_thread))
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

fn sync_for_tickets(wal: &Wal, shared: &Shared) {
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
        let outcome = wal.sync().map_err(|e| e.to_string());
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
