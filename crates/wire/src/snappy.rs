//! Snappy's block format, bounded; and written piece by piece.
//!
//! Source: the format description of google/snappy: the decompressed length as a number of variable
//! length, then elements, each a literal or a copy from what came before.

use crate::error::WireError;
use crate::fields::put;

/// Decompresses a block into `into`, whose former content is dropped and whose memory is kept.
///
/// # Errors
/// The block is damaged, or says that it holds more than `limit` bytes: then no memory was asked for.
pub fn decompress(block: &[u8], limit: usize, into: &mut Vec<u8>) -> Result<(), WireError> {
    let size = snap::raw::decompress_len(block).map_err(|_| WireError::Snappy)?;
    if size > limit {
        return Err(WireError::TooLarge { size, limit });
    }
    // What is there already need not be cleared: it is written over, or the block is refused.
    into.resize(size, 0);
    let written = snap::raw::Decoder::new()
        .decompress(block, into)
        .map_err(|_| WireError::Snappy)?;
    into.truncate(written);
    Ok(())
}

/// Compresses a message.
pub fn compress(message: &[u8]) -> Vec<u8> {
    let mut out = vec![0; snap::raw::max_compress_len(message.len())];
    let written = snap::raw::Encoder::new()
        .compress(message, &mut out)
        .unwrap_or_default();
    out.truncate(written);
    out
}

/// Compressors look for copies within pieces of this size.
const PIECE: usize = 1 << 16;

/// A block that is compressed while it is written, so that the whole is never held in plain.
///
/// A message inside messages begins with its length, which is known last; therefore pieces may be
/// finished first and joined later with what belongs before them.
pub struct BlockWriter {
    encoder: snap::raw::Encoder,
    plain: Vec<u8>,
    compressed: Vec<u8>,
    /// Plain bytes that are compressed already.
    done: usize,
}

impl Default for BlockWriter {
    fn default() -> Self {
        Self {
            encoder: snap::raw::Encoder::new(),
            plain: Vec::with_capacity(PIECE + (PIECE >> 2)),
            compressed: Vec::new(),
            done: 0,
        }
    }
}

impl std::fmt::Debug for BlockWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockWriter")
            .field("plain", &(self.done + self.plain.len()))
            .finish_non_exhaustive()
    }
}

impl BlockWriter {
    /// Where the next bytes are to be put.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.plain
    }

    /// Compresses what is full. To be called now and then, between puts of moderate size.
    pub(crate) fn settle(&mut self) {
        if self.plain.len() >= PIECE {
            self.compress_pieces(PIECE);
        }
    }

    /// Bytes written so far, before compression.
    pub(crate) fn plain_len(&self) -> usize {
        self.done + self.plain.len()
    }

    fn compress_pieces(&mut self, least: usize) {
        let mut from = 0;
        while self.plain.len() - from >= least.max(1) {
            let piece = &self.plain[from..self.plain.len().min(from + PIECE)];
            self.compressed.extend_from_slice(elements(
                &self.encoder.compress_vec(piece).unwrap_or_default(),
            ));
            from += piece.len();
        }
        self.plain.drain(..from);
        self.done += from;
    }

    /// Ends the block: length before compression, and the elements.
    pub(crate) fn finish(mut self) -> (usize, Vec<u8>) {
        self.compress_pieces(1);
        (self.done, self.compressed)
    }
}

/// The elements of a block, without the length before them.
fn elements(block: &[u8]) -> &[u8] {
    let length = block.iter().take_while(|byte| **byte >= 0x80).count() + 1;
    block.get(length..).unwrap_or_default()
}

/// Makes one block of heads, which are short and stay plain, each with the elements that follow it.
pub(crate) fn join(parts: &[(Vec<u8>, usize, Vec<u8>)]) -> Vec<u8> {
    let total: usize = parts
        .iter()
        .map(|(head, plain, _)| head.len() + plain)
        .sum();
    let size: usize = parts
        .iter()
        .map(|(head, _, block)| head.len() + block.len() + 1)
        .sum();
    let mut out = Vec::with_capacity(size + 10);
    put::varint(&mut out, total as u64);
    for (head, _, block) in parts {
        // Heads are a key and a length: never as long as a literal with a length of its own bytes.
        debug_assert!((1..=60).contains(&head.len()));
        out.push((head.len() as u8 - 1) << 2);
        out.extend_from_slice(head);
        out.extend_from_slice(block);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_before_it_allocates() {
        let mut into = Vec::new();
        // Says 4 GiB.
        let bomb = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
        let error = decompress(&bomb, 1 << 20, &mut into).unwrap_err();
        assert!(matches!(error, WireError::TooLarge { .. }), "{error}");
        assert_eq!(into.capacity(), 0);
        assert_eq!(
            decompress(b"garbage", 1 << 20, &mut into),
            Err(WireError::Snappy)
        );
    }

    proptest! {
        #[test]
        fn pieces_make_a_block(
            texts in proptest::collection::vec("[ab]{0,300}", 0..4),
            repeat in 1usize..400,
        ) {
            let (mut plain, mut parts) = (Vec::new(), Vec::new());
            for (at, text) in texts.iter().enumerate() {
                let mut writer = BlockWriter::default();
                let body = text.repeat(repeat);
                for _ in 0..repeat {
                    writer.buffer().extend_from_slice(text.as_bytes());
                    writer.settle();
                }
                prop_assert_eq!(writer.plain_len(), body.len());
                let (length, block) = writer.finish();
                let head = vec![at as u8; at + 1];
                plain.extend_from_slice(&head);
                plain.extend_from_slice(body.as_bytes());
                parts.push((head, length, block));
            }
            let mut back = Vec::new();
            decompress(&join(&parts), 1 << 24, &mut back).unwrap();
            prop_assert_eq!(back, plain);
        }

        #[test]
        fn damage_is_no_panic(bytes: Vec<u8>) {
            let _ = decompress(&bytes, 1 << 16, &mut Vec::new());
        }
    }
}
