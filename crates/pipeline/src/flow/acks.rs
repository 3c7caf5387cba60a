//! Keeps track of how far a source's data has arrived.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::batch::{Finalizer, Outcome};

/// Positions of a source whose batches are under way, in order.
///
/// Batches may finish in any order; the position moves only over those that
/// have finished without a gap. A batch that was abandoned stops it for
/// good: what lies behind has to be read again by whoever comes next.
#[derive(Debug)]
pub struct Acks<P> {
    shared: Arc<Shared<P>>,
}

#[derive(Debug)]
struct Shared<P> {
    state: Mutex<State<P>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<P> {
    under_way: VecDeque<(P, Option<Outcome>)>,
    /// Number of the batch at the front.
    first: u64,
    arrived: Option<P>,
    refused: u64,
    abandoned: bool,
}

impl<P> Clone for Acks<P> {
    fn clone(&self) -> Acks<P> {
        Acks {
            shared: self.shared.clone(),
        }
    }
}

impl<P: Send + 'static> Acks<P> {
    /// Nothing under way, no position known.
    pub fn new() -> Acks<P> {
        Acks {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    under_way: VecDeque::new(),
                    first: 0,
                    arrived: None,
                    refused: 0,
                    abandoned: false,
                }),
                changed: Condvar::new(),
            }),
        }
    }

    /// A finalizer for a batch after which the source stands at `position`.
    pub fn expect(&self, position: P) -> Finalizer {
        let mut state = self.shared.state.lock();
        let number = state.first + state.under_way.len() as u64;
        state.under_way.push_back((position, None));
        let shared = self.shared.clone();
        Finalizer::new(move |outcome| shared.finish(number, outcome))
    }

    /// Takes the position reached since last asked, if it moved.
    pub fn take_arrived(&self) -> Option<P> {
        self.shared.state.lock().arrived.take()
    }

    /// Number of batches under way.
    pub fn under_way(&self) -> usize {
        self.shared.state.lock().under_way.len()
    }

    /// Whether a batch was abandoned, so that the position will not move on.
    pub fn is_abandoned(&self) -> bool {
        self.shared.state.lock().abandoned
    }

    /// Waits until nothing is under way or a batch was abandoned, at most
    /// this long. True if everything arrived or was refused.
    pub fn wait_idle(&self, timeout: Duration) -> bool {
        let mut state = self.shared.state.lock();
        let busy = |state: &mut State<P>| !state.under_way.is_empty() && !state.abandoned;
        self.shared
            .changed
            .wait_while_for(&mut state, busy, timeout);
        state.under_way.is_empty() && !state.abandoned
    }

    /// Waits until a position arrived, a batch was abandoned, or this long.
    pub fn wait_progress(&self, timeout: Duration) {
        let mut state = self.shared.state.lock();
        let still = |state: &mut State<P>| state.arrived.is_none() && !state.abandoned;
        self.shared
            .changed
            .wait_while_for(&mut state, still, timeout);
    }
}

impl<P: Send + 'static> Default for Acks<P> {
    fn default() -> Acks<P> {
        Acks::new()
    }
}

impl<P> Shared<P> {
    fn finish(&self, number: u64, outcome: Outcome) {
        let mut state = self.state.lock();
        let place = (number - state.first) as usize;
        state.under_way[place].1 = Some(outcome);
        state.abandoned |= outcome == Outcome::Abandoned;
        while let Some((_, Some(Outcome::Delivered | Outcome::Refused))) = state.under_way.front() {
            let front = state.under_way.pop_front();
            state.first += 1;
            if let Some((position, outcome)) = front {
                state.refused += u64::from(outcome == Some(Outcome::Refused));
                state.arrived = Some(position);
            }
        }
        drop(state);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Batch, Delivery};

    fn send(acks: &Acks<u32>, position: u32) -> Delivery {
        let batch = Batch::new(Vec::new(), Some(acks.expect(position)));
        Delivery::all(Arc::new(batch))
    }

    #[test]
    fn the_position_moves_without_gaps() {
        let acks = Acks::new();
        let (a, b, c) = (send(&acks, 1), send(&acks, 2), send(&acks, 3));
        b.done();
        assert_eq!(acks.take_arrived(), None);
        a.refuse();
        assert_eq!(acks.take_arrived(), Some(2));
        c.done();
        assert_eq!(acks.take_arrived(), Some(3));
        assert!(acks.wait_idle(Duration::ZERO));
    }

    #[test]
    fn an_abandoned_batch_stops_the_position() {
        let acks = Acks::new();
        let (a, b) = (send(&acks, 1), send(&acks, 2));
        drop(a);
        b.done();
        assert_eq!(acks.take_arrived(), None);
        assert!(acks.is_abandoned());
        assert!(!acks.wait_idle(Duration::ZERO));
    }
}
