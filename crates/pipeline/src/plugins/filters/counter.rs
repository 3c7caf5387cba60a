//! Counting messages.

use std::time::Instant;

use crate::flow::Delivery;
use crate::plugin::{
    BuildContext, BuildError, Defaults, Filter, FilterContext, NoSettings, Plugin,
};

/// Ticks after which a summary is written.
const SUMMARY_EVERY: usize = 10;

/// Says at each tick how many messages it has seen and how fast they came,
/// and at every tenth the slowest, fastest and mean rate.
#[derive(Debug)]
pub struct CounterFilter {
    count: u64,
    told: u64,
    since: Instant,
    rates: Vec<f64>,
}

impl Plugin for CounterFilter {
    const TYPE: &'static str = "CounterFilter";
    type Settings = NoSettings;

    fn build(_: &NoSettings, _: &BuildContext<'_>) -> Result<CounterFilter, BuildError> {
        Ok(CounterFilter {
            count: 0,
            told: 0,
            since: Instant::now(),
            rates: Vec::new(),
        })
    }

    fn defaults() -> Defaults {
        Defaults {
            ticker_interval: Some(5),
            matcher: Some("Type != 'heka.counter-output'"),
            ..Defaults::default()
        }
    }
}

impl CounterFilter {
    /// The summary, when there are rates enough.
    fn summary(&mut self) -> Option<String> {
        if self.rates.len() < SUMMARY_EVERY {
            return None;
        }
        let rates = std::mem::take(&mut self.rates);
        let min = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let max = rates.iter().copied().fold(0.0, f64::max);
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        Some(format!(
            "AGG Sum. Min: {min:.2}   Max: {max:.2}     Mean: {mean:.2}"
        ))
    }
}

fn tell(payload: String, cx: &mut FilterContext) {
    let mut message = cx.message();
    message.kind = Some("heka.counter-output".into());
    message.payload = Some(payload.into());
    cx.inject(message);
}

impl Filter for CounterFilter {
    fn process(&mut self, delivery: &Delivery, _: &mut FilterContext) -> Result<(), String> {
        self.count += delivery.len() as u64;
        Ok(())
    }

    fn tick(&mut self, cx: &mut FilterContext) -> Result<(), String> {
        let seconds = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        let fresh = self.count - self.told;
        if fresh == 0 {
            return Ok(());
        }
        self.told = self.count;
        let rate = fresh as f64 / seconds.max(f64::MIN_POSITIVE);
        self.rates.push(rate);
        tell(
            format!("Got {} messages. {rate:.2} msg/sec", self.count),
            cx,
        );
        if let Some(summary) = self.summary() {
            tell(summary, cx);
        }
        Ok(())
    }
}
