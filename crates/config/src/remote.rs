//! `remote_write` and `remote_read`: samples sent elsewhere and fetched from elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use headwater_http::{Address, HttpClientConfig, Secret};
use headwater_yaml::{Duration, settings};

use crate::names::words;
use crate::relabel::RelabelConfigs;

settings! {
    /// Where samples are sent, and how.
    #[derive(Clone, Debug, PartialEq)]
    pub struct RemoteWriteConfig {
        /// The receiver.
        pub url: Address,
        /// How long a request may take.
        pub remote_timeout: Duration = Duration::from_secs(30),
        /// Headers added to every request.
        pub headers: BTreeMap<String, String>,
        /// Rules for series before they are sent.
        pub write_relabel_configs: RelabelConfigs,
        /// The name in metrics and logs.
        pub name: String,
        /// Send exemplars.
        pub send_exemplars: bool,
        /// Send native histograms.
        pub send_native_histograms: bool,
        /// Ask the domain name system for every connection.
        pub round_robin_dns: bool,
        /// Log requests that failed for good.
        pub failed_request_logging: bool,
        /// The version of the protocol.
        pub protobuf_message: RemoteWriteMessage => always,
        /// How samples wait.
        pub queue_config: QueueConfig,
        /// How metadata is sent.
        pub metadata_config: MetadataConfig,
        /// Sign requests as AWS wants them.
        pub sigv4: Option<SigV4Config>,
        /// Take tokens from Azure.
        pub azuread: Option<AzureAdConfig>,
        /// Take tokens from Google.
        pub google_iam: Option<GoogleIamConfig>,
    }
    inline {
        /// How requests are made. HTTP/2 is off unless asked for.
        pub http: HttpClientConfig = HttpClientConfig { enable_http2: false, ..HttpClientConfig::default() },
    }
    check(RemoteWriteConfig::validate)
}

words! {
    /// The message that is sent.
    #[derive(Default)]
    pub enum RemoteWriteMessage("remote write protobuf message") {
        /// Version 1.
        #[default]
        V1 = "prometheus.WriteRequest",
        /// Version 2.
        V2 = "io.prometheus.write.v2.Request",
    }
}

settings! {
    /// How samples wait to be sent.
    #[derive(Clone, Debug, PartialEq)]
    pub struct QueueConfig {
        /// Samples held per shard before reading the log waits.
        pub capacity: i64 = 10_000,
        /// The most connections at once.
        pub max_shards: i64 = 50,
        /// The fewest connections, and how many there are at first.
        pub min_shards: i64 = 1,
        /// Samples in one request.
        pub max_samples_per_send: i64 = 2000,
        /// How long samples wait for a request to fill.
        pub batch_send_deadline: Duration = Duration::from_secs(5),
        /// The first wait before another try.
        pub min_backoff: Duration = Duration::from_millis(30),
        /// The longest wait before another try.
        pub max_backoff: Duration = Duration::from_secs(5),
        /// Try again when told that there are too many requests.
        pub retry_on_http_429: bool,
        /// Samples older than this are not sent; 0 sends all.
        pub sample_age_limit: Duration,
    }
    check(QueueConfig::validate)
}

settings! {
    /// How metadata of metrics is sent.
    #[derive(Clone, Debug, PartialEq)]
    pub struct MetadataConfig {
        /// Whether it is.
        pub send: bool = true => always,
        /// How often.
        pub send_interval: Duration = Duration::from_secs(60),
        /// Entries in one request.
        pub max_samples_per_send: i64 = 2000,
    }
}

settings! {
    /// AWS's signatures.
    #[derive(Clone, Debug, PartialEq)]
    pub struct SigV4Config {
        /// The region.
        pub region: String,
        /// The public half of the key.
        pub access_key: String,
        /// The secret half of the key.
        pub secret_key: Secret,
        /// The profile in AWS's own settings.
        pub profile: String,
        /// The role to take on.
        pub role_arn: String,
        /// A word shared with the owner of the role.
        pub external_id: String,
        /// The service that requests are signed for.
        pub service_name: String,
        /// Use endpoints that follow FIPS.
        pub use_fips_sts_endpoint: bool,
    }
    check(|sigv4: &mut SigV4Config| match sigv4.access_key.is_empty() == sigv4.secret_key.is_empty() {
        true => Ok(()),
        false => Err("must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config".into()),
    })
}

