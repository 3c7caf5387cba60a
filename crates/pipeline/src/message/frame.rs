//! The frame around a message in streams and files.
//!
//! ```text
//! 0x1E | header length, 1 byte | header, protobuf | 0x1F | message
//! ```
//!
//! | header tag | content |
//! |---|---|
//! | 1 varint | length of the message in bytes |
//! | 3 varint | HMAC hash: 0 MD5 (when absent), 1 SHA-1 |
//! | 4 bytes  | name of the signer |
//! | 5 varint | version of the signer's key |
//! | 6 bytes  | HMAC of the message bytes under that key |
//!
//! A reader that finds anything wrong with a header looks for the next 0x1E
//! one byte further on.

use std::collections::HashMap;

use hmac::{Hmac, KeyInit, Mac};
use thiserror::Error;

use super::wire::{self, Walk};

/// First byte of a frame.
pub const RECORD_SEPARATOR: u8 = 0x1e;
/// Last byte before the message.
pub const UNIT_SEPARATOR: u8 = 0x1f;
/// A header's length must fit one byte.
pub const HEADER_MAX: usize = 255;
/// Record separator, header length and unit separator.
const FRAMING: usize = 3;
/// heka looks for a signature only in headers longer than this with their
/// framing; a shorter one cannot hold an MD5 digest.
const SIGNED_MIN: usize = 16;

/// The longest record a splitter may return when messages may have
/// `message_max` bytes.
pub const fn record_max(message_max: usize) -> usize {
    message_max + HEADER_MAX + FRAMING
}

/// Why a frame cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The message is longer than `max_message_size`.
    #[error("message of {size} bytes exceeds the maximum of {max} (max_message_size)")]
    MessageTooBig {
        /// Bytes of the message.
        size: usize,
        /// The limit that refused it.
        max: usize,
    },
    /// The header, which grows with the name of the signer, is over 255 bytes.
    #[error("message header of {size} bytes exceeds the maximum of 255")]
    HeaderTooBig {
        /// Bytes of the header.
        size: usize,
    },
}

/// Hash of a frame's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HmacHash {
    /// HMAC-MD5, number 0.
    #[default]
    Md5,
    /// HMAC-SHA-1, number 1.
    Sha1,
}

impl HmacHash {
    /// Reads the setting `hmac_hash`. Like heka, anything but `sha1` is MD5.
    pub fn from_setting(text: &str) -> HmacHash {
        match text {
            "sha1" => HmacHash::Sha1,
            _ => HmacHash::Md5,
        }
    }

    fn digest(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            HmacHash::Md5 => keyed::<Hmac<md5::Md5>>(key)
                .chain_update(message)
                .finalize()
                .into_bytes()
                .to_vec(),
            HmacHash::Sha1 => keyed::<Hmac<sha1::Sha1>>(key)
                .chain_update(message)
                .finalize()
                .into_bytes()
                .to_vec(),
        }
    }

    fn verify(self, key: &[u8], message: &[u8], digest: &[u8]) -> bool {
        match self {
            HmacHash::Md5 => keyed::<Hmac<md5::Md5>>(key)
                .chain_update(message)
                .verify_slice(digest)
                .is_ok(),
            HmacHash::Sha1 => keyed::<Hmac<sha1::Sha1>>(key)
                .chain_update(message)
                .verify_slice(digest)
                .is_ok(),
        }
    }
}

fn keyed<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Who signs outgoing frames.
#[derive(Debug, Clone)]
pub struct Signer {
    /// Name of the signer.
    pub name: String,
    /// Version of the key.
    pub version: u32,
    /// Hash to use.
    pub hash: HmacHash,
    /// The key.
    pub key: Vec<u8>,
}

/// A frame header as read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameHeader<'a> {
    /// Bytes of the message; absent counts as 0.
    pub message_length: u32,
    /// Number of the hash, if given.
    pub hash: Option<i32>,
    /// Name of the signer, if given.
    pub signer: Option<&'a [u8]>,
    /// Version of the signer's key.
    pub key_version: u32,
    /// The signature, if given.
    pub hmac: Option<&'a [u8]>,
}

