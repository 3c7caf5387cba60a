//! The bounded queue in front of every filter and output.
//!
//! It is bounded in bytes, because messages of 100 bytes and of 60 kB must
//! both be safe. Messages that filters inject have an allowance of their own
//! as large as the bound, and never wait: a filter that waited for a queue
//! could wait for itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::batch::Delivery;
use super::holder::{Holder, Holding};

/// What to do with a delivery for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Let the input wait: the slowest consumer sets the pace, as in heka.
    #[default]
    Block,
    /// Refuse the new delivery.
    DropNewest,
    /// Refuse the oldest ones until there is room.
    DropOldest,
}

/// What [`Queue::pop`] found.
#[derive(Debug)]
pub enum Pop {
    /// The oldest delivery.
    Delivery(Delivery),
    /// Nothing until the deadline, or [`Queue::poke`] was called.
    TimedOut,
    /// Nothing, and nothing will come.
    Closed,
}

/// Why a delivery was not taken.
#[derive(Debug)]
pub enum PushError {
    /// There is no room.
    Full(Delivery),
    /// The consumer is gone or the pipeline is being stopped.
    Closed(Delivery),
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Delivery>,
    bytes: usize,
    injected: usize,
    closed: bool,
    aborted: bool,
    poked: bool,
}

/// A bounded queue of deliveries, for several producers and one consumer.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    readable: Condvar,
    writable: Condvar,
    max_bytes: usize,
    when_full: WhenFull,
    dropped: AtomicU64,
    holder: Arc<Holder>,
}

impl Queue {
    /// A queue of at most `max_bytes`. A delivery larger than that is taken
    /// when the queue is empty.
    pub fn new(max_bytes: usize, when_full: WhenFull) -> Queue {
        Queue {
            state: Mutex::default(),
            readable: Condvar::new(),
            writable: Condvar::new(),
            max_bytes,
            when_full,
            dropped: AtomicU64::new(0),
            holder: Arc::default(),
        }
    }

    /// Takes the delivery if there is room or if the policy makes room; with
    /// [`WhenFull::Block`] a full queue hands it back.
    ///
    /// # Errors
    ///
    /// [`PushError::Full`] with policy block, [`PushError::Closed`].
    pub fn try_push(&self, delivery: Delivery) -> Result<(), PushError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(PushError::Closed(delivery));
        }
        if !self.has_room(&state, &delivery) {
            if delivery.is_injected() {
                self.refuse(delivery);
                return Ok(());
            }
            match self.when_full {
                WhenFull::Block => return Err(PushError::Full(delivery)),
                WhenFull::DropNewest => {
                    self.refuse(delivery);
                    return Ok(());
                }
                WhenFull::DropOldest => self.make_room(&mut state, &delivery),
            }
        }
        self.put(state, delivery);
        Ok(())
    }

    /// Takes the delivery, waiting for room if need be.
    ///
    /// # Errors
    ///
    /// The delivery, if the queue was closed or aborted meanwhile.
    pub fn push(&self, delivery: Delivery) -> Result<(), Delivery> {
        let delivery = match self.try_push(delivery) {
            Ok(()) => return Ok(()),
            Err(PushError::Closed(delivery)) => return Err(delivery),
            Err(PushError::Full(delivery)) => delivery,
        };
        let mut state = self.state.lock();
        while !state.closed && !self.has_room(&state, &delivery) {
            self.writable.wait(&mut state);
        }
        if state.closed {
            return Err(delivery);
        }
        self.put(state, delivery);
        Ok(())
    }

    /// The oldest delivery; waits for one until `deadline`, or for ever.
    /// After [`Queue::close`] the rest is still handed out.
    pub fn pop(&self, deadline: Option<Instant>) -> Pop {
        let mut state = self.state.lock();
        loop {
            if let Some(delivery) = state.items.pop_front() {
                let charge = charge(&mut state, &delivery);
                *charge -= delivery.bytes();
                drop(state);
                self.writable.notify_all();
                return Pop::Delivery(delivery);
            }
            if state.closed {
                return Pop::Closed;
            }
            if std::mem::take(&mut state.poked) {
                return Pop::TimedOut;
            }
            match deadline {
                None => self.readable.wait(&mut state),
                Some(at) => {
                    if self.readable.wait_until(&mut state, at).timed_out()
                        && state.items.is_empty()
                        && !state.closed
                        && !state.poked
                    {
                        return Pop::TimedOut;
                    }
                }
            }
        }
    }

    /// The oldest delivery, if one is there.
    pub fn pop_now(&self) -> Option<Delivery> {
        let mut state = self.state.lock();
        let delivery = state.items.pop_front()?;
        *charge(&mut state, &delivery) -= delivery.bytes();
        drop(state);
        self.writable.notify_all();
        Some(delivery)
    }

    /// Ends a wait in [`Queue::pop`] so that the consumer looks around.
    pub fn poke(&self) {
        self.state.lock().poked = true;
        self.readable.notify_all();
    }

    /// Takes nothing more; what is in the queue is still handed out.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.wake();
    }

    /// Takes nothing more and lets go of what is in the queue: it counts as
    /// abandoned.
    pub fn abort(&self) {
        let rest = {
            let mut state = self.state.lock();
            state.closed = true;
            state.aborted = true;
            state.bytes = 0;
            state.injected = 0;
            std::mem::take(&mut state.items)
        };
        self.wake();
        drop(rest);
    }

    /// Whether [`Queue::abort`] was called.
    pub fn is_aborted(&self) -> bool {
        self.state.lock().aborted
    }

    /// Number of deliveries and of bytes in the queue.
    pub fn depth(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.items.len(), state.bytes + state.injected)
    }

    /// What the consumer has been given, or will be, and has not let go of.
    pub fn holding(&self) -> Holding {
        self.holder.holding()
    }

    /// The bound in bytes.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Number of messages refused for want of room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        self.readable.notify_all();
        self.writable.notify_all();
    }

    fn has_room(&self, state: &State, delivery: &Delivery) -> bool {
        let used = if delivery.is_injected() {
            state.injected
        } else {
            state.bytes
        };
        used == 0 || used + delivery.bytes() <= self.max_bytes
    }

    fn put(&self, mut state: parking_lot::MutexGuard<'_, State>, mut delivery: Delivery) {
        delivery.held(self.holder.hold(delivery.bytes()));
        *charge(&mut state, &delivery) += delivery.bytes();
        state.items.push_back(delivery);
        drop(state);
        self.readable.notify_one();
    }

    fn make_room(&self, state: &mut State, delivery: &Delivery) {
        while !self.has_room(state, delivery) {
            let Some(place) = state.items.iter().position(|item| !item.is_injected()) else {
                return;
            };
            if let Some(oldest) = state.items.remove(place) {
                state.bytes -= oldest.bytes();
                self.refuse(oldest);
            }
        }
    }

    fn refuse(&self, delivery: Delivery) {
        self.dropped
            .fetch_add(delivery.len() as u64, Ordering::Relaxed);
        delivery.refuse();
    }
}