settings! {
    /// Azure's tokens.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AzureAdConfig {
        /// Which Azure.
        pub cloud: String,
        /// The identity of the machine.
        pub managed_identity: Option<AzureIdentity>,
        /// A client's own credentials.
        pub oauth: Option<AzureOAuth>,
        /// What Azure's own tools use.
        pub sdk: Option<AzureSdk>,
        /// The identity of a Kubernetes workload.
        pub workload_identity: Option<AzureWorkload>,
        /// What tokens are for.
        pub scope: String,
    }
}

settings! {
    /// The identity of the machine.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AzureIdentity {
        /// Which of its identities.
        pub client_id: String,
    }
}

settings! {
    /// A client's own credentials.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AzureOAuth {
        /// The client.
        pub client_id: String,
        /// Its password.
        pub client_secret: Secret,
        /// Whose client it is.
        pub tenant_id: String,
    }
}

settings! {
    /// What Azure's own tools use.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AzureSdk {
        /// Whose credentials.
        pub tenant_id: String,
    }
}

settings! {
    /// The identity of a Kubernetes workload.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AzureWorkload {
        /// The client.
        pub client_id: String,
        /// Whose client it is.
        pub tenant_id: String,
        /// The file that Kubernetes keeps the token in.
        pub token_file_path: String,
    }
}

settings! {
    /// Google's tokens.
    #[derive(Clone, Debug, PartialEq)]
    pub struct GoogleIamConfig {
        /// The file holding credentials; those of the machine if empty.
        pub credentials_file: String,
    }
}

settings! {
    /// Where samples are fetched from.
    #[derive(Clone, Debug, PartialEq)]
    pub struct RemoteReadConfig {
        /// The server.
        pub url: Address,
        /// How long a request may take.
        pub remote_timeout: Duration = Duration::from_secs(60),
        /// Headers added to every request.
        pub headers: BTreeMap<String, String>,
        /// Ask also for times that the local database has whole.
        pub read_recent: bool,
        /// The name in metrics and logs.
        pub name: String,
        /// The longest frame of a streamed answer, in bytes.
        pub chunked_read_limit: u64 = 50_000_000,
        /// Only queries with these matchers ask.
        pub required_matchers: BTreeMap<String, String>,
        /// Ask for our own external labels.
        pub filter_external_labels: bool = true => always,
    }
    inline {
        /// How requests are made.
        pub http: HttpClientConfig,
    }
    check(RemoteReadConfig::validate)
}

impl RemoteWriteConfig {
    fn validate(&mut self) -> Result<(), String> {
        if self.url.is_empty() {
            return Err("url for remote_write is empty".into());
        }
        check_headers(&self.headers)?;
        let ways = [
            self.http.basic_auth.is_some(),
            self.http.authorization.is_some(),
            self.http.oauth2.is_some(),
            self.sigv4.is_some(),
            self.azuread.is_some(),
            self.google_iam.is_some(),
        ];
        if ways.into_iter().filter(|way| *way).count() > 1 {
            return Err("at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be configured".into());
        }
        Ok(())
    }

    pub(crate) fn resolve_files(&mut self, dir: &Path) {
        self.http.resolve_files(dir);
    }
}

impl RemoteReadConfig {
    fn validate(&mut self) -> Result<(), String> {
        if self.url.is_empty() {
            return Err("url for remote_read is empty".into());
        }
        check_headers(&self.headers)
    }
}

fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), String> {
    for name in headers.keys() {
        if name.eq_ignore_ascii_case("authorization") {
            return Err("authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, azuread or google_iam parameter".into());
        }
        if headwater_http::is_reserved_header(name) {
            return Err(format!(
                "{name} is a reserved header. It must not be changed"
            ));
        }
    }
    Ok(())
}

impl QueueConfig {
    fn validate(&mut self) -> Result<(), String> {
        let rules = [
            (self.max_shards < 1, "max_shards must be greater than 0"),
            (self.min_shards < 1, "min_shards must be greater than 0"),
            (
                self.min_shards > self.max_shards,
                "min_shards must not be greater than max_shards",
            ),
            (
                self.max_samples_per_send < 1,
                "max_samples_per_send must be greater than 0",
            ),
            (self.capacity < 1, "capacity must be greater than 0"),
            (
                self.batch_send_deadline.is_zero(),
                "batch_send_deadline must be greater than 0",
            ),
            (
                self.min_backoff.is_zero(),
                "min_backoff must be greater than 0",
            ),
            (
                self.max_backoff.is_zero(),
                "max_backoff must be greater than 0",
            ),
            (
                self.min_backoff > self.max_backoff,
                "min_backoff must not be greater than max_backoff",
            ),
        ];
        match rules.iter().find(|(broken, _)| *broken) {
            Some((_, message)) => Err(format!("queue_config: {message}")),
            None => Ok(()),
        }
    }
}
