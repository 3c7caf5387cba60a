//! The settings of every mechanism, and the keys under which a job lists them.

use std::collections::BTreeMap;

use headwater_http::{Address, HttpClientConfig};
use headwater_model::{Labels, TargetGroup};
use headwater_yaml::{Duration, Fields, settings};
use serde::de::{Error as _, MapAccess};
use serde::ser::SerializeMap;

use crate::mechanism::CustomMechanism;

/// The label that holds where to connect to.
pub(crate) const ADDRESS: &str = "__address__";

settings! {
    /// Targets written into the settings themselves.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub struct StaticConfig {
        /// `host:port` each.
        pub targets: Vec<String>,
        /// Labels of all of them.
        pub labels: BTreeMap<String, String>,
    }
    check(StaticConfig::validate)
}

settings! {
    /// Targets in files that are read again when they change.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub struct FileSdConfig {
        /// Paths ending in `.json`, `.yml` or `.yaml`; the last part may hold one `*`.
        pub files: Vec<String>,
        /// How often files are read even if nothing says that they changed.
        pub refresh_interval: Duration = Duration::from_secs(300),
    }
    check(FileSdConfig::validate)
}

settings! {
    /// Targets from an address that answers with JSON.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub struct HttpSdConfig {
        /// Whom to ask.
        pub url: Address,
        /// How often.
        pub refresh_interval: Duration = Duration::from_secs(60),
    }
    inline {
        /// How to ask.
        pub http: HttpClientConfig,
    }
    check(HttpSdConfig::validate)
}

settings! {
    /// Targets from the domain name system.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub struct DnsSdConfig {
        /// The names to look up.
        pub names: Vec<String>,
        /// `SRV`, `A`, `AAAA`, `MX` or `NS`.
        pub kind: String as "type" = "SRV".to_owned(),
        /// The port of targets; records of type SRV hold their own.
        pub port: u16,
        /// How often.
        pub refresh_interval: Duration = Duration::from_secs(30),
    }
    check(DnsSdConfig::validate)
}

/// All mechanisms that one job, or one set of Alertmanagers, takes its targets from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DiscoveryConfigs {
    /// `static_configs`.
    pub static_configs: Vec<StaticConfig>,
    /// `file_sd_configs`.
    pub file_sd_configs: Vec<FileSdConfig>,
    /// `http_sd_configs`.
    pub http_sd_configs: Vec<HttpSdConfig>,
    /// `dns_sd_configs`.
    pub dns_sd_configs: Vec<DnsSdConfig>,
    /// Mechanisms of the program's own; no key reads them.
    pub custom: Vec<CustomMechanism>,
}

const KEYS: [&str; 4] = [
    "static_configs",
    "file_sd_configs",
    "http_sd_configs",
    "dns_sd_configs",
];

/// Keys of Prometheus's mechanisms that are not built here yet. They are refused by name, because a
/// job that silently finds nothing is worse than one that does not load.
pub const NOT_BUILT: [&str; 33] = [
    "aws_sd_configs",
    "azure_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ec2_sd_configs",
    "ecs_sd_configs",
    "elasticache_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "ionos_sd_configs",
    "kubernetes_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "msk_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "oci_sd_configs",
    "openstack_sd_configs",
    "outscale_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "rds_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
];

/// Reads a list in which an empty entry is a mistake.
fn list<'de, T: serde::Deserialize<'de>, A: MapAccess<'de>>(
    field: &mut Vec<T>,
    key: &str,
    map: &mut A,
) -> Result<(), A::Error> {
    let entries = map
        .next_value::<Option<Vec<Option<T>>>>()?
        .unwrap_or_default();
    let entries: Option<Vec<T>> = entries.into_iter().collect();
    *field = entries.ok_or_else(|| A::Error::custom(format!("empty or null section in {key}")))?;
    Ok(())
}

impl Fields for DiscoveryConfigs {
    fn set<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "static_configs" => list(&mut self.static_configs, key, map)?,
            "file_sd_configs" => list(&mut self.file_sd_configs, key, map)?,
            "http_sd_configs" => list(&mut self.http_sd_configs, key, map)?,
            "dns_sd_configs" => list(&mut self.dns_sd_configs, key, map)?,
            key if NOT_BUILT.contains(&key) => {
                return Err(headwater_yaml::refused_key(
                    key,
                    "this service discovery is not supported yet",
                ));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        headwater_yaml::put_field(map, KEYS[0], &self.static_configs, false)?;
        headwater_yaml::put_field(map, KEYS[1], &self.file_sd_configs, false)?;
        headwater_yaml::put_field(map, KEYS[2], &self.http_sd_configs, false)?;
        headwater_yaml::put_field(map, KEYS[3], &self.dns_sd_configs, false)
    }

    fn keys(each: &mut dyn FnMut(&'static str)) {
        KEYS.into_iter().chain(NOT_BUILT).for_each(each);
    }

    fn check(&mut self) -> Result<(), String> {
        for (index, group) in self.static_configs.iter().enumerate() {
            for target in &group.targets {
                check_address(target)
                    .map_err(|error| format!("static_configs[{index}]: {error}"))?;
            }
        }
        Ok(())
    }
}

impl headwater_yaml::Empty for DiscoveryConfigs {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl DiscoveryConfigs {
    /// Makes relative paths relative to `dir`, the settings file's own folder.
    pub fn resolve_files(&mut self, dir: &std::path::Path) {
        for file in self
            .file_sd_configs
            .iter_mut()
            .flat_map(|config| &mut config.files)
        {
            headwater_yaml::resolve(dir, file);
        }
        for config in &mut self.http_sd_configs {
            config.http.resolve_files(dir);
        }
    }

