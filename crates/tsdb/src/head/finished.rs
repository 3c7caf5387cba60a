//! A finished chunk of a series: in memory, or in a head chunk file.
//!
//! A series keeps one for every thirty minutes or so until a block has them, so
//! those in files, which are nearly all, are told in 32 bytes.

use std::sync::Arc;

use bytes::Bytes;
use headwater_blockfmt::{EncodedChunk, Encoding};
use headwater_model::{TimeRange, Timestamp};

/// A head chunk file that is mapped. It stays so until the last chunk of it is
/// forgotten, also when the file is removed.
#[derive(Debug)]
pub(crate) struct MappedFile {
    bytes: Bytes,
}

impl MappedFile {
    pub(crate) fn new(bytes: Bytes) -> Arc<MappedFile> {
        Arc::new(MappedFile { bytes })
    }
}

/// A chunk that does not grow any more. `span` are the milliseconds from its
/// first sample to its last.
#[derive(Clone, Debug)]
pub(crate) enum Finished {
    /// `len` bytes of a file.
    InFile {
        file: Arc<MappedFile>,
        min_time: Timestamp,
        span: u32,
        offset: u32,
        len: u32,
        encoding: Encoding,
    },
    InMemory {
        data: Arc<[u8]>,
        min_time: Timestamp,
        span: u32,
        encoding: Encoding,
    },
    /// Of more than seven weeks.
    Long(Box<EncodedChunk>),
}

impl From<EncodedChunk> for Finished {
    fn from(chunk: EncodedChunk) -> Finished {
        match u32::try_from(chunk.max_time.wrapping_sub(chunk.min_time)) {
            Ok(span) => Finished::InMemory {
                data: Arc::from(&chunk.data[..]),
                min_time: chunk.min_time,
                span,
                encoding: chunk.encoding,
            },
            Err(_) => Finished::Long(Box::new(chunk)),
        }
    }
}

impl Finished {
    /// A chunk of `file`, of which `data` must be a part.
    pub(crate) fn in_file(
        file: &Arc<MappedFile>,
        encoding: Encoding,
        times: TimeRange,
        data: &[u8],
    ) -> Finished {
        let (begin, start) = (file.bytes.as_ptr().addr(), data.as_ptr().addr());
        let small = (
            u32::try_from(times.end.wrapping_sub(times.start)),
            u32::try_from(start.wrapping_sub(begin)),
            u32::try_from(data.len()),
        );
        if let (Ok(span), Ok(offset), Ok(len)) = small {
            return Finished::InFile {
                file: Arc::clone(file),
                min_time: times.start,
                span,
                offset,
                len,
                encoding,
            };
        }
        Finished::Long(Box::new(EncodedChunk {
            encoding,
            min_time: times.start,
            max_time: times.end,
            data: file.bytes.slice_ref(data),
        }))
    }

    pub(crate) fn encoding(&self) -> Encoding {
        match self {
            Finished::InFile { encoding, .. } | Finished::InMemory { encoding, .. } => *encoding,
            Finished::Long(chunk) => chunk.encoding,
        }
    }

    pub(crate) fn min_time(&self) -> Timestamp {
        match self {
            Finished::InFile { min_time, .. } | Finished::InMemory { min_time, .. } => *min_time,
            Finished::Long(chunk) => chunk.min_time,
        }
    }

    pub(crate) fn max_time(&self) -> Timestamp {
        match self {
            Finished::InFile { min_time, span, .. } | Finished::InMemory { min_time, span, .. } => {
                min_time.wrapping_add((*span).into())
            }
            Finished::Long(chunk) => chunk.max_time,
        }
    }

    /// First to last time.
    pub(crate) fn times(&self) -> TimeRange {
        TimeRange::new(self.min_time(), self.max_time())
    }

    pub(crate) fn data(&self) -> &[u8] {
        match self {
            Finished::InFile {
                file, offset, len, ..
            } => &file.bytes[*offset as usize..][..*len as usize],
            Finished::InMemory { data, .. } => data,
            Finished::Long(chunk) => &chunk.data,
        }
    }

    /// The chunk; its bytes are shared.
    pub(crate) fn encoded(&self) -> EncodedChunk {
        let data = match self {
            Finished::InFile { file, .. } => file.bytes.slice_ref(self.data()),
            Finished::InMemory { data, .. } => Bytes::from_owner(Arc::clone(data)),
            Finished::Long(chunk) => chunk.data.clone(),
        };
        EncodedChunk {
            encoding: self.encoding(),
            min_time: self.min_time(),
            max_time: self.max_time(),
            data,
        }
    }

    /// Bytes of memory beside this.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Finished::InFile { .. } => 0,
            Finished::InMemory { data, .. } => 2 * size_of::<usize>() + data.len(),
            Finished::Long(chunk) => size_of::<EncodedChunk>() + chunk.data.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_of_a_file_takes_little() {
        assert_eq!(size_of::<Finished>(), 32);
    }

    #[test]
    fn chunks_are_the_same_in_a_file() {
        let file = MappedFile::new(Bytes::from_static(b"abcdefgh"));
        let ranges = [
            TimeRange::new(-5, 9),
            TimeRange::new(0, u32::MAX.into()),
            TimeRange::new(0, 1 << 32),
            TimeRange::new(i64::MIN, i64::MAX),
        ];
        for times in ranges {
            let part = &file.bytes[2..5];
            let chunk = Finished::in_file(&file, Encoding::Histogram, times, part);
            assert_eq!(chunk.data(), b"cde");
            assert_eq!(
                (chunk.times(), chunk.encoding()),
                (times, Encoding::Histogram)
            );
            let is_long = times.end.wrapping_sub(times.start) as u64 > u32::MAX.into();
            assert_eq!(matches!(chunk, Finished::Long(_)), is_long, "{times:?}");
            let encoded = chunk.encoded();
            assert_eq!(encoded.data[..], b"cde"[..]);
            let again = Finished::from(encoded);
            assert_eq!((again.times(), again.data()), (times, chunk.data()));
            assert_eq!(again.encoding(), chunk.encoding());
        }
    }
}
