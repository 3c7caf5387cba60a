//! Places on the ring.

/// Where a key belongs: a mix of tenant and stream, spread evenly.
/// FNV-1 over both, as the distributors of Loki compute it.
///
/// ```
/// use headwater_ring::tokens::token_for;
/// assert_eq!(token_for("tenant", "{app=\"a\"}"), token_for("tenant", "{app=\"a\"}"));
/// assert_ne!(token_for("tenant", "{app=\"a\"}"), token_for("other", "{app=\"a\"}"));
/// ```
pub fn token_for(tenant: &str, labels: &str) -> u32 {
    let bytes = tenant.bytes().chain(labels.bytes());
    bytes.fold(0x811c_9dc5_u32, |hash, byte| {
        hash.wrapping_mul(0x0100_0193) ^ u32::from(byte)
    })
}

/// Draws `count` tokens that nobody has, ascending. `taken` must be ascending;
/// `random` gives random numbers.
pub fn generate(count: usize, taken: &[u32], mut random: impl FnMut() -> u32) -> Vec<u32> {
    let mut tokens: Vec<u32> = Vec::with_capacity(count);
    // Even a source that repeats itself must not hold the caller forever.
    let mut tries = count.saturating_mul(64).saturating_add(1024);
    while tokens.len() < count && tries > 0 {
        tries -= 1;
        let token = random();
        if taken.binary_search(&token).is_err()
            && let Err(at) = tokens.binary_search(&token)
        {
            tokens.insert(at, token);
        }
    }
    tokens
}

/// Brings a set of tokens to `count`: draws what is missing, drops what is too much.
pub fn adjust(
    mut tokens: Vec<u32>,
    count: usize,
    taken: &[u32],
    random: impl FnMut() -> u32,
) -> Vec<u32> {
    tokens.sort_unstable();
    tokens.dedup();
    tokens.truncate(count);
    let mut all: Vec<u32> = taken.iter().chain(&tokens).copied().collect();
    all.sort_unstable();
    let missing = count - tokens.len();
    tokens.extend(generate(missing, &all, random));
    tokens.sort_unstable();
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter() -> impl FnMut() -> u32 {
        let mut next = 0;
        move || {
            next += 1;
            next
        }
    }

    #[test]
    fn nobody_gets_the_token_of_another() {
        assert_eq!(generate(3, &[2, 4], counter()), [1, 3, 5]);
        assert_eq!(generate(3, &[], || 7), [7], "a stuck source ends");
    }

    #[test]
    fn sets_are_topped_up_and_trimmed() {
        assert_eq!(adjust(vec![9, 1], 4, &[2], counter()), [1, 3, 4, 9]);
        assert_eq!(adjust(vec![3, 1, 2], 2, &[], counter()), [1, 2]);
    }
}
