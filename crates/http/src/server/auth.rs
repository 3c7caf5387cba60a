//! Basic authentication against bcrypt hashes.
//!
//! A hash takes tens of milliseconds of CPU on purpose. So hashing runs on the blocking pool, one at
//! a time for the whole server, and a password that was right once is remembered by a keyed
//! fingerprint: scrapers ask every few seconds. Unknown users cost a hash too, so that the time taken
//! does not tell who exists.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use parking_lot::Mutex;

use crate::Secret;

/// How many answers are remembered; beyond it all are forgotten.
const MAX_REMEMBERED: usize = 256;

/// A hash of no password that anyone has, for users that do not exist.
const NOBODY: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

/// Checks requests, and remembers those who were right.
#[derive(Debug, Default)]
pub(super) struct Gate {
    remembered: Mutex<HashMap<[u64; 2], bool>>,
    keys: [RandomState; 2],
    one_at_a_time: tokio::sync::Mutex<()>,
}

impl Gate {
    /// True if the request names a user and that user's password, or if there are no users at all.
    pub(super) async fn lets_in(
        &self,
        headers: &HeaderMap,
        users: &BTreeMap<String, Secret>,
    ) -> bool {
        if users.is_empty() {
            return true;
        }
        let Some((user, password)) = credentials(headers) else {
            return false;
        };
        let known = users.get(&user);
        let hash = known.map_or(NOBODY, Secret::reveal).to_owned();
        let fingerprint = self.fingerprint(&user, &hash, &password);
        if let Some(right) = self.remembered.lock().get(&fingerprint) {
            return *right && known.is_some();
        }
        let turn = self.one_at_a_time.lock().await;
        if let Some(right) = self.remembered.lock().get(&fingerprint) {
            return *right && known.is_some();
        }
        let check = move || bcrypt::verify(password, &hash).unwrap_or(false);
        let right = tokio::task::spawn_blocking(check).await.unwrap_or(false);
        drop(turn);
        self.remember(fingerprint, right);
        right && known.is_some()
    }

    fn fingerprint(&self, user: &str, hash: &str, password: &[u8]) -> [u64; 2] {
        let all = (user, hash, password);
        [self.keys[0].hash_one(all), self.keys[1].hash_one(all)]
    }

    fn remember(&self, fingerprint: [u64; 2], right: bool) {
        let mut remembered = self.remembered.lock();
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(fingerprint, right);
    }
}

fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (kind, encoded) = value.split_once(' ')?;
    if !kind.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let user = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((user, decoded[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(user: &str, password: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        headers
    }

    #[tokio::test]
    async fn only_the_right_password_opens() {
        let hash = bcrypt::hash("pass:word", 4).unwrap();
        let users = BTreeMap::from([("ann".to_owned(), Secret::new(hash))]);
        let gate = Gate::default();
        for _ in 0..2 {
            assert!(gate.lets_in(&shown("ann", "pass:word"), &users).await);
            assert!(!gate.lets_in(&shown("ann", "pass"), &users).await);
            assert!(!gate.lets_in(&shown("bob", "pass:word"), &users).await);
            assert!(!gate.lets_in(&HeaderMap::new(), &users).await);
        }
        assert!(gate.lets_in(&HeaderMap::new(), &BTreeMap::new()).await);
    }

    #[tokio::test]
    async fn hashes_of_other_tools_are_read() {
        // Made with htpasswd, which writes the prefix 2y.
        let hash = bcrypt::hash("x", 4).unwrap().replacen("$2b$", "$2y$", 1);
        let users = BTreeMap::from([("ann".to_owned(), Secret::new(hash))]);
        assert!(Gate::default().lets_in(&shown("ann", "x"), &users).await);
    }
}
