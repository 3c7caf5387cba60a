//! Remote read, streamed: frames of encoded chunks.
//!
//! ```text
//! frame   length of the message (uvarint) · CRC32C of the message (big endian) · message
//! ```
//!
//! A frame holds chunks of one series; a series whose chunks exceed the size of a frame goes on in
//! the next one, with its labels again. Source: `storage/remote/chunked.go` of Prometheus.

use headwater_blockfmt::EncodedChunk;
use headwater_model::Labels;

use crate::error::WireError;
use crate::fields::{Fields, put};
use crate::read::{label_len, merged, put_label};

/// Frames, one behind the other.
#[derive(Debug)]
pub struct FrameWriter {
    frame_bytes: usize,
    message: Vec<u8>,
}

impl FrameWriter {
    /// A writer of frames of about `frame_bytes`: a chunk more may be in one.
    pub fn new(frame_bytes: usize) -> Self {
        Self {
            frame_bytes,
            message: Vec::new(),
        }
    }

    /// Appends to `out` the frames of a series in the answer to query `query`; none if there is no
    /// chunk. Labels of the answering server are put beside those of the series, which win.
    pub fn series(
        &mut self,
        query: usize,
        labels: &Labels,
        external: &Labels,
        chunks: &[EncodedChunk],
        out: &mut Vec<u8>,
    ) {
        let label_bytes: usize = merged(labels, external)
            .map(|(name, value)| put::block_len(label_len(name, value)))
            .sum();
        let room = self.frame_bytes.saturating_sub(label_bytes);
        let mut rest = chunks;
        while !rest.is_empty() {
            let mut size = 0;
            let count = rest
                .iter()
                .take_while(|chunk| {
                    let fits = size == 0 || size < room;
                    size += if fits {
                        put::block_len(chunk_len(chunk))
                    } else {
                        0
                    };
                    fits
                })
                .count();
            let (frame, later) = rest.split_at(count);
            self.frame(query, (labels, external, label_bytes), (frame, size), out);
            rest = later;
        }
    }

    fn frame(
        &mut self,
        query: usize,
        (labels, external, label_bytes): (&Labels, &Labels, usize),
        (chunks, chunk_bytes): (&[EncodedChunk], usize),
        out: &mut Vec<u8>,
    ) {
        let message = &mut self.message;
        message.clear();
        put::block_head(message, 1, label_bytes + chunk_bytes);
        for (name, value) in merged(labels, external) {
            put_label(message, name, value);
        }
        for chunk in chunks {
            put_chunk(message, chunk);
        }
        put::number(message, 2, query as u64);
        put::varint(out, message.len() as u64);
        out.extend_from_slice(&crc32c::crc32c(message).to_be_bytes());
        out.extend_from_slice(message);
    }
}

fn number_len(number: u64) -> usize {
    if number == 0 {
        0
    } else {
        1 + put::varint_len(number)
    }
}

fn chunk_len(chunk: &EncodedChunk) -> usize {
    number_len(chunk.min_time as u64)
        + number_len(chunk.max_time as u64)
        + number_len(chunk.encoding.number().into())
        + put::block_len(chunk.data.len())
}

fn put_chunk(out: &mut Vec<u8>, chunk: &EncodedChunk) {
    put::block_head(out, 2, chunk_len(chunk));
    put::number(out, 1, chunk.min_time as u64);
    put::number(out, 2, chunk.max_time as u64);
    put::number(out, 3, chunk.encoding.number().into());
    put::block(out, 4, &chunk.data);
}

/// Splits the first frame off `stream` and returns its message.
///
/// # Errors
/// The frame is cut, longer than `limit` bytes, or its checksum is another.
pub fn next_frame<'a>(stream: &mut &'a [u8], limit: usize) -> Result<Option<&'a [u8]>, WireError> {
    if stream.is_empty() {
        return Ok(None);
    }
    let mut fields = Fields::new(stream);
    let size = usize::try_from(fields.varint()?).unwrap_or(usize::MAX);
    if size > limit {
        return Err(WireError::TooLarge { size, limit });
    }
    let (sum, rest) = fields
        .rest()
        .split_first_chunk::<4>()
        .ok_or(WireError::Truncated)?;
    let (message, rest) = rest.split_at_checked(size).ok_or(WireError::Truncated)?;
    if crc32c::crc32c(message) != u32::from_be_bytes(*sum) {
        return Err(WireError::Query(
            "the checksum of a frame is another".to_owned(),
        ));
    }
    *stream = rest;
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use headwater_blockfmt::Encoding;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::messages::ChunkedReadResponse;

    fn chunk(at: i64, bytes: usize) -> EncodedChunk {
        EncodedChunk {
            encoding: Encoding::Xor,
            min_time: at * 100,
            max_time: at * 100 + 99,
            data: Bytes::from(vec![at as u8; bytes]),
        }
    }

    fn frames(mut stream: &[u8]) -> Vec<ChunkedReadResponse> {
        std::iter::from_fn(|| next_frame(&mut stream, 1 << 20).unwrap())
            .map(|message| ChunkedReadResponse::decode(message).unwrap())
            .collect()
    }

    #[test]
    fn a_damaged_frame_is_found() {
        let mut out = Vec::new();
        FrameWriter::new(100).series(
            0,
            &Labels::empty(),
            &Labels::empty(),
            &[chunk(1, 5)],
            &mut out,
        );
        let last = out.len() - 1;
        out[last] ^= 1;
        assert!(next_frame(&mut &out[..], 100).is_err());
        assert_eq!(
            next_frame(&mut &out[..last], 100),
            Err(WireError::Truncated)
        );
        assert!(matches!(
            next_frame(&mut &out[..], 3),
            Err(WireError::TooLarge { .. })
        ));
    }

    proptest! {
        #[test]
        fn chunks_come_back(
            sizes in proptest::collection::vec(0usize..300, 0..9),
            frame_bytes in 0usize..900,
            query in 0usize..3,
        ) {
            let labels = Labels::from_pairs([("__name__", "up"), ("job", "x")]);
            let external = Labels::from_pairs([("cluster", "c"), ("job", "y")]);
            let chunks: Vec<EncodedChunk> = sizes.iter().enumerate().map(|(at, size)| chunk(at as i64, *size)).collect();
            let mut out = Vec::new();
            FrameWriter::new(frame_bytes).series(query, &labels, &external, &chunks, &mut out);
            let mut back = Vec::new();
            for frame in frames(&out) {
                prop_assert_eq!(frame.query_index, query as i64);
                prop_assert_eq!(frame.chunked_series.len(), 1);
                let series = &frame.chunked_series[0];
                let names: Vec<_> = series.labels.iter().map(|l| (l.name.as_str(), l.value.as_str())).collect();
                prop_assert_eq!(names, [("__name__", "up"), ("cluster", "c"), ("job", "x")]);
                let longest = sizes.iter().max().copied().unwrap_or(0) + 40;
                prop_assert!(series.chunks.len() == 1 || frame.encoded_len() < frame_bytes + longest);
                back.extend(series.chunks.clone());
            }
            prop_assert_eq!(back.len(), chunks.len());
            for (back, sent) in back.iter().zip(&chunks) {
                prop_assert_eq!(&back.data[..], &sent.data[..]);
                prop_assert_eq!((back.min_time_ms, back.max_time_ms, back.r#type), (sent.min_time, sent.max_time, 1));
            }
        }

        #[test]
        fn damage_is_no_panic(bytes: Vec<u8>) {
            let mut stream = &bytes[..];
            while let Ok(Some(_)) = next_frame(&mut stream, 1 << 10) {}
        }
    }
}
