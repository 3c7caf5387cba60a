//! Batches, what consumers get of them, and how it is learned what became of
//! them.
//!
//! An input hands over messages in batches. Each consumer that matches some
//! of them gets a [`Delivery`]: the shared batch and which of its messages
//! are meant. When the last delivery is gone, the batch's [`Finalizer`] tells
//! the input the worst that happened to it, and the input can move its
//! journal, answer a request, or acknowledge to its peer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::event::Event;

use super::holder::Hold;

/// What became of a batch: the worst that any consumer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// Every consumer has it, or none wanted it.
    Delivered = 0,
    /// A consumer refused some of it for good, or a queue dropped it because
    /// it was told to. Sending it again would not help.
    Refused = 1,
    /// A consumer went away without a word. It may be sent again.
    Abandoned = 2,
}

impl Outcome {
    fn from_u8(value: u8) -> Outcome {
        match value {
            0 => Outcome::Delivered,
            1 => Outcome::Refused,
            _ => Outcome::Abandoned,
        }
    }
}

/// Called once with the outcome of a batch, when nobody holds it any more.
pub struct Finalizer(Box<dyn FnOnce(Outcome) + Send + Sync>);

impl Finalizer {
    /// A finalizer that calls `done`. It runs on whatever thread lets go of
    /// the batch last, so it must be quick and must not wait.
    pub fn new(done: impl FnOnce(Outcome) + Send + Sync + 'static) -> Finalizer {
        Finalizer(Box::new(done))
    }

    /// Tells the outcome now: for a finalizer within another one.
    pub fn call(self, outcome: Outcome) {
        (self.0)(outcome);
    }
}

impl fmt::Debug for Finalizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Finalizer")
    }
}

/// Collects what is said about a batch; tells the finalizer when the last
/// one lets go of it.
#[derive(Debug)]
struct Note {
    worst: AtomicU8,
    finalizer: Option<Finalizer>,
}

impl Note {
    fn say(&self, outcome: Outcome) {
        self.worst.fetch_max(outcome as u8, Ordering::AcqRel);
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Some(Finalizer(done)) = self.finalizer.take() {
            done(Outcome::from_u8(*self.worst.get_mut()));
        }
    }
}

/// Messages that travel together.
#[derive(Debug)]
pub struct Batch {
    events: Vec<Event>,
    bytes: usize,
    /// Absent if nobody wants to know.
    note: Option<Arc<Note>>,
}

impl Batch {
    /// A batch of these events. `finalizer` learns what became of them.
    pub fn new(events: Vec<Event>, finalizer: Option<Finalizer>) -> Batch {
        Batch {
            bytes: events.iter().map(Event::size).sum(),
            events,
            note: finalizer.map(|finalizer| {
                Arc::new(Note {
                    worst: AtomicU8::new(0),
                    finalizer: Some(finalizer),
                })
            }),
        }
    }

    /// The same batch, known to keep a buffer of `held` bytes alive, however
    /// little of it its messages are.
    #[must_use]
    pub fn holding(mut self, held: usize) -> Batch {
        let slots = self.events.len() * size_of::<Event>();
        self.bytes = self.bytes.max(held + slots);
        self
    }

    /// The messages.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// About how many bytes the batch keeps alive.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn say(&self, outcome: Outcome) {
        if let Some(note) = &self.note {
            note.say(outcome);
        }
    }
}

#[derive(Debug, Clone)]
enum Picked {
    All,
    Some(Box<[u32]>),
}

/// Messages of a batch for one consumer, who says what became of them:
/// [`Delivery::done`], [`Delivery::refuse`], or, by letting go of it without
/// a word, that they were abandoned.
#[derive(Debug)]
pub struct Delivery {
    batch: Arc<Batch>,
    picked: Picked,
    /// How many of the picked messages need not be looked at again.
    passed: usize,
    injected: bool,
    decided: bool,
    hold: Option<Hold>,
}

impl Delivery {
    /// All messages of a batch.
    pub fn all(batch: Arc<Batch>) -> Delivery {
        Delivery::of(batch, Picked::All)
    }

    /// The messages at these places of the batch.
    pub fn some(batch: Arc<Batch>, picked: Vec<u32>) -> Delivery {
        if picked.len() == batch.events.len() {
            return Delivery::all(batch);
        }
        Delivery::of(batch, Picked::Some(picked.into()))
    }

    fn of(batch: Arc<Batch>, picked: Picked) -> Delivery {
        Delivery {
            batch,
            picked,
            passed: 0,
            injected: false,
            decided: false,
            hold: None,
        }
    }

    pub(crate) fn injected(mut self, injected: bool) -> Delivery {
        self.injected = injected;
        self
    }

    /// The same delivery, in the hands of a consumer.
    pub(super) fn held(&mut self, hold: Hold) {
        self.hold = Some(hold);
    }

    pub(crate) fn is_injected(&self) -> bool {
        self.injected
    }

