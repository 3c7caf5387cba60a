//! Streams of bits, most significant bit first, as chunk encodings use them.
//!
//! Both sides move whole 64-bit words: the reader loads eight bytes at the byte that holds its
//! position, the writer stores eight bytes there. The reader answers zeros beyond the end and
//! is asked once, when all is read, whether it went there: a check per bit would cost more than
//! the bits.

/// The most bits that [`BitReader::peek`] is sure to show: 64 less those that may lie before
/// the position in its byte.
pub(crate) const PEEK_BITS: u32 = 57;

/// Reads bits from a slice.
#[derive(Clone, Copy, Debug)]
pub struct BitReader<'a> {
    data: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    /// A reader that stands at byte `byte` of `data`.
    pub(crate) fn new(data: &'a [u8], byte: usize) -> Self {
        Self {
            data,
            position: byte * 8,
        }
    }

    /// The next bits, left-aligned; [`PEEK_BITS`] of them are valid.
    #[inline(always)]
    pub(crate) fn peek(&self) -> u64 {
        load(self.data, self.position >> 3) << (self.position & 7)
    }

    /// Moves ahead.
    #[inline(always)]
    pub(crate) fn skip(&mut self, bits: u32) {
        self.position += bits as usize;
    }

    /// The next `bits` bits, at most 64, as a number.
    #[inline(always)]
    pub(crate) fn read(&mut self, bits: u32) -> u64 {
        debug_assert!(bits <= 64);
        let (byte, shift) = (self.position >> 3, (self.position & 7) as u32);
        let mut word = load(self.data, byte) << shift;
        if bits > PEEK_BITS {
            word |= u64::from(self.data.get(byte + 8).copied().unwrap_or(0)) >> (8 - shift);
        }
        self.position += bits as usize;
        word.checked_shr(64 - bits).unwrap_or(0)
    }

    /// A varint of Go's `encoding/binary`: little groups of seven bits, at most ten.
    /// `None` if it does not end.
    pub(crate) fn uvarint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.read(8);
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// The same with a sign, zig-zag.
    pub(crate) fn varint(&mut self) -> Option<i64> {
        self.uvarint().map(unzigzag)
    }

    /// Offset of the byte that holds the next bit.
    pub(crate) fn byte_offset(&self) -> usize {
        self.position >> 3
    }

    /// Whether more was read than there is.
    pub(crate) fn overrun(&self) -> bool {
        self.position > self.data.len() * 8
    }

    /// Bits that are left.
    pub(crate) fn remaining(&self) -> usize {
        (self.data.len() * 8).saturating_sub(self.position)
    }

    /// Bits that lie before the position.
    pub(crate) fn position(&self) -> usize {
        self.position
    }
}

#[inline(always)]
fn load(data: &[u8], byte: usize) -> u64 {
    match data.get(byte..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(word) => u64::from_be_bytes(*word),
        None => load_tail(data, byte),
    }
}

/// The same near the end: what lies behind it is zeros. Samples that never change take two bits, so
/// that thirty of them may lie here: the last word is loaded whole and shifted.
#[cold]
#[inline(never)]
fn load_tail(data: &[u8], byte: usize) -> u64 {
    let Some(last) = data.last_chunk::<8>() else {
        return load_short(data, byte);
    };
    match byte - (data.len() - 8) {
        beyond @ 0..8 => u64::from_be_bytes(*last) << (8 * beyond),
        _ => 0,
    }
}

fn load_short(data: &[u8], byte: usize) -> u64 {
    let mut word = [0; 8];
    if let Some(rest) = data.get(byte..) {
        word[..rest.len()].copy_from_slice(rest);
    }
    u64::from_be_bytes(word)
}

#[inline]
pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[inline]
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Bytes that the writer keeps behind its position, so that it may store whole words.
const SLACK: usize = 17;
/// The first allocation; a chunk of a flat series never needs another.
const FIRST_BYTES: usize = 48;

/// Writes bits into a buffer that it owns. 24 bytes of state.
#[derive(Clone, Debug, Default)]
pub struct BitWriter {
    /// Zero behind the position, and at least [`SLACK`] bytes longer once it is not empty.
    buffer: Box<[u8]>,
    position: u32,
}

