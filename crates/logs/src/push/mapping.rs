//! From OTLP's records to streams and entries: which attributes are labels of the stream, which are
//! structured metadata, and which are dropped.

use std::collections::BTreeMap;

use headwater_chunkstore::{PushEntry, PushStream};
use headwater_model::{Labels, LabelsBuilder};
use headwater_regexp::Regex;
use headwater_yaml::settings;
use serde_json::Value as Json;

use super::bad;
use super::names::{normalized, room};
use super::otlp::{Attributes, Record, Resource, Scope};
use crate::error::PushError;

/// Attributes of resources that name a stream unless the tenant says otherwise: Loki's list.
const LABELS: [&str; 18] = [
    "service.name",
    "service.namespace",
    "service.instance.id",
    "deployment.environment",
    "deployment.environment.name",
    "cloud.region",
    "cloud.availability_zone",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.container.name",
    "container.name",
    "k8s.replicaset.name",
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.cronjob.name",
    "k8s.job.name",
];

settings! {
    /// What becomes of attributes: `otlp_config` of a tenant.
    #[derive(Clone, Debug, PartialEq)]
    pub struct OtlpConfig {
        /// Attributes of resources.
        pub resource_attributes: ResourceConfig,
        /// Attributes of scopes.
        pub scope_attributes: Vec<AttributesConfig>,
        /// Attributes of records.
        pub log_attributes: Vec<AttributesConfig>,
        /// Whether the severity's text is a label of the stream.
        pub severity_text_as_label: bool,
    }
}

settings! {
    /// What becomes of the attributes of resources.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ResourceConfig {
        /// Whether the usual attributes are no labels by themselves.
        pub ignore_defaults: bool,
        /// Rules, the first that fits counts.
        pub attributes_config: Vec<AttributesConfig>,
    }
}

settings! {
    /// A rule for attributes.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AttributesConfig {
        /// `index_label`, `structured_metadata` or `drop`.
        pub action: String,
        /// Names of attributes.
        pub attributes: Vec<String>,
        /// An anchored regular expression for names.
        pub regex: String,
    }
    check(|rule: &mut AttributesConfig| {
        if !["index_label", "structured_metadata", "drop"].contains(&rule.action.as_str()) {
            return Err(format!("invalid action {:?}: it is index_label, structured_metadata or drop", rule.action));
        }
        match Regex::anchored(&rule.regex) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("regex {:?}: {error}", rule.regex)),
        }
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Action {
    Label,
    Metadata,
    Drop,
}

/// Rules with their expressions compiled.
struct Rules(Vec<(Action, Vec<String>, Option<Regex>)>);

impl Rules {
    fn new(rules: &[AttributesConfig]) -> Result<Self, PushError> {
        let compiled = rules.iter().map(|rule| {
            let action = match rule.action.as_str() {
                "index_label" => Action::Label,
                "drop" => Action::Drop,
                _ => Action::Metadata,
            };
            let regex = match rule.regex.as_str() {
                "" => None,
                text => Some(Regex::anchored(text).map_err(|error| bad(error.to_string()))?),
            };
            Ok((action, rule.attributes.clone(), regex))
        });
        compiled.collect::<Result<_, _>>().map(Self)
    }

    fn action(&self, name: &str) -> Option<Action> {
        let fits = |(_, names, regex): &&(Action, Vec<String>, Option<Regex>)| {
            names.iter().any(|known| known == name)
                || regex.as_ref().is_some_and(|regex| regex.is_match(name))
        };
        self.0.iter().find(fits).map(|(action, ..)| *action)
    }
}

struct Mapping {
    resources: Rules,
    scopes: Rules,
    records: Rules,
    defaults: bool,
    severity_label: bool,
    now: i64,
}

pub(super) fn streams(
    resources: Vec<Resource>,
    config: &OtlpConfig,
    now: i64,
) -> Result<Vec<PushStream>, PushError> {
    let mapping = Mapping {
        resources: Rules::new(&config.resource_attributes.attributes_config)?,
        scopes: Rules::new(&config.scope_attributes)?,
        records: Rules::new(&config.log_attributes)?,
        defaults: !config.resource_attributes.ignore_defaults,
        severity_label: config.severity_text_as_label,
        now,
    };
    let mut streams = BTreeMap::<Labels, Vec<PushEntry>>::new();
    for resource in resources {
        mapping.resource(resource, &mut streams)?;
    }
    Ok(streams
        .into_iter()
        .map(|(labels, entries)| PushStream { labels, entries })
        .collect())
}

impl Mapping {
    fn resource(
        &self,
        resource: Resource,
        streams: &mut BTreeMap<Labels, Vec<PushEntry>>,
    ) -> Result<(), PushError> {
        let (mut labels, mut shared) = (LabelsBuilder::new(), LabelsBuilder::new());
        self.divide(
            &resource.attributes,
            &self.resources,
            &mut labels,
            &mut shared,
            |name| self.defaults && LABELS.contains(&name),
        )?;
        for scope in resource.scopes {
            let mut common = shared.clone();
            let mut own = labels.clone();
            self.scope(&scope, &mut own, &mut common)?;
            for record in scope.records {
                let (mut own, mut metadata) = (own.clone(), common.clone());
                let time = self.time(&record)?;
                self.record(&record, &mut own, &mut metadata)?;
                streams.entry(own.build()).or_default().push(PushEntry {
                    time,
                    line: line(&record.body).into_bytes(),
                    metadata: metadata.build(),
                });
            }
        }
        Ok(())
    }

