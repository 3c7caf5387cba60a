//! Who holds which batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Batches that were put into a consumer's queue and that it has not let go
/// of: waiting there, being worked on, or kept until a word comes.
#[derive(Debug, Default)]
pub struct Holder(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    bytes: usize,
    /// By number, so the first is the oldest.
    held: BTreeMap<u64, (Instant, usize)>,
}

/// What a [`Holder`] holds at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holding {
    /// Number of batches.
    pub batches: usize,
    /// Bytes that they keep alive.
    pub bytes: usize,
    /// How long the oldest has been held.
    pub oldest: Duration,
}

impl Holder {
    pub(super) fn hold(self: &Arc<Holder>, bytes: usize) -> Hold {
        let mut state = self.0.lock();
        let number = state.next;
        state.next += 1;
        state.bytes += bytes;
        state.held.insert(number, (Instant::now(), bytes));
        Hold {
            holder: self.clone(),
            number,
        }
    }

    /// What is held now.
    pub fn holding(&self) -> Holding {
        let state = self.0.lock();
        let oldest = state.held.values().next();
        Holding {
            batches: state.held.len(),
            bytes: state.bytes,
            oldest: oldest.map_or(Duration::ZERO, |(since, _)| since.elapsed()),
        }
    }
}

/// The hold on one batch, given up when it is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    holder: Arc<Holder>,
    number: u64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.holder.0.lock();
        if let Some((_, bytes)) = state.held.remove(&self.number) {
            state.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_known_until_it_is_let_go() {
        let holder = Arc::new(Holder::default());
        let first = holder.hold(10);
        let between = Instant::now();
        let second = holder.hold(5);
        let holding = holder.holding();
        assert_eq!((holding.batches, holding.bytes), (2, 15));
        let since_second = between.elapsed();
        assert!(holder.holding().oldest >= since_second);
        drop(first);
        assert!(holder.holding().oldest <= between.elapsed());
        assert_eq!(holder.holding().bytes, 5);
        drop(second);
        assert_eq!(holder.holding(), Holding::default());
    }
}
