//! "Did you mean ...?"

/// The candidate nearest to `word`, if one is near enough to be what was
/// meant: at most a third of its letters differ.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |other: &str| strsim::damerau_levenshtein(word, other);
    let (best, far) = candidates
        .into_iter()
        .map(|candidate| (candidate, distance(candidate)))
        .min_by_key(|(_, far)| *far)?;
    (far <= best.len().max(word.len()) / 3).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let known = ["address", "decoder", "splitter"];
        assert_eq!(nearest("adress", known), Some("address"));
        assert_eq!(nearest("bogus", known), None);
    }
}
