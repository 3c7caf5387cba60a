//! Which texts a block may hold: a Bloom filter over the tokens of its lines.
//!
//! A short token is kept as a whole. Of a long one, such as the id of a request, anchors are kept:
//! they are chosen by its content, so that any piece of it that is long enough has some of them too,
//! and a search for half an id rules blocks out as well as one for all of it.

use xxhash_rust::xxh3::xxh3_64;

/// Bits of the filter for each entry; with 5 bits set, 3 to 4 % of the answers "perhaps" are wrong.
/// Long needles have several entries, which all must be there.
const BITS_PER_ENTRY: usize = 7;
const BITS_SET: u8 = 5;

/// Tokens shorter than this are in nearly every block: they are not kept.
const MIN_TOKEN: usize = 3;
/// Bytes of an anchor.
const ANCHOR: usize = 6;
/// Of so many places that follow each other, the one with the least hash is an anchor.
const WINDOW: usize = 5;
/// Tokens of this length have anchors: one window.
const LONG_TOKEN: usize = ANCHOR + WINDOW - 1;

/// Whether a byte belongs to a token.
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

static TOKEN_BYTES: [bool; 256] = {
    let mut bytes = [false; 256];
    let mut at = 0;
    while at < 256 {
        bytes[at] = is_token_byte(at as u8);
        at += 1;
    }
    bytes
};

/// Collects the entries of a block.
#[derive(Debug, Default)]
pub(super) struct FilterBuilder {
    /// A hash table with a power of two of places; 0 is an empty one.
    table: Vec<u64>,
    entries: usize,
}

impl FilterBuilder {
    /// Adds the tokens of a text at whose ends no token goes on.
    pub(super) fn add(&mut self, text: &[u8]) {
        let mut at = 0;
        while at < text.len() {
            let start = at;
            while at < text.len() && TOKEN_BYTES[usize::from(text[at])] {
                at += 1;
            }
            if at - start >= MIN_TOKEN {
                entries_of(&text[start..at], |hash| self.insert(hash));
            }
            at += 1;
        }
    }

    fn insert(&mut self, hash: u64) {
        if self.entries * 2 >= self.table.len() {
            self.grow();
        }
        let hash = hash.max(1);
        let mask = self.table.len() - 1;
        let mut at = (hash >> 20) as usize & mask;
        while self.table[at] != 0 {
            if self.table[at] == hash {
                return;
            }
            at = (at + 1) & mask;
        }
        self.table[at] = hash;
        self.entries += 1;
    }

    fn grow(&mut self) {
        let size = (self.table.len() * 2).max(1 << 12);
        let before = std::mem::replace(&mut self.table, vec![0; size]);
        self.entries = 0;
        before
            .into_iter()
            .filter(|hash| *hash != 0)
            .for_each(|hash| self.insert(hash));
    }

    /// Appends the filter's bytes; the builder is empty afterwards.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let words = (self.entries * BITS_PER_ENTRY).div_ceil(64).max(1);
        let mut bits = vec![0u64; words];
        for hash in self.table.iter_mut().filter(|hash| **hash != 0) {
            for bit in places(*hash, BITS_SET, words) {
                bits[bit / 64] |= 1 << (bit % 64);
            }
            *hash = 0;
        }
        self.entries = 0;
        out.push(BITS_SET);
        out.extend(bits.iter().flat_map(|word| word.to_le_bytes()));
    }
}

/// Calls `entry` with what is kept of a token.
fn entries_of(token: &[u8], mut entry: impl FnMut(u64)) {
    if token.len() < LONG_TOKEN {
        return entry(xxh3_64(token));
    }
    anchors(token, entry);
}

/// Calls `anchor` with the least hash of every window of a text of at least [`LONG_TOKEN`] bytes.
fn anchors(text: &[u8], mut anchor: impl FnMut(u64)) {
    let mut window = [u64::MAX; WINDOW];
    let mut last = 0;
    for (at, bytes) in text.windows(ANCHOR).enumerate() {
        window = [
            window[1],
            window[2],
            window[3],
            window[4],
            anchor_hash(bytes),
        ];
        if at + 1 >= WINDOW {
            let [a, b, c, d, e] = window;
            let least = a.min(b).min(c.min(d)).min(e);
            if least != last {
                anchor(least);
                last = least;
            }
        }
    }
}

