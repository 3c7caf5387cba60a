//! What a plugin counts about itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// One counter. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds to the counter.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets a value that can also go down.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// The counters of one plugin, by the names heka's reports use.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Messages handled.
    pub processed: Counter,
    /// Messages that could not be handled.
    pub failed: Counter,
    /// Messages dropped.
    pub dropped: Counter,
    /// Messages injected.
    pub injected: Counter,
    more: Arc<Mutex<BTreeMap<String, Counter>>>,
}

impl Stats {
    /// A counter of the plugin's own, made when first asked for.
    pub fn counter(&self, name: &str) -> Counter {
        let mut more = self.more.lock();
        if let Some(counter) = more.get(name) {
            return counter.clone();
        }
        more.entry(name.to_owned()).or_default().clone()
    }

    /// All counters with their names.
    pub fn all(&self) -> Vec<(String, u64)> {
        let fixed = [
            ("ProcessMessageCount", &self.processed),
            ("ProcessMessageFailures", &self.failed),
            ("DropMessageCount", &self.dropped),
            ("InjectMessageCount", &self.injected),
        ];
        let more = self.more.lock();
        fixed
            .into_iter()
            .map(|(name, counter)| (name.to_owned(), counter.get()))
            .chain(
                more.iter()
                    .map(|(name, counter)| (name.clone(), counter.get())),
            )
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Stats;

    #[test]
    fn a_counter_of_its_own_is_shared_by_name() {
        let stats = Stats::default();
        stats.counter("lines").add(2);
        stats.counter("lines").add(1);
        assert_eq!(stats.all().last(), Some(&("lines".to_owned(), 3)));
    }
}
