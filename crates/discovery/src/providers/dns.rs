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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use headwater_exposition::registry::Registry;
    use hickory_resolver::config::{NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
    use hickory_resolver::proto::rr::rdata::{A, MX, SRV};
    use hickory_resolver::proto::rr::{Name, Record};
    use tokio::net::UdpSocket;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn records(asked: &Name, kind: RecordType) -> Option<Vec<RData>> {
        match (asked.to_ascii().as_str(), kind) {
            ("db.test.", RecordType::SRV) => Some(vec![
                RData::SRV(SRV::new(0, 0, 9104, name("one.test."))),
                RData::SRV(SRV::new(0, 0, 9105, name("two.test."))),
            ]),
            ("db.test.", RecordType::A) => Some(vec![RData::A(A::new(10, 1, 2, 3))]),
            ("db.test.", RecordType::MX) => Some(vec![RData::MX(MX::new(1, name("mail.test.")))]),
            ("empty.test.", _) => Some(Vec::new()),
            _ => None,
        }
    }

    /// A name server that knows `db.test.` and `empty.test.`, and is broken for anything else.
    async fn serve(socket: UdpSocket) {
        let mut buffer = [0; 1500];
        loop {
            let (len, from) = socket.recv_from(&mut buffer).await.unwrap();
            let question = Message::from_vec(&buffer[..len]).unwrap();
            let query = question.queries[0].clone();
            let mut answer =
                Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
            answer.add_query(query.clone());
            match records(query.name(), query.query_type()) {
                None => answer.metadata.response_code = ResponseCode::ServFail,
                Some(all) => {
                    for data in all {
                        answer.add_answer(Record::from_rdata(query.name().clone(), 60, data));
                    }
                }
            }
            socket
                .send_to(&answer.to_vec().unwrap(), from)
                .await
                .unwrap();
        }
    }

    async fn look_up(kind: RecordType, names: &[&str]) -> (Refreshed, Metrics) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = socket.local_addr().unwrap();
        tokio::spawn(serve(socket));
        let mut server = NameServerConfig::udp(address.ip());
        server.connections[0].port = address.port();
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.options_mut().attempts = 1;
        let metrics = Metrics::new(&Registry::new());
        let mut state = DnsSd {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            kind,
            port: 80,
            resolver: builder.build().unwrap(),
            metrics: metrics.clone(),
        };
        (state.refresh().await, metrics)
    }

    fn addresses(group: &TargetGroup) -> Vec<&str> {
        group
            .targets
            .iter()
            .map(|target| target.get(ADDRESS).unwrap())
            .collect()
    }

    #[tokio::test]
    async fn service_records_hold_host_and_port() {
        let groups = look_up(RecordType::SRV, &["db.test."]).await.0.unwrap();
        assert_eq!(addresses(&groups[0]), ["one.test:9104", "two.test:9105"]);
        let target = &groups[0].targets[0];
        assert_eq!(target.get("__meta_dns_name"), Some("db.test."));
        assert_eq!(
            target.get("__meta_dns_srv_record_target"),
            Some("one.test.")
        );
        assert_eq!(target.get("__meta_dns_srv_record_port"), Some("9104"));
    }

    #[tokio::test]
    async fn other_records_take_the_port_of_the_settings() {
        let groups = look_up(RecordType::A, &["db.test."]).await.0.unwrap();
        assert_eq!(addresses(&groups[0]), ["10.1.2.3:80"]);
        let groups = look_up(RecordType::MX, &["db.test."]).await.0.unwrap();
        assert_eq!(addresses(&groups[0]), ["mail.test:80"]);
    }

    #[tokio::test]
    async fn no_records_are_no_targets_and_no_answer_is_no_change() {
        let (found, metrics) = look_up(RecordType::A, &["empty.test.", "broken.test."]).await;
        let groups = found.unwrap();
        assert_eq!(groups.len(), 1);
        assert!(groups[0].targets.is_empty() && groups[0].source == "empty.test.");
        assert!((metrics.dns_failures.get() - 1.0).abs() < f64::EPSILON);
        let (failed, _) = look_up(RecordType::A, &["broken.test."]).await;
        assert!(failed.unwrap_err().starts_with("broken.test.: "));
    }
}