impl BitWriter {
    /// An empty writer with room for `bytes` bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            buffer: vec![0; bytes + SLACK].into(),
            position: 0,
        }
    }

    /// A writer that goes on behind the first `bits` bits of `bytes`.
    pub(crate) fn resume(bytes: &[u8], bits: usize) -> Self {
        let mut buffer = vec![0; bytes.len() + SLACK];
        let used = bits.div_ceil(8);
        buffer[..used].copy_from_slice(&bytes[..used]);
        if !bits.is_multiple_of(8) {
            buffer[used - 1] &= 0xffu8 << (8 - bits % 8);
        }
        Self {
            buffer: buffer.into(),
            position: bits as u32,
        }
    }

    /// Writes the low `bits` bits of `value`, of which the others must be zero; at most 57.
    #[inline(always)]
    pub(crate) fn write_short(&mut self, value: u64, bits: u32) {
        debug_assert!(bits <= PEEK_BITS && (value >> bits) == 0);
        let (byte, shift) = ((self.position >> 3) as usize, self.position & 7);
        if byte + SLACK > self.buffer.len() {
            self.grow();
        }
        if bits == 0 {
            return;
        }
        let word = u64::from(self.buffer[byte]) << 56 | value << (64 - bits - shift);
        self.buffer[byte..byte + 8].copy_from_slice(&word.to_be_bytes());
        self.position += bits;
    }

    /// The same with a number of up to 121 bits, in one store of sixteen bytes.
    #[inline(always)]
    pub(crate) fn write_wide(&mut self, value: u128, bits: u32) {
        debug_assert!((1..=121).contains(&bits) && (value >> bits) == 0);
        let (byte, shift) = ((self.position >> 3) as usize, self.position & 7);
        if byte + SLACK > self.buffer.len() {
            self.grow();
        }
        let word = u128::from(self.buffer[byte]) << 120 | value << (128 - bits - shift);
        self.buffer[byte..byte + 16].copy_from_slice(&word.to_be_bytes());
        self.position += bits;
    }

    /// Writes the low `bits` bits of `value`, of which the others must be zero; at most 64.
    #[inline(always)]
    pub(crate) fn write(&mut self, value: u64, bits: u32) {
        if bits <= PEEK_BITS {
            return self.write_short(value, bits);
        }
        self.write_wide(value.into(), bits);
    }

    pub(crate) fn write_bit(&mut self, bit: bool) {
        self.write_short(u64::from(bit), 1);
    }

    pub(crate) fn write_uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.write_short(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.write_short(value, 8);
    }

    pub(crate) fn write_varint(&mut self, value: i64) {
        self.write_uvarint(zigzag(value));
    }

    /// Overwrites bytes that were written before, such as a count in a header.
    pub(crate) fn patch(&mut self, byte: usize, bytes: &[u8]) {
        self.buffer[byte..byte + bytes.len()].copy_from_slice(bytes);
    }

    /// What was written, the last byte filled up with zeros.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len()]
    }

    /// Bytes written, the last perhaps in part.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.position.div_ceil(8) as usize
    }

    /// Bytes that the buffer occupies.
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// A quarter more at least: half a million series would pay for generous steps.
    #[cold]
    fn grow(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer).into_vec();
        let len = allocated(buffer.len() + buffer.len() / 4).max(FIRST_BYTES);
        buffer.reserve_exact(len - buffer.len());
        buffer.resize(len, 0);
        self.buffer = buffer.into();
    }
}

/// What allocators give to one who asks for more than `len` bytes: their classes are a quarter of
/// a power of two apart, and what is asked for in between is lost.
fn allocated(len: usize) -> usize {
    let step = ((len + 1).next_power_of_two() / 8).max(16);
    (len + 1).next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reading_past_the_end_gives_zeros_and_is_noticed() {
        let mut reader = BitReader::new(&[0xff], 0);
        assert_eq!(reader.read(8), 0xff);
        assert!(!reader.overrun());
        assert_eq!(reader.read(64), 0);
        assert!(reader.overrun());
        assert_eq!(reader.remaining(), 0);
    }

    #[test]
    fn buffers_grow_in_steps_that_allocators_have() {
        let mut len = FIRST_BYTES;
        let mut steps = Vec::new();
        while len < 600 {
            len = allocated(len + len / 4);
            steps.push(len);
        }
        assert_eq!(steps, [64, 96, 128, 192, 256, 384, 512, 768]);
    }

    #[test]
    fn endless_varints_are_refused() {
        assert_eq!(BitReader::new(&[0xff; 12], 0).uvarint(), None);
        let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(BitReader::new(&largest, 0).uvarint(), Some(u64::MAX));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in proptest::collection::vec((any::<u64>(), 0u32..=64), 0..200)) {
            let mut writer = BitWriter::default();
            let mut written = 0;
            for (at, &(value, bits)) in values.iter().enumerate() {
                if at == values.len() / 2 {
                    writer = BitWriter::resume(writer.bytes(), written);
                }
                writer.write(keep(value, bits), bits);
                written += bits as usize;
            }
            prop_assert_eq!(writer.len(), written.div_ceil(8));
            let mut reader = BitReader::new(writer.bytes(), 0);
            for &(value, bits) in &values {
                prop_assert_eq!(reader.read(bits), keep(value, bits));
            }
            prop_assert!(!reader.overrun());
            prop_assert!(reader.remaining() < 8);
        }

        #[test]
        fn varints_come_back(value: i64) {
            let mut writer = BitWriter::default();
            writer.write_bit(true);
            writer.write_varint(value);
            let mut reader = BitReader::new(writer.bytes(), 0);
            prop_assert_eq!(reader.read(1), 1);
            prop_assert_eq!(reader.varint(), Some(value));
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }
    }

    fn keep(value: u64, bits: u32) -> u64 {
        if bits == 0 { 0 } else { value >> (64 - bits) }
    }
}
