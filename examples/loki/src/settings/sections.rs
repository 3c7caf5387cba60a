//! The sections of Loki's file: keys with an effect, and keys that are accepted without one.

use headwater_logs::Limits;
use headwater_yaml::{Duration, settings};

use super::Inert;

settings! {
    /// The whole file.
    #[derive(Clone, Debug)]
    pub(crate) struct Settings {
        pub(crate) target: String = "all".to_owned(),
        pub(crate) auth_enabled: bool = true => always,
        pub(crate) server: Server,
        pub(crate) common: Common,
        pub(crate) distributor: Distributor,
        pub(crate) ingester: Ingester,
        pub(crate) querier: Querier,
        pub(crate) compactor: Compactor,
        pub(crate) storage_config: StorageConfig,
        pub(crate) limits_config: LimitsConfig,
        pub(crate) runtime_config: RuntimeConfig,
        pub(crate) schema_config: Inert,
        pub(crate) query_range: Inert,
        pub(crate) query_scheduler: Inert,
        pub(crate) frontend: Inert,
        pub(crate) frontend_worker: Inert,
        pub(crate) ingester_client: Inert,
        pub(crate) index_gateway: Inert,
        pub(crate) pattern_ingester: Inert,
        pub(crate) ruler: Inert,
        pub(crate) ruler_storage: Inert,
        pub(crate) memberlist: Inert,
        pub(crate) analytics: Inert,
        pub(crate) tracing: Inert,
        pub(crate) operational_config: Inert,
    }
}

settings! {
    #[derive(Clone, Debug)]
    pub(crate) struct Server {
        pub(crate) http_listen_address: String => always,
        pub(crate) http_listen_port: u16 = 3100 => always,
        pub(crate) log_level: String = "info".to_owned(),
        pub(crate) log_format: String = "logfmt".to_owned(),
        pub(crate) http_server_read_timeout: Duration = Duration::from_secs(30),
        pub(crate) graceful_shutdown_timeout: Duration = Duration::from_secs(30),
        pub(crate) http_server_write_timeout: Inert,
        pub(crate) http_server_idle_timeout: Inert,
        pub(crate) http_listen_network: Inert,
        pub(crate) grpc_listen_address: String => always,
        pub(crate) grpc_listen_port: u16 = 9095 => always,
        pub(crate) grpc_server_max_recv_msg_size: usize = 4 << 20,
        pub(crate) grpc_server_max_send_msg_size: usize = 4 << 20,
        pub(crate) grpc_server_max_concurrent_streams: u32 = 100,
        pub(crate) grpc_server_keepalive_time: Duration = Duration::from_secs(2 * 3600),
        pub(crate) grpc_server_keepalive_timeout: Duration = Duration::from_secs(20),
        pub(crate) grpc_listen_network: Inert,
        pub(crate) grpc_server_min_time_between_pings: Inert,
        pub(crate) grpc_server_ping_without_stream_allowed: Inert,
        pub(crate) log_request_headers: Inert,
    }
}

settings! {
    #[derive(Clone, Debug)]
    pub(crate) struct Common {
        pub(crate) path_prefix: String,
        pub(crate) instance_addr: String,
        pub(crate) replication_factor: usize,
        pub(crate) storage: CommonStorage,
        pub(crate) ring: RingConfig,
        pub(crate) instance_interface_names: Inert,
        pub(crate) compactor_address: Inert,
        pub(crate) persist_tokens: Inert,
    }
}

settings! {
    #[derive(Clone, Debug)]
    pub(crate) struct CommonStorage {
        pub(crate) filesystem: Filesystem,
        pub(crate) object_store: ObjectStore,
    }
}

settings! {
    #[derive(Clone, Debug)]
    pub(crate) struct ObjectStore {
        pub(crate) filesystem: Filesystem,
    }
}

settings! {
    #[derive(Clone, Debug)]
    pub(crate) struct Filesystem {
        pub(crate) chunks_directory: String,
        pub(crate) directory: String,
        pub(crate) dir: String,
        pub(crate) rules_directory: Inert,
    }
}

impl Filesystem {
    fn folder(&self) -> &str {
        [&self.chunks_directory, &self.directory, &self.dir]
            .into_iter()
            .find(|folder| !folder.is_empty())
            .map_or("", String::as_str)
    }
}

settings! {
    #[derive(Clone, Debug)]
    pub(crate) struct RingConfig {
        pub(crate) kvstore: KvStore,
        pub(crate) instance_addr: String,
        pub(crate) instance_id: String,
        pub(crate) instance_availability_zone: String,
        pub(crate) heartbeat_timeout: Duration = Duration::from_secs(60),
        pub(crate) heartbeat_period: Inert,
        pub(crate) replication_factor: Inert,
        pub(crate) instance_port: Inert,
        pub(crate) instance_interface_names: Inert,
    }
}

