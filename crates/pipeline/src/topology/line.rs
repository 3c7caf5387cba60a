//! What lies between the router and a consumer: a queue in memory, and a
//! disk queue behind it if so configured.

use std::path::PathBuf;
use std::sync::Arc;

use headwater_env::RealFiles;
use parking_lot::Mutex;

use crate::config::{FullAction, Wants};
use crate::flow::{Holding, Queue, Spool, SpoolFull, SpoolSettings, WhenFull};
use crate::plugin::Globals;

/// Bytes read from disk ahead of the consumer.
const READ_AHEAD: usize = 1 << 20;
/// Bytes waiting to be written to disk at most: the disk has room for more.
const WRITE_BEHIND: usize = 1 << 20;

/// The way to one consumer. Clones share it.
#[derive(Clone)]
pub(super) struct Line {
    /// Where the router puts deliveries.
    pub(super) front: Arc<Queue>,
    /// Where the consumer takes them; the same queue without a disk.
    pub(super) back: Arc<Queue>,
    spool: Option<Arc<Mutex<Spool>>>,
}

impl Line {
    pub(super) fn open(name: &str, wants: &Wants, globals: &Globals) -> Result<Line, String> {
        let max_bytes = match wants.buffering {
            Some(_) => wants.queue.max_bytes.min(WRITE_BEHIND),
            None => wants.queue.max_bytes,
        };
        let front = Arc::new(Queue::new(max_bytes, wants.queue.when_full.into()));
        let Some(buffering) = &wants.buffering else {
            return Ok(Line {
                back: front.clone(),
                front,
                spool: None,
            });
        };
        let back = Arc::new(Queue::new(READ_AHEAD, WhenFull::Block));
        let settings = SpoolSettings {
            directory: directory(name, globals),
            file_bytes: buffering.max_file_size,
            max_bytes: buffering.max_buffer_size,
            when_full: match buffering.full_action {
                FullAction::Shutdown => SpoolFull::Shutdown,
                FullAction::Drop => SpoolFull::Drop,
                FullAction::Block => SpoolFull::Block,
            },
        };
        let spool = Spool::start(Arc::new(RealFiles), settings, front.clone(), back.clone());
        let spool = spool.map_err(|error| format!("[{name}] disk queue: {error}"))?;
        Ok(Line {
            front,
            back,
            spool: Some(Arc::new(Mutex::new(spool))),
        })
    }

    pub(super) fn is_spooled(&self) -> bool {
        self.spool.is_some()
    }

    /// What was put into the line and not let go of, on either side of the
    /// disk.
    pub(super) fn holding(&self) -> Holding {
        let (front, back) = (self.front.holding(), self.back.holding());
        if self.spool.is_none() {
            return front;
        }
        Holding {
            batches: front.batches + back.batches,
            bytes: front.bytes + back.bytes,
            oldest: front.oldest.max(back.oldest),
        }
    }

    /// Bytes on disk, if there is a disk queue.
    pub(super) fn disk_bytes(&self) -> Option<u64> {
        Some(self.spool.as_ref()?.lock().bytes())
    }

    /// Why the disk queue gave up, if it did.
    pub(super) fn failure(&self) -> Option<String> {
        self.spool.as_ref()?.lock().failure()
    }

    /// Takes nothing more. What is in memory is still handed out; what is on
    /// disk stays there.
    pub(super) fn close(&self) {
        match &self.spool {
            None => self.front.close(),
            Some(spool) => spool.lock().close(),
        }
    }

    /// Ends every wait and lets go of what is in memory.
    pub(super) fn abort(&self) {
        self.front.abort();
        self.back.abort();
    }
}

/// `<base_dir>/output_queue/<name>`, with `_` for whatever is no letter or
/// digit, as in heka.
fn directory(name: &str, globals: &Globals) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    globals.in_base_dir("output_queue").join(name)
}
