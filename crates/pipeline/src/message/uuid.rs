//! Message identities.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use bytes::Bytes;

/// Identity of a message. Sixteen bytes as a rule; other lengths occur in
/// the wild and are kept as they are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Uuid {
    /// The usual sixteen bytes, held in place.
    Proper([u8; 16]),
    /// Anything else.
    Odd(Bytes),
}

impl Uuid {
    /// Takes the bytes found on the wire.
    pub fn from_bytes(bytes: &[u8]) -> Uuid {
        match bytes.try_into() {
            Ok(proper) => Uuid::Proper(proper),
            Err(_) => Uuid::Odd(Bytes::copy_from_slice(bytes)),
        }
    }

    /// The bytes as they go on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Uuid::Proper(bytes) => bytes,
            Uuid::Odd(bytes) => bytes,
        }
    }

    /// Reads the dashed form of 36 characters.
    pub fn parse(text: &str) -> Option<Uuid> {
        let digits: Vec<u8> = text.bytes().filter(|b| *b != b'-').collect();
        if text.len() != 36 || digits.len() != 32 {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Uuid::Proper(bytes))
    }
}

/// The dashed lower case form; empty when there are not sixteen bytes, which
/// is also what matchers compare with.
impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_dashed(self.as_bytes(), f)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Uuid::Proper(_) => write!(f, "Uuid({self})"),
            Uuid::Odd(bytes) => write!(f, "Uuid({bytes:?})"),
        }
    }
}

fn write_dashed(bytes: &[u8], out: &mut impl fmt::Write) -> fmt::Result {
    if bytes.len() != 16 {
        return Ok(());
    }
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.write_char('-')?;
        }
        write!(out, "{byte:02x}")?;
    }
    Ok(())
}

/// The dashed form of the bytes on the wire, empty unless there are sixteen.
pub(crate) fn dashed(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    // Writing to a String cannot fail.
    let _ = write_dashed(bytes, &mut text);
    text
}

/// Makes random (version 4) identities, cheaply: a 64 bit counter generator
/// (SplitMix64, Steele, Lea and Flood 2014) seeded by the operating system.
/// Unique in practice, not secret.
#[derive(Debug, Clone)]
pub struct UuidSource {
    state: u64,
}

impl UuidSource {
    /// A source seeded by the operating system.
    pub fn new() -> UuidSource {
        // RandomState is the standard library's only door to system entropy.
        let seed = RandomState::new().build_hasher().finish();
        UuidSource::seeded(seed)
    }

    /// A source that repeats itself, for tests.
    pub fn seeded(seed: u64) -> UuidSource {
        UuidSource { state: seed }
    }

    /// The next identity.
    pub fn next_uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.step().to_le_bytes());
        bytes[8..].copy_from_slice(&self.step().to_le_bytes());
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Uuid::Proper(bytes)
    }

    fn step(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Default for UuidSource {
    fn default() -> UuidSource {
        UuidSource::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dashed_form_round_trips() {
        let text = "8d5f0a3e-2b43-4c9e-9a6e-0f6d9e2c7b11";
        assert_eq!(Uuid::parse(text).unwrap().to_string(), text);
        assert_eq!(Uuid::parse("8d5f"), None);
    }

    #[test]
    fn an_odd_length_is_kept_and_reads_as_empty() {
        let uuid = Uuid::from_bytes(b"abc");
        assert_eq!(uuid.as_bytes(), b"abc");
        assert_eq!(uuid.to_string(), "");
    }

    #[test]
    fn made_identities_are_version_four_and_differ() {
        let mut source = UuidSource::seeded(1);
        let (a, b) = (source.next_uuid(), source.next_uuid());
        assert_ne!(a, b);
        assert_eq!(a.as_bytes()[6] >> 4, 4);
        assert_eq!(a.as_bytes()[8] >> 6, 2);
    }
}