    /// Number of messages still to look at.
    pub fn len(&self) -> usize {
        let picked = match &self.picked {
            Picked::All => self.batch.events.len(),
            Picked::Some(places) => places.len(),
        };
        picked - self.passed
    }

    /// Whether nothing is left to look at.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes the delivery keeps alive: those of the whole batch.
    pub fn bytes(&self) -> usize {
        self.batch.bytes
    }

    /// The messages still to look at.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        let (all, some) = match &self.picked {
            Picked::All => (&self.batch.events[self.passed..], &[][..]),
            Picked::Some(places) => (&[][..], &places[self.passed..]),
        };
        let picked = some.iter().map(|place| &self.batch.events[*place as usize]);
        all.iter().chain(picked)
    }

    /// The next message to look at.
    pub fn first(&self) -> Option<&Event> {
        self.events().next()
    }

    /// Passes over the next `count` messages: a later try starts behind them.
    pub fn pass(&mut self, count: usize) {
        self.passed += count.min(self.len());
    }

    /// The messages arrived.
    pub fn done(mut self) {
        self.decided = true;
    }

    /// Whether anybody waits for the word.
    pub fn is_awaited(&self) -> bool {
        self.batch.note.is_some()
    }

    /// Lets go of the messages but not of the duty to say what became of
    /// them: for outputs that have handed them on and wait for a word.
    pub fn into_receipt(mut self) -> Receipt {
        self.decided = true;
        Receipt {
            note: self.batch.note.clone(),
            _hold: self.hold.take(),
        }
    }

    /// The messages will never arrive, trying again would not help.
    pub fn refuse(mut self) {
        self.batch.say(Outcome::Refused);
        self.decided = true;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.decided {
            self.batch.say(Outcome::Abandoned);
        }
    }
}

/// What is left of a [`Delivery`] whose messages were handed on: they arrived
/// when [`Receipt::done`] is called, and count as abandoned if it is let go
/// without.
#[derive(Debug)]
#[must_use = "letting go of a receipt abandons the messages"]
pub struct Receipt {
    note: Option<Arc<Note>>,
    _hold: Option<Hold>,
}

impl Receipt {
    /// The messages arrived.
    pub fn done(mut self) {
        self.note = None;
    }

    /// Whether anybody waits for the word.
    pub fn is_awaited(&self) -> bool {
        self.note.is_some()
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(note) = &self.note {
            note.say(Outcome::Abandoned);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use parking_lot::Mutex;

    fn batch(seen: &Arc<Mutex<Option<Outcome>>>) -> Arc<Batch> {
        let seen = seen.clone();
        let events = (0..3).map(|pid| {
            Event::from(Message {
                pid: Some(pid),
                ..Message::default()
            })
        });
        let note = Finalizer::new(move |outcome| *seen.lock() = Some(outcome));
        Arc::new(Batch::new(events.collect(), Some(note)))
    }

    #[test]
    fn the_worst_outcome_is_reported_when_the_last_one_lets_go() {
        let seen = Arc::default();
        let batch = batch(&seen);
        let first = Delivery::all(batch.clone());
        let second = Delivery::some(batch, vec![1]);
        first.done();
        assert_eq!(*seen.lock(), None);
        second.refuse();
        assert_eq!(*seen.lock(), Some(Outcome::Refused));
    }

    #[test]
    fn a_batch_counts_the_buffer_it_keeps_alive() {
        let small = Batch::new(Vec::new(), None).holding(4096);
        assert_eq!(small.bytes(), 4096);
        let event = Event::from(Message {
            payload: Some(vec![0; 5000].into()),
            ..Message::default()
        });
        let large = Batch::new(vec![event], None).holding(100);
        assert!(large.bytes() > 5000);
    }

    #[test]
    fn letting_go_without_a_word_is_abandoning() {
        let seen = Arc::default();
        drop(Delivery::all(batch(&seen)));
        assert_eq!(*seen.lock(), Some(Outcome::Abandoned));
    }

    #[test]
    fn a_receipt_keeps_the_outcome_open() {
        let seen = Arc::default();
        let receipt = Delivery::all(batch(&seen)).into_receipt();
        assert_eq!(*seen.lock(), None);
        receipt.done();
        assert_eq!(*seen.lock(), Some(Outcome::Delivered));
        let seen = Arc::default();
        drop(Delivery::all(batch(&seen)).into_receipt());
        assert_eq!(*seen.lock(), Some(Outcome::Abandoned));
    }

    #[test]
    fn passed_messages_are_not_seen_again() {
        let seen = Arc::default();
        let batch = batch(&seen);
        let pids = |delivery: &Delivery| delivery.events().map(Event::pid).collect::<Vec<_>>();
        let mut some = Delivery::some(batch.clone(), vec![0, 2]);
        assert_eq!(pids(&some), [0, 2]);
        some.pass(1);
        assert_eq!(pids(&some), [2]);
        let mut all = Delivery::all(batch);
        all.pass(2);
        assert_eq!((pids(&all), all.len()), (vec![2], 1));
    }
}
