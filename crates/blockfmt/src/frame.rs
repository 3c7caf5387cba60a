//! What several files have in common: a header of magic number and version, and checksums.

use crate::error::{Cause, DecodeError};
use crate::input::Input;

/// Bytes of the checksums of all files: CRC-32C (Castagnoli), big-endian.
pub(crate) const CHECKSUM: usize = 4;

/// Checks the first four bytes and the version behind them.
pub(crate) fn check_header(
    part: &'static str,
    data: &[u8],
    magic: u32,
    versions: &[u8],
) -> Result<u8, DecodeError> {
    let mut input = Input::new(part, data);
    let found = input.be32()?;
    if found != magic {
        return Err(DecodeError::new(
            part,
            0,
            Cause::Magic {
                found,
                expected: magic,
            },
        ));
    }
    let version = input.byte()?;
    if !versions.contains(&version) {
        let cause = Cause::Unsupported {
            what: "version",
            number: version.into(),
        };
        return Err(DecodeError::new(part, 4, cause));
    }
    Ok(version)
}

/// Compares the checksum of `data`, which stands at `offset` of the file, with the one stored behind it.
pub(crate) fn check_sum(
    part: &'static str,
    offset: usize,
    data: &[u8],
    stored: u32,
) -> Result<(), DecodeError> {
    let computed = crc32c::crc32c(data);
    if computed == stored {
        return Ok(());
    }
    Err(DecodeError::new(
        part,
        offset,
        Cause::Checksum { stored, computed },
    ))
}

/// The header of chunk files: magic number, version 1, three bytes of padding.
pub(crate) fn chunk_file_header(magic: u32) -> [u8; 8] {
    let [a, b, c, d] = magic.to_be_bytes();
    [a, b, c, d, 1, 0, 0, 0]
}
