use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What has happened in a head since it was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) series_created: Count,
    pub(crate) series_removed: Count,
    pub(crate) series_refused: Count,
    pub(crate) series_refused_for_memory: Count,
    pub(crate) floats_appended: Count,
    pub(crate) histograms_appended: Count,
    pub(crate) exemplars_appended: Count,
    pub(crate) late_appended: Count,
    pub(crate) late_in_blocks: Count,
    pub(crate) out_of_order: Count,
    pub(crate) out_of_bounds: Count,
    pub(crate) duplicates: Count,
    pub(crate) snapshots_failed: Count,
    pub(crate) unknown_records: Count,
}

impl Counters {
    /// Late samples that are in no block yet.
    pub(crate) fn late_waiting(&self) -> u64 {
        self.late_appended
            .get()
            .saturating_sub(self.late_in_blocks.get())
    }
}

/// A picture of the store for status pages and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Series in the head.
    pub series: u64,
    /// Those of them whose newest sample is a stale marker.
    pub stale_series: u64,
    /// Times that series which had ended were written to blocks before their time, since the store
    /// was opened; see [`Options::stale_series_threshold`](crate::Options::stale_series_threshold).
    pub stale_compactions: u64,
    /// Those of them that failed.
    pub stale_compactions_failed: u64,
    /// Milliseconds that all of them took together.
    pub stale_compaction_millis: u64,
    /// How many of them took no longer than 1, 2, 4 and so on up to 8192 seconds.
    pub stale_compactions_within: [u64; 14],
    /// Series made since the store was opened, replay included.
    pub series_created: u64,
    /// Series forgotten since.
    pub series_removed: u64,
    /// New series refused because of the limit on their number or on memory.
    pub series_refused: u64,
    /// Those of them that were refused for want of memory.
    pub series_refused_for_memory: u64,
    /// Bytes of memory that the head takes: series, growing chunks, index,
    /// exemplars. An estimate.
    pub memory_bytes: u64,
    /// Bytes from which on new series are refused; 0 for no such limit. See
    /// [`Options::memory_budget`](crate::Options::memory_budget).
    pub memory_budget: u64,
    /// Float samples committed since the store was opened.
    pub floats_appended: u64,
    /// Histogram samples committed since.
    pub histograms_appended: u64,
    /// Exemplars committed since.
    pub exemplars_appended: u64,
    /// Late samples committed since; see
    /// [`Options::out_of_order_window`](crate::Options::out_of_order_window).
    pub late_appended: u64,
    /// Samples refused because a newer one was there.
    pub out_of_order: u64,
    /// Samples refused because they were too old for the head.
    pub out_of_bounds: u64,
    /// Samples refused because there was another value at their time.
    pub duplicates: u64,
    /// Records of the log, met when the store was opened, of types that are not
    /// known here. They are kept.
    pub unknown_records: u64,
    /// Chunk snapshots that could not be loaded, so that the log was read.
    pub snapshots_failed: u64,
    /// First time in the head, in milliseconds.
    pub min_time: Option<i64>,
    /// Last time in the head, in milliseconds.
    pub max_time: Option<i64>,
    /// Chunks in the head, growing ones included.
    pub chunks: u64,
    /// Bytes that the series of the head take, the index not counted.
    pub series_bytes: u64,
    /// Pairs of label name and value in the head.
    pub label_pairs: u64,
    /// First segment of the write-ahead log.
    pub log_first_segment: u64,
    /// Segment that is written to.
    pub log_segment: u64,
    /// Bytes of all segments of the log.
    pub log_bytes: u64,
    /// Blocks that are served.
    pub blocks: u64,
    /// Bytes of all blocks.
    pub block_bytes: u64,
    /// Bytes of memory in which queries keep labels of series in blocks, and the order of series.
    pub remembered_bytes: u64,
}

/// One line of a table of what there is most of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopEntry {
    /// A metric, a label name or `name=value`.
    pub name: String,
    /// How many series, values or bytes.
    pub value: u64,
}

/// Which metrics and labels make the most series and take the most bytes, in the
/// head or in a block; `/api/v1/status/tsdb` shows the former. Each list is
/// sorted, largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cardinality {
    /// Metrics with the most series.
    pub series_by_metric: Vec<TopEntry>,
    /// Label names with the most values.
    pub values_by_label: Vec<TopEntry>,
    /// Label names whose values take the most bytes, once per series.
    pub bytes_by_label: Vec<TopEntry>,
    /// `name=value` pairs with the most series.
    pub series_by_pair: Vec<TopEntry>,
    /// Metrics whose series take the most bytes: memory in the head, chunks in
    /// a block.
    pub bytes_by_metric: Vec<TopEntry>,
    /// `name=value` pairs whose series take the most bytes, counted likewise.
    pub bytes_by_pair: Vec<TopEntry>,
}
