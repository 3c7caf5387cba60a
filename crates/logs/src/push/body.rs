//! Taking the compression off a body, never beyond the bound.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::Read;

use super::{Sent, bad};
use crate::error::PushError;

/// Bytes of a part of a framed stream that are read at once.
const READ_BYTES: u64 = 1 << 16;

pub(super) fn of_json(sent: Sent<'_>) -> Result<Cow<'_, [u8]>, PushError> {
    match sent.encoding.unwrap_or("") {
        "" | "identity" => plain(sent),
        "gzip" => gzip(sent),
        "deflate" => deflate(sent),
        "snappy" => snappy(sent),
        other => Err(bad(format!("Content-Encoding {other:?} not supported"))),
    }
}

/// Bytes that a thread keeps for the bodies to come: most pushes are smaller.
const KEPT_BYTES: usize = 4 << 20;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Calls `read` with the bytes of a block of snappy, in memory that the thread uses again: fresh
/// memory for every push costs as much as taking the compression off.
pub(super) fn of_protobuf<T>(
    sent: Sent<'_>,
    read: impl FnOnce(&[u8]) -> Result<T, PushError>,
) -> Result<T, PushError> {
    let length = snappy_length(sent)?;
    let mut scratch = SCRATCH.with(RefCell::take);
    if scratch.len() < length {
        scratch.resize(length, 0);
    }
    let done = snap::raw::Decoder::new()
        .decompress(sent.body, &mut scratch[..length])
        .map_err(|_| bad("snappy: corrupt input"))
        .and_then(|length| read(&scratch[..length]));
    if scratch.len() <= KEPT_BYTES {
        SCRATCH.set(scratch);
    }
    done
}

pub(super) fn of_otlp(sent: Sent<'_>) -> Result<Cow<'_, [u8]>, PushError> {
    match sent.encoding.unwrap_or("") {
        "" | "identity" => plain(sent),
        "gzip" => gzip(sent),
        "zstd" => {
            let reader =
                zstd::Decoder::new(sent.body).map_err(|error| bad(format!("zstd: {error}")))?;
            read(reader, sent, "zstd")
        }
        "lz4" => read(lz4_flex::frame::FrameDecoder::new(sent.body), sent, "lz4"),
        other => Err(bad(format!(
            "unsupported content encoding {other}: only gzip, lz4 and zstd are supported"
        ))),
    }
}

fn plain(sent: Sent<'_>) -> Result<Cow<'_, [u8]>, PushError> {
    match sent.body.len() > sent.max_decompressed {
        true => Err(too_large(sent.body.len(), sent.max_decompressed)),
        false => Ok(Cow::Borrowed(sent.body)),
    }
}

fn gzip(sent: Sent<'_>) -> Result<Cow<'_, [u8]>, PushError> {
    if !sent.body.starts_with(&[0x1f, 0x8b]) {
        return Err(bad("gzip: invalid header"));
    }
    read(flate2::read::MultiGzDecoder::new(sent.body), sent, "gzip")
}

/// `deflate` means the zlib format by RFC 9110; Loki's clients send it raw, so both are read.
fn deflate(sent: Sent<'_>) -> Result<Cow<'_, [u8]>, PushError> {
    let zlib = matches!(sent.body, [first, second, ..]
        if first & 0x0f == 8 && (usize::from(*first) << 8 | usize::from(*second)).is_multiple_of(31));
    match zlib {
        true => read(flate2::read::ZlibDecoder::new(sent.body), sent, "deflate"),
        false => read(
            flate2::read::DeflateDecoder::new(sent.body),
            sent,
            "deflate",
        ),
    }
}

/// A block or a framed stream; the latter begins with its mark.
fn snappy(sent: Sent<'_>) -> Result<Cow<'_, [u8]>, PushError> {
    match sent.body.starts_with(b"\xff\x06\x00\x00sNaPpY") {
        true => read(snap::read::FrameDecoder::new(sent.body), sent, "snappy"),
        false => snappy_block(sent),
    }
}

/// How many bytes a block of snappy says that it has, if that can be.
fn snappy_length(sent: Sent<'_>) -> Result<usize, PushError> {
    let corrupt = |_| bad("snappy: corrupt input");
    let length = snap::raw::decompress_len(sent.body).map_err(corrupt)?;
    if sent.body.is_empty() {
        return Err(bad("snappy: corrupt input"));
    }
    if length > sent.max_decompressed {
        return Err(too_large(length, sent.max_decompressed));
    }
    // A block that expands more than snappy can is a lie about its length.
    if length > sent.body.len().saturating_mul(64).saturating_add(64) {
        return Err(bad("snappy: corrupt input"));
    }
    Ok(length)
}

fn snappy_block(sent: Sent<'_>) -> Result<Cow<'_, [u8]>, PushError> {
    snappy_length(sent)?;
    let bytes = snap::raw::Decoder::new().decompress_vec(sent.body);
    bytes
        .map(Cow::Owned)
        .map_err(|_| bad("snappy: corrupt input"))
}

fn read<'a>(mut reader: impl Read, sent: Sent<'a>, what: &str) -> Result<Cow<'a, [u8]>, PushError> {
    let mut out = Vec::new();
    loop {
        let got = reader
            .by_ref()
            .take(READ_BYTES)
            .read_to_end(&mut out)
            .map_err(|error| bad(format!("{what}: {error}")))?;
        if out.len() > sent.max_decompressed {
            return Err(too_large(out.len(), sent.max_decompressed));
        }
        if got == 0 {
            return Ok(Cow::Owned(out));
        }
    }
}

fn too_large(size: usize, limit: usize) -> PushError {
    PushError::new(
        413,
        format!("request body too large: message size too large than max ({size} vs {limit})"),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn sent<'a>(encoding: &'a str, body: &'a [u8]) -> Sent<'a> {
        Sent {
            content_type: None,
            encoding: Some(encoding),
            body,
            max_decompressed: 1 << 20,
        }
    }

    #[test]
    fn bombs_stop_at_the_bound() {
        let zeros = vec![0; 8 << 20];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&zeros).unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(of_json(sent("gzip", &gzip)).unwrap_err().status, 413);
        let block = snap::raw::Encoder::new().compress_vec(&zeros).unwrap();
        assert_eq!(
            of_protobuf(sent("", &block), |_| Ok(()))
                .unwrap_err()
                .status,
            413
        );
        // A few bytes that promise much.
        let lie = [0xff, 0xff, 0x3f, 0, 0];
        assert_eq!(
            of_protobuf(sent("", &lie), |_| Ok(())).unwrap_err().status,
            400
        );
    }

    #[test]
    fn both_deflates_are_read() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(b"{}").unwrap();
        let zlib = zlib.finish().unwrap();
        assert_eq!(&*of_json(sent("deflate", &zlib)).unwrap(), b"{}");
        let raw = &zlib[2..zlib.len() - 4];
        assert_eq!(&*of_json(sent("deflate", raw)).unwrap(), b"{}");
    }

    #[test]
    fn unknown_encodings_are_named() {
        let error = of_json(sent("br", b"x")).unwrap_err();
        assert_eq!(error.to_string(), "Content-Encoding \"br\" not supported");
        assert_eq!(of_otlp(sent("br", b"x")).unwrap_err().status, 400);
    }
}
