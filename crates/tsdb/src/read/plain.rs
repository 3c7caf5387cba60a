//! Reading series of which nothing is deleted or late and no chunks overlap.
//!
//! Chunks are decoded where they lie, one after the other, into the same columns; those of the head,
//! which are behind a lock, are copied first.

use headwater_blockfmt::index::ChunkMeta;
use headwater_blockfmt::{ChunkError, Encoding, decode};
use headwater_model::{Labels, SeriesColumns, TimeRange, Timestamp};
use headwater_storage::Result;

use super::parts::Warnings;
use super::select::{Part, Selection, Source};
use crate::head::cursor::{Copied, View, damaged};

/// Memory that is used again from series to series.
#[derive(Debug, Default)]
pub(super) struct Plain {
    metas: Vec<ChunkMeta>,
    copied: Copied,
}

/// Decodes chunks that follow one another.
struct Run<'r> {
    labels: &'r Labels,
    into: &'r mut SeriesColumns,
    /// End of the chunk before.
    end: Option<Timestamp>,
}

impl Run<'_> {
    /// Whether a chunk lies behind those before; then it is the one before.
    fn follows(&mut self, first: Timestamp, last: Timestamp) -> bool {
        let follows = self.end.is_none_or(|end| end < first);
        self.end = Some(last);
        follows
    }

    fn decode(&mut self, encoding: Encoding, data: &[u8], range: TimeRange) -> Result<()> {
        let decoded: Result<(), ChunkError> = decode(encoding, data, range, self.into);
        decoded.map_err(|e| damaged(self.labels, e))
    }
}

impl Plain {
    /// Reads the samples of a series; false, and `into` holds anything, if it is not a plain one.
    pub(super) fn read(
        &mut self,
        view: &View,
        selection: &Selection,
        at: usize,
        warnings: &mut Warnings,
        into: &mut SeriesColumns,
    ) -> Result<bool> {
        if let Some(Part::Head(slot)) = selection.parts(at).next_back()
            && let Some((time, value)) = view.newest_float(slot)
        {
            into.floats.push(time, value);
            return Ok(true);
        }
        let mut run = Run {
            labels: selection.labels(at),
            into,
            end: None,
        };
        for part in selection.parts(at) {
            let is_plain = match part {
                Part::Head(slot) => self.read_head(view, slot, &mut run)?,
                Part::Block(source, reference) => {
                    self.read_block(view.range(), (source, reference), warnings, &mut run)?
                }
            };
            if !is_plain {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn read_head(&mut self, view: &View, slot: u32, run: &mut Run<'_>) -> Result<bool> {
        if !view.copy_plain(slot, &mut self.copied) {
            return Ok(false);
        }
        for (chunk, data) in self.copied.chunks() {
            if !run.follows(chunk.min_time, chunk.max_time) {
                return Ok(false);
            }
            run.decode(chunk.encoding, data, self.copied.visible())?;
        }
        Ok(true)
    }

    fn read_block(
        &mut self,
        range: TimeRange,
        (source, reference): (&Source, u32),
        warnings: &mut Warnings,
        run: &mut Run<'_>,
    ) -> Result<bool> {
        if source.stones.contains_key(&reference) {
            return Ok(false);
        }
        let read = source.block.chunks_of(reference, &mut self.metas);
        if warnings.or_warn(read).is_none() {
            return Ok(true);
        }
        for meta in self.metas.iter().filter(|m| m.range().overlaps(&range)) {
            if !run.follows(meta.min_time, meta.max_time) {
                return Ok(false);
            }
            if let Some((_, raw)) = warnings.or_warn(source.block.raw_chunk(meta)) {
                run.decode(raw.encoding, raw.data, range)?;
            }
        }
        Ok(true)
    }
}
