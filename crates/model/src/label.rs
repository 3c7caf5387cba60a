//! Label sets: one packed, shared, immutable allocation each.
//!
//! A set is stored as one `str`: for every pair, sorted by name, the length of
//! the name, the name, the length of the value, the value. Lengths are written
//! in base 64 with a continuation bit, in bytes below 0x80, so that the whole
//! buffer stays valid UTF-8 and slices of it need no second check.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use xxhash_rust::xxh64::xxh64;

use crate::name::is_legacy_label_name;
use crate::quote::write_go_quoted;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

static EMPTY: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(""));

/// An immutable set of label pairs, sorted by name, each name once, no value empty (except in sets that
/// [`LabelsBuilder::build_with_empty`] made).
///
/// Cloning is a reference count. Equality compares a cached 64-bit hash before the bytes.
/// A label with an empty value is the same as no label, as in Prometheus.
#[derive(Clone)]
pub struct Labels {
    hash: u64,
    packed: Arc<str>,
}

impl Labels {
    /// The set without labels.
    pub fn empty() -> Self {
        Self {
            hash: hash_of(""),
            packed: EMPTY.clone(),
        }
    }

    /// Builds a set from pairs in any order; the last of several pairs of one name wins.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut builder = LabelsBuilder::new();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// The same for pairs that mostly ascend by name and have values, as those of an index do: these are
    /// packed as they come. Others are sorted first.
    pub fn from_ascending(pairs: &[(&str, &str)]) -> Self {
        let ascend = pairs.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !ascend || pairs.iter().any(|(_, value)| value.is_empty()) {
            return Self::from_pairs(pairs.iter().copied());
        }
        // A length takes one byte mostly.
        let room = pairs
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4);
        let mut packed = String::with_capacity(room.sum());
        for (name, value) in pairs {
            push_pair(&mut packed, name, value);
        }
        match packed.is_empty() {
            true => Self::empty(),
            false => Self::from_packed(packed),
        }
    }

    /// The value of `name`, if the set has it.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&str> {
        for (candidate, value) in self {
            match candidate.cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return Some(value),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// Whether the set has a label of this name.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The value of `__name__`.
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// The pairs in ascending order of names.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.packed }
    }

    /// Number of pairs; walks the set.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether the set has no pair.
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// The cached xxh64 of the packed form. Stable within one version of the crate only: never store it.
    #[inline]
    pub fn hash64(&self) -> u64 {
        self.hash
    }

    /// Bytes of text held by the set, lengths included; what memory accounting should count.
    pub fn packed_len(&self) -> usize {
        self.packed.len()
    }

    /// The pairs for whose name `keep` answers true.
    pub fn project(&self, mut keep: impl FnMut(&str) -> bool) -> Labels {
        if self.iter().all(|(name, _)| keep(name)) {
            return self.clone();
        }
        let mut packed = String::with_capacity(self.packed.len());
        for (name, value) in self {
            if keep(name) {
                push_pair(&mut packed, name, value);
            }
        }
        Self::from_packed(packed)
    }

    /// A hash of the pairs for whose name `keep` answers true, without building the set.
    /// Equal projections have equal hashes; compare with [`Labels::project`] before trusting it.
    pub fn hash_projected(&self, mut keep: impl FnMut(&str) -> bool) -> u64 {
        let mut hasher = xxhash_rust::xxh64::Xxh64::new(0);
        let mut length = String::with_capacity(8);
        for (name, value) in self {
            if keep(name) {
                for text in [name, value] {
                    length.clear();
                    push_len(&mut length, text.len());
                    hasher.update(length.as_bytes());
                    hasher.update(text.as_bytes());
                }
            }
        }
        hasher.digest()
    }

    /// The set without `__name__`.
    pub fn without_name(&self) -> Labels {
        self.project(|name| name != METRIC_NAME)
    }

    /// A builder that starts from this set.
    pub fn to_builder(&self) -> LabelsBuilder {
        let mut builder = LabelsBuilder::new();
        builder.reset_to(self);
        builder
    }

    fn from_packed(packed: String) -> Self {
        Self {
            hash: hash_of(&packed),
            packed: Arc::from(packed),
        }
    }
}

fn hash_of(packed: &str) -> u64 {
    xxh64(packed.as_bytes(), 0)
}

fn push_pair(packed: &mut String, name: &str, value: &str) {
    push_len(packed, name.len());
    packed.push_str(name);
    push_len(packed, value.len());
    packed.push_str(value);
}

fn push_len(packed: &mut String, mut len: usize) {
    while len >= 0x40 {
        packed.push(char::from((len & 0x3f) as u8 | 0x40));
        len >>= 6;
    }
    packed.push(char::from(len as u8));
}

