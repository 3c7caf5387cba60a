//! Facts about the store on disk.

use headwater_blockfmt::BlockMeta;
use headwater_storage::{Error, ErrorKind, Result};
use serde::Serialize;

/// What operators ask about the store. The calls may take a while and are made on a thread that
/// may wait.
pub trait TsdbView: Send + Sync {
    /// Cardinality of the head; each list has at most `limit` entries, largest first.
    ///
    /// # Errors
    /// The store is not up.
    fn stats(&self, limit: usize) -> Result<TsdbStats>;

    /// The blocks on disk, oldest first, as their `meta.json` describes them.
    ///
    /// # Errors
    /// The store is not up.
    fn blocks(&self) -> Result<Vec<BlockMeta>>;

    /// The blocks of which something is damaged. A store that cannot tell has none.
    ///
    /// # Errors
    /// The store is not up.
    fn damaged_blocks(&self) -> Result<Vec<DamagedBlock>> {
        Ok(Vec::new())
    }

    /// How far the log was replayed. Answers before the store is up.
    fn replay(&self) -> WalReplay;
}

/// A store that is not there.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTsdb;

impl TsdbView for NoTsdb {
    fn stats(&self, _: usize) -> Result<TsdbStats> {
        Err(Error::new(ErrorKind::NotReady, "TSDB not ready"))
    }

    fn blocks(&self) -> Result<Vec<BlockMeta>> {
        Err(Error::new(ErrorKind::NotReady, "TSDB not ready"))
    }

    fn replay(&self) -> WalReplay {
        WalReplay::default()
    }
}

/// A name and how many there are of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NameCount {
    /// The name.
    pub name: String,
    /// The count, or bytes.
    pub value: u64,
}

/// Cardinality of the head.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TsdbStats {
    /// Totals.
    pub head_stats: HeadStats,
    /// Series by metric name.
    pub series_count_by_metric_name: Vec<NameCount>,
    /// Distinct values by label name.
    pub label_value_count_by_label_name: Vec<NameCount>,
    /// Bytes of label values by label name.
    pub memory_in_bytes_by_label_name: Vec<NameCount>,
    /// Series by `name=value`.
    pub series_count_by_label_value_pair: Vec<NameCount>,
}

/// Totals of the head.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeadStats {
    /// Series.
    pub num_series: u64,
    /// Distinct pairs of label and value.
    pub num_label_pairs: u64,
    /// Chunks.
    pub chunk_count: u64,
    /// First sample, in milliseconds.
    pub min_time: i64,
    /// Last sample, in milliseconds.
    pub max_time: i64,
}

/// A block of which something is damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DamagedBlock {
    /// Its name.
    pub ulid: String,
    /// Its directory.
    pub path: String,
    /// Whether queries are answered from what is sound of it.
    pub served: bool,
    /// Series that are served.
    pub num_series: u64,
    /// Series that are known to be lost.
    pub lost_series: u64,
    /// Chunks that reading has found to be damaged so far.
    pub damaged_chunks: u64,
    /// What is damaged, for people.
    pub damage: Vec<String>,
}

/// How far the log was replayed, in segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WalReplay {
    /// First segment.
    pub min: u64,
    /// Last segment.
    pub max: u64,
    /// Segment being read.
    pub current: u64,
}
