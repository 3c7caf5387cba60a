//! What the head's chunks look like.

use std::sync::atomic::{AtomicBool, Ordering};

use headwater_blockfmt::{EncodeOptions, EncodedChunk, Encoding};
use headwater_model::SeriesColumns;

use crate::options::{FloatEncoding, Options};

/// Where chunks end and how they are encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Chunks do not cross multiples of this many milliseconds.
    pub(crate) range: i64,
    /// New chunks of floats are XOR2.
    pub(crate) xor2: bool,
    /// New chunks of histograms have start timestamps.
    pub(crate) histogram_starts: bool,
}

impl Rules {
    /// The same for samples that are encoded all at once.
    pub(crate) fn encode_options(self) -> EncodeOptions {
        EncodeOptions::default()
            .xor2(self.xor2)
            .histogram_starts(self.histogram_starts)
    }

    /// What every Prometheus since 2.55 reads.
    #[cfg(test)]
    pub(crate) fn plain(range: i64) -> Rules {
        Rules {
            range,
            xor2: false,
            histogram_starts: false,
        }
    }
}

/// What is chosen of the encodings; that of floats may change at any time.
#[derive(Debug)]
pub(crate) struct Choice {
    xor2: AtomicBool,
    /// Start timestamps are kept.
    pub(crate) starts: bool,
    histogram_starts: bool,
}

impl Choice {
    pub(crate) fn new(options: &Options) -> Choice {
        Choice {
            xor2: AtomicBool::new(options.float_encoding == FloatEncoding::Xor2),
            starts: options.start_timestamps,
            histogram_starts: options.histogram_starts,
        }
    }

    pub(crate) fn set_floats(&self, encoding: FloatEncoding) {
        let xor2 = encoding == FloatEncoding::Xor2;
        self.xor2.store(xor2, Ordering::Relaxed);
    }

    pub(crate) fn rules(&self, range: i64) -> Rules {
        Rules {
            range,
            xor2: self.xor2.load(Ordering::Relaxed),
            histogram_starts: self.histogram_starts,
        }
    }
}

/// How to encode once more what came out of these chunks, so that nothing of
/// it is lost and nobody has to read what he did not read before.
pub(crate) fn as_before<'c>(chunks: impl IntoIterator<Item = &'c EncodedChunk>) -> EncodeOptions {
    let mut options = EncodeOptions::default();
    for chunk in chunks {
        match chunk.encoding {
            Encoding::Xor2 => options = options.xor2(true),
            Encoding::HistogramSt | Encoding::FloatHistogramSt => {
                options = options.histogram_starts(true);
            }
            _ => {}
        }
    }
    options
}

/// The same, for samples that are put between those of the chunks.
pub(crate) fn as_before_with<'c>(
    chunks: impl IntoIterator<Item = &'c EncodedChunk>,
    columns: &SeriesColumns,
) -> EncodeOptions {
    let options = as_before(chunks);
    match columns.floats.starts.is_empty() {
        true => options,
        false => options.xor2(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(encoding: Encoding) -> EncodedChunk {
        EncodedChunk {
            encoding,
            min_time: 0,
            max_time: 0,
            data: bytes::Bytes::new(),
        }
    }

    #[test]
    fn what_is_written_again_needs_no_newer_reader() {
        let old = [chunk(Encoding::Xor), chunk(Encoding::Histogram)];
        assert_eq!(as_before(&old), EncodeOptions::default());
        let new = [chunk(Encoding::Xor), chunk(Encoding::Xor2)];
        assert_eq!(as_before(&new), EncodeOptions::default().xor2(true));
        let starts = [chunk(Encoding::FloatHistogramSt)];
        let wanted = EncodeOptions::default().histogram_starts(true);
        assert_eq!(as_before(&starts), wanted);
        let mut columns = SeriesColumns::default();
        columns.floats.push_with_start(2, 1.0, 1);
        let wanted = EncodeOptions::default().xor2(true);
        assert_eq!(as_before_with(&old, &columns), wanted);
    }
}
