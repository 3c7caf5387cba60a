//! `ip("10.0.0.0/8")`: addresses within a text.

use std::net::IpAddr;

/// Addresses from one to another, both included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IpRange {
    first: IpAddr,
    last: IpAddr,
}

impl IpRange {
    /// Reads a single address, `a-b` or a prefix such as `10.0.0.0/8`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let invalid = || {
            let text = headwater_model::quote::go_quoted(text);
            format!("ip: invalid pattern: {text}")
        };
        let address = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| invalid());
        let (first, last) = if let Some((first, last)) = text.split_once('-') {
            (address(first)?, address(last)?)
        } else if let Some((base, bits)) = text.split_once('/') {
            let bits = bits.parse::<u32>().map_err(|_| invalid())?;
            prefix(address(base)?, bits).ok_or_else(invalid)?
        } else {
            (address(text)?, address(text)?)
        };
        match first.is_ipv4() == last.is_ipv4() && first <= last {
            true => Ok(Self { first, last }),
            false => Err(invalid()),
        }
    }

    fn holds(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && self.first <= address && address <= self.last
    }

    /// Whether one of the addresses stands in the text.
    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        let mut at = 0;
        while at < text.len() {
            let length = match candidate(&text[at..]) {
                Some(length) => length,
                None => {
                    at += 1;
                    continue;
                }
            };
            let found = std::str::from_utf8(&text[at..at + length]).ok();
            if found
                .and_then(|t| t.parse().ok())
                .is_some_and(|a| self.holds(a))
            {
                return true;
            }
            at += length;
        }
        false
    }
}

/// The length of what may be an address at the start of a text: a point or a
/// colon stands near its front.
fn candidate(text: &[u8]) -> Option<usize> {
    let near = |sign: u8, within: usize| text.iter().take(within).any(|b| *b == sign);
    let run = |ok: fn(&u8) -> bool| text.iter().take_while(|b| ok(b)).count();
    let first = text[0];
    if first.is_ascii_digit() && near(b'.', 4) {
        return Some(run(|b| b.is_ascii_digit() || *b == b'.'));
    }
    if (first.is_ascii_hexdigit() || first == b':') && near(b':', 5) {
        return Some(run(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')));
    }
    None
}

/// First and last address of a prefix.
fn prefix(base: IpAddr, bits: u32) -> Option<(IpAddr, IpAddr)> {
    match base {
        IpAddr::V4(base) => {
            let host = u32::MAX
                .checked_shr(bits)
                .filter(|_| bits <= 32)
                .or((bits == 32).then_some(0))?;
            let base = u32::from(base);
            Some((
                IpAddr::V4((base & !host).into()),
                IpAddr::V4((base | host).into()),
            ))
        }
        IpAddr::V6(base) => {
            let host = u128::MAX
                .checked_shr(bits)
                .filter(|_| bits <= 128)
                .or((bits == 128).then_some(0))?;
            let base = u128::from(base);
            Some((
                IpAddr::V6((base & !host).into()),
                IpAddr::V6((base | host).into()),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_addresses() {
        for (range, text, want) in [
            ("192.168.1.0/24", "src 192.168.1.10 ok", true),
            ("192.168.1.0/24", "src 192.168.2.10 ok", false),
            ("10.0.0.5", "10.0.0.5", true),
            ("10.0.0.5", "10.0.0.5:8080", true),
            ("10.0.0.1-10.0.0.9", "at 10.0.0.9.", false),
            ("10.0.0.1-10.0.0.9", "at 10.0.0.9,", true),
            ("2001:db8::/32", "from 2001:db8::7 on", true),
            ("::1", "local ::1", true),
            ("0.0.0.0/0", "no address", false),
            ("1.2.3.4/32", "1.2.3.4", true),
        ] {
            let range = IpRange::parse(range).unwrap();
            assert_eq!(range.is_in(text.as_bytes()), want, "{range:?} {text}");
        }
    }

    #[test]
    fn refused() {
        for text in ["", "bad", "1.2.3.4-1.2.3.1", "10.0.0.0/33", "1.2.3.4-::1"] {
            assert!(IpRange::parse(text).is_err(), "{text}");
        }
    }
}
