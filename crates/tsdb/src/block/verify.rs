//! Reading all of a block, so that what is damaged in it is known.
//!
//! Queries and merges find damage only where they come by. Before a block is mended, and where an
//! operator asks, somebody has to look everywhere.

use std::sync::Arc;

use headwater_blockfmt::EncodedChunk;
use headwater_blockfmt::decode;
use headwater_blockfmt::index::ChunkMeta;
use headwater_model::{SeriesColumns, TimeRange};
use headwater_storage::Result;

use super::{Block, chunk_path, damaged};

impl Block {
    /// Reads every series, chunk and list of series. What is damaged is noted in the block; an
    /// error is what the block cannot be served without.
    pub(crate) fn verify(self: &Arc<Block>) -> Result<()> {
        // Who asks will look at the state of the block.
        self.ask(&mut Vec::new(), |block| block.look_through())
    }

    fn look_through(&self) -> Result<()> {
        let mut chunks = Vec::new();
        for reference in self.matching(&[])? {
            self.series(reference, &mut chunks)?;
            for chunk in &chunks {
                let _noted = self.whole_chunk(chunk);
            }
        }
        for name in self.index.label_names() {
            let mut values = self.index.label_values(name);
            while let Some((_, postings)) = values.next_postings_if(|_| true) {
                postings.map_err(|error| self.bad_index(error))?;
            }
        }
        Ok(())
    }

    /// A chunk, all samples of which can be read.
    pub(crate) fn whole_chunk(&self, meta: &ChunkMeta) -> Result<EncodedChunk> {
        let chunk = self.chunk(meta)?;
        let mut columns = SeriesColumns::default();
        match decode(chunk.encoding, &chunk.data, TimeRange::ALL, &mut columns) {
            Ok(_) => Ok(chunk),
            Err(error) => {
                self.has_bad_chunk(meta);
                let place = headwater_blockfmt::segment::ChunkRef::from_u64(meta.reference);
                let path = chunk_path(&self.dir.join("chunks"), place.segment + 1);
                Err(damaged(&path, error).at_offset(place.offset.into()))
            }
        }
    }
}