settings! {
    #[derive(Clone, Debug)]
    pub(crate) struct KvStore {
        pub(crate) store: String = "inmemory".to_owned(),
        pub(crate) prefix: Inert,
    }
    check(|kv: &mut KvStore| match kv.store.as_str() {
        "" | "inmemory" => Ok(()),
        other => Err(format!("store: {other} is not supported yet, the ring is kept in memory: inmemory")),
    })
}

settings! {
    #[derive(Clone, Debug)]
    pub(crate) struct Distributor {
        pub(crate) max_recv_msg_size: usize = 100 << 20,
        pub(crate) max_decompressed_size: usize = 128 << 20,
        pub(crate) ring: Inert,
        pub(crate) otlp_config: Inert,
        pub(crate) rate_store: Inert,
    }
}

settings! {
    #[derive(Clone, Debug)]
    pub(crate) struct Ingester {
        pub(crate) max_chunk_age: Duration = Duration::from_secs(2 * 3600),
        pub(crate) chunk_idle_period: Duration = Duration::from_secs(30 * 60),
        pub(crate) flush_check_period: Duration = Duration::from_secs(30),
        pub(crate) lifecycler: LifecyclerConfig,
        pub(crate) wal: WalConfig,
        pub(crate) chunk_encoding: Inert,
        pub(crate) chunk_target_size: Inert,
        pub(crate) chunk_block_size: Inert,
        pub(crate) chunk_retain_period: Inert,
        pub(crate) concurrent_flushes: Inert,
        pub(crate) flush_op_timeout: Inert,
        pub(crate) flush_op_backoff: Inert,
        pub(crate) query_store_max_look_back_period: Inert,
        pub(crate) index_shards: Inert,
        pub(crate) sync_period: Inert,
        pub(crate) sync_min_utilization: Inert,
        pub(crate) autoforget_unhealthy: Inert,
        pub(crate) max_returned_stream_errors: Inert,
    }
}

settings! {
    #[derive(Clone, Debug)]
    pub(crate) struct LifecyclerConfig {
        pub(crate) ring: RingConfig,
        pub(crate) address: String,
        pub(crate) id: String,
        pub(crate) min_ready_duration: Duration,
        pub(crate) num_tokens: usize = 128,
        pub(crate) final_sleep: Inert,
        pub(crate) join_after: Inert,
        pub(crate) observe_period: Inert,
        pub(crate) heartbeat_period: Inert,
        pub(crate) heartbeat_timeout: Inert,
        pub(crate) interface_names: Inert,
    }
}

settings! {
    #[derive(Clone, Debug)]
    pub(crate) struct WalConfig {
        pub(crate) enabled: bool = true,
        pub(crate) dir: Inert,
        pub(crate) checkpoint_duration: Inert,
        pub(crate) flush_on_shutdown: Inert,
        pub(crate) replay_memory_ceiling: Inert,
        pub(crate) disk_full_threshold: Inert,
    }
}

settings! {
    #[derive(Clone, Debug)]
    pub(crate) struct Querier {
        pub(crate) multi_tenant_queries_enabled: bool,
        pub(crate) max_concurrent: usize,
        pub(crate) query_ingesters_within: Inert,
        pub(crate) query_store_only: Inert,
        pub(crate) query_ingester_only: Inert,
        pub(crate) tail_max_duration: Inert,
        pub(crate) extra_query_delay: Inert,
        pub(crate) engine: Inert,
    }
}

settings! {
    #[derive(Clone, Debug)]
    pub(crate) struct Compactor {
        pub(crate) retention_enabled: bool,
        pub(crate) working_directory: Inert,
        pub(crate) compaction_interval: Duration = Duration::from_secs(600),
        pub(crate) retention_delete_delay: Inert,
        pub(crate) retention_delete_worker_count: Inert,
        pub(crate) delete_request_store: Inert,
        pub(crate) compactor_ring: Inert,
    }
}

settings! {
    #[derive(Clone, Debug)]
    pub(crate) struct StorageConfig {
        pub(crate) filesystem: Filesystem,
        pub(crate) object_store: ObjectStore,
        pub(crate) use_thanos_objstore: Inert,
        pub(crate) tsdb_shipper: Inert,
        pub(crate) index_queries_cache_config: Inert,
        pub(crate) max_chunk_batch_size: Inert,
    }
}

settings! {
    #[derive(Clone, Debug)]
    pub(crate) struct LimitsConfig {
        pub(crate) deletion_mode: Inert,
        pub(crate) metric_aggregation_enabled: Inert,
        pub(crate) pattern_persistence_enabled: Inert,
        pub(crate) split_metadata_queries_by_interval: Inert,
        pub(crate) max_query_parallelism: Inert,
        pub(crate) tsdb_max_query_parallelism: Inert,
        pub(crate) tsdb_max_bytes_per_shard: Inert,
        pub(crate) max_cache_freshness_per_query: Inert,
        pub(crate) max_chunks_per_query: Inert,
        pub(crate) cardinality_limit: Inert,
        pub(crate) shard_aggregations: Inert,
        pub(crate) max_querier_bytes_read: Inert,
    }
    inline {
        pub(crate) limits: Limits,
    }
}

