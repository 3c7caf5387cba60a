//! `storage`: what the database keeps.

use headwater_yaml::{Duration, Size, settings};

use crate::names::words;

settings! {
    /// What the database keeps.
    #[derive(Clone, Debug, PartialEq)]
    pub struct StorageConfig {
        /// Samples.
        pub tsdb: Option<TsdbConfig>,
        /// Exemplars.
        pub exemplars: Option<ExemplarsConfig>,
    }
}

settings! {
    /// How samples are kept.
    #[derive(Clone, Debug, PartialEq)]
    pub struct TsdbConfig {
        /// How late a sample may be; 0 takes none that is out of order.
        pub out_of_order_time_window: Duration,
        /// The share of stale series, from 0 to 1, from which on they are compacted early.
        pub stale_series_compaction_threshold: f64,
        /// How chunks are written.
        pub chunk_encoding: ChunkEncodingConfig,
        /// How long samples are kept.
        pub retention: Option<RetentionConfig>,
    }
    check(|tsdb: &mut TsdbConfig| match (0.0..=1.0).contains(&tsdb.stale_series_compaction_threshold) {
        true => Ok(()),
        false => Err("stale_series_compaction_threshold must be between 0 and 1".into()),
    })
}

settings! {
    /// How chunks are written.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ChunkEncodingConfig {
        /// Chunks of floats.
        pub floats: Option<FloatEncoding>,
    }
}

words! {
    /// How chunks of floats are written.
    pub enum FloatEncoding("chunk encoding of floats") {
        /// As ever.
        Xor = "xor",
        /// With start timestamps.
        Xor2 = "xor2",
    }
}

settings! {
    /// How long samples are kept; what is reached first counts.
    #[derive(Clone, Debug, PartialEq)]
    pub struct RetentionConfig {
        /// By age; 0 is no limit.
        pub time: Duration,
        /// By size of all blocks; 0 is no limit.
        pub size: Size,
        /// By the share of the disk, in percent; 0 is no limit. It beats `size`.
        pub percentage: f64,
    }
    check(|retention: &mut RetentionConfig| match (0.0..=100.0).contains(&retention.percentage) {
        true => Ok(()),
        false => Err(format!("storage.tsdb.retention.percentage must be in the range 0 to 100, got {}", retention.percentage)),
    })
}

settings! {
    /// How exemplars are kept.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ExemplarsConfig {
        /// How many, in memory; 0 keeps none.
        pub max_exemplars: i64 = 100_000,
    }
}
