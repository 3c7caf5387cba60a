//! What the parts that know no metrics have to tell, under Prometheus's names.

use std::sync::Arc;

use headwater_exposition::registry::Collect;
use headwater_exposition::registry::process::ProcessCollector;
use headwater_exposition::{Bucket, Metric, MetricFamily, MetricValue, Registry};
use headwater_model::MetricType::{Counter, Gauge, Histogram};
use headwater_service::State;
use headwater_tsdb::{DamagedBlock, Opening, Stats};

use crate::process::Process;

/// What is known from the first moment on.
pub(crate) fn register_process(registry: &Registry, process: Arc<Process>) {
    registry.register(ProcessCollector);
    let facts = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("revision", ""),
        ("branch", ""),
        ("goversion", "none (Rust)"),
    ];
    registry.build_info("prometheus", &facts);
    let ready = process.clone();
    registry.gauge_fn(
        "prometheus_ready",
        "Whether the server is ready.",
        move || f64::from(ready.readiness.get() == State::Ready),
    );
    let success = process.clone();
    registry.gauge_fn(
        "prometheus_config_last_reload_successful",
        "Whether the last configuration reload attempt was successful.",
        move || f64::from(success.last_load().0),
    );
    registry.gauge_fn(
        "prometheus_config_last_reload_success_timestamp_seconds",
        "Timestamp of the last successful configuration reload.",
        move || process.last_load().1,
    );
}

/// The store's counters.
pub(crate) struct StoreMetrics(pub(crate) Opening);

