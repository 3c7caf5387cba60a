//! Which heads are written to parts next: priority queues, and the rules that fill them.
//!
//! A tenant always goes to the same queue, and a queue is worked on by one thread at a time, so that
//! the heads of a tenant become parts one after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::config::Config;
use crate::head::Head;

/// Why heads are written to a part. The first reasons come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlushReason {
    /// Somebody asked for it.
    Forced,
    /// They have grown large enough.
    Full,
    /// Their oldest entry has waited long enough.
    MaxAge,
    /// Nothing came for a while.
    Idle,
}

impl FlushReason {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Forced, Self::Full, Self::MaxAge, Self::Idle];

    /// The word that metrics and logs use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::MaxAge => "max_age",
            Self::Idle => "idle",
            Self::Forced => "forced",
        }
    }
}

impl Config {
    /// The reason for which a head should be written now, if there is one.
    pub(crate) fn due(&self, head: &Head, now: Duration) -> Option<FlushReason> {
        let first = head.first_push?;
        if head.bytes() >= self.flush_bytes {
            return Some(FlushReason::Full);
        }
        if now.saturating_sub(first) >= self.max_age {
            return Some(FlushReason::MaxAge);
        }
        (now.saturating_sub(head.last_push) >= self.idle).then_some(FlushReason::Idle)
    }
}

/// Tenants whose heads should be written, by urgency, then by how long they have waited.
#[derive(Debug)]
pub(crate) struct FlushQueues {
    queues: Vec<Queue>,
    /// Counts what was put in.
    next: u64,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: BTreeMap<(FlushReason, u64), String>,
    /// Somebody works on this queue.
    busy: bool,
}

/// A tenant taken out of its queue, to be given back.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) tenant: String,
    pub(crate) reason: FlushReason,
    queue: usize,
}

impl FlushQueues {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            queues: (0..count.max(1)).map(|_| Queue::default()).collect(),
            next: 0,
        }
    }

    fn queue_of(&self, tenant: &str) -> usize {
        (xxh3_64(tenant.as_bytes()) % self.queues.len() as u64) as usize
    }

    /// Puts a tenant in, or makes it more urgent if it waits already. False if it waited as urgently.
    pub(crate) fn put(&mut self, tenant: &str, reason: FlushReason) -> bool {
        let number = self.queue_of(tenant);
        let waiting = &mut self.queues[number].waiting;
        let known = waiting.iter().find(|(_, name)| *name == tenant);
        match known.map(|(key, _)| *key) {
            Some((before, _)) if before <= reason => return false,
            Some(before) => drop(waiting.remove(&before)),
            None => {}
        }
        waiting.insert((reason, self.next), tenant.to_owned());
        self.next += 1;
        true
    }

    /// Takes the most urgent tenant of all queues that nobody works on.
    pub(crate) fn take(&mut self) -> Option<Taken> {
        let free = self
            .queues
            .iter()
            .enumerate()
            .filter(|(_, queue)| !queue.busy);
        let first =
            |(number, queue): (usize, &Queue)| Some((*queue.waiting.first_key_value()?.0, number));
        let (_, number) = free.filter_map(first).min()?;
        let queue = &mut self.queues[number];
        let ((reason, _), tenant) = queue.waiting.pop_first()?;
        queue.busy = true;
        Some(Taken {
            tenant,
            reason,
            queue: number,
        })
    }

    /// The work on a tenant has ended.
    pub(crate) fn done(&mut self, taken: &Taken) {
        self.queues[taken.queue].busy = false;
    }

    /// Whether nothing waits and nobody works.
    pub(crate) fn is_idle(&self) -> bool {
        self.queues
            .iter()
            .all(|queue| !queue.busy && queue.waiting.is_empty())
    }

    /// Tenants that wait.
    pub(crate) fn len(&self) -> usize {
        self.queues.iter().map(|queue| queue.waiting.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgent_tenants_come_first_and_those_who_wait_longest() {
        let mut queues = FlushQueues::new(16);
        for (tenant, reason) in [
            ("idle", FlushReason::Idle),
            ("old", FlushReason::MaxAge),
            ("full", FlushReason::Full),
            ("later", FlushReason::MaxAge),
        ] {
            assert!(queues.put(tenant, reason));
        }
        assert!(queues.put("idle", FlushReason::Forced), "more urgent now");
        assert!(!queues.put("idle", FlushReason::Full), "less urgent");
        let mut order = Vec::new();
        while let Some(taken) = queues.take() {
            queues.done(&taken);
            order.push(taken.tenant);
        }
        assert_eq!(order, ["idle", "full", "old", "later"]);
        assert!(queues.is_idle() && queues.len() == 0);
    }

    #[test]
    fn a_queue_is_worked_on_by_one() {
        let mut queues = FlushQueues::new(1);
        queues.put("a", FlushReason::Full);
        queues.put("b", FlushReason::Full);
        let first = queues.take().unwrap();
        assert!(queues.take().is_none() && !queues.is_idle());
        // Pushed again while it is being written: it waits for its turn.
        assert!(queues.put("a", FlushReason::Full));
        queues.done(&first);
        assert_eq!(queues.take().unwrap().tenant, "b");
    }

    #[test]
    fn heads_are_due_when_full_old_or_idle() {
        let mut config = Config::new("/d");
        config.flush_bytes = 1000;
        let seconds = Duration::from_secs;
        assert_eq!(config.due(&Head::default(), seconds(1 << 30)), None);
        let mut head = Head::default();
        let push = |head: &mut Head, at: u64, bytes: usize| {
            let entry = crate::PushEntry {
                time: 1,
                line: vec![b'x'; bytes],
                metadata: headwater_model::Labels::empty(),
            };
            let labels = headwater_model::Labels::from_pairs([("a", "b")]);
            head.push(
                &[crate::PushStream {
                    labels,
                    entries: vec![entry],
                }],
                seconds(at),
                0,
            );
        };
        push(&mut head, 0, 100);
        assert_eq!(config.due(&head, seconds(60)), None);
        assert_eq!(config.due(&head, config.idle), Some(FlushReason::Idle));
        for minute in 1..120 {
            push(&mut head, minute * 60, 1);
            let due = config.due(&head, seconds(minute * 60));
            assert_eq!(due, None, "minute {minute}, {} bytes", head.bytes());
            if head.bytes() > 900 {
                break;
            }
        }
        assert_eq!(config.due(&head, config.max_age), Some(FlushReason::MaxAge));
        push(&mut head, 0, 900);
        assert_eq!(config.due(&head, seconds(60)), Some(FlushReason::Full));
    }
}