impl<'a> FrameHeader<'a> {
    /// Reads the header between the length byte and the unit separator.
    ///
    /// # Errors
    ///
    /// [`super::WireError`] if it is cut or malformed. heka goes on with what it
    /// read up to there; a damaged header is not trusted here.
    pub fn decode(bytes: &'a [u8]) -> Result<FrameHeader<'a>, super::WireError> {
        let mut header = FrameHeader::default();
        let mut walk = Walk::new(bytes, 0, bytes.len());
        while let Some(entry) = walk.next()? {
            let text = || entry.len().map(|(start, end)| &bytes[start..end]);
            match entry.field {
                1 => header.message_length = u32::try_from(entry.varint()?).unwrap_or(u32::MAX),
                3 => header.hash = Some(entry.varint()? as i32),
                4 => header.signer = Some(text()?),
                5 => header.key_version = entry.varint()? as u32,
                6 => header.hmac = Some(text()?),
                _ => {}
            }
        }
        Ok(header)
    }
}

/// Appends a frame around `message` to `out`, signed if there is a signer.
///
/// # Errors
///
/// [`FrameError`] if message or header are over their limits; `out` is then
/// unchanged.
pub fn put_frame(
    out: &mut Vec<u8>,
    message: &[u8],
    signer: Option<&Signer>,
    message_max: usize,
) -> Result<(), FrameError> {
    if message.len() > message_max {
        return Err(FrameError::MessageTooBig {
            size: message.len(),
            max: message_max,
        });
    }
    let start = out.len();
    out.extend([RECORD_SEPARATOR, 0]);
    wire::put_number(out, 1, message.len() as u64);
    if let Some(signer) = signer {
        put_signature(out, message, signer);
    }
    let size = out.len() - start - 2;
    let Ok(length) = u8::try_from(size) else {
        out.truncate(start);
        return Err(FrameError::HeaderTooBig { size });
    };
    out[start + 1] = length;
    out.push(UNIT_SEPARATOR);
    out.extend_from_slice(message);
    Ok(())
}

fn put_signature(out: &mut Vec<u8>, message: &[u8], signer: &Signer) {
    if signer.hash == HmacHash::Sha1 {
        wire::put_number(out, 3, 1);
    }
    wire::put_bytes(out, 4, signer.name.as_bytes());
    wire::put_number(out, 5, u64::from(signer.version));
    let digest = signer.hash.digest(&signer.key, message);
    wire::put_bytes(out, 6, &digest);
}

/// What the signature of a frame says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not signed: accepted, from nobody in particular.
    Unsigned,
    /// Signed with a known key by this signer.
    Signed(String),
    /// A wrong signature, or an unknown signer or key version.
    Rejected,
}

/// Knows the keys of signers and checks frames against them.
#[derive(Debug, Clone, Default)]
pub struct Verifier {
    /// By `<signer>_<version>`, the form in which settings name them.
    keys: HashMap<String, Vec<u8>>,
    skip: bool,
}

impl Verifier {
    /// A verifier for keys named `<signer>_<version>`.
    pub fn new(keys: impl IntoIterator<Item = (String, Vec<u8>)>) -> Verifier {
        Verifier {
            keys: keys.into_iter().collect(),
            skip: false,
        }
    }

    /// A verifier that looks at no signature (`skip_authentication`).
    pub fn skipping() -> Verifier {
        Verifier {
            keys: HashMap::new(),
            skip: true,
        }
    }

    /// Whether the verdict depends on what a header of that length says.
    pub(crate) fn looks_at(&self, header_len: usize) -> bool {
        !self.skip && header_len + FRAMING > SIGNED_MIN
    }

    /// Judges a frame whose header takes `header_len` bytes.
    pub fn judge(&self, header: &FrameHeader<'_>, header_len: usize, message: &[u8]) -> Verdict {
        if !self.looks_at(header_len) {
            return Verdict::Unsigned;
        }
        let name = header.signer.unwrap_or_default();
        let Some(digest) = header.hmac else {
            // A name without a signature proves nothing, so it is not taken
            // as the signer, as heka would.
            return Verdict::Unsigned;
        };
        let Ok(name) = std::str::from_utf8(name) else {
            return Verdict::Rejected;
        };
        let Some(key) = self.keys.get(&format!("{name}_{}", header.key_version)) else {
            return Verdict::Rejected;
        };
        let hash = match header.hash {
            Some(1) => HmacHash::Sha1,
            _ => HmacHash::Md5,
        };
        if hash.verify(key, message, digest) {
            Verdict::Signed(name.to_owned())
        } else {
            Verdict::Rejected
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer {
            name: "ops".into(),
            version: 2,
            hash: HmacHash::Sha1,
            key: b"key".to_vec(),
        }
    }

    fn header_of(frame: &[u8]) -> (FrameHeader<'_>, usize) {
        let len = frame[1] as usize;
        (FrameHeader::decode(&frame[2..2 + len]).unwrap(), len)
    }

    #[test]
    fn an_unsigned_frame_has_a_header_of_its_length_only() {
        let mut out = Vec::new();
        put_frame(&mut out, b"abc", None, 10).unwrap();
        assert_eq!(out, [0x1e, 2, 8, 3, 0x1f, b'a', b'b', b'c']);
    }

    #[test]
    fn a_signature_is_verified_against_the_key_it_names() {
        let mut out = Vec::new();
        put_frame(&mut out, b"message", Some(&signer()), 10).unwrap();
        let (header, len) = header_of(&out);
        let known = Verifier::new([("ops_2".to_owned(), b"key".to_vec())]);
        assert_eq!(
            known.judge(&header, len, b"message"),
            Verdict::Signed("ops".into())
        );
        assert_eq!(known.judge(&header, len, b"tampered"), Verdict::Rejected);
        let others = Verifier::new([("ops_1".to_owned(), b"key".to_vec())]);
        assert_eq!(others.judge(&header, len, b"message"), Verdict::Rejected);
        assert_eq!(
            Verifier::skipping().judge(&header, len, b"tampered"),
            Verdict::Unsigned
        );
    }

    #[test]
    fn limits_refuse_and_leave_the_buffer_alone() {
        let mut out = b"before".to_vec();
        assert_eq!(
            put_frame(&mut out, b"abc", None, 2),
            Err(FrameError::MessageTooBig { size: 3, max: 2 })
        );
        let mut long = signer();
        long.name = "x".repeat(250);
        assert!(matches!(
            put_frame(&mut out, b"abc", Some(&long), 10),
            Err(FrameError::HeaderTooBig { size: 281 })
        ));
        assert_eq!(out, b"before");
    }
}