impl Collect for StoreMetrics {
    fn collect(&self, out: &mut Vec<MetricFamily>) {
        // Nothing is known before the log is read.
        let Some(db) = self.0.db() else { return };
        let Ok(stats) = db.stats() else { return };
        let mut tell = |name: &str, help: &str, kind, value: f64| {
            out.push(
                MetricFamily::new(name, help, kind).with(Metric::new(MetricValue::Number(value))),
            );
        };
        tell(
            "prometheus_tsdb_head_series",
            "Total number of series in the head block.",
            Gauge,
            stats.series as f64,
        );
        tell(
            "prometheus_tsdb_head_stale_series",
            "Total number of stale series in the head block.",
            Gauge,
            stats.stale_series as f64,
        );
        tell(
            "prometheus_tsdb_stale_series_compactions_triggered_total",
            "Total number of triggered stale series compactions.",
            Counter,
            stats.stale_compactions as f64,
        );
        tell(
            "prometheus_tsdb_stale_series_compactions_failed_total",
            "Total number of stale series compactions that failed.",
            Counter,
            stats.stale_compactions_failed as f64,
        );
        tell(
            "prometheus_tsdb_head_series_created_total",
            "Total number of series created in the head.",
            Counter,
            stats.series_created as f64,
        );
        tell(
            "prometheus_tsdb_head_series_removed_total",
            "Total number of series removed in the head.",
            Counter,
            stats.series_removed as f64,
        );
        tell(
            "prometheus_tsdb_head_chunks",
            "Total number of chunks in the head block.",
            Gauge,
            stats.chunks as f64,
        );
        tell(
            "prometheus_tsdb_head_min_time_seconds",
            "Minimum time bound of the head block.",
            Gauge,
            seconds(stats.min_time),
        );
        tell(
            "prometheus_tsdb_head_max_time_seconds",
            "Maximum timestamp of the head block.",
            Gauge,
            seconds(stats.max_time),
        );
        tell(
            "prometheus_tsdb_exemplar_exemplars_appended_total",
            "Total number of appended exemplars.",
            Counter,
            stats.exemplars_appended as f64,
        );
        tell(
            "prometheus_tsdb_out_of_order_samples_total",
            "Total number of out of order samples ingestion failed attempts.",
            Counter,
            stats.out_of_order as f64,
        );
        tell(
            "prometheus_tsdb_out_of_bound_samples_total",
            "Total number of out of bound samples ingestion failed attempts.",
            Counter,
            stats.out_of_bounds as f64,
        );
        tell(
            "prometheus_tsdb_wal_segment_current",
            "Write log segment index that is currently writing to.",
            Gauge,
            stats.log_segment as f64,
        );
        tell(
            "prometheus_tsdb_wal_storage_size_bytes",
            "Size of the write log directory.",
            Gauge,
            stats.log_bytes as f64,
        );
        tell(
            "prometheus_tsdb_blocks_loaded",
            "Number of currently loaded data blocks.",
            Gauge,
            stats.blocks as f64,
        );
        tell(
            "prometheus_tsdb_storage_blocks_bytes",
            "The number of bytes that are currently used for local storage by all blocks.",
            Gauge,
            stats.block_bytes as f64,
        );
        tell(
            "headwater_tsdb_series_refused_total",
            "New series refused because of the limit on their number or on memory.",
            Counter,
            stats.series_refused as f64,
        );
        tell(
            "headwater_tsdb_series_refused_for_memory_total",
            "New series refused because of the memory budget.",
            Counter,
            stats.series_refused_for_memory as f64,
        );
        tell(
            "headwater_tsdb_head_memory_bytes",
            "Memory that the head takes, estimated.",
            Gauge,
            stats.memory_bytes as f64,
        );
        tell(
            "headwater_tsdb_memory_budget_bytes",
            "Memory of the head from which on new series are refused; 0 for no such limit.",
            Gauge,
            stats.memory_budget as f64,
        );
        tell(
            "headwater_tsdb_wal_unknown_records",
            "Records of types that are not known, met when the log was read after the start.",
            Gauge,
            stats.unknown_records as f64,
        );
        tell(
            "prometheus_tsdb_snapshot_replay_error_total",
            "Total number snapshot replays that failed.",
            Counter,
            stats.snapshots_failed as f64,
        );
        let damaged = db.damaged_blocks();
        let sum = |of: fn(&DamagedBlock) -> u64| damaged.iter().map(of).sum::<u64>() as f64;
        tell(
            "headwater_tsdb_blocks_unserved",
            "Blocks that are on disk and so damaged that nothing of them is served.",
            Gauge,
            sum(|block| u64::from(!block.served)),
        );
        tell(
            "headwater_tsdb_blocks_damaged",
            "Blocks of which something is damaged and the rest is served.",
            Gauge,
            sum(|block| u64::from(block.served)),
        );
        tell(
            "headwater_tsdb_blocks_lost_series",
            "Series that are known to be lost in damaged blocks.",
            Gauge,
            sum(|block| block.lost_series),
        );
        tell(
            "headwater_tsdb_blocks_damaged_chunks",
            "Chunks of blocks that reading has found to be damaged.",
            Gauge,
            sum(|block| block.damaged_chunks),
        );
        out.push(stale_durations(&stats));
        let by_type = [
            ("float", stats.floats_appended),
            ("histogram", stats.histograms_appended),
        ];
        let family = MetricFamily::new(
            "prometheus_tsdb_head_samples_appended_total",
            "Total number of appended samples.",
            Counter,
        );
        out.push(by_type.into_iter().fold(family, |family, (kind, count)| {
            family.with(Metric::new(MetricValue::Number(count as f64)).label("type", kind))
        }));
    }
}

/// How long it took to write ended series to blocks, each time.
fn stale_durations(stats: &Stats) -> MetricFamily {
    let within = stats.stale_compactions_within.iter().enumerate();
    let bucket = |(power, count): (usize, &u64)| Bucket {
        upper_bound: f64::from(1u32 << power),
        cumulative_count: *count,
        exemplar: None,
    };
    let value = MetricValue::Buckets {
        count: stats.stale_compactions,
        sum: stats.stale_compaction_millis as f64 / 1000.0,
        buckets: within.map(bucket).collect(),
    };
    MetricFamily::new(
        "prometheus_tsdb_stale_series_compaction_duration_seconds",
        "Duration of stale series compaction runs.",
        Histogram,
    )
    .with(Metric::new(value))
}

fn seconds(millis: Option<i64>) -> f64 {
    millis.map_or(0.0, |millis| millis as f64 / 1000.0)
}
