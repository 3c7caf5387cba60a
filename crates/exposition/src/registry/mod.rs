//! A program's own metrics: handles that are cheap to update, gathered when asked.
//!
//! [`Registry`] hands out handles and gathers them; [`Counter`], [`Gauge`], [`Histogram`] and
//! [`Summary`] are the handles, each one `Arc`; [`Family`] keeps one for each set of label
//! values; [`process`] and [`Registry::build_info`] tell what every server should.

mod family;
mod histogram;
mod number;
pub mod process;
mod summary;

use std::sync::Arc;

use headwater_model::MetricType;
use parking_lot::RwLock;

pub use family::Family;
pub use histogram::{DEFAULT_BUCKETS, Histogram, exponential_buckets, linear_buckets};
pub use number::{Counter, Gauge};
pub use summary::{Summary, WINDOW_AGE, WINDOW_OBSERVATIONS};

use crate::escape::Escaping;
use crate::family::{Metric, MetricFamily, MetricValue};
use crate::format::Protocol;

/// Something that tells families when asked.
pub trait Collect: Send + Sync {
    /// Appends what there is to tell.
    fn collect(&self, out: &mut Vec<MetricFamily>);
}

/// A handle whose current value can be told.
pub trait Measure: Clone + Send + Sync + 'static {
    /// The type of the family.
    const TYPE: MetricType;

    /// The current value.
    fn measure(&self) -> MetricValue;
}

/// All metrics of a program, or of a part of it. Cloning is cheap and shares them.
///
/// Components take a registry by reference and keep handles. Registering one name twice gives
/// two handles whose metrics are told under one name: give them different labels.
#[derive(Clone, Default)]
pub struct Registry {
    collectors: Arc<RwLock<Vec<Box<dyn Collect>>>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("collectors", &self.collectors.read().len())
            .finish()
    }
}

impl Registry {
    /// A registry without metrics.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a collector of several families, or one with its own idea of time.
    pub fn register(&self, collector: impl Collect + 'static) {
        self.collectors.write().push(Box::new(collector));
    }

