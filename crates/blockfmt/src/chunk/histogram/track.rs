//! How one number of a histogram is written from sample to sample.

use crate::bits::{BitReader, BitWriter};
use crate::chunk::value::{self, Window};
use crate::chunk::varbit;

/// A number that is followed through the samples of a chunk.
pub trait Track: Copy + std::fmt::Debug {
    /// What is followed.
    type Number: Copy + PartialOrd + Default + std::fmt::Debug;

    #[doc(hidden)]
    fn write_first(out: &mut BitWriter, number: Self::Number) -> Self;
    #[doc(hidden)]
    fn write_next(&mut self, out: &mut BitWriter, number: Self::Number);
    /// Writes what stands in the place of the number in a stale marker.
    #[doc(hidden)]
    fn write_stale(&mut self, out: &mut BitWriter);
    #[doc(hidden)]
    fn read_first(input: &mut BitReader<'_>) -> Self;
    /// `None` if the bits are impossible.
    #[doc(hidden)]
    fn read_next(&mut self, input: &mut BitReader<'_>) -> Option<()>;
    #[doc(hidden)]
    fn number(&self) -> Self::Number;
    /// What a writer goes on with where a reader has this.
    #[doc(hidden)]
    fn for_writer(self) -> Self {
        self
    }
}

/// A signed number, as difference of differences: times and the buckets of integer histograms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signed {
    value: i64,
    delta: i64,
}

impl Track for Signed {
    type Number = i64;

    fn write_first(out: &mut BitWriter, number: i64) -> Self {
        varbit::write_int(out, number);
        Self {
            value: number,
            delta: 0,
        }
    }

    fn write_next(&mut self, out: &mut BitWriter, number: i64) {
        let delta = number.wrapping_sub(self.value);
        varbit::write_int(out, delta.wrapping_sub(self.delta));
        *self = Self {
            value: number,
            delta,
        };
    }

    fn write_stale(&mut self, out: &mut BitWriter) {
        varbit::write_int(out, 0);
    }

    fn read_first(input: &mut BitReader<'_>) -> Self {
        Self {
            value: varbit::read_int(input),
            delta: 0,
        }
    }

    fn read_next(&mut self, input: &mut BitReader<'_>) -> Option<()> {
        self.delta = self.delta.wrapping_add(varbit::read_int(input));
        self.value = self.value.wrapping_add(self.delta);
        Some(())
    }

    fn number(&self) -> i64 {
        self.value
    }
}

/// An unsigned number, as difference of differences: the counts of integer histograms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unsigned(Signed);

impl Track for Unsigned {
    type Number = u64;

    fn write_first(out: &mut BitWriter, number: u64) -> Self {
        varbit::write_uint(out, number);
        Self(Signed {
            value: number as i64,
            delta: 0,
        })
    }

    fn write_next(&mut self, out: &mut BitWriter, number: u64) {
        self.0.write_next(out, number as i64);
    }

    fn write_stale(&mut self, out: &mut BitWriter) {
        self.0.write_stale(out);
    }

    fn read_first(input: &mut BitReader<'_>) -> Self {
        Self(Signed {
            value: varbit::read_uint(input) as i64,
            delta: 0,
        })
    }

    fn read_next(&mut self, input: &mut BitReader<'_>) -> Option<()> {
        self.0.read_next(input)
    }

    fn number(&self) -> u64 {
        self.0.value as u64
    }
}

/// A float, XORed with the value before: sums, and all counts of float histograms.
#[derive(Clone, Copy, Debug)]
pub struct Xored {
    bits: u64,
    window: Window,
}

impl Track for Xored {
    type Number = f64;

    fn write_first(out: &mut BitWriter, number: f64) -> Self {
        out.write(number.to_bits(), 64);
        Self {
            bits: number.to_bits(),
            window: Window::NONE,
        }
    }

    fn write_next(&mut self, out: &mut BitWriter, number: f64) {
        value::write(out, (0, 0), &mut self.window, self.bits, number.to_bits());
        self.bits = number.to_bits();
    }

    fn write_stale(&mut self, out: &mut BitWriter) {
        self.write_next(out, 0.0);
    }

    fn read_first(input: &mut BitReader<'_>) -> Self {
        Self {
            bits: input.read(64),
            window: Window::ALL,
        }
    }

    fn read_next(&mut self, input: &mut BitReader<'_>) -> Option<()> {
        self.bits = value::read(input, &mut self.window, self.bits)?;
        Some(())
    }

    fn number(&self) -> f64 {
        f64::from_bits(self.bits)
    }

    fn for_writer(self) -> Self {
        Self {
            window: self.window.for_writer(),
            ..self
        }
    }
}
