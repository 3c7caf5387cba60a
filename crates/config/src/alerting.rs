//! `alerting`: who is told of alerts.

use std::path::Path;

use headwater_discovery::DiscoveryConfigs;
use headwater_http::HttpClientConfig;
use headwater_yaml::{Duration, settings};

use crate::names::{Scheme, words};
use crate::relabel::RelabelConfigs;
use crate::remote::SigV4Config;
use crate::sections::Sections;

settings! {
    /// Who is told of alerts, and which.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AlertingConfig {
        /// Rules for alerts before they are sent.
        pub alert_relabel_configs: RelabelConfigs,
        /// Who is told.
        pub alertmanagers: Sections<AlertmanagerConfig>,
    }
}

settings! {
    /// A set of Alertmanagers.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AlertmanagerConfig {
        /// In the clear or encrypted.
        pub scheme: Scheme,
        /// Put before the path of the request.
        pub path_prefix: String,
        /// How long a request may take.
        pub timeout: Duration = Duration::from_secs(10),
        /// The version of the interface.
        pub api_version: AlertmanagerApi => always,
        /// Rules for the Alertmanagers found.
        pub relabel_configs: RelabelConfigs,
        /// Rules for alerts sent to these.
        pub alert_relabel_configs: RelabelConfigs,
        /// Sign requests as AWS wants them.
        pub sigv4: Option<SigV4Config>,
    }
    inline {
        /// Where they are found.
        pub discovery: DiscoveryConfigs,
        /// How requests are made.
        pub http: HttpClientConfig,
    }
    check(|config: &mut AlertmanagerConfig| match config.sigv4.is_some() && config.http.has_credentials() {
        true => Err("at most one of basic_auth, authorization, oauth2, or sigv4 must be configured".into()),
        false => Ok(()),
    })
}

words! {
    /// The version of Alertmanager's interface.
    #[derive(Default)]
    pub enum AlertmanagerApi("Alertmanager API version") {
        /// The only one there still is.
        #[default]
        V2 = "v2",
    }
}

impl AlertingConfig {
    pub(crate) fn resolve_files(&mut self, dir: &Path) {
        for config in self.alertmanagers.iter_mut() {
            config.discovery.resolve_files(dir);
            config.http.resolve_files(dir);
        }
    }
}