/// Splits the string that a length and its bytes stand for off the front of `packed`.
#[inline]
fn take_text(packed: &str) -> (&str, &str) {
    if let Some(&len @ 0..0x40) = packed.as_bytes().first() {
        return packed[1..].split_at(len.into());
    }
    let (mut len, mut shift) = (0usize, 0);
    for (at, byte) in packed.bytes().enumerate() {
        len |= usize::from(byte & 0x3f) << shift;
        shift += 6;
        if byte & 0x40 == 0 {
            return packed[at + 1..].split_at(len);
        }
    }
    ("", "")
}

/// Iterates over the pairs of a set in ascending order of names.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (name, rest) = take_text(self.rest);
        let (value, rest) = take_text(rest);
        self.rest = rest;
        Some((name, value))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialEq for Labels {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.packed == other.packed
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Pair by pair, names before values, as Prometheus orders series. Sets that are compared for sorting
/// mostly begin alike: what is the same is passed over in words, and only the first text that
/// differs is compared as text.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (&*self.packed, &*other.packed);
        let Some(at) = first_difference(a.as_bytes(), b.as_bytes()) else {
            // One continues where the other ends, after a whole pair.
            return a.len().cmp(&b.len());
        };
        let mut rest = a;
        loop {
            let start = a.len() - rest.len();
            let (text, behind) = take_text(rest);
            if at < a.len() - behind.len() {
                return text.cmp(take_text(&b[start..]).0);
            }
            rest = behind;
        }
    }
}

/// Where two texts differ, if they do as far as the shorter one goes.
fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    let shorter = a.len().min(b.len());
    let ((a_words, a_tail), (b_words, b_tail)) =
        (a[..shorter].as_chunks::<8>(), b[..shorter].as_chunks::<8>());
    for (at, (a, b)) in a_words.iter().zip(b_words).enumerate() {
        let differs = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differs != 0 {
            return Some(8 * at + differs.trailing_zeros() as usize / 8);
        }
    }
    let in_tail = a_tail.iter().zip(b_tail).position(|(a, b)| a != b)?;
    Some(8 * a_words.len() + in_tail)
}

/// `{a="b", c="d"}`, values quoted as Go quotes strings, names quoted only where they must be.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, (name, value)) in self.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            if is_legacy_label_name(name) {
                f.write_str(name)?;
            } else {
                write_go_quoted(f, name)?;
            }
            f.write_str("=")?;
            write_go_quoted(f, value)?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(pairs: T) -> Self {
        Self::from_pairs(pairs)
    }
}

/// Edits pairs and packs them into [`Labels`]. All text lies in one buffer, so a
/// builder that is reused allocates nothing once it has grown.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    text: String,
    pairs: Vec<Pair>,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    name: (u32, u32),
    value: (u32, u32),
}

impl LabelsBuilder {
    /// A builder without pairs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all pairs, keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.pairs.clear();
    }

    /// Forgets all pairs and takes those of `labels`.
    pub fn reset_to(&mut self, labels: &Labels) {
        self.clear();
        for (name, value) in labels {
            self.push(name, value);
        }
    }

    /// Adds a pair without looking for an earlier one of the same name: for parsers,
    /// which then call [`LabelsBuilder::duplicate`].
    pub fn push(&mut self, name: &str, value: &str) {
        let pair = Pair {
            name: self.store(name),
            value: self.store(value),
        };
        self.pairs.push(pair);
    }

    /// Sets `name` to `value`; an empty value removes the label.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        if value.is_empty() {
            return self.remove(name);
        }
        match self.position(name) {
            Some(at) => self.pairs[at].value = self.store(value),
            None => self.push(name, value),
        }
        self
    }

    /// Removes `name`.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        if let Some(at) = self.position(name) {
            self.pairs.remove(at);
        }
        self
    }

    /// Keeps the pairs for which `keep` answers true.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) -> &mut Self {
        let text = &self.text;
        self.pairs
            .retain(|pair| keep(slice(text, pair.name), slice(text, pair.value)));
        self
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.position(name)
            .map(|at| slice(&self.text, self.pairs[at].value))
    }

    /// The pairs in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|pair| (slice(&self.text, pair.name), slice(&self.text, pair.value)))
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// A name that was pushed more than once.
    pub fn duplicate(&self) -> Option<&str> {
        let mut names: Vec<&str> = self.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names
            .windows(2)
            .find(|pair| pair[0] == pair[1])
            .map(|pair| pair[0])
    }

    /// Packs the pairs: sorted, without empty values, the last of several of one name.
    pub fn build(&mut self) -> Labels {
        self.pack(false)
    }

    /// As [`LabelsBuilder::build`], but pairs that were pushed with an empty value stay: LogQL tells
    /// structured metadata without a value from none.
    pub fn build_with_empty(&mut self) -> Labels {
        self.pack(true)
    }

    fn pack(&mut self, with_empty: bool) -> Labels {
        let text = &self.text;
        // A stable sort keeps pairs of one name in the order in which they came.
        self.pairs
            .sort_by(|a, b| slice(text, a.name).cmp(slice(text, b.name)));
        let kept = |pair: &Pair| with_empty || pair.value.0 != pair.value.1;
        if !self.pairs.iter().any(kept) {
            return Labels::empty();
        }
        let mut packed = String::with_capacity(text.len() + 2 * self.pairs.len());
        for (at, pair) in self.pairs.iter().enumerate() {
            let name = slice(text, pair.name);
            let last = self
                .pairs
                .get(at + 1)
                .is_none_or(|next| slice(text, next.name) != name);
            if last && kept(pair) {
                push_pair(&mut packed, name, slice(text, pair.value));
            }
        }
        Labels::from_packed(packed)
    }

    fn store(&mut self, text: &str) -> (u32, u32) {
        let start = self.text.len();
        self.text.push_str(text);
        let bound = |at: usize| u32::try_from(at).expect("label text of one set stays below 4 GiB");
        (bound(start), bound(self.text.len()))
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.pairs
            .iter()
            .position(|pair| slice(&self.text, pair.name) == name)
    }
}

