use std::time::Duration;

/// How a log is written. Plain data; files come in beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// A segment that has reached this size in bytes is followed by the next.
    pub segment_bytes: u64,
    /// How records lie in a segment.
    pub framing: Framing,
    /// When appended records become durable without being asked to.
    pub sync: SyncPolicy,
}

impl Default for Config {
    /// Prometheus's log: pages, snappy, segments of 128 MiB, synced at
    /// segment ends and on request.
    fn default() -> Config {
        Config {
            segment_bytes: 128 << 20,
            framing: Framing::Pages(Compression::Snappy),
            sync: SyncPolicy::Never,
        }
    }
}

impl Config {
    /// A queue on disk: plain frames, segments of 16 MiB.
    pub fn queue() -> Config {
        Config {
            segment_bytes: 16 << 20,
            framing: Framing::Frames,
            ..Config::default()
        }
    }

    /// Sets the segment size in bytes.
    pub fn segment_bytes(mut self, bytes: u64) -> Config {
        self.segment_bytes = bytes;
        self
    }

    /// Sets the framing.
    pub fn framing(mut self, framing: Framing) -> Config {
        self.framing = framing;
        self
    }

    /// Sets the sync policy.
    pub fn sync(mut self, sync: SyncPolicy) -> Config {
        self.sync = sync;
        self
    }
}

/// How records lie in a segment. Readers take either compression whatever
/// the writer was set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Prometheus's format: pages of 32 KiB holding fragments with a header
    /// of 7 bytes. Damage costs the records that it hits.
    Pages(Compression),
    /// One header of 12 bytes per record. Damage costs a record.
    Frames,
}

/// Compression of single records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// None.
    None,
    /// Snappy, Prometheus's default.
    #[default]
    Snappy,
    /// Zstandard at level 1; needs the feature `zstd`.
    #[cfg(feature = "zstd")]
    Zstd,
}

/// When appended records become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before an append returns; appends that wait together share one sync.
    EveryCommit,
    /// By a thread of the log's own, at most this long after the append.
    Interval(Duration),
    /// When a segment ends, on [`Wal::sync`](crate::Wal::sync) and on close.
    /// A process that is killed loses nothing; a machine that loses power
    /// may lose what its kernel had not written.
    Never,
}

/// What a reader does when it meets damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamagePolicy {
    /// End the log there, as a database does whose records build on each other.
    Truncate,
    /// Go on behind it and report it.
    Skip,
}
