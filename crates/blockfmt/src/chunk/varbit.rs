//! Integers in a handful of widths, small ones in few bits, as histogram chunks use them.
//!
//! As many ones as the class has, then a zero (the last class has none), then the number in the
//! bits of its class. Signed numbers of n bits range from −(2^(n−1)−1) to 2^(n−1).
//! Source: Prometheus, `tsdb/chunkenc/varbit.go`.

use crate::bits::{BitReader, BitWriter};

/// Bits of the number, by the number of ones that announce it. Zero takes none.
const WIDTHS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];
const LAST: usize = WIDTHS.len() - 1;

/// Writes a signed number.
pub(super) fn write_int(out: &mut BitWriter, value: i64) {
    let class = if value == 0 {
        0
    } else {
        // An n-bit class reaches up to 2^(n-1) and down to one more than its negative.
        let magnitude = if value > 0 {
            value as u64 - 1
        } else {
            value.unsigned_abs()
        };
        class_of(u64::BITS - magnitude.leading_zeros() + 1)
    };
    write_class(out, class, value as u64);
}

/// Writes an unsigned number.
pub(super) fn write_uint(out: &mut BitWriter, value: u64) {
    let class = if value == 0 {
        0
    } else {
        class_of(u64::BITS - value.leading_zeros())
    };
    write_class(out, class, value);
}

fn class_of(bits: u32) -> usize {
    WIDTHS[1..LAST]
        .iter()
        .position(|&width| bits <= width)
        .map_or(LAST, |at| at + 1)
}

fn write_class(out: &mut BitWriter, class: usize, value: u64) {
    let width = WIDTHS[class];
    if class == LAST {
        out.write_short(0xff, 8);
        return out.write(value, 64);
    }
    let (prefix, prefix_bits) = ((1 << (class + 1)) - 2, class as u32 + 1);
    let value = value & ((1 << width) - 1);
    if prefix_bits + width <= crate::bits::PEEK_BITS {
        return out.write_short(prefix << width | value, prefix_bits + width);
    }
    out.write_short(prefix, prefix_bits);
    out.write(value, width);
}

/// Reads a signed number.
#[inline]
pub(super) fn read_int(input: &mut BitReader<'_>) -> i64 {
    let (value, width) = read_class(input);
    if width == 64 || width == 0 || value <= 1 << (width - 1) {
        return value as i64;
    }
    value as i64 - (1 << width)
}

/// Reads an unsigned number.
#[inline]
pub(super) fn read_uint(input: &mut BitReader<'_>) -> u64 {
    read_class(input).0
}

#[inline]
fn read_class(input: &mut BitReader<'_>) -> (u64, u32) {
    let word = input.peek();
    let class = (!word).leading_zeros().min(LAST as u32);
    input.skip(class + u32::from(class != LAST as u32));
    let width = WIDTHS[class as usize];
    (input.read(width), width)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bits_of(value: i64) -> usize {
        let mut out = BitWriter::default();
        write_int(&mut out, value);
        let mut input = BitReader::new(out.bytes(), 0);
        assert_eq!(read_int(&mut input), value);
        input.position()
    }

    #[test]
    fn classes_end_where_the_format_says() {
        assert_eq!(bits_of(0), 1);
        for (low, high, bits) in [
            (-3, 4, 5),
            (-31, 32, 9),
            (-255, 256, 13),
            (-2047, 2048, 17),
            (-131_071, 131_072, 24),
            (-16_777_215, 16_777_216, 32),
            (-36_028_797_018_963_967, 36_028_797_018_963_968, 64),
        ] {
            assert_eq!((bits_of(low), bits_of(high)), (bits, bits));
            assert!(
                bits_of(low - 1) > bits && bits_of(high + 1) > bits,
                "{bits}"
            );
        }
        assert_eq!((bits_of(i64::MIN), bits_of(i64::MAX)), (72, 72));
    }

    proptest! {
        #[test]
        fn numbers_come_back(values in proptest::collection::vec((any::<i64>(), 0u32..64), 0..50)) {
            let mut out = BitWriter::default();
            for &(value, shift) in &values {
                write_int(&mut out, value >> shift);
                write_uint(&mut out, value as u64 >> shift);
            }
            let mut input = BitReader::new(out.bytes(), 0);
            for &(value, shift) in &values {
                prop_assert_eq!(read_int(&mut input), value >> shift);
                prop_assert_eq!(read_uint(&mut input), value as u64 >> shift);
            }
            prop_assert!(!input.overrun());
        }
    }
}