    /// A counter without labels. Its name should end in `_total`.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        self.counters(name, help, &[]).with(&[])
    }

    /// A gauge without labels.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.gauges(name, help, &[]).with(&[])
    }

    /// A histogram without labels, with upper bounds in ascending order.
    pub fn histogram(&self, name: &str, help: &str, bounds: &[f64]) -> Histogram {
        self.histograms(name, help, &[], bounds).with(&[])
    }

    /// A summary without labels, with the quantiles to tell (none: only sum and count).
    pub fn summary(&self, name: &str, help: &str, quantiles: &[f64]) -> Summary {
        self.summaries(name, help, &[], quantiles).with(&[])
    }

    /// Counters told apart by labels.
    pub fn counters(&self, name: &str, help: &str, labels: &[&'static str]) -> Family<Counter> {
        self.family(name, help, labels, Counter::default)
    }

    /// Gauges told apart by labels.
    pub fn gauges(&self, name: &str, help: &str, labels: &[&'static str]) -> Family<Gauge> {
        self.family(name, help, labels, Gauge::default)
    }

    /// Histograms told apart by labels.
    pub fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&'static str],
        bounds: &[f64],
    ) -> Family<Histogram> {
        let bounds = bounds.to_vec();
        self.family(name, help, labels, move || Histogram::new(&bounds))
    }

    /// Summaries told apart by labels.
    pub fn summaries(
        &self,
        name: &str,
        help: &str,
        labels: &[&'static str],
        quantiles: &[f64],
    ) -> Family<Summary> {
        let quantiles = quantiles.to_vec();
        self.family(name, help, labels, move || Summary::new(&quantiles))
    }

    fn family<M: Measure>(
        &self,
        name: &str,
        help: &str,
        labels: &[&'static str],
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Family<M> {
        let family = Family::new(name, help, labels, make);
        self.register(family.clone());
        family
    }

    /// A gauge whose value is asked for when it is told.
    pub fn gauge_fn(
        &self,
        name: &str,
        help: &str,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.number_fn(name, help, MetricType::Gauge, value);
    }

    /// A counter whose value is asked for when it is told.
    pub fn counter_fn(
        &self,
        name: &str,
        help: &str,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.number_fn(name, help, MetricType::Counter, value);
    }

    fn number_fn(
        &self,
        name: &str,
        help: &str,
        metric_type: MetricType,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.register(NumberFn {
            empty: MetricFamily::new(name, help, metric_type),
            value,
        });
    }

    /// `PROGRAM_build_info`: a gauge that is always 1, with facts as labels.
    pub fn build_info(&self, program: &str, facts: &[(&'static str, &str)]) {
        let help = format!(
            "A metric with a constant '1' value labeled by facts about the build of {program}."
        );
        let names: Vec<&'static str> = facts.iter().map(|(name, _)| *name).collect();
        let values: Vec<&str> = facts.iter().map(|(_, value)| *value).collect();
        self.gauges(&format!("{program}_build_info"), &help, &names)
            .with(&values)
            .set(1.0);
    }

    /// Everything there is to tell, sorted by name; families of one name are joined.
    pub fn gather(&self) -> Vec<MetricFamily> {
        let mut families = Vec::new();
        for collector in self.collectors.read().iter() {
            collector.collect(&mut families);
        }
        // Stable, so that metrics keep the order of their registration.
        families.sort_by(|a, b| a.name.cmp(&b.name));
        families.dedup_by(|later, first| {
            let same = later.name == first.name;
            if same {
                first.metrics.append(&mut later.metrics);
            }
            same
        });
        families.retain(|family| !family.metrics.is_empty());
        families
    }

    /// The body of an answer to `GET /metrics`.
    pub fn write(&self, protocol: Protocol, escaping: Escaping) -> Vec<u8> {
        crate::write::write_body(&self.gather(), protocol, escaping)
    }
}

struct NumberFn<F> {
    empty: MetricFamily,
    value: F,
}

impl<F: Fn() -> f64 + Send + Sync> Collect for NumberFn<F> {
    fn collect(&self, out: &mut Vec<MetricFamily>) {
        let metric = Metric::new(MetricValue::Number((self.value)()));
        out.push(self.empty.clone().with(metric));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(registry: &Registry) -> String {
        let body = registry.write(Protocol::PrometheusText0_0_4, Escaping::Underscores);
        String::from_utf8(body).expect("text")
    }

    #[test]
    fn tells_everything_sorted() {
        let registry = Registry::new();
        registry.gauge("z", "").set(1.5);
        registry.gauge_fn("m", "", || 2.0);
        registry
            .counters("c_total", "Counts.", &["a"])
            .with(&["x"])
            .inc();
        registry.counters("unused_total", "", &["a"]);
        registry.build_info("p", &[("version", "1"), ("revision", "r")]);
        assert_eq!(
            text(&registry),
            "# HELP c_total Counts.\n# TYPE c_total counter\nc_total{a=\"x\"} 1\n\
             # TYPE m gauge\nm 2\n\
             # HELP p_build_info A metric with a constant '1' value labeled by facts about the build of p.\n\
             # TYPE p_build_info gauge\np_build_info{version=\"1\",revision=\"r\"} 1\n\
             # TYPE z gauge\nz 1.5\n"
        );
    }

    #[test]
    fn one_name_is_one_family() {
        let registry = Registry::new();
        registry
            .counters("c_total", "", &["part"])
            .with(&["a"])
            .inc();
        registry
            .counters("c_total", "", &["part"])
            .with(&["b"])
            .add(2.0);
        assert_eq!(
            text(&registry),
            "# TYPE c_total counter\nc_total{part=\"a\"} 1\nc_total{part=\"b\"} 2\n"
        );
    }
}
