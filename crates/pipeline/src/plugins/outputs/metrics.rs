//! What filters compute, and what the pipeline counts, for scrapers and
//! people: `/metrics` in Prometheus's text form, `/` as a page,
//! `/report.json` as heka's report.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::thread::JoinHandle;

use headwater_http::{Body, Server, ServerSettings};
use http::{Request, Response, StatusCode, header};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::event::Event;
use crate::flow::Delivery;
use crate::message::Value;
use crate::plugin::{
    BuildContext, BuildError, Output, OutputContext, Plugin, Services, Undelivered,
};

use super::page::{Source, page};
use crate::plugins::net::check_address;
use crate::topology::Report;

/// Series at most: messages must not fill the memory with made-up names.
const SERIES_MAX: usize = 10_000;

/// Settings of [`MetricsOutput`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MetricsOutputSettings {
    /// Where to serve.
    pub address: String,
}

impl Default for MetricsOutputSettings {
    fn default() -> MetricsOutputSettings {
        MetricsOutputSettings {
            address: "127.0.0.1:4352".to_owned(),
        }
    }
}

/// Keeps the last number of each numeric field by type and logger of the
/// message, the number of messages and the last payload, and serves them.
#[derive(Debug)]
pub struct MetricsOutput {
    address: String,
    seen: Arc<Mutex<Seen>>,
    server: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// By type, logger and field.
type Series = BTreeMap<(String, String, String), f64>;

#[derive(Debug, Default)]
struct Seen {
    numbers: Series,
    sources: BTreeMap<(String, String), Source>,
}

impl Plugin for MetricsOutput {
    const TYPE: &'static str = "MetricsOutput";
    type Settings = MetricsOutputSettings;

    fn build(
        settings: &MetricsOutputSettings,
        _: &BuildContext<'_>,
    ) -> Result<MetricsOutput, BuildError> {
        check_address(&settings.address)?;
        Ok(MetricsOutput {
            address: settings.address.clone(),
            seen: Arc::default(),
            server: None,
        })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Seen {
    fn take(&mut self, event: &Event) {
        let (kind, logger) = (text(event.kind()), text(event.logger()));
        for field in event.fields() {
            let number = match field.value(0) {
                Some(Value::Integer(number)) => number as f64,
                Some(Value::Double(number)) => number,
                _ => continue,
            };
            let series = (kind.clone(), logger.clone(), text(field.name()));
            if self.numbers.len() < SERIES_MAX || self.numbers.contains_key(&series) {
                self.numbers.insert(series, number);
            }
        }
        let source = (kind, logger);
        if self.sources.len() < SERIES_MAX || self.sources.contains_key(&source) {
            let source = self.sources.entry(source).or_default();
            source.count += 1;
            source.payload = text(event.payload());
        }
    }

    fn to_metrics(&self) -> String {
        let mut out = String::from(
            "# HELP hekad_message_value Last number in a field of a message.\n\
             # TYPE hekad_message_value gauge\n",
        );
        for ((kind, logger, field), number) in &self.numbers {
            let (kind, logger, field) = (escape(kind), escape(logger), escape(field));
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "hekad_message_value{{type=\"{kind}\",logger=\"{logger}\",field=\"{field}\"}} {number}"
            );
        }
        out
    }

    fn to_page(&self, report: Option<&Report>) -> String {
        let sources = self.sources.iter();
        let sources = sources.map(|((kind, logger), source)| (&kind[..], &logger[..], source));
        page(sources, report)
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn answer(path: &str, seen: &Mutex<Seen>, services: &Services) -> Response<String> {
    let report = services.report();
    let (kind, body) = match path {
        "/metrics" => {
            let mut body = report.map(|report| report.to_metrics()).unwrap_or_default();
            body.push_str(&seen.lock().to_metrics());
            ("text/plain; version=0.0.4; charset=utf-8", body)
        }
        "/report.json" => {
            let body = report.map(|report| report.to_json()).unwrap_or_default();
            ("application/json", body)
        }
        "/" => {
            let body = seen.lock().to_page(report.as_ref());
            ("text/html; charset=utf-8", body)
        }
        _ => {
            let mut response = Response::new("not found\n".to_owned());
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        }
    };
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

impl Output for MetricsOutput {
    fn start(&mut self, cx: &mut OutputContext) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let settings = ServerSettings::on([self.address.as_str()]);
        let server = runtime
            .block_on(Server::bind(settings))
            .map_err(|error| error.to_string())?;
        if let Some(address) = server.addresses().first() {
            cx.stats().counter("Port").set(u64::from(address.port()));
        }
        let (seen, services) = (self.seen.clone(), cx.services().clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let response = answer(request.uri().path(), &seen, &services);
            async move { Ok::<_, Infallible>(response) }
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = move || {
            let until = async {
                // A sender that is gone means the same as a word from it.
                let _ = stopped.await;
            };
            runtime.block_on(server.serve(service, until));
        };
        let thread = std::thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(serve);
        self.server = Some((stop, thread.map_err(|error| error.to_string())?));
        Ok(())
    }

    fn deliver(&mut self, delivery: Delivery, _: &mut OutputContext) -> Result<(), Undelivered> {
        let mut seen = self.seen.lock();
        for event in delivery.events() {
            seen.take(event);
        }
        drop(seen);
        delivery.done();
        Ok(())
    }

    fn finish(&mut self, _: &mut OutputContext) {
        self.close();
    }
}

impl MetricsOutput {
    fn close(&mut self) {
        if let Some((stop, thread)) = self.server.take() {
            // If the server ended by itself, nobody hears this.
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

impl Drop for MetricsOutput {
    fn drop(&mut self) {
        self.close();
    }
}
