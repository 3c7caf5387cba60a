//! Facts about the store on disk.

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

    /// The blocks on disk, oldest first.
    ///
    /// # Errors
    /// The store is not up.
    fn blocks(&self) -> Result<Vec<BlockView>>;

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

    fn blocks(&self) -> Result<Vec<BlockView>> {
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

/// One block on disk; the fields are those of its `meta.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockView {
    /// Name of its directory.
    pub ulid: String,
    /// First millisecond.
    pub min_time: i64,
    /// The millisecond after the last.
    pub max_time: i64,
    /// What is in it.
    pub stats: BlockStats,
    /// Where it comes from.
    pub compaction: BlockCompaction,
    /// Version of the format.
    pub version: u32,
}

/// What is in a block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockStats {
    /// Samples of either kind.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    /// Float samples.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    /// Histogram samples.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    /// Series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    /// Chunks.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    /// Tombstones.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
}

/// Where a block comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlockCompaction {
    /// How often its samples were rewritten, at least 1.
    pub level: u32,
    /// Blocks of level 1 that went into it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Blocks that it was made from directly.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<BlockParent>,
    /// Remarks, as `from-out-of-order`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// A block that went into another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockParent {
    /// Name of its directory.
    pub ulid: String,
    /// First millisecond.
    pub min_time: i64,
    /// The millisecond after the last.
    pub max_time: i64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}
