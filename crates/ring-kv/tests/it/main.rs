//! A member driven over a store, with time in the hands of the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use headwater_env::{Clock, Rng};
use headwater_ring::{Desc, LifecycleConfig, State};
use headwater_ring_kv::{Change, KvError, Lifecycler, MemoryStore, RingStore, RingStoreExt};
use headwater_storage::BoxFuture;
use tokio::sync::watch;

/// Follows tokio's paused clock.
#[derive(Debug)]
struct TestClock(tokio::time::Instant);

impl Clock for TestClock {
    fn unix_nanos(&self) -> i64 {
        self.0.elapsed().as_nanos() as i64 + 1_000_000_000_000
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Rng for Counter {
    fn next_u64(&self) -> u64 {
        (self.0.fetch_add(1, Ordering::Relaxed) + 1) << 32
    }
}

/// A store that does not answer for a while.
struct Flaky {
    store: MemoryStore,
    failures: AtomicI64,
}

impl RingStore for Flaky {
    fn publish<'a>(
        &'a self,
        ring: &'a str,
        change: &'a mut Change<'a>,
    ) -> BoxFuture<'a, Result<Arc<Desc>, KvError>> {
        if self.failures.fetch_sub(1, Ordering::Relaxed) > 0 {
            return Box::pin(async { Err(KvError::Unavailable("test".to_owned())) });
        }
        self.store.publish(ring, change)
    }

    fn watch(&self, ring: &str) -> watch::Receiver<Arc<Desc>> {
        self.store.watch(ring)
    }
}

fn lifecycler(store: Arc<dyn RingStore>, id: &str) -> Lifecycler {
    let mut config = LifecycleConfig::new(id, format!("{id}:9095"));
    config.tokens = 4;
    let clock = Arc::new(TestClock(tokio::time::Instant::now()));
    Lifecycler::new(
        store,
        "ring",
        config,
        Vec::new(),
        clock,
        Arc::new(Counter::default()),
    )
}

fn on_paused_clock(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(test);
}

#[test]
fn comes_stays_and_goes() {
    on_paused_clock(async {
        let store = MemoryStore::new();
        let mut ring = store.watch("ring");
        let driver = lifecycler(Arc::new(store.clone()), "a");
        let handle = driver.handle();
        assert_eq!(handle.state(), None);
        let owner = async {
            ring.wait_for(|desc| {
                desc.instances
                    .get("a")
                    .is_some_and(|i| i.state == State::Active)
            })
            .await
            .expect("the store lives");
            assert_eq!(handle.tokens(), [1, 2, 3, 4]);
            assert!(handle.not_ready(60).is_some());
            tokio::time::sleep(Duration::from_secs(20)).await;
            assert_eq!(handle.not_ready(60), None);
            let beat = store.current("ring").instances["a"].heartbeat;
            assert!((1015..=1020).contains(&beat), "a sign of life at {beat}");
            handle.leave();
            ring.wait_for(|desc| desc.instances["a"].state == State::Leaving)
                .await
                .expect("the store lives");
            tokio::time::sleep(Duration::from_secs(10)).await;
            let beat = store.current("ring").instances["a"].heartbeat;
            assert!(beat >= 1025, "it shows life while it leaves: {beat}");
            handle.go();
        };
        let (driven, ()) = tokio::join!(driver.run(), owner);
        driven.expect("a whole life");
        assert!(store.current("ring").instances.is_empty());
        assert_eq!(handle.state(), None);
    });
}

#[test]
fn outlasts_a_silent_store_and_a_lost_entry() {
    on_paused_clock(async {
        let store = MemoryStore::new();
        let flaky = Flaky {
            store: store.clone(),
            failures: AtomicI64::new(5),
        };
        let driver = lifecycler(Arc::new(flaky), "a");
        let handle = driver.handle();
        let owner = async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(handle.state(), Some(State::Active));
            store
                .forget("ring", "a")
                .await
                .expect("it can be forgotten");
            assert!(store.current("ring").instances.is_empty());
            tokio::time::sleep(Duration::from_secs(10)).await;
            let back = store.current("ring").instances["a"].clone();
            assert_eq!((back.state, back.tokens), (State::Active, handle.tokens()));
            handle.go();
        };
        let (driven, ()) = tokio::join!(driver.run(), owner);
        driven.expect("a whole life");
    });
}

#[test]
fn members_draw_different_tokens() {
    on_paused_clock(async {
        let store = MemoryStore::new();
        let drivers: Vec<_> = ["a", "b", "c"]
            .map(|id| lifecycler(Arc::new(store.clone()), id))
            .into();
        let handles: Vec<_> = drivers.iter().map(Lifecycler::handle).collect();
        let owner = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let desc = store.current("ring");
            let mut tokens: Vec<u32> = desc
                .instances
                .values()
                .flat_map(|i| i.tokens.clone())
                .collect();
            tokens.sort_unstable();
            tokens.dedup();
            assert_eq!(tokens.len(), 12);
            handles.iter().for_each(|handle| handle.go());
        };
        let mut drivers = drivers.into_iter().map(Lifecycler::run);
        let (a, b, c) = (drivers.next(), drivers.next(), drivers.next());
        let run = |driver: Option<_>| async { driver.expect("three drivers").await };
        let (a, b, c, ()) = tokio::join!(run(a), run(b), run(c), owner);
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
    });
}
