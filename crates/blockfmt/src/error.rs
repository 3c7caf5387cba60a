//! What decoders say about bytes that they refuse.

use std::fmt;

/// Bytes that are not what their format says: which part, where in it, and why.
///
/// The data has to be restored or left out; reading it again gives the same answer. The one
/// exception is [`Cause::Unsupported`], where a newer version of this crate may know more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}, byte {offset}: {cause}")]
pub struct DecodeError {
    /// The structure that was being read, e.g. `xor chunk`.
    pub part: &'static str,
    /// Offset of the fault, in bytes from the start of the slice that was given to the decoder.
    pub offset: usize,
    /// What is wrong there.
    pub cause: Cause,
}

/// An error of a chunk decoder.
pub type ChunkError = DecodeError;

/// Why bytes were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The bytes end before the structure does.
    Truncated,
    /// Stored and computed CRC-32C differ.
    Checksum {
        /// The checksum that the bytes carry.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// The file does not begin with the magic number of its kind.
    Magic {
        /// What it begins with.
        found: u32,
        /// What it should begin with.
        expected: u32,
    },
    /// A version, encoding or type number that this crate does not know.
    Unsupported {
        /// What the number counts, e.g. `chunk encoding`.
        what: &'static str,
        /// The number.
        number: u64,
    },
    /// A field holds what it cannot hold.
    Invalid(&'static str),
}

impl DecodeError {
    pub(crate) fn new(part: &'static str, offset: usize, cause: Cause) -> Self {
        Self {
            part,
            offset,
            cause,
        }
    }

    pub(crate) fn truncated(part: &'static str, offset: usize) -> Self {
        Self::new(part, offset, Cause::Truncated)
    }

    pub(crate) fn invalid(part: &'static str, offset: usize, what: &'static str) -> Self {
        Self::new(part, offset, Cause::Invalid(what))
    }

    /// The same error with its offset counted from `base` bytes further ahead: for a caller
    /// that gave the decoder a part of a larger region.
    #[must_use]
    pub fn at_base(mut self, base: usize) -> Self {
        self.offset = self.offset.saturating_add(base);
        self
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the bytes end too early"),
            Self::Checksum { stored, computed } => {
                write!(f, "checksum is {computed:08x}, {stored:08x} is stored")
            }
            Self::Magic { found, expected } => {
                write!(f, "magic number is {found:08x}, not {expected:08x}")
            }
            Self::Unsupported { what, number } => write!(f, "unknown {what} {number}"),
            Self::Invalid(what) => f.write_str(what),
        }
    }
}
