//! Reading chunks as they are encoded: for remote read, compaction and copies.

use headwater_blockfmt::EncodedChunk;
use headwater_model::Labels;

use crate::BoxFuture;
use crate::error::Result;
use crate::select::SelectRequest;

/// A store that hands out encoded chunks.
pub trait SelectChunks: Send + Sync {
    /// Opens a cursor as [`crate::Select::select`] does. Series come in ascending order of labels.
    ///
    /// # Errors
    /// As [`crate::Select::select`].
    fn select_chunks(&self, request: SelectRequest) -> BoxFuture<'_, Result<Box<dyn ChunkCursor>>>;
}

/// Walks over the series of one select, chunk-wise.
///
/// # Contract
/// * Chunks of a series come in ascending order of their first time and may overlap in time only
///   where the store holds overlapping data.
/// * Every chunk that has a sample in the requested range is delivered, whole: samples outside the
///   range come along.
/// * Samples that were deleted are not in any chunk.
pub trait ChunkCursor: Send {
    /// Goes to the next series and returns its labels; `None` at the end.
    ///
    /// # Errors
    /// The answer is incomplete and must not be used.
    fn advance(&mut self) -> Result<Option<Labels>>;

    /// Replaces the content of `into` by the chunks of the current series.
    ///
    /// # Errors
    /// As [`ChunkCursor::advance`].
    fn read(&mut self, into: &mut Vec<EncodedChunk>) -> Result<()>;

    /// What went wrong without making the answer useless. Asked for once, at the end.
    fn take_warnings(&mut self) -> Vec<String> {
        Vec::new()
    }
}
