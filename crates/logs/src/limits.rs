//! Limits of a tenant, under Loki's names.

use headwater_yaml::{Duration, settings};

use crate::bytes::ByteSize;
use crate::push::OtlpConfig;
use crate::retention::RetentionStream;

settings! {
    /// What a tenant may do. Rates are per second; sizes in configuration files have units.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Limits {
        /// Lines and metadata accepted, in MiB a second.
        pub ingestion_rate_mb: f64 = 4.0,
        /// The most accepted at once, in MiB.
        pub ingestion_burst_size_mb: f64 = 6.0,
        /// `global` or `local`; with one distributor both are the same.
        pub ingestion_rate_strategy: String = "global".to_owned(),
        /// Bytes a second of one stream.
        pub per_stream_rate_limit: ByteSize = ByteSize::from_bytes(3 << 20),
        /// Bytes of one stream at once.
        pub per_stream_rate_limit_burst: ByteSize = ByteSize::from_bytes(15 << 20),
        /// Streams of all ingesters together; 0 for no limit.
        pub max_global_streams_per_user: usize = 5000,
        /// Streams of one ingester; 0 for no limit.
        pub max_streams_per_user: usize = 0,
        /// Bytes of a label's name.
        pub max_label_name_length: usize = 1024,
        /// Bytes of a label's value.
        pub max_label_value_length: usize = 2048,
        /// Labels of a stream, without `service_name`.
        pub max_label_names_per_series: usize = 15,
        /// Labels that may name a service, the best first; none switches the discovery off.
        pub discover_service_name: Vec<String> = default_service_labels(),
        /// Whether the level of a line is found out and kept as `detected_level`.
        pub discover_log_levels: bool = true,
        /// Names of labels and fields that hold a level, the best first.
        pub log_level_fields: Vec<String> = default_level_fields(),
        /// Whether old entries are refused.
        pub reject_old_samples: bool = true,
        /// How old an entry may be.
        pub reject_old_samples_max_age: Duration = Duration::from_secs(7 * 86_400),
        /// How far an entry may lie in the future.
        pub creation_grace_period: Duration = Duration::from_secs(600),
        /// Whether an entry of the same time as the one before is moved on by a nanosecond.
        pub increment_duplicate_timestamp: bool = false,
        /// Bytes of a line.
        pub max_line_size: ByteSize = ByteSize::from_bytes(256 << 10),
        /// Whether longer lines are cut instead of refused.
        pub max_line_size_truncate: bool = false,
        /// Put at the end of a line that was cut.
        pub max_line_size_truncate_identifier: String,
        /// Whether entries may have structured metadata.
        pub allow_structured_metadata: bool = true,
        /// Bytes of an entry's structured metadata, names and values.
        pub max_structured_metadata_size: ByteSize = ByteSize::from_bytes(64 << 10),
        /// Labels of an entry's structured metadata.
        pub max_structured_metadata_entries_count: usize = 128,
        /// Nothing is accepted before this moment (RFC 3339).
        pub block_ingestion_until: Option<String>,
        /// The status with which blocked pushes are answered; 260 makes clients drop them silently.
        pub block_ingestion_status_code: u16 = 260,
        /// Labels that every stream must have.
        pub enforced_labels: Vec<String>,
        /// Dividing busy streams. Streams are not divided yet, whatever stands here.
        pub shard_streams: ShardStreams,
        /// What becomes of OTLP's attributes.
        pub otlp_config: OtlpConfig,
        /// How long entries are kept; 0 for ever.
        pub retention_period: Duration,
        /// Streams that are kept for another time.
        pub retention_stream: Vec<RetentionStream>,
        /// How long a range a query may have; 0 for no limit.
        pub max_query_length: Duration = Duration::from_secs(721 * 3600),
        /// How long a range selector may be; 0 for no limit.
        pub max_query_range: Duration,
        /// How far back a query may look; 0 for no limit.
        pub max_query_lookback: Duration,
        /// The length of the pieces in which long ranges are asked. Here a range is read as a whole;
        /// answers are put together as if it were not, for clients know them so.
        pub split_queries_by_interval: Duration = Duration::from_secs(3600),
        /// How long a query may take.
        pub query_timeout: Duration = Duration::from_secs(60),
        /// Lines of an answer; 0 for no limit.
        pub max_entries_limit_per_query: usize = 5000,
        /// Series of an answer, or on the way to it.
        pub max_query_series: usize = 500,
        /// Matchers of one query; 0 for no limit.
        pub max_streams_matchers_per_query: usize = 1000,
        /// Followers of live lines at once.
        pub max_concurrent_tail_requests: usize = 10,
        /// Whether questions for volumes are answered.
        pub volume_enabled: bool = true,
        /// Rows of an answer about volumes.
        pub volume_max_series: usize = 1000,
        /// Labels that every query must name.
        pub required_labels: Vec<String>,
        /// How many equality or regular expression matchers a query must have.
        pub minimum_labels_number: usize,
    }
}

settings! {
    /// Dividing busy streams.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ShardStreams {
        /// Whether streams are divided.
        pub enabled: bool = true,
        /// Bytes a second of one part.
        pub desired_rate: ByteSize = ByteSize::from_bytes(1536 << 10),
        /// Whether divisions are logged.
        pub logging_enabled: bool,
        /// Whether old entries are divided by time.
        pub time_sharding_enabled: bool,
        /// Entries younger than this are not divided by time.
        pub time_sharding_ignore_recent: Duration = Duration::from_secs(40 * 60),
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn default_service_labels() -> Vec<String> {
    owned(&[
        "service",
        "app",
        "application",
        "app_name",
        "name",
        "app_kubernetes_io_name",
        "container",
        "container_name",
        "k8s_container_name",
        "component",
        "workload",
        "job",
        "k8s_job_name",
    ])
}

fn default_level_fields() -> Vec<String> {
    owned(&[
        "level",
        "LEVEL",
        "Level",
        "log.level",
        "severity",
        "SEVERITY",
        "Severity",
        "SeverityText",
        "lvl",
        "LVL",
        "Lvl",
        "severity_text",
        "Severity_Text",
        "SEVERITY_TEXT",
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_loki_files() {
        let limits: Limits = headwater_yaml::from_str(
            "ingestion_rate_mb: 10\nmax_line_size: 1KB\nreject_old_samples_max_age: 1w\n",
        )
        .unwrap();
        assert_eq!(
            (limits.ingestion_rate_mb, limits.max_line_size.bytes()),
            (10.0, 1024)
        );
        assert_eq!(limits.reject_old_samples_max_age.millis(), 7 * 86_400_000);
        let error = headwater_yaml::from_str::<Limits>("ingestion_rate: 1\n")
            .unwrap_err()
            .to_string();
        assert!(error.contains("ingestion_rate_mb"), "{error}");
    }
}
