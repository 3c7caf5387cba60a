//! Whether `meta.json` fits the block it lies in.
//!
//! It has no checksum, and a wrong time in it would do harm: a block would be left out of queries,
//! samples of the log would be taken for samples that a block has, and retention would count from a
//! time that has not come. So the times are compared with what the index says.

use std::path::Path;

use headwater_blockfmt::index::ChunkMeta;
use headwater_blockfmt::{BlockMeta, Index};
use headwater_env::Region;
use headwater_model::Timestamp;

/// Series that are looked at, spread over the block: a start must not read all of a large index.
const SERIES: usize = 10_000;

/// A block may claim this much more time than it has samples of. Prometheus makes no blocks that
/// are longer.
const MOST_EMPTY: i64 = 31 * 24 * 3600 * 1000;

/// Mends what does not fit and says so; answers the first millisecond behind the samples.
pub(super) fn mend(
    meta: &mut BlockMeta,
    dir: &Path,
    index: &Index<Region>,
    damage: &mut Vec<String>,
) -> Timestamp {
    let mut wrong = Vec::new();
    let name = dir.file_name().map(|name| name.to_string_lossy());
    if let Some(name) = name.filter(|name| *name != meta.ulid) {
        wrong.push(format!("the block is not {}", meta.ulid));
        meta.ulid = name.into_owned();
    }
    let Some((start, end)) = span(index) else {
        return meta.max_time;
    };
    if start < meta.min_time || end > meta.max_time {
        wrong.push(format!(
            "samples lie outside of {} to {}",
            meta.min_time, meta.max_time
        ));
        meta.min_time = meta.min_time.min(start);
        meta.max_time = meta.max_time.max(end);
    }
    if meta.max_time.saturating_sub(end) > MOST_EMPTY {
        wrong.push(format!(
            "the samples end at {end} and not at {}",
            meta.max_time
        ));
        meta.max_time = end;
    }
    if start.saturating_sub(meta.min_time) > MOST_EMPTY {
        wrong.push(format!(
            "the samples begin at {start} and not at {}",
            meta.min_time
        ));
        meta.min_time = start;
    }
    let path = dir.join("meta.json");
    damage.extend(
        wrong
            .into_iter()
            .map(|what| format!("{} is damaged: {what}", path.display())),
    );
    end
}

/// First time of the series that are looked at, and the first behind their last.
fn span(index: &Index<Region>) -> Option<(Timestamp, Timestamp)> {
    let all = index.all_postings().ok()?;
    let step = all.len().div_ceil(SERIES).max(1);
    let mut chunks: Vec<ChunkMeta> = Vec::new();
    let mut out: Option<(Timestamp, Timestamp)> = None;
    for reference in all.iter().step_by(step) {
        let read = index
            .series(reference)
            .and_then(|series| series.chunks_into(&mut chunks));
        let chunks = read.map_or(&[][..], |()| &chunks[..]);
        for chunk in chunks {
            let (start, end) = (chunk.min_time, chunk.max_time.saturating_add(1));
            out = Some(out.map_or((start, end), |(a, b)| (a.min(start), b.max(end))));
        }
    }
    out
}
