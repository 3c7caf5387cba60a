//! How a float is written beside the one before it: the XOR of both, of which only the
//! significant bits are kept. Shared by every encoding.
//!
//! `0`: the same value. `10`: the bits in the window of the last XOR. `11`: 5 bits of leading
//! zeros, 6 bits of width (64 is stored as 0), the bits.

use crate::bits::{BitReader, BitWriter, PEEK_BITS};

/// The width of the field for leading zeros bounds their number.
const MAX_LEADING: u8 = 31;
/// No window of significant bits has been written yet.
const NO_WINDOW: u8 = 0xff;

/// The significant bits of an XOR of two values lie between leading and trailing zeros.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) leading: u8,
    pub(super) trailing: u8,
}

impl Window {
    /// What a writer begins with.
    pub(super) const NONE: Self = Self {
        leading: NO_WINDOW,
        trailing: 0,
    };
    /// What a reader begins with: all 64 bits.
    pub(super) const ALL: Self = Self {
        leading: 0,
        trailing: 0,
    };

    /// The window with which a writer goes on where a reader has this one. A reader takes all bits
    /// for the window before the first; a writer that did so would never leave it.
    pub(super) fn for_writer(self) -> Self {
        if self.width() == 64 { Self::NONE } else { self }
    }

    /// The window of a difference, which must not be zero.
    #[inline]
    pub(super) fn of(difference: u64) -> Self {
        Self {
            leading: (difference.leading_zeros() as u8).min(MAX_LEADING),
            trailing: difference.trailing_zeros() as u8,
        }
    }

    /// The smallest window for differences of both.
    pub(super) fn around(self, other: Self) -> Self {
        Self {
            leading: self.leading.min(other.leading),
            trailing: self.trailing.min(other.trailing),
        }
    }

    /// Whether differences of the window `inner` can be written in this one.
    #[inline]
    pub(super) fn holds(self, inner: Self) -> bool {
        self.leading != NO_WINDOW
            && inner.leading >= self.leading
            && inner.trailing >= self.trailing
    }

    /// Significant bits, 1 to 64.
    #[inline]
    pub(super) fn width(self) -> u32 {
        64 - u32::from(self.leading) - u32::from(self.trailing)
    }

    /// The eleven bits that describe the window.
    #[inline]
    pub(super) fn code(self) -> u64 {
        u64::from(self.leading) << 6 | u64::from(self.width() & 63)
    }

    /// The window that the low eleven bits of `code` describe; `None` if it has more than 64 bits.
    #[inline(always)]
    pub(super) fn from_code(code: u64) -> Option<Self> {
        let leading = (code >> 6 & 31) as u8;
        let width = match (code & 63) as u8 {
            0 => 64,
            width => width,
        };
        let trailing = 64u8.checked_sub(leading + width)?;
        Some(Self { leading, trailing })
    }
}

/// Writes `value` behind the `bits` low bits of `prefix` (24 at most), in one store where it fits.
#[inline(always)]
pub(super) fn write(
    out: &mut BitWriter,
    (prefix, bits): (u64, u32),
    window: &mut Window,
    before: u64,
    value: u64,
) {
    let difference = value ^ before;
    if difference == 0 {
        return out.write_short(prefix << 1, bits + 1);
    }
    let needed = Window::of(difference);
    let (code, bits) = if window.holds(needed) {
        (prefix << 2 | 0b10, bits + 2)
    } else {
        *window = needed;
        ((prefix << 2 | 0b11) << 11 | needed.code(), bits + 13)
    };
    write_significant(out, (code, bits), *window, difference);
}

/// Writes the significant bits of `difference` behind `prefix`.
#[inline(always)]
pub(super) fn write_significant(
    out: &mut BitWriter,
    (prefix, bits): (u64, u32),
    window: Window,
    difference: u64,
) {
    let (significant, width) = (difference >> window.trailing, window.width());
    if bits + width <= PEEK_BITS {
        return out.write_short(prefix << width | significant, bits + width);
    }
    let code = u128::from(prefix) << width | u128::from(significant);
    out.write_wide(code, bits + width);
}

/// Reads the value behind `before`; `None` if its window is impossible.
#[inline(always)]
pub(super) fn read(input: &mut BitReader<'_>, window: &mut Window, before: u64) -> Option<u64> {
    let word = input.peek();
    if word >> 63 == 0 {
        input.skip(1);
        return Some(before);
    }
    if word >> 62 == 0b11 {
        *window = Window::from_code(word >> 51)?;
        input.skip(13);
    } else {
        input.skip(2);
    }
    Some(before ^ read_significant(input, *window))
}

/// Reads the significant bits of a difference.
#[inline(always)]
pub(super) fn read_significant(input: &mut BitReader<'_>, window: Window) -> u64 {
    input.read(window.width()) << window.trailing
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn impossible_windows_are_refused() {
        assert!(Window::from_code(1 << 6).is_none());
        assert!(Window::from_code(31 << 6 | 34).is_none());
        assert_eq!(Window::from_code(0).unwrap().width(), 64);
        assert_eq!(Window::from_code(31 << 6 | 33).unwrap().trailing, 0);
    }

    proptest! {
        #[test]
        fn values_come_back(values in proptest::collection::vec((any::<u64>(), 0u32..64), 1..100)) {
            let mut out = BitWriter::default();
            let (mut window, mut before) = (Window::NONE, 0);
            for &(value, shift) in &values {
                write(&mut out, (0b101, 3), &mut window, before, value >> shift);
                before = value >> shift;
            }
            let mut input = BitReader::new(out.bytes(), 0);
            let (mut window, mut before) = (Window::ALL, 0);
            for &(value, shift) in &values {
                prop_assert_eq!(input.read(3), 0b101);
                before = read(&mut input, &mut window, before).unwrap();
                prop_assert_eq!(before, value >> shift);
            }
        }
    }
}
