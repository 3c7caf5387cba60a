//! Postings: ascending lists of series.

use super::{PART, section};
use crate::error::DecodeError;

/// The series that have a label pair, ascending, as they lie in the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Postings<'a> {
    series: &'a [[u8; 4]],
}

impl<'a> Postings<'a> {
    pub(super) fn read(file: &'a [u8], offset: u64) -> Result<Self, DecodeError> {
        let (body, start) = section(file, offset)?;
        let Some((count, list)) = body.split_first_chunk::<4>() else {
            return Err(DecodeError::truncated(PART, start + body.len()));
        };
        let (series, rest) = list.as_chunks::<4>();
        if series.len() != u32::from_be_bytes(*count) as usize || !rest.is_empty() {
            return Err(DecodeError::invalid(
                PART,
                start,
                "postings are not as many as they say",
            ));
        }
        Ok(Self { series })
    }

    /// Number of series.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there is no series.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The series at a position.
    pub fn get(&self, at: usize) -> Option<u32> {
        self.series.get(at).copied().map(u32::from_be_bytes)
    }

    /// All series, ascending.
    pub fn iter(&self) -> PostingsIter<'a> {
        PostingsIter {
            series: self.series,
        }
    }

    /// The position of the first series that is not below `series`, from position `from` on:
    /// steps grow twofold, so that near ones are found fast.
    pub fn seek(&self, from: usize, series: u32) -> usize {
        let rest = self.series.get(from..).unwrap_or(&[]);
        let below = |at: &[u8; 4]| u32::from_be_bytes(*at) < series;
        let mut step = 1;
        while step < rest.len() && below(&rest[step]) {
            step *= 2;
        }
        let (low, high) = (step / 2, rest.len().min(step + 1));
        from + low + rest[low..high].partition_point(below)
    }
}

impl<'a> IntoIterator for Postings<'a> {
    type Item = u32;
    type IntoIter = PostingsIter<'a>;

    fn into_iter(self) -> PostingsIter<'a> {
        self.iter()
    }
}

/// Iterates over series, ascending.
#[derive(Clone, Debug)]
pub struct PostingsIter<'a> {
    series: &'a [[u8; 4]],
}

impl Iterator for PostingsIter<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let (first, rest) = self.series.split_first()?;
        self.series = rest;
        Some(u32::from_be_bytes(*first))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.series.len(), Some(self.series.len()))
    }
}

impl ExactSizeIterator for PostingsIter<'_> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn seeking_finds_the_first_that_is_not_below(mut list in proptest::collection::vec(0u32..200, 0..60), from in 0usize..70, target in 0u32..210) {
            list.sort_unstable();
            list.dedup();
            let bytes: Vec<[u8; 4]> = list.iter().map(|it| it.to_be_bytes()).collect();
            let postings = Postings { series: &bytes };
            let from = from.min(list.len());
            let expected = from + list[from..].iter().position(|&it| it >= target).unwrap_or(list.len() - from);
            prop_assert_eq!(postings.seek(from, target), expected);
            prop_assert_eq!(postings.iter().collect::<Vec<_>>(), list);
        }
    }
}