/// A multiplication, mixed once: these are many, and need not be strong.
fn anchor_hash(bytes: &[u8]) -> u64 {
    let mut number = [0u8; 8];
    number[..ANCHOR].copy_from_slice(bytes);
    let product = u64::from_le_bytes(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (product ^ (product >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// Bits of an entry in a filter of so many words of 64.
fn places(hash: u64, count: u8, words: usize) -> impl Iterator<Item = usize> {
    let (low, high) = (hash as u32, (hash >> 32) as u32 | 1);
    let bits = words as u64 * 64;
    (0..u32::from(count)).map(move |at| {
        let number = low.wrapping_add(at.wrapping_mul(high));
        ((u64::from(number) * bits) >> 32) as usize
    })
}

/// What must be in a filter if a line of its block holds a needle. Made once a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe(Vec<u64>);

impl Probe {
    /// The entries that every line with `needle` in it has.
    ///
    /// Tokens within the needle are whole. Those at its ends may be pieces of longer ones: of them
    /// only anchors are known.
    pub fn new(needle: &[u8]) -> Self {
        let (mut hashes, mut at) = (Vec::new(), 0);
        while at < needle.len() {
            let start = at;
            while at < needle.len() && is_token_byte(needle[at]) {
                at += 1;
            }
            let token = &needle[start..at];
            let whole = start > 0 && at < needle.len();
            if token.len() >= LONG_TOKEN || (whole && token.len() >= MIN_TOKEN) {
                entries_of(token, |hash| hashes.push(hash.max(1)));
            }
            at += 1;
        }
        Self(hashes)
    }

    /// Whether no block can be ruled out.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a block with this filter may hold the needle.
    pub(super) fn may_be_in(&self, filter: &[u8]) -> bool {
        let Some((count, bits)) = filter.split_first() else {
            return true;
        };
        let words = bits.len() / 8;
        if words == 0 || words >= 1 << 26 {
            return true;
        }
        let is_set = |bit: usize| bits[bit / 8] & (1 << (bit % 8)) != 0;
        self.0
            .iter()
            .all(|hash| places(*hash, *count, words).all(is_set))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(lines: impl IntoIterator<Item = String>) -> Vec<u8> {
        let (mut builder, mut out) = (FilterBuilder::default(), Vec::new());
        lines
            .into_iter()
            .for_each(|line| builder.add(line.as_bytes()));
        builder.finish(&mut out);
        out
    }

    fn may_contain(filter: &[u8], needle: &str) -> bool {
        Probe::new(needle.as_bytes()).may_be_in(filter)
    }

    fn id(at: u64) -> String {
        format!("{:016x}", xxh3_64(&at.to_le_bytes()))
    }

    #[test]
    fn knows_what_it_holds_and_little_else() {
        let filter = filter((0..1000).map(|at| format!("user=u{at} path=/x/{at} id={}", id(at))));
        assert!((0..1000).all(|at| may_contain(&filter, &format!("=u{at} "))));
        assert!((0..1000).all(|at| may_contain(&filter, &id(at)[3..14])));
        let wrong = |needle: &dyn Fn(u64) -> String| {
            (2000..6000)
                .filter(|at| may_contain(&filter, &needle(*at)))
                .count()
        };
        let (words, ids, pieces) = (
            wrong(&|at| format!("=u{at} ")),
            wrong(&id),
            wrong(&|at| id(at)[3..14].to_owned()),
        );
        assert!(words < 300, "{words} of 4000 answers about words are wrong");
        assert!(ids < 40, "{ids} of 4000 answers about ids are wrong");
        assert!(
            pieces < 300,
            "{pieces} of 4000 answers about pieces of ids are wrong"
        );
    }

    #[test]
    fn a_needle_that_may_cut_tokens_short_is_never_ruled_out() {
        let filter = filter(["abcdef ghi".to_owned()]);
        assert!(
            may_contain(&filter, "cde")
                && may_contain(&filter, "def gh")
                && may_contain(&filter, "")
        );
        assert!(!may_contain(&filter, " abc "));
    }

    #[test]
    fn an_empty_filter_rules_everything_out() {
        let filter = filter([]);
        assert!(!may_contain(&filter, " word ") && may_contain(&filter, "word"));
    }

    proptest! {
        /// Whatever piece of a line is asked for, the block is not ruled out.
        #[test]
        fn pieces_of_lines_are_found(line in "[a-f0-9_ .é]{0,60}", from: prop::sample::Index, to: prop::sample::Index) {
            let filter = filter([line.clone()]);
            let bytes = line.as_bytes();
            let (from, to) = (from.index(bytes.len() + 1), to.index(bytes.len() + 1));
            let needle = &bytes[from.min(to)..from.max(to)];
            prop_assert!(Probe::new(needle).may_be_in(&filter));
        }
    }
}
