//! `meta.json`: what a block is.
//!
//! Names and order of fields are Prometheus's; what is zero or empty is left out, as there.
//! Source: Prometheus, `tsdb/block.go`.

use headwater_model::Timestamp;
use serde::{Deserialize, Serialize};

/// The version that is written and read.
pub const VERSION: u32 = 1;
/// A hint: the samples of the block came out of order.
pub const HINT_OUT_OF_ORDER: &str = "from-out-of-order";
/// A hint: the block has the stale series of the head.
pub const HINT_STALE_SERIES: &str = "from-stale-series";
/// A hint: the block has some of the head's series.
pub const HINT_SELECTED_SERIES: &str = "from-selected-series";
/// Hints of blocks that have some series only: others may have samples of the same time elsewhere.
pub const PARTIAL_HINTS: [&str; 2] = [HINT_STALE_SERIES, HINT_SELECTED_SERIES];

/// Everything in `meta.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockMeta {
    /// The block's identifier, which is also the name of its directory.
    pub ulid: String,
    /// First millisecond that the block may have samples of.
    pub min_time: Timestamp,
    /// First millisecond behind the block.
    pub max_time: Timestamp,
    /// How much the block holds.
    #[serde(default)]
    pub stats: BlockStats,
    /// How the block came to be.
    #[serde(default)]
    pub compaction: Compaction,
    /// The version of the block's format.
    pub version: u32,
}

/// How much a block holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStats {
    /// Samples of all kinds.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    /// Floats.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    /// Histograms of both kinds.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    /// Series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    /// Chunks.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    /// Deleted ranges.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
}

/// How a block came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Compaction {
    /// 1 for a block from the head, one more than its parents' for a merged one.
    pub level: u32,
    /// The blocks of level 1 that went into it.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub sources: Vec<String>,
    /// Whether the block may be deleted at once: a compaction left nothing of it.
    #[serde(skip_serializing_if = "is_false")]
    pub deletable: bool,
    /// The blocks that it replaces.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub parents: Vec<BlockDesc>,
    /// Whether a compaction of the block has failed.
    #[serde(skip_serializing_if = "is_false")]
    pub failed: bool,
    /// Words such as [`HINT_OUT_OF_ORDER`].
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub hints: Vec<String>,
}

/// A block as its successors remember it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockDesc {
    /// The block's identifier.
    pub ulid: String,
    /// First millisecond that the block may have had samples of.
    pub min_time: Timestamp,
    /// First millisecond behind the block.
    pub max_time: Timestamp,
}

/// Why a `meta.json` was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetaError {
    /// It is not JSON, or not of the right shape; the message names line and column.
    #[error("meta.json: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of a version that this crate does not know.
    #[error("meta.json: unknown version {0}")]
    Version(u32),
}

impl BlockMeta {
    /// Reads a file.
    ///
    /// # Errors
    /// The file is damaged, or of another version.
    pub fn decode(file: &[u8]) -> Result<Self, MetaError> {
        let meta: Self = serde_json::from_slice(file)?;
        if meta.version == VERSION {
            Ok(meta)
        } else {
            Err(MetaError::Version(meta.version))
        }
    }

    /// Writes a file, always of version [`VERSION`].
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, tabs);
        let current = Self {
            version: VERSION,
            ..self.clone()
        };
        current
            .serialize(&mut serializer)
            .expect("plain fields always become JSON");
        out
    }

    /// Whether `hint` is among the block's hints.
    pub fn has_hint(&self, hint: &str) -> bool {
        self.compaction.hints.iter().any(|it| it == hint)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Go writes a list without elements as `null` where it does not leave it out.
fn null_as_default<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    input: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "{\n\t\"ulid\": \"01M7VEG35M1H4J3XJ0DXJM8NQY\",\n\t\"minTime\": -5,\n\t\"maxTime\": 7200000,\n\t\"stats\": {\n\t\t\"numSamples\": 3,\n\t\t\"numSeries\": 1\n\t},\n\t\"compaction\": {\n\t\t\"level\": 1,\n\t\t\"sources\": [\n\t\t\t\"01M7VEG35M1H4J3XJ0DXJM8NQY\"\n\t\t],\n\t\t\"hints\": [\n\t\t\t\"from-out-of-order\"\n\t\t]\n\t},\n\t\"version\": 1\n}";

    #[test]
    fn files_come_back_byte_for_byte() {
        let meta = BlockMeta::decode(FILE.as_bytes()).unwrap();
        assert_eq!(
            (meta.min_time, meta.stats.num_samples, meta.compaction.level),
            (-5, 3, 1)
        );
        assert!(meta.has_hint(HINT_OUT_OF_ORDER));
        assert_eq!(String::from_utf8(meta.encode()).unwrap(), FILE);
    }

    #[test]
    fn damage_and_other_versions_are_refused() {
        let error = BlockMeta::decode(&FILE.as_bytes()[..10])
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 2"), "{error}");
        let newer = FILE.replace("\"version\": 1", "\"version\": 2");
        assert_eq!(
            BlockMeta::decode(newer.as_bytes()).unwrap_err().to_string(),
            "meta.json: unknown version 2"
        );
    }

    #[test]
    fn null_lists_and_unknown_fields_are_fine() {
        let meta = r#"{"ulid":"x","minTime":1,"maxTime":2,"version":1,"compaction":{"level":2,"sources":null},"thanos":{}}"#;
        assert_eq!(
            BlockMeta::decode(meta.as_bytes()).unwrap().compaction.level,
            2
        );
    }
}
