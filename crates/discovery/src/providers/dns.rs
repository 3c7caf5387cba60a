//! Targets from records of the domain name system.

use headwater_model::{Labels, TargetGroup};
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};

use super::refresh::{Refresh, Refreshed};
use crate::config::{ADDRESS, DnsSdConfig};
use crate::mechanism::DiscoveryError;
use crate::metrics::Metrics;
use crate::provider::Provider;

struct DnsSd {
    names: Vec<String>,
    kind: RecordType,
    port: u16,
    resolver: TokioResolver,
    metrics: Metrics,
}

/// A provider that looks up as these settings say, with the system's servers.
pub(crate) fn dns_provider(
    config: &DnsSdConfig,
    set: &str,
    metrics: &Metrics,
) -> Result<Box<dyn Provider>, DiscoveryError> {
    let unusable = |error: &dyn std::fmt::Display| DiscoveryError::Dns(error.to_string());
    let mut builder = TokioResolver::builder_tokio().map_err(|error| unusable(&error))?;
    // Targets are to change when records do, and not when a cache forgets them.
    builder.options_mut().cache_size = 0;
    let state = DnsSd {
        names: config.names.clone(),
        kind: record_type(&config.kind),
        port: config.port,
        resolver: builder.build().map_err(|error| unusable(&error))?,
        metrics: metrics.clone(),
    };
    let every = config.refresh_interval.to_std();
    Ok(Box::new(Refresh::new(
        "dns",
        set,
        every,
        metrics,
        state,
        |state| Box::pin(state.refresh()),
    )))
}

fn record_type(word: &str) -> RecordType {
    match word {
        "A" => RecordType::A,
        "AAAA" => RecordType::AAAA,
        "MX" => RecordType::MX,
        "NS" => RecordType::NS,
        _ => RecordType::SRV,
    }
}

impl DnsSd {
    /// Looks up all names. One that cannot be looked up keeps its targets; only if none can is that
    /// an error of the whole.
    async fn refresh(&mut self) -> Refreshed {
        let mut groups = Vec::with_capacity(self.names.len());
        let mut failed = Vec::new();
        for name in &self.names {
            self.metrics.dns_lookups.inc();
            match self.look_up(name).await {
                Ok(group) => groups.push(group),
                Err(error) => {
                    self.metrics.dns_failures.inc();
                    failed.push(format!("{name}: {error}"));
                }
            }
        }
        if groups.is_empty() {
            return Err(failed.join("; "));
        }
        for error in failed {
            tracing::error!(discovery = "dns", error, "Unable to look up a name");
        }
        Ok(groups)
    }

    async fn look_up(&self, name: &str) -> Result<TargetGroup, String> {
        let targets = match self.resolver.lookup(name, self.kind).await {
            Ok(found) => {
                let records = found.answers().iter();
                records
                    .filter_map(|record| target(name, &record.data, self.port))
                    .collect()
            }
            // There is such a name, or there is none; either way it has no targets.
            Err(error) if error.is_no_records_found() => Vec::new(),
            Err(error) => return Err(error.to_string()),
        };
        Ok(TargetGroup {
            source: name.to_owned(),
            labels: Labels::empty(),
            targets,
        })
    }
}

/// What one record says, if it is of a kind that says anything.
fn target(name: &str, data: &RData, port: u16) -> Option<Labels> {
    let mut labels = vec![("__meta_dns_name", name.to_owned())];
    let host_of = |name: &dyn std::fmt::Display| name.to_string().trim_end_matches('.').to_owned();
    let address = match data {
        RData::SRV(srv) => {
            labels.push(("__meta_dns_srv_record_target", srv.target.to_string()));
            labels.push(("__meta_dns_srv_record_port", srv.port.to_string()));
            format!("{}:{}", host_of(&srv.target), srv.port)
        }
        RData::MX(mx) => {
            labels.push(("__meta_dns_mx_record_target", mx.exchange.to_string()));
            format!("{}:{port}", host_of(&mx.exchange))
        }
        RData::NS(ns) => {
            labels.push(("__meta_dns_ns_record_target", ns.0.to_string()));
            format!("{}:{port}", host_of(&ns.0))
        }
        RData::A(a) => format!("{}:{port}", a.0),
        RData::AAAA(aaaa) => format!("[{}]:{port}", aaaa.0),
        _ => return None,
    };
    labels.push((ADDRESS, address));
    Some(Labels::from_pairs(labels))
}