    /// Targets written into the settings.
    pub fn of_targets<T: Into<String>>(targets: impl IntoIterator<Item = T>) -> Self {
        let targets = targets.into_iter().map(Into::into).collect();
        Self {
            static_configs: vec![StaticConfig {
                targets,
                labels: BTreeMap::new(),
            }],
            ..Self::default()
        }
    }
}

/// An address is a host and a port; people paste URLs.
fn check_address(address: &str) -> Result<(), String> {
    if address.contains('/') {
        return Err(format!("{address:?} is not a valid hostname"));
    }
    Ok(())
}

impl StaticConfig {
    fn validate(&mut self) -> Result<(), String> {
        match self.labels.keys().find(|name| name.is_empty()) {
            Some(name) => Err(format!("{name:?} is not a valid label name")),
            None => Ok(()),
        }
    }

    /// The group as data, under this name.
    #[must_use]
    pub fn to_group(&self, source: String) -> TargetGroup {
        TargetGroup {
            source,
            labels: Labels::from_pairs(&self.labels),
            targets: self
                .targets
                .iter()
                .map(|target| Labels::from_pairs([(ADDRESS, target)]))
                .collect(),
        }
    }
}

impl FileSdConfig {
    fn validate(&mut self) -> Result<(), String> {
        if self.files.is_empty() {
            return Err("file service discovery config must contain at least one path name".into());
        }
        match self.files.iter().find(|path| !is_readable_pattern(path)) {
            Some(path) => Err(format!(
                "path name {path:?} is not valid for file discovery"
            )),
            None => Ok(()),
        }
    }
}

/// No `*` but one in the last part, and an ending that tells the format.
fn is_readable_pattern(path: &str) -> bool {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    let stars = path.matches('*').count();
    let star_is_last = path
        .rsplit_once('/')
        .is_none_or(|(before, _)| !before.contains('*'));
    matches!(ending, "json" | "yml" | "yaml" | "JSON" | "YML" | "YAML")
        && stars <= 1
        && star_is_last
}

impl HttpSdConfig {
    fn validate(&mut self) -> Result<(), String> {
        if self.url.is_empty() {
            return Err("URL is missing".into());
        }
        // Read by hand, because the messages tell what is missing.
        let (scheme, rest) = self.url.as_str().split_once("://").unwrap_or_default();
        if !matches!(scheme, "http" | "https") {
            return Err("URL scheme must be 'http' or 'https'".into());
        }
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if host
            .rsplit_once('@')
            .map_or(host, |(_, host)| host)
            .is_empty()
        {
            return Err("host is missing in URL".into());
        }
        self.url.to_url().map(drop)
    }
}

impl DnsSdConfig {
    fn validate(&mut self) -> Result<(), String> {
        if self.names.is_empty() {
            return Err("DNS-SD config must contain at least one SRV record name".into());
        }
        self.kind.make_ascii_uppercase();
        match self.kind.as_str() {
            "SRV" => Ok(()),
            "A" | "AAAA" | "MX" | "NS" if self.port == 0 => {
                Err("a port is required in DNS-SD configs for all record types except SRV".into())
            }
            "A" | "AAAA" | "MX" | "NS" => Ok(()),
            other => Err(format!("invalid DNS-SD records type {other}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    settings! {
        #[derive(Debug)]
        struct Job { name: String }
        inline { sd: DiscoveryConfigs }
    }

    fn refused(text: &str) -> String {
        headwater_yaml::from_str::<Job>(text)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn defaults_are_those_of_prometheus() {
        let job: Job = headwater_yaml::from_str(
            "file_sd_configs: [{files: [a/*.json]}]\nhttp_sd_configs: [{url: http://a}]\ndns_sd_configs: [{names: [a]}]\n",
        )
        .unwrap();
        assert_eq!(
            job.sd.file_sd_configs[0].refresh_interval,
            Duration::from_secs(300)
        );
        assert_eq!(
            job.sd.http_sd_configs[0].refresh_interval,
            Duration::from_secs(60)
        );
        assert_eq!(
            job.sd.dns_sd_configs[0].refresh_interval,
            Duration::from_secs(30)
        );
        assert_eq!(job.sd.dns_sd_configs[0].kind, "SRV");
    }

    #[test]
    fn mistakes_are_told_as_prometheus_tells_them() {
        for (text, want) in [
            (
                "static_configs: [{targets: ['http://bad']}]",
                "\"http://bad\" is not a valid hostname",
            ),
            (
                "static_configs:\n-",
                "empty or null section in static_configs",
            ),
            (
                "file_sd_configs: [{files: []}]",
                "must contain at least one path name",
            ),
            (
                "file_sd_configs: [{files: [a/*/b.yml]}]",
                "path name \"a/*/b.yml\" is not valid for file discovery",
            ),
            (
                "file_sd_configs: [{files: [a.txt]}]",
                "path name \"a.txt\" is not valid",
            ),
            ("http_sd_configs: [{}]", "URL is missing"),
            (
                "http_sd_configs: [{url: 'ftp://a'}]",
                "URL scheme must be 'http' or 'https'",
            ),
            (
                "http_sd_configs: [{url: 'http://'}]",
                "host is missing in URL",
            ),
            (
                "dns_sd_configs: [{names: [a], type: A}]",
                "a port is required",
            ),
            (
                "kubernetes_sd_configs: [{role: pod}]",
                "line 1, column 1: kubernetes_sd_configs: this service discovery is not supported yet",
            ),
            (
                "name: a\nfile_sd_config: []",
                "line 2, column 1: unknown key \"file_sd_config\", did you mean \"file_sd_configs\"?",
            ),
        ] {
            let message = refused(text);
            assert!(message.contains(want), "{text}: {message}");
        }
    }
}
