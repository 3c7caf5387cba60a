//! `tracing`: where our own spans go.

use std::collections::BTreeMap;
use std::path::Path;

use headwater_http::TlsConfig;
use headwater_yaml::{Duration, settings};

use crate::names::words;

settings! {
    /// Where our own spans go.
    #[derive(Clone, Debug, PartialEq)]
    pub struct TracingConfig {
        /// How they are sent.
        pub client_type: TracingClient,
        /// To whom.
        pub endpoint: String,
        /// The share of traces that are kept, from 0 to 1.
        pub sampling_fraction: f64,
        /// In the clear.
        pub insecure: bool,
        /// Certificates.
        pub tls_config: TlsConfig,
        /// Headers added to every request.
        pub headers: BTreeMap<String, String>,
        /// Compress with gzip.
        pub compression: Option<TracingCompression>,
        /// How long a request may take.
        pub timeout: Duration,
    }
    check(TracingConfig::validate)
}

words! {
    /// How spans are sent.
    #[derive(Default)]
    pub enum TracingClient("tracing client type") {
        /// By gRPC.
        #[default]
        Grpc = "grpc",
        /// By HTTP.
        Http = "http",
    }
}

words! {
    /// How spans are compressed.
    pub enum TracingCompression("compression") {
        /// By gzip.
        Gzip = "gzip",
    }
}

impl TracingConfig {
    fn validate(&mut self) -> Result<(), String> {
        if self.endpoint.is_empty() {
            return Err("tracing endpoint must be set".into());
        }
        for name in self.headers.keys() {
            if name.eq_ignore_ascii_case("authorization") {
                return Err(
                    "custom authorization header configuration is not yet supported".into(),
                );
            }
            if headwater_http::is_reserved_header(name) {
                return Err(format!(
                    "{name} is a reserved header. It must not be changed"
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn resolve_files(&mut self, dir: &Path) {
        self.tls_config.resolve_files(dir);
    }
}
