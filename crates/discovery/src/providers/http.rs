//! Targets from an address that answers with a list of groups in JSON.

use bytes::Bytes;
use headwater_http::{Client, ClientOptions, Encoding, read_into};
use headwater_model::TargetGroup;
use http::{Request, StatusCode, header};

use super::refresh::{Refresh, Refreshed};
use crate::config::HttpSdConfig;
use crate::groups::{from_json, removed, with_label};
use crate::mechanism::DiscoveryError;
use crate::metrics::Metrics;
use crate::provider::Provider;

/// The longest answer, in bytes after unpacking: a million targets with some labels each.
const MAX_ANSWER_BYTES: u64 = 256 << 20;

struct HttpSd {
    config: HttpSdConfig,
    client: Client,
    metrics: Metrics,
    /// How many groups there were.
    before: usize,
}

/// A provider that asks as these settings say.
pub(crate) fn http_provider(
    config: &HttpSdConfig,
    set: &str,
    metrics: &Metrics,
) -> Result<Box<dyn Provider>, DiscoveryError> {
    let client = Client::new(&config.http, ClientOptions::default())?;
    let state = HttpSd {
        config: config.clone(),
        client,
        metrics: metrics.clone(),
        before: 0,
    };
    let every = config.refresh_interval.to_std();
    Ok(Box::new(Refresh::new(
        "http",
        set,
        every,
        metrics,
        state,
        |state| Box::pin(state.refresh()),
    )))
}

impl HttpSd {
    async fn refresh(&mut self) -> Refreshed {
        // An answer that takes longer than the time to the next question is none.
        let patience = self.config.refresh_interval.to_std();
        let answer = tokio::time::timeout(patience, self.ask()).await;
        let groups = answer.unwrap_or_else(|_| Err(format!("no answer within {patience:?}")));
        let groups = groups.inspect_err(|_| self.metrics.http_failures.inc())?;
        let (now, source) = (groups.len(), self.source());
        let gone = removed(&source, now, std::mem::replace(&mut self.before, now));
        Ok(groups.into_iter().chain(gone).collect())
    }

    /// The address without its password.
    fn source(&self) -> String {
        self.config.url.to_string()
    }

    async fn ask(&self) -> Result<Vec<TargetGroup>, String> {
        let seconds = self.config.refresh_interval.to_std().as_secs_f64();
        let request = Request::get(self.config.url.as_str())
            .header(header::ACCEPT, "application/json")
            .header(header::ACCEPT_ENCODING, "gzip")
            .header("X-Prometheus-Refresh-Interval-Seconds", seconds.to_string())
            .body(Bytes::new())
            .map_err(|error| error.to_string())?;
        let response = self
            .client
            .send(request)
            .await
            .map_err(|error| error.to_string())?;
        if response.status() != StatusCode::OK {
            return Err(format!("server returned HTTP status {}", response.status()));
        }
        let kind = response.headers().get(header::CONTENT_TYPE);
        let kind = kind
            .map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned())
            .unwrap_or_default();
        if !is_json(&kind) {
            return Err(format!("unsupported content type {kind:?}"));
        }
        let encoding = Encoding::of(response.headers()).map_err(|error| error.to_string())?;
        let mut body = Vec::new();
        let read = read_into(response.into_body(), encoding, MAX_ANSWER_BYTES, &mut body);
        read.await.map_err(|error| error.to_string())?;
        let source = self.source();
        let groups = from_json(&body, &source)?;
        Ok(groups
            .into_iter()
            .map(|group| with_label(group, "__meta_url", &source))
            .collect())
    }
}

/// `application/json`, in UTF-8 if it says so.
fn is_json(kind: &str) -> bool {
    let (kind, parameter) = kind.split_once(';').unwrap_or((kind, "charset=utf-8"));
    let charset = parameter
        .trim()
        .trim_start_matches("charset=")
        .trim_matches('"');
    kind.trim().eq_ignore_ascii_case("application/json") && charset.eq_ignore_ascii_case("utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_is_read() {
        for (kind, good) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/json;charset=\"utf-8\"", true),
            ("application/json; charset=latin1", false),
            ("text/plain", false),
            ("", false),
        ] {
            assert_eq!(is_json(kind), good, "{kind}");
        }
    }
}