/// The account that a delivery is charged to.
fn charge<'a>(state: &'a mut State, delivery: &Delivery) -> &'a mut usize {
    if delivery.is_injected() {
        &mut state.injected
    } else {
        &mut state.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Batch, Finalizer, Outcome};
    use crate::message::Message;
    use std::sync::Arc;

    type Seen = Arc<Mutex<Vec<(i32, Outcome)>>>;

    fn delivery(pid: i32, seen: &Seen) -> Delivery {
        let seen = seen.clone();
        let message = Message {
            pid: Some(pid),
            ..Message::default()
        };
        let note = Finalizer::new(move |outcome| seen.lock().push((pid, outcome)));
        Delivery::all(Arc::new(Batch::new(vec![message.into()], Some(note))))
    }

    fn one() -> usize {
        delivery(0, &Seen::default()).bytes()
    }

    fn pid(pop: Pop) -> Option<i32> {
        match pop {
            Pop::Delivery(delivery) => {
                let pid = delivery.events().next().map(|event| event.pid());
                delivery.done();
                pid
            }
            _ => None,
        }
    }

    #[test]
    fn a_full_queue_does_what_it_was_told() {
        let seen = Seen::default();
        let newest = Queue::new(one(), WhenFull::DropNewest);
        let oldest = Queue::new(one(), WhenFull::DropOldest);
        let block = Queue::new(one(), WhenFull::Block);
        for queue in [&newest, &oldest, &block] {
            queue.try_push(delivery(1, &seen)).unwrap();
        }
        newest.try_push(delivery(2, &seen)).unwrap();
        oldest.try_push(delivery(2, &seen)).unwrap();
        let refused = block.try_push(delivery(2, &seen));
        assert!(matches!(refused, Err(PushError::Full(_))));
        assert_eq!(*seen.lock(), [(2, Outcome::Refused), (1, Outcome::Refused)]);
        assert_eq!(pid(newest.pop(None)), Some(1));
        assert_eq!(pid(oldest.pop(None)), Some(2));
        assert_eq!(
            (newest.dropped(), oldest.dropped(), block.dropped()),
            (1, 1, 0)
        );
    }

    #[test]
    fn a_blocked_push_goes_on_when_there_is_room() {
        let seen = Seen::default();
        let queue = Arc::new(Queue::new(one(), WhenFull::Block));
        queue.push(delivery(1, &seen)).unwrap();
        let producer = std::thread::spawn({
            let (queue, seen) = (queue.clone(), seen.clone());
            move || queue.push(delivery(2, &seen)).is_ok()
        });
        assert_eq!(pid(queue.pop(None)), Some(1));
        assert_eq!(pid(queue.pop(None)), Some(2));
        assert!(producer.join().unwrap());
    }

    #[test]
    fn aborting_ends_every_wait_and_abandons_the_rest() {
        let seen = Seen::default();
        let queue = Arc::new(Queue::new(one(), WhenFull::Block));
        queue.push(delivery(1, &seen)).unwrap();
        let producer = std::thread::spawn({
            let (queue, seen) = (queue.clone(), seen.clone());
            move || queue.push(delivery(2, &seen)).is_err()
        });
        queue.abort();
        assert!(producer.join().unwrap());
        assert!(matches!(queue.pop(None), Pop::Closed));
        let mut seen = seen.lock().clone();
        seen.sort_by_key(|(pid, _)| *pid);
        assert_eq!(seen, [(1, Outcome::Abandoned), (2, Outcome::Abandoned)]);
    }

    #[test]
    fn injected_messages_have_an_allowance_of_their_own_and_never_wait() {
        let seen = Seen::default();
        let queue = Queue::new(one(), WhenFull::Block);
        queue.push(delivery(1, &seen)).unwrap();
        queue.push(delivery(2, &seen).injected(true)).unwrap();
        queue.push(delivery(3, &seen).injected(true)).unwrap();
        assert_eq!(*seen.lock(), [(3, Outcome::Refused)]);
        assert_eq!(queue.depth().0, 2);
    }

    #[test]
    fn a_closed_queue_hands_out_the_rest() {
        let seen = Seen::default();
        let queue = Queue::new(one(), WhenFull::Block);
        queue.push(delivery(1, &seen)).unwrap();
        queue.close();
        assert!(queue.push(delivery(2, &seen)).is_err());
        assert_eq!(pid(queue.pop(None)), Some(1));
        assert!(matches!(queue.pop(None), Pop::Closed));
    }
}