settings! {
    #[derive(Clone, Debug)]
    pub(crate) struct RuntimeConfig {
        pub(crate) file: String,
        pub(crate) period: Duration = Duration::from_secs(10),
    }
}

impl Settings {
    /// The settings as YAML.
    pub(crate) fn shown(&self) -> String {
        headwater_yaml::to_string(self).unwrap_or_else(|error| format!("# {error}\n"))
    }

    /// Folders that the file names, the most general first.
    pub(super) fn folders(&self) -> [&str; 5] {
        let (common, storage) = (&self.common.storage, &self.storage_config);
        [
            &self.common.path_prefix,
            common.filesystem.folder(),
            common.object_store.filesystem.folder(),
            storage.filesystem.folder(),
            storage.object_store.filesystem.folder(),
        ]
    }

    /// Refuses what would be missed.
    pub(super) fn refuse_what_is_missing(&self) -> Result<(), String> {
        let refusals = [
            (self.target != "all", refused_target(&self.target)),
            (self.querier.multi_tenant_queries_enabled, "querier.multi_tenant_queries_enabled: queries over several tenants are not supported yet".into()),
            (self.memberlist.is_given(), "memberlist: the ring is kept in memory; several processes are not supported yet".into()),
            (self.common.replication_factor > 1, format!("common.replication_factor: {} copies need as many processes, which are not supported yet; only 1 is possible", self.common.replication_factor)),
        ];
        match refusals.into_iter().find(|(refused, _)| *refused) {
            Some((_, why)) => Err(why),
            None => Ok(()),
        }
    }

    /// What is accepted and has no effect, where somebody might wait for one.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let inert = [
            (
                self.ruler.is_given() || self.ruler_storage.is_given(),
                "ruler: rules are not evaluated yet",
            ),
            (
                self.pattern_ingester.is_given()
                    || self.limits_config.metric_aggregation_enabled.is_given(),
                "pattern_ingester: patterns are not mined yet",
            ),
            (
                self.schema_config.is_given(),
                "schema_config: entries are kept in a format of our own, whatever the schema",
            ),
            (
                !self.ingester.wal.enabled,
                "ingester.wal.enabled: the log cannot be switched off",
            ),
            (
                self.distributor.otlp_config.is_given(),
                "distributor.otlp_config: use limits_config.otlp_config",
            ),
        ];
        inert
            .into_iter()
            .filter(|(given, _)| *given)
            .map(|(_, what)| format!("{what}; the setting has no effect"))
            .collect()
    }
}

/// Why a target does not run. Source of the names: Loki's `-list-targets`.
fn refused_target(target: &str) -> String {
    const LOKI: [&str; 19] = [
        "bloom-builder",
        "bloom-gateway",
        "bloom-planner",
        "compactor",
        "distributor",
        "index-gateway",
        "ingest-limits",
        "ingest-limits-frontend",
        "ingester",
        "overrides-exporter",
        "pattern-ingester",
        "querier",
        "query-frontend",
        "query-scheduler",
        "read",
        "write",
        "backend",
        "ruler",
        "ui",
    ];
    let known = |name: &&str| LOKI.contains(name) || *name == "all";
    match target.split(',').map(str::trim).find(|name| !known(name)) {
        Some(unknown) => {
            let near = headwater_yaml::nearest(unknown, LOKI.into_iter().chain(["all"]));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            format!("target: unrecognised module name: {unknown}{hint}")
        }
        None => format!(
            "target: {target} does not run alone, because all modules of this program share one process: only all is possible"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        match headwater_yaml::from_str::<Settings>(text) {
            Ok(settings) => settings.refuse_what_is_missing().unwrap_err(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_would_be_missed_is_refused_by_name() {
        for (text, word) in [
            ("common: {ring: {kvstore: {store: consul}}}", "consul"),
            ("common: {replication_factor: 3}", "replication_factor"),
            ("memberlist: {bind_port: 7946}", "memberlist"),
            ("storage_config: {aws: {s3: x}}", "aws"),
            ("limits_config: {ingestion_rate: 5}", "ingestion_rate_mb"),
            ("table_manager: {}", "table_manager"),
            ("target: ingester", "does not run alone"),
            ("target: ingestr", "did you mean ingester?"),
            ("server: {grpc_listen_prt: 1}", "grpc_listen_port"),
        ] {
            let error = refused(text);
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn inert_keys_are_warned_of() {
        let settings: Settings = headwater_yaml::from_str(
            "ruler: {alertmanager_url: x}\nlimits_config: {ingestion_rate_mb: 9}\n",
        )
        .unwrap();
        assert_eq!(settings.limits_config.limits.ingestion_rate_mb, 9.0);
        assert_eq!(settings.warnings().len(), 1);
        settings.refuse_what_is_missing().unwrap();
    }
}
