//! Mechanisms that ask again and again.

use std::pin::Pin;
use std::time::{Duration, Instant};

use headwater_exposition::registry::{Counter, Summary};
use headwater_model::TargetGroup;

use crate::metrics::Metrics;
use crate::provider::{Provider, Running, Updates};

/// What one round of asking gives: groups, or words for the log.
pub type Refreshed = Result<Vec<TargetGroup>, String>;

type Asking<'a> = Pin<Box<dyn Future<Output = Refreshed> + Send + 'a>>;
type Ask<T> = Box<dyn for<'a> Fn(&'a mut T) -> Asking<'a> + Send>;

/// A provider made of a function that is called every so often.
///
/// If asking fails, that is logged and counted, and the targets stay as they were.
pub struct Refresh<T> {
    mechanism: &'static str,
    config: String,
    every: Duration,
    state: T,
    ask: Ask<T>,
    failures: Counter,
    duration: Summary,
}

impl<T> std::fmt::Debug for Refresh<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refresh")
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Refresh<T> {
    /// Calls `ask` with `state` at once and then every `every`, but not while it still runs.
    pub fn new(
        mechanism: &'static str,
        config: &str,
        every: Duration,
        metrics: &Metrics,
        state: T,
        ask: impl for<'a> Fn(&'a mut T) -> Asking<'a> + Send + 'static,
    ) -> Self {
        Self {
            mechanism,
            config: config.to_owned(),
            // No time at all would be asking without end.
            every: every.max(Duration::from_millis(1)),
            state,
            ask: Box::new(ask),
            failures: metrics.refresh_failures.with(&[mechanism, config]),
            duration: metrics.refresh_duration.with(&[mechanism, config]),
        }
    }

    async fn refresh(&mut self, out: &Updates) {
        let began = Instant::now();
        let outcome = (self.ask)(&mut self.state).await;
        self.duration.observe(began.elapsed().as_secs_f64());
        match outcome {
            Ok(groups) => out.send(groups).await,
            Err(error) => {
                self.failures.inc();
                tracing::error!(
                    discovery = self.mechanism,
                    config = self.config,
                    error,
                    "Unable to refresh target groups"
                );
            }
        }
    }
}

impl<T: Send + 'static> Provider for Refresh<T> {
    fn run(mut self: Box<Self>, out: Updates) -> Running {
        Box::pin(async move {
            let mut ticks = tokio::time::interval(self.every);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                self.refresh(&out).await;
            }
        })
    }
}
