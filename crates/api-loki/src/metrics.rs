//! What distributor and ingester count, as metrics under Loki's names.

use std::sync::Arc;

use headwater_exposition::registry::Collect;
use headwater_exposition::{Metric, MetricFamily, MetricValue};
use headwater_logs::{Distributor, Ingester};
use headwater_model::MetricType;

/// Tells what the modules count whenever it is asked.
pub(crate) struct Modules {
    pub(crate) distributor: Arc<Distributor>,
    pub(crate) ingester: Arc<Ingester>,
}

fn counter(name: &str, help: &str) -> MetricFamily {
    MetricFamily::new(name, help, MetricType::Counter)
}

impl Collect for Modules {
    fn collect(&self, out: &mut Vec<MetricFamily>) {
        let mut bytes = counter(
            "loki_distributor_bytes_received_total",
            "The total number of uncompressed bytes received per tenant.",
        );
        let mut lines = counter(
            "loki_distributor_lines_received_total",
            "The total number of lines received per tenant",
        );
        let mut samples = counter(
            "loki_discarded_samples_total",
            "The total number of samples that were discarded.",
        );
        let mut discarded = counter(
            "loki_discarded_bytes_total",
            "The total number of bytes that were discarded.",
        );
        for (tenant, counts) in self.distributor.counts() {
            let count = |family: &mut MetricFamily, number: u64| {
                let metric = Metric::new(MetricValue::Number(number as f64));
                family.metrics.push(metric.label("tenant", tenant.as_str()));
            };
            count(&mut bytes, counts.bytes);
            count(&mut lines, counts.lines);
            for (reason, (entries, size)) in &counts.discarded {
                for (family, number) in [(&mut samples, entries), (&mut discarded, size)] {
                    let metric = Metric::new(MetricValue::Number(*number as f64));
                    let metric = metric.label("reason", *reason);
                    family.metrics.push(metric.label("tenant", tenant.as_str()));
                }
            }
        }
        let mut streams = MetricFamily::new(
            "loki_ingester_memory_streams",
            "The total number of streams in memory per tenant.",
            MetricType::Gauge,
        );
        for (tenant, count) in self.ingester.active_streams() {
            let metric = Metric::new(MetricValue::Number(count as f64));
            streams.metrics.push(metric.label("tenant", tenant));
        }
        let head = MetricFamily::new(
            "headwater_chunkstore_head_bytes",
            "Bytes of entries that are not in a part yet.",
            MetricType::Gauge,
        );
        let held = self.ingester.store().head_bytes() as f64;
        let head = head.with(Metric::new(MetricValue::Number(held)));
        out.extend([bytes, lines, samples, discarded, streams, head]);
    }
}
