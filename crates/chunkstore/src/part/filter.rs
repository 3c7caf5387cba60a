//! Which words a block may hold: a Bloom filter over the tokens of its lines.

use xxhash_rust::xxh3::xxh3_64;

/// Bits of the filter for each distinct token; with 6 bits set a token, about 1 % of the answers
/// "perhaps" are wrong.
const BITS_PER_TOKEN: usize = 10;
const BITS_SET: u8 = 6;

/// Whether a byte belongs to a token.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Collects the tokens of a block.
#[derive(Debug, Default)]
pub(super) struct FilterBuilder {
    hashes: Vec<u64>,
}

impl FilterBuilder {
    pub(super) fn add_line(&mut self, line: &[u8]) {
        for token in line
            .split(|byte| !is_token_byte(*byte))
            .filter(|token| !token.is_empty())
        {
            self.hashes.push(xxh3_64(token));
        }
        // Blocks hold the same words again and again: keep the list near the number of distinct ones.
        if self.hashes.len() >= 1 << 17 {
            self.deduplicate();
        }
    }

    fn deduplicate(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
    }

    /// The filter's bytes; the builder is empty afterwards.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        self.deduplicate();
        let words = (self.hashes.len() * BITS_PER_TOKEN)
            .div_ceil(64)
            .next_power_of_two();
        let mut bits = vec![0u64; words];
        for hash in self.hashes.drain(..) {
            for bit in places(hash, BITS_SET, words) {
                bits[bit / 64] |= 1 << (bit % 64);
            }
        }
        let mut out = Vec::with_capacity(1 + words * 8);
        out.push(BITS_SET);
        out.extend(bits.iter().flat_map(|word| word.to_le_bytes()));
        out
    }
}

fn places(hash: u64, count: u8, words: usize) -> impl Iterator<Item = usize> {
    let (low, high) = (hash & 0xffff_ffff, (hash >> 32) | 1);
    let mask = words as u64 * 64 - 1;
    (0..u64::from(count)).map(move |at| (low.wrapping_add(at.wrapping_mul(high)) & mask) as usize)
}

/// Whether a block with this filter may hold a line with `needle` in it. Only whole tokens of the
/// needle can be asked for: at its ends it may cut a token of the line short.
pub(super) fn may_contain(filter: &[u8], needle: &[u8]) -> bool {
    let Some((count, bits)) = filter.split_first() else {
        return true;
    };
    let words = bits.len() / 8;
    if !words.is_power_of_two() || bits.len() % 8 != 0 {
        return true;
    }
    let is_set = |bit: usize| bits[bit / 8] & (1 << (bit % 8)) != 0;
    whole_tokens(needle).all(|token| places(xxh3_64(token), *count, words).all(is_set))
}

/// Tokens of the needle that have a delimiter on both sides.
fn whole_tokens(needle: &[u8]) -> impl Iterator<Item = &[u8]> {
    let first = needle
        .iter()
        .position(|byte| !is_token_byte(*byte))
        .unwrap_or(needle.len());
    let last = needle
        .iter()
        .rposition(|byte| !is_token_byte(*byte))
        .unwrap_or(first);
    let inner = needle.get(first..=last).unwrap_or_default();
    inner
        .split(|byte| !is_token_byte(*byte))
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_it_holds_and_little_else() {
        let mut builder = FilterBuilder::default();
        for at in 0..1000 {
            builder.add_line(format!("user=u{at} path=/x/{at}").as_bytes());
        }
        let filter = builder.finish();
        assert!((0..1000).all(|at| may_contain(&filter, format!("=u{at} ").as_bytes())));
        let wrong = (2000..4000)
            .filter(|at| may_contain(&filter, format!("=u{at} ").as_bytes()))
            .count();
        assert!(wrong < 100, "{wrong} of 2000 answers are wrong");
    }

    #[test]
    fn a_needle_that_may_cut_tokens_short_is_never_ruled_out() {
        let mut builder = FilterBuilder::default();
        builder.add_line(b"abcdef ghi");
        let filter = builder.finish();
        assert!(
            may_contain(&filter, b"cde")
                && may_contain(&filter, b"def gh")
                && may_contain(&filter, b"")
        );
        assert!(!may_contain(&filter, b" abc "));
    }
}