fn slice(text: &str, (start, end): (u32, u32)) -> &str {
    &text[start as usize..end as usize]
}

#[cfg(feature = "serde")]
mod serde_impl {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Labels;

    impl Serialize for Labels {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.iter())
        }
    }

    impl<'de> Deserialize<'de> for Labels {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Ok(Labels::from_pairs(BTreeMap::<String, String>::deserialize(
                deserializer,
            )?))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs_in_order_are_packed_as_they_come() {
        let cases: [&[(&str, &str)]; 6] = [
            &[],
            &[("a", "1"), ("b", "2")],
            &[("b", "2"), ("a", "1")],
            &[("a", "1"), ("a", "2")],
            &[("a", ""), ("b", "2")],
            &[(
                "name of more than sixty-four bytes, whose length takes two bytes",
                "x",
            )],
        ];
        for pairs in cases {
            let expected = Labels::from_pairs(pairs.iter().copied());
            assert_eq!(Labels::from_ascending(pairs), expected);
        }
    }

    #[test]
    fn empty_values_stay_where_they_are_asked_for() {
        let mut builder = LabelsBuilder::new();
        builder.push("z", "1");
        builder.push("a", "");
        let labels = builder.build_with_empty();
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", ""), ("z", "1")]);
        assert_eq!(builder.build(), Labels::from_pairs([("z", "1")]));
    }

    #[test]
    fn sorts_and_drops_empty_values() {
        let labels = Labels::from_pairs([("z", "1"), ("a", "2"), ("gone", "")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "2"), ("z", "1")]);
        assert!(!labels.has("gone"));
    }

    #[test]
    fn the_last_value_of_a_name_wins() {
        assert_eq!(
            Labels::from_pairs([("a", "1"), ("a", "2")]).get("a"),
            Some("2")
        );
        let mut builder = LabelsBuilder::new();
        builder.push("a", "1");
        builder.push("a", "2");
        assert_eq!(builder.duplicate(), Some("a"));
        assert_eq!(builder.build().get("a"), Some("2"));
    }

    #[test]
    fn prints_like_prometheus() {
        let labels = Labels::from_pairs([("a", "x\"\n"), ("b.c", "é")]);
        assert_eq!(labels.to_string(), r#"{a="x\"\n", "b.c"="é"}"#);
    }

    #[test]
    fn orders_by_name_then_value() {
        let low = Labels::from_pairs([("a", "1"), ("b", "2")]);
        let high = Labels::from_pairs([("a", "1"), ("c", "0")]);
        assert!(low < high);
        assert!(Labels::empty() < low);
    }

    #[test]
    fn projections_agree_with_their_hashes() {
        let one = Labels::from_pairs([("a", "1"), ("b", "2"), ("c", "3")]);
        let two = Labels::from_pairs([("a", "1"), ("c", "3")]);
        assert_eq!(one.project(|n| n != "b"), two);
        assert_eq!(one.hash_projected(|n| n != "b"), two.hash64());
    }

    /// Few different texts, short and long, so that sets begin alike and end anywhere.
    fn alike() -> impl Strategy<Value = Labels> {
        let value = prop_oneof!["[ab]{1,3}", "é[ab]{0,2}", "a{62,66}[ab]{0,2}"];
        let name = prop_oneof!["[ab]{1,2}", "b{63,65}"];
        proptest::collection::btree_map(name, value, 0..5).prop_map(Labels::from_pairs)
    }

    proptest! {
        #[test]
        fn sets_are_ordered_by_their_pairs(a in alike(), b in alike()) {
            prop_assert_eq!(a.cmp(&b), a.iter().cmp(b.iter()));
            prop_assert_eq!(a.cmp(&a.clone()), Ordering::Equal);
        }

        #[test]
        fn what_goes_in_comes_out(pairs in proptest::collection::btree_map(".{0,200}", ".{1,300}", 0..8)) {
            let labels = Labels::from_pairs(&pairs);
            let back: Vec<_> = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(back, pairs.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(labels.to_builder().build(), labels);
        }
    }
}
