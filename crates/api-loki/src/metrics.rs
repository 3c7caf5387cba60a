//! What distributor and ingester count, as metrics under Loki's names.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_chunkstore::FlushReason;
use headwater_exposition::registry::Collect;
use headwater_exposition::{Metric, MetricFamily, MetricValue};
use headwater_logs::{Distributor, Ingester};
use headwater_model::MetricType;
use parking_lot::Mutex;

/// Tells what the modules count whenever it is asked.
pub(crate) struct Modules {
    pub(crate) distributor: Arc<Distributor>,
    pub(crate) ingester: Arc<Ingester>,
    /// Followers by tenant.
    pub(crate) tails: Arc<Mutex<BTreeMap<String, usize>>>,
}

fn gauge(name: &str, help: &str, value: f64) -> MetricFamily {
    let metric = Metric::new(MetricValue::Number(value));
    MetricFamily::new(name, help, MetricType::Gauge).with(metric)
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
        self.store(out);
        let tails: usize = self.tails.lock().values().sum();
        out.push(gauge(
            "loki_querier_tail_active",
            "Number of active tailers.",
            tails as f64,
        ));
        out.push(gauge(
            "loki_distributor_replication_factor",
            "The configured replication factor for the distributor.",
            1.0,
        ));
    }
}

impl Modules {
    /// What the store has done since it was opened.
    fn store(&self, out: &mut Vec<MetricFamily>) {
        let counts = self.ingester.store().counts();
        let mut flushed = counter(
            "loki_ingester_chunks_flushed_total",
            "Total flushed heads per reason.",
        );
        for (reason, count) in FlushReason::ALL.iter().zip(counts.flushes) {
            let metric = Metric::new(MetricValue::Number(count as f64));
            flushed
                .metrics
                .push(metric.label("reason", reason.as_str()));
        }
        let total = |name: &str, help: &str, count: u64| {
            counter(name, help).with(Metric::new(MetricValue::Number(count as f64)))
        };
        out.extend([
            flushed,
            total(
                "loki_ingester_chunks_flush_failures_total",
                "Total number of flush failures.",
                counts.failures,
            ),
            gauge(
                "loki_ingester_flush_queue_length",
                "The total number of tenants pending in the flush queue.",
                counts.flush_queue_length as f64,
            ),
            total(
                "headwater_chunkstore_merges_total",
                "Merges of parts.",
                counts.merges,
            ),
            total(
                "headwater_chunkstore_expired_parts_total",
                "Parts that retention has removed or made smaller.",
                counts.expired,
            ),
            gauge(
                "headwater_chunkstore_cache_bytes",
                "Bytes of decoded blocks that are kept.",
                counts.cache_bytes as f64,
            ),
            total(
                "headwater_chunkstore_cache_hits_total",
                "Blocks found decoded.",
                counts.cache_hits,
            ),
            total(
                "headwater_chunkstore_cache_misses_total",
                "Blocks that had to be decoded.",
                counts.cache_misses,
            ),
        ]);
    }
}
