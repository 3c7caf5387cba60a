//! Compression of single records.

use crate::{Compression, DamageReason};

/// Largest record after decompression, in bytes. A header can claim anything;
/// this keeps a damaged one from asking for all memory.
pub(crate) const MAX_RECORD: usize = 512 << 20;

/// Snappy's densest element copies 64 bytes by 3, so no block grows more.
const SNAPPY_MAX_RATIO: usize = 22;

/// Reusable compression state of a writer.
pub(crate) struct Compressor {
    kind: Compression,
    snappy: snap::raw::Encoder,
    #[cfg(feature = "zstd")]
    zstd: Option<zstd::bulk::Compressor<'static>>,
    out: Vec<u8>,
}

impl Compressor {
    pub(crate) fn new(kind: Compression) -> Compressor {
        Compressor {
            kind,
            snappy: snap::raw::Encoder::new(),
            #[cfg(feature = "zstd")]
            zstd: match kind {
                Compression::Zstd => zstd::bulk::Compressor::new(1).ok(),
                _ => None,
            },
            out: Vec::new(),
        }
    }

    /// The bytes to store and how they are compressed: records that do not
    /// shrink are stored as they are.
    pub(crate) fn compress<'a>(&'a mut self, record: &'a [u8]) -> (&'a [u8], Compression) {
        let len = match self.kind {
            _ if record.is_empty() => None,
            Compression::None => None,
            Compression::Snappy => self.snappy(record),
            #[cfg(feature = "zstd")]
            Compression::Zstd => self.zstd(record),
        };
        match len {
            Some(len) if len < record.len() => (&self.out[..len], self.kind),
            _ => (record, Compression::None),
        }
    }

    fn snappy(&mut self, record: &[u8]) -> Option<usize> {
        let most = snap::raw::max_compress_len(record.len());
        if self.out.len() < most {
            self.out.resize(most, 0);
        }
        self.snappy.compress(record, &mut self.out).ok()
    }

    #[cfg(feature = "zstd")]
    fn zstd(&mut self, record: &[u8]) -> Option<usize> {
        let most = zstd::zstd_safe::compress_bound(record.len());
        if self.out.len() < most {
            self.out.resize(most, 0);
        }
        let zstd = self.zstd.as_mut()?;
        zstd.compress_to_buffer(record, &mut self.out[..]).ok()
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

pub(crate) fn snappy(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), DamageReason> {
    let damaged = |_| DamageReason::Compression;
    let len = snap::raw::decompress_len(bytes).map_err(damaged)?;
    if len > MAX_RECORD || len > bytes.len().saturating_mul(SNAPPY_MAX_RATIO) + 64 {
        return Err(DamageReason::Compression);
    }
    let before = out.len();
    out.resize(before + len, 0);
    let done = snap::raw::Decoder::new().decompress(bytes, &mut out[before..]);
    out.truncate(before + done.as_ref().map_or(0, |len| *len));
    done.map(|_| ()).map_err(damaged)
}

#[cfg(feature = "zstd")]
pub(crate) fn zstd(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), DamageReason> {
    use std::io::Read;
    let before = out.len();
    // Streaming, because a frame need not say how long its contents are.
    let decoder = zstd::stream::read::Decoder::with_buffer(bytes);
    let mut decoder = decoder
        .map_err(|_| DamageReason::Compression)?
        .take(MAX_RECORD as u64 + 1);
    match decoder.read_to_end(out) {
        Ok(len) if len <= MAX_RECORD => Ok(()),
        _ => {
            out.truncate(before);
            Err(DamageReason::Compression)
        }
    }
}

#[cfg(not(feature = "zstd"))]
pub(crate) fn zstd(_: &[u8], _: &mut Vec<u8>) -> Result<(), DamageReason> {
    Err(DamageReason::Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_shrink_and_come_back() {
        let record = b"the same words, the same words, the same words".repeat(4);
        let mut back = Vec::new();
        let mut snap = Compressor::new(Compression::Snappy);
        let (bytes, kind) = snap.compress(&record);
        assert_eq!(kind, Compression::Snappy);
        assert!(bytes.len() < record.len());
        snappy(bytes, &mut back).unwrap();
        assert_eq!(back, record);
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn zstd_records_come_back() {
        let record = vec![b'x'; 5000];
        let mut zst = Compressor::new(Compression::Zstd);
        let (bytes, kind) = zst.compress(&record);
        assert_eq!(kind, Compression::Zstd);
        let mut back = Vec::new();
        zstd(bytes, &mut back).unwrap();
        assert_eq!(back, record);
        assert!(zstd(b"not zstd", &mut back).is_err());
    }

    #[test]
    fn records_that_do_not_shrink_stay_as_they_are() {
        let mut snap = Compressor::new(Compression::Snappy);
        assert_eq!(snap.compress(b"abc"), (&b"abc"[..], Compression::None));
        assert_eq!(snap.compress(b""), (&b""[..], Compression::None));
    }

    #[test]
    fn boasting_headers_are_refused() {
        let claims_4_gib = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
        assert_eq!(
            snappy(&claims_4_gib, &mut Vec::new()),
            Err(DamageReason::Compression)
        );
    }
}
