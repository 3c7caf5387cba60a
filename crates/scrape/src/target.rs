//! From discovered labels to something that can be scraped.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_model::duration::{format_duration, parse_duration};
use headwater_model::{Labels, LabelsBuilder};
use xxhash_rust::xxh64::xxh64;

use crate::config::JobConfig;
use crate::error::TargetError;

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const PARAM_PREFIX: &str = "__param_";
const META_PREFIX: &str = "__meta_";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const NATIVE: &str = "__scrape_native_histograms__";
const CLASSIC: &str = "__always_scrape_classic_histograms__";
const CONVERT: &str = "__convert_classic_histograms_to_nhcb__";
const UNIX_SOCKET: &str = "__unix_socket__";

/// Something to scrape: where, how often, and what to add to its series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    labels: Labels,
    url: String,
    unix_socket: Option<String>,
    interval: Duration,
    timeout: Duration,
    pub(crate) native_histograms: bool,
    pub(crate) classic_beside_native: bool,
    pub(crate) convert_classic: bool,
    identity: u64,
}

impl Target {
    /// The labels of all its series.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// What to ask for.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The Unix socket to connect to, whatever the URL's host.
    pub fn unix_socket(&self) -> Option<&str> {
        self.unix_socket.as_deref()
    }

    /// From one scrape to the next.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// How long one scrape may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Equal for targets that are the same: all labels, the hidden ones included, and the URL.
    pub(crate) fn identity(&self) -> u64 {
        self.identity
    }
}

/// The labels that a target has before relabelling: its own, its group's, the job's defaults.
pub fn discovered_labels(group: &Labels, target: &Labels, job: &JobConfig) -> Labels {
    let mut labels = group.to_builder();
    for (name, value) in target {
        labels.set(name, value);
    }
    let yes_or_no = |yes: bool| if yes { "true" } else { "false" };
    let interval = format_duration(millis(job.scrape_interval));
    let timeout = format_duration(millis(job.scrape_timeout));
    for (name, value) in [
        ("job", job.job_name.as_str()),
        (INTERVAL, &interval),
        (TIMEOUT, &timeout),
        (METRICS_PATH, &job.metrics_path),
        (SCHEME, &job.scheme),
        (CLASSIC, yes_or_no(job.always_scrape_classic_histograms)),
        (CONVERT, yes_or_no(job.convert_classic_histograms_to_nhcb)),
        (NATIVE, yes_or_no(job.scrape_native_histograms)),
    ] {
        set_default(&mut labels, name, value);
    }
    for (name, values) in &job.params {
        if let Some(first) = values.first() {
            set_default(&mut labels, &format!("{PARAM_PREFIX}{name}"), first);
        }
    }
    labels.build()
}

