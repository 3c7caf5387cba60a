use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of random numbers, not fit for secrets.
pub trait Rng: Send + Sync + std::fmt::Debug {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;
}

/// Shapes of random numbers that callers ask for.
pub trait RngExt: Rng {
    /// A number in `0..bound`, or 0 if `bound` is 0.
    fn below(&self, bound: u64) -> u64 {
        // The high half of a wide product: uniform to within bound / 2^64.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `0.0..1.0`, a multiple of 2^-53.
    fn unit(&self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Fills `buf` with random bytes.
    fn fill(&self, buf: &mut [u8]) {
        for chunk in buf.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

impl<R: Rng + ?Sized> RngExt for R {}

/// The splitmix64 generator (Steele, Lea, Flood 2014): the same numbers for
/// the same seed, safe to share between threads.
#[derive(Debug)]
pub struct SeededRng {
    state: AtomicU64,
}

impl SeededRng {
    /// A generator that starts at `seed`.
    pub fn new(seed: u64) -> SeededRng {
        SeededRng {
            state: AtomicU64::new(seed),
        }
    }
}

impl Rng for SeededRng {
    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self
            .state
            .fetch_add(STEP, Ordering::Relaxed)
            .wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Random numbers that differ from process to process.
#[derive(Debug)]
pub struct SystemRng {
    inner: SeededRng,
}

impl SystemRng {
    /// A generator seeded by the operating system.
    pub fn new() -> SystemRng {
        // The standard library keys its hash maps from the system's entropy;
        // an empty hash under such a key is as good a seed as any.
        SystemRng {
            inner: SeededRng::new(RandomState::new().build_hasher().finish()),
        }
    }
}

impl Default for SystemRng {
    fn default() -> SystemRng {
        SystemRng::new()
    }
}

impl Rng for SystemRng {
    fn next_u64(&self) -> u64 {
        self.inner.next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_repeat() {
        let (a, b) = (SeededRng::new(3), SeededRng::new(3));
        let first: Vec<u64> = (0..4).map(|_| a.next_u64()).collect();
        let second: Vec<u64> = (0..4).map(|_| b.next_u64()).collect();
        assert_eq!(first, second);
        assert_ne!(SeededRng::new(4).next_u64(), first[0]);
    }

    #[test]
    fn shapes_stay_in_bounds() {
        let rng = SeededRng::new(1);
        assert_eq!(rng.below(0), 0);
        assert!((0..1000).all(|_| rng.below(10) < 10));
        assert!((0..1000).all(|_| (0.0..1.0).contains(&rng.unit())));
        let mut buf = [0u8; 13];
        rng.fill(&mut buf);
        assert!(buf.iter().any(|b| *b != 0));
    }
}
