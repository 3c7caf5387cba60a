//! Names of parts: which flushes they hold.
//!
//! A part that was written by a flush has its number, ten digits and `.part`. One that was merged from
//! neighbours has the first and the last of theirs: `0000000001-0000000008.part`. One that retention
//! has made smaller has its edition behind: `0000000001-0000000008+1.part`. So a listing tells the
//! order of writing, and which parts another has replaced: those are left over from a crash.

/// The flushes that a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flushes {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// How often a part of these flushes was written anew.
    pub(crate) edition: u64,
}

impl Flushes {
    pub(crate) const fn one(number: u64) -> Self {
        Self::of(number, number)
    }

    pub(crate) const fn of(first: u64, last: u64) -> Self {
        Self {
            first,
            last,
            edition: 0,
        }
    }

    /// The same flushes, written anew.
    pub(crate) const fn next_edition(self) -> Self {
        Self {
            edition: self.edition + 1,
            ..self
        }
    }

    /// The flushes in the name of an object; `None` if it is no part.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let stem = name.rsplit('/').next()?.strip_suffix(".part")?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |text: &str| match text.len() == 10 && digits(text) {
            true => text.parse().ok(),
            false => None,
        };
        let (range, edition) = match stem.split_once('+') {
            None => (stem, 0),
            Some((range, edition)) => (
                range,
                Some(edition).filter(|text| digits(text))?.parse().ok()?,
            ),
        };
        let (first, last) = match range.split_once('-') {
            None => (number(range)?, number(range)?),
            Some((first, last)) => (number(first)?, number(last)?),
        };
        let found = Self {
            first,
            last,
            edition,
        };
        (first <= last && found.stem() == stem).then_some(found)
    }

    fn stem(self) -> String {
        let mut stem = format!("{:010}", self.first);
        if self.last > self.first {
            stem.push_str(&format!("-{:010}", self.last));
        }
        if self.edition > 0 {
            stem.push_str(&format!("+{}", self.edition));
        }
        stem
    }

    /// The name of the part below the folder of its tenant.
    pub(crate) fn name(self, tenant: &str) -> String {
        format!("{tenant}/{}.part", self.stem())
    }

    /// Whether a part of these flushes replaces another that was there before.
    pub(crate) const fn replaces(self, other: Self) -> bool {
        let holds = self.first <= other.first && other.last <= self.last;
        let same = self.first == other.first && other.last == self.last;
        holds && (!same || self.edition >= other.edition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for (first, last) in [(1, 1), (3, 9), (9_999_999_998, 9_999_999_999)] {
            let flushes = Flushes::of(first, last);
            for flushes in [flushes, flushes.next_edition()] {
                assert_eq!(Flushes::of_name(&flushes.name("t")), Some(flushes));
            }
        }
        assert_eq!(
            Flushes::of(1, 8).next_edition().name("t"),
            "t/0000000001-0000000008+1.part"
        );
        for other in [
            "1.part",
            "0000000002-0000000002.part",
            "0000000001+0.part",
            "0000000001+.part",
            "0000000001",
            "00000000+1.part",
            "x.part",
        ] {
            assert_eq!(Flushes::of_name(other), None, "{other}");
        }
    }

    #[test]
    fn later_parts_replace_earlier_ones() {
        let (all, one) = (Flushes::of(1, 8), Flushes::one(8));
        assert!(all.replaces(one) && !one.replaces(all));
        assert!(all.next_edition().replaces(all) && !all.replaces(all.next_edition()));
    }
}
