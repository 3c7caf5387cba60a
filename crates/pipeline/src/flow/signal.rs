//! A flag that is raised once and wakes whoever waits for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

type Hook = Box<dyn FnOnce() + Send>;

/// A flag that is raised once. Clones share it.
///
/// Who waits on something else (a socket, a queue) leaves a hook that ends
/// that waiting.
#[derive(Clone, Default)]
pub struct Signal {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    raised: AtomicBool,
    hooks: Mutex<Vec<(u64, Hook)>>,
    changed: Condvar,
    next: Mutex<u64>,
}

impl Signal {
    /// A flag not yet raised.
    pub fn new() -> Signal {
        Signal::default()
    }

    /// Whether the flag was raised.
    pub fn is_raised(&self) -> bool {
        self.shared.raised.load(Ordering::Acquire)
    }

    /// Raises the flag, wakes those who wait and runs the hooks.
    pub fn raise(&self) {
        let hooks = {
            let mut hooks = self.shared.hooks.lock();
            self.shared.raised.store(true, Ordering::Release);
            self.shared.changed.notify_all();
            std::mem::take(&mut *hooks)
        };
        for (_, hook) in hooks {
            hook();
        }
    }

    /// Waits until the flag is raised, at most this long. True if it is.
    pub fn wait(&self, timeout: Duration) -> bool {
        let mut hooks = self.shared.hooks.lock();
        if !self.is_raised() {
            let lowered = |_: &mut Vec<(u64, Hook)>| !self.shared.raised.load(Ordering::Acquire);
            self.shared
                .changed
                .wait_while_for(&mut hooks, lowered, timeout);
        }
        self.is_raised()
    }

    /// Runs `hook` when the flag is raised, at once if it is already. The
    /// hook is forgotten when the returned guard is dropped.
    #[must_use = "the hook is forgotten when this is dropped"]
    pub fn hook(&self, hook: impl FnOnce() + Send + 'static) -> HookGuard {
        let number = {
            let mut next = self.shared.next.lock();
            *next += 1;
            *next
        };
        let mut hooks = self.shared.hooks.lock();
        if self.is_raised() {
            drop(hooks);
            hook();
        } else {
            hooks.push((number, Box::new(hook)));
        }
        HookGuard {
            signal: self.clone(),
            number,
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signal({})", self.is_raised())
    }
}

/// Keeps a hook of a [`Signal`] in place.
#[derive(Debug)]
pub struct HookGuard {
    signal: Signal,
    number: u64,
}

impl Drop for HookGuard {
    fn drop(&mut self) {
        let mut hooks = self.signal.shared.hooks.lock();
        hooks.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raising_wakes_waiters_and_runs_hooks_once() {
        let signal = Signal::new();
        let ran = Arc::new(Mutex::new(0));
        let count = ran.clone();
        let _guard = signal.hook(move || *count.lock() += 1);
        let waiter = std::thread::spawn({
            let signal = signal.clone();
            move || signal.wait(Duration::from_secs(60))
        });
        signal.raise();
        signal.raise();
        assert!(waiter.join().unwrap());
        assert_eq!(*ran.lock(), 1);
    }

    #[test]
    fn a_dropped_guard_forgets_its_hook() {
        let signal = Signal::new();
        let ran = Arc::new(Mutex::new(0));
        let count = ran.clone();
        drop(signal.hook(move || *count.lock() += 1));
        signal.raise();
        assert_eq!(*ran.lock(), 0);
    }

    #[test]
    fn waiting_ends_in_time_without_a_signal() {
        assert!(!Signal::new().wait(Duration::ZERO));
    }
}