    fn scope(
        &self,
        scope: &Scope,
        labels: &mut LabelsBuilder,
        metadata: &mut LabelsBuilder,
    ) -> Result<(), PushError> {
        self.divide(&scope.attributes, &self.scopes, labels, metadata, |_| false)?;
        metadata.set("scope_name", &scope.name);
        metadata.set("scope_version", &scope.version);
        Ok(())
    }

    fn record(
        &self,
        record: &Record,
        labels: &mut LabelsBuilder,
        metadata: &mut LabelsBuilder,
    ) -> Result<(), PushError> {
        self.divide(&record.attributes, &self.records, labels, metadata, |_| {
            false
        })?;
        let number = |value: i64| match value {
            0 => String::new(),
            value => value.to_string(),
        };
        metadata.set("severity_number", &number(record.severity_number));
        match self.severity_label {
            true => labels.set("severity_text", &record.severity_text),
            false => metadata.set("severity_text", &record.severity_text),
        };
        metadata.set("trace_id", &record.trace_id);
        metadata.set("span_id", &record.span_id);
        metadata.set("flags", &number(record.flags as i64));
        if record.time != 0 {
            metadata.set("observed_timestamp", &number(record.observed as i64));
        }
        Ok(())
    }

    /// Puts each attribute where the rules say, nested ones under joined names.
    fn divide(
        &self,
        attributes: &Attributes,
        rules: &Rules,
        labels: &mut LabelsBuilder,
        metadata: &mut LabelsBuilder,
        is_label: impl Fn(&str) -> bool,
    ) -> Result<(), PushError> {
        for (name, value) in attributes.iter().filter(|(name, _)| !name.is_empty()) {
            let action = rules.action(name).unwrap_or(match is_label(name) {
                true => Action::Label,
                false => Action::Metadata,
            });
            let target = match action {
                Action::Drop => continue,
                Action::Label => &mut *labels,
                Action::Metadata => &mut *metadata,
            };
            put(&normalized(name)?, value, target)?;
        }
        Ok(())
    }

    fn time(&self, record: &Record) -> Result<i64, PushError> {
        match (record.time, record.observed) {
            (0, 0) => Ok(self.now),
            (0, time) | (time, _) => i64::try_from(time)
                .map_err(|_| bad(format!("the time {time} is beyond the year 2262"))),
        }
    }
}

fn put(name: &str, value: &Json, target: &mut LabelsBuilder) -> Result<(), PushError> {
    if let Json::Object(nested) = value {
        for (inner, value) in nested {
            put(&format!("{name}_{}", normalized(inner)?), value, target)?;
        }
        return Ok(());
    }
    room(target.len())?;
    target.set(name, &line(value));
    Ok(())
}

/// A value as text: texts as they are, nothing as an empty text, all else as JSON.
fn line(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resource() -> Resource {
        let record = Record {
            time: 5,
            observed: 9,
            severity_number: 17,
            body: json!({"n": 1, "l": [1, "a", null]}),
            attributes: vec![
                ("http.method".into(), json!("GET")),
                ("obj".into(), json!({"a": {"b": "c"}})),
            ],
            ..Record::default()
        };
        Resource {
            attributes: vec![
                ("service.name".into(), json!("shop")),
                ("host.name".into(), json!("h")),
            ],
            scopes: vec![Scope {
                name: "s".into(),
                records: vec![record],
                ..Scope::default()
            }],
        }
    }

    #[test]
    fn resources_name_the_stream() {
        let streams = streams(vec![resource()], &OtlpConfig::default(), 0).unwrap();
        assert_eq!(
            streams[0].labels,
            Labels::from_pairs([("service_name", "shop")])
        );
        let entry = &streams[0].entries[0];
        assert_eq!(
            (entry.time, &entry.line[..]),
            (5, &br#"{"l":[1,"a",null],"n":1}"#[..])
        );
        let wanted = Labels::from_pairs([
            ("host_name", "h"),
            ("http_method", "GET"),
            ("obj_a_b", "c"),
            ("observed_timestamp", "9"),
            ("scope_name", "s"),
            ("severity_number", "17"),
        ]);
        assert_eq!(entry.metadata, wanted);
    }

    #[test]
    fn tenants_say_what_is_a_label() {
        let config: OtlpConfig = headwater_yaml::from_str(
            "resource_attributes:\n  ignore_defaults: true\n  attributes_config:\n  - {action: index_label, attributes: [host.name]}\nlog_attributes:\n- {action: drop, regex: 'http\\..*'}\n",
        )
        .unwrap();
        let streams = streams(vec![resource()], &config, 0).unwrap();
        assert_eq!(streams[0].labels, Labels::from_pairs([("host_name", "h")]));
        let metadata = &streams[0].entries[0].metadata;
        assert_eq!(metadata.get("http_method"), None);
        assert_eq!(metadata.get("service_name"), Some("shop"));
        let wrong = headwater_yaml::from_str::<OtlpConfig>("log_attributes: [{action: eat}]");
        assert!(wrong.unwrap_err().to_string().contains("invalid action"));
    }
}
