//! Names of blocks: ULIDs, a time and some chance in 26 letters.
//!
//! 48 bits of milliseconds, then 80 random bits, in Crockford's base 32, so
//! that names sort by the time they were given. Source: github.com/ulid/spec.

use headwater_env::{Clock, Rng};

const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LEN: usize = 26;

/// A new name.
pub(crate) fn new(clock: &dyn Clock, rng: &dyn Rng) -> String {
    let millis = clock.unix_millis().max(0) as u128 & 0xffff_ffff_ffff;
    let chance = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
    encode(millis << 80 | chance >> 48)
}

fn encode(bits: u128) -> String {
    let letter = |at: usize| {
        let shift = 5 * (LEN - 1 - at);
        char::from(LETTERS[(bits >> shift) as usize & 31])
    };
    (0..LEN).map(letter).collect()
}

/// When a name was given, in milliseconds.
pub(crate) fn time(name: &str) -> i64 {
    let digit = |letter: u8| {
        LETTERS
            .iter()
            .position(|l| *l == letter.to_ascii_uppercase())
    };
    let letters = name.bytes().take(10);
    letters.fold(0, |time, letter| {
        time << 5 | digit(letter).unwrap_or(0) as i64
    })
}

/// Whether a directory has the name of a block.
pub(crate) fn is_ulid(name: &str) -> bool {
    let first = name.as_bytes().first();
    name.len() == LEN
        && first.is_some_and(|b| *b <= b'7')
        && name
            .bytes()
            .all(|b| LETTERS.contains(&b.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use headwater_env::{ManualClock, SeededRng};

    use super::*;

    #[test]
    fn names_carry_their_time() {
        // The example of the specification: 01ARZ3NDEKTSV4RRFFQ69G5FAV.
        let name = new(&ManualClock::new(1_469_922_850_259), &SeededRng::new(1));
        assert!(name.starts_with("01ARZ3NDEK"), "{name}");
        assert!(is_ulid(&name));
        assert_eq!(time(&name), 1_469_922_850_259);
        let later = new(&ManualClock::new(1_469_922_850_260), &SeededRng::new(1));
        assert!(later > name);
    }

    #[test]
    fn other_names_are_no_blocks() {
        for name in [
            "wal",
            "chunks_head",
            "81ARZ3NDEKTSV4RRFFQ69G5FAV",
            "01ARZ3NDEKTSV4RRFFQ69G5FAU.tmp",
        ] {
            assert!(!is_ulid(name), "{name}");
        }
        assert!(
            !is_ulid("01ARZ3NDEKTSV4RRFFQ69G5FAI"),
            "I is no letter of the alphabet"
        );
    }
}
