//! From settings to providers.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::config::{DiscoveryConfigs, DnsSdConfig, FileSdConfig, HttpSdConfig, StaticConfig};
use crate::metrics::Metrics;
use crate::provider::Provider;
use crate::providers::StaticProvider;

/// Why a provider cannot be made. Mend its settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The program was built without the mechanism.
    #[error("{0} service discovery is not part of this build")]
    NotBuilt(&'static str),
    /// The settings of HTTP cannot work.
    #[error(transparent)]
    Http(#[from] headwater_http::ClientError),
    /// The system's settings of the domain name system cannot be read.
    #[error("cannot read the system's DNS settings: {0}")]
    Dns(String),
}

/// One section of settings, and so one provider. Equal sections share a provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// Targets written into the settings.
    Static(Vec<StaticConfig>),
    /// Files.
    File(FileSdConfig),
    /// JSON over HTTP.
    Http(Box<HttpSdConfig>),
    /// The domain name system.
    Dns(DnsSdConfig),
    /// A mechanism of the program's own.
    Custom(CustomMechanism),
}

/// A mechanism that a program brings itself.
#[derive(Clone)]
pub struct CustomMechanism {
    name: &'static str,
    identity: String,
    make: Arc<dyn Fn() -> Box<dyn Provider> + Send + Sync>,
}

impl CustomMechanism {
    /// A mechanism called `name`. Two with the same name and identity share a provider, so the
    /// identity must tell apart what finds different targets.
    pub fn new(
        name: &'static str,
        identity: impl Into<String>,
        make: impl Fn() -> Box<dyn Provider> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            identity: identity.into(),
            make: Arc::new(make),
        }
    }
}

impl std::fmt::Debug for CustomMechanism {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", self.name, self.identity)
    }
}

impl PartialEq for CustomMechanism {
    fn eq(&self, other: &Self) -> bool {
        (self.name, &self.identity) == (other.name, &other.identity)
    }
}

impl Eq for CustomMechanism {}

impl Hash for CustomMechanism {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.name, &self.identity).hash(state);
    }
}

impl DiscoveryConfigs {
    /// The sections, one for each provider needed.
    pub fn mechanisms(&self) -> impl Iterator<Item = Mechanism> + '_ {
        let fixed = (!self.static_configs.is_empty())
            .then(|| Mechanism::Static(self.static_configs.clone()));
        let files = self.file_sd_configs.iter().cloned().map(Mechanism::File);
        let http = self
            .http_sd_configs
            .iter()
            .cloned()
            .map(|config| Mechanism::Http(Box::new(config)));
        let dns = self.dns_sd_configs.iter().cloned().map(Mechanism::Dns);
        let custom = self.custom.iter().cloned().map(Mechanism::Custom);
        fixed
            .into_iter()
            .chain(files)
            .chain(http)
            .chain(dns)
            .chain(custom)
    }
}

impl Mechanism {
    /// The name in metrics and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Static(_) => "static",
            Self::File(_) => "file",
            Self::Http(_) => "http",
            Self::Dns(_) => "dns",
            Self::Custom(custom) => custom.name,
        }
    }

    /// Makes the provider. `config` is the set of targets it is first made for, for metrics.
    ///
    /// # Errors
    /// See [`DiscoveryError`].
    pub fn provider(
        &self,
        config: &str,
        metrics: &Metrics,
    ) -> Result<Box<dyn Provider>, DiscoveryError> {
        let _ = (config, metrics);
        Ok(match self {
            Self::Static(groups) => Box::new(StaticProvider::new(groups)),
            #[cfg(feature = "file")]
            Self::File(file) => Box::new(crate::providers::FileProvider::new(file, metrics)),
            #[cfg(feature = "http")]
            Self::Http(http) => crate::providers::http_provider(http, config, metrics)?,
            #[cfg(feature = "dns")]
            Self::Dns(dns) => crate::providers::dns_provider(dns, config, metrics)?,
            Self::Custom(custom) => (custom.make)(),
            #[cfg(not(all(feature = "file", feature = "http", feature = "dns")))]
            other => return Err(DiscoveryError::NotBuilt(other.name())),
        })
    }
}