fn set_default(labels: &mut LabelsBuilder, name: &str, value: &str) {
    if labels.get(name).unwrap_or_default().is_empty() {
        labels.set(name, value);
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Applies the job's rules. `None`: they drop the target.
///
/// # Errors
/// What remains cannot be scraped.
pub fn resolve(discovered: &Labels, job: &JobConfig) -> Result<Option<Target>, TargetError> {
    let mut labels = discovered.to_builder();
    if !job.relabel.apply(&mut labels) {
        return Ok(None);
    }
    let address = labels.get(ADDRESS).unwrap_or_default().to_owned();
    if address.is_empty() {
        return Err(TargetError::NoAddress);
    }
    if address.contains('/') {
        return Err(TargetError::Address(address));
    }
    let (interval, timeout) = timing(&labels)?;
    set_default(&mut labels, "instance", &address);
    labels.retain(|name, _| !name.starts_with(META_PREFIX));
    let all = labels.build();
    let url = url(&all, &address, &job.params);
    let flag = |name, default| all.get(name).map_or(default, |value| value == "true");
    let mut key = url.clone().into_bytes();
    key.extend_from_slice(&all.hash64().to_le_bytes());
    Ok(Some(Target {
        labels: all.project(|name| !name.starts_with("__")),
        unix_socket: all.get(UNIX_SOCKET).map(str::to_owned),
        interval,
        timeout,
        native_histograms: flag(NATIVE, job.scrape_native_histograms),
        classic_beside_native: flag(CLASSIC, job.always_scrape_classic_histograms),
        convert_classic: flag(CONVERT, job.convert_classic_histograms_to_nhcb),
        identity: xxh64(&key, 0),
        url,
    }))
}

/// Interval and timeout, which rules may have changed.
fn timing(labels: &LabelsBuilder) -> Result<(Duration, Duration), TargetError> {
    let read = |name, what| {
        let text = labels.get(name).unwrap_or_default();
        let millis = parse_duration(text).map_err(|error| TargetError::Duration {
            what,
            cause: error.to_string(),
        })?;
        match u64::try_from(millis) {
            Ok(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
            _ => Err(TargetError::Zero(what)),
        }
    };
    let interval = read(INTERVAL, "interval")?;
    let timeout = read(TIMEOUT, "timeout")?;
    if timeout > interval {
        let text = |name| labels.get(name).unwrap_or_default().to_owned();
        return Err(TargetError::TimeoutTooLong {
            timeout: text(TIMEOUT),
            interval: text(INTERVAL),
        });
    }
    Ok((interval, timeout))
}

/// The URL: parameters are the job's, the first value of each replaced by its label.
fn url(labels: &Labels, address: &str, params: &BTreeMap<String, Vec<String>>) -> String {
    let mut params = params.clone();
    for (name, value) in labels {
        if let Some(param) = name.strip_prefix(PARAM_PREFIX) {
            let values = params.entry(param.to_owned()).or_default();
            match values.first_mut() {
                Some(first) => value.clone_into(first),
                None => values.push(value.to_owned()),
            }
        }
    }
    let scheme = labels.get(SCHEME).unwrap_or("http");
    let mut url = format!("{scheme}://{address}");
    let path = labels.get(METRICS_PATH).unwrap_or_default();
    if !path.is_empty() && !path.starts_with('/') {
        url.push('/');
    }
    push_path(&mut url, path);
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, values) in &params {
        values.iter().for_each(|value| {
            query.append_pair(name, value);
        });
    }
    let query = query.finish();
    if !query.is_empty() {
        url.push('?');
        url.push_str(&query);
    }
    url
}

/// Appends a path, with what a path may not contain percent-encoded.
fn push_path(url: &mut String, path: &str) {
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~$&+,/:;=@%!*'()".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use headwater_model::name::NameScheme;
    use headwater_relabel::{Action, Config, Rules};

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    fn target(job: &JobConfig, own: &[(&str, &str)]) -> Result<Option<Target>, TargetError> {
        resolve(
            &discovered_labels(&labels(&[("env", "test"), ("job", "")]), &labels(own), job),
            job,
        )
    }

    fn with_rules(rules: &[Config]) -> JobConfig {
        let mut job = JobConfig::new("j");
        job.relabel = Rules::compile(rules, NameScheme::Utf8).expect("valid rules");
        job
    }

    #[test]
    fn defaults_become_labels() {
        let mut job = JobConfig::new("j");
        job.params
            .insert("module".to_owned(), vec!["a b".to_owned(), "c".to_owned()]);
        let target = target(&job, &[(ADDRESS, "h:1"), ("__meta_x", "y")])
            .expect("valid")
            .expect("kept");
        assert_eq!(
            target.labels(),
            &labels(&[("env", "test"), ("instance", "h:1"), ("job", "j")])
        );
        assert_eq!(target.url(), "http://h:1/metrics?module=a+b&module=c");
        assert_eq!(
            (target.interval().as_secs(), target.timeout().as_secs()),
            (60, 10)
        );
    }

    #[test]
    fn rules_change_where_and_how_often() {
        let set =
            |name: &str, value: &str| Config::new(Action::Replace).target(name).replacement(value);
        let job = with_rules(&[
            set(SCHEME, "https"),
            set(METRICS_PATH, "x?y"),
            set("__param_m", "n"),
            set(INTERVAL, "5s"),
            set(TIMEOUT, "1s500ms"),
            set("instance", "db"),
            set(UNIX_SOCKET, "/run/x"),
        ]);
        let target = target(&job, &[(ADDRESS, "h")])
            .expect("valid")
            .expect("kept");
        assert_eq!(target.url(), "https://h/x%3Fy?m=n");
        assert_eq!(target.interval(), Duration::from_secs(5));
        assert_eq!(target.timeout(), Duration::from_millis(1500));
        assert_eq!(target.labels().get("instance"), Some("db"));
        assert_eq!(target.unix_socket(), Some("/run/x"));
    }

    #[test]
    fn what_cannot_be_scraped_is_refused() {
        let message = |own: &[(&str, &str)]| {
            target(&JobConfig::new("j"), own)
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(message(&[]), "no address");
        assert_eq!(
            message(&[(ADDRESS, "http://h")]),
            "\"http://h\" is not a valid hostname"
        );
        assert_eq!(
            message(&[(ADDRESS, "h"), (INTERVAL, "0s")]),
            "scrape interval cannot be 0"
        );
        assert!(
            message(&[(ADDRESS, "h"), (TIMEOUT, "x")])
                .starts_with("error parsing scrape timeout: ")
        );
        assert_eq!(
            message(&[(ADDRESS, "h"), (INTERVAL, "1s")]),
            "scrape timeout cannot be greater than scrape interval (\"10s\" > \"1s\")"
        );
    }

    #[test]
    fn dropped_targets_are_none() {
        let job = with_rules(&[Config::new(Action::Drop).source(["env"]).regex("test")]);
        assert_eq!(target(&job, &[(ADDRESS, "h")]), Ok(None));
    }

    #[test]
    fn hidden_labels_tell_targets_apart() {
        let job = JobConfig::new("j");
        let identity =
            |own: &[(&str, &str)]| target(&job, own).expect("valid").expect("kept").identity();
        let plain = identity(&[(ADDRESS, "h")]);
        assert_eq!(plain, identity(&[(ADDRESS, "h"), ("__meta_x", "y")]));
        assert_ne!(plain, identity(&[(ADDRESS, "h"), ("__tmp", "y")]));
        assert_ne!(plain, identity(&[(ADDRESS, "h"), (INTERVAL, "15s")]));
    }
}
