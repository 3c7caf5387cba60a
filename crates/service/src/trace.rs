//! Spans sent to an OTLP endpoint.
//!
//! The exporter is built when tracing is switched on and shut down when it is switched off or changed,
//! so that a reload of settings needs no restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Compression, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use parking_lot::Mutex;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::{Registry, reload};

use crate::log::Logging;

/// Where spans go, and how many of them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TraceSettings {
    /// `host:port` or a URL of an OTLP server that speaks gRPC.
    pub endpoint: String,
    /// The share of traces that are kept, from 0 to 1.
    pub sampling_fraction: f64,
    /// Whether spans are compressed with gzip.
    pub gzip: bool,
    /// Sent with every request.
    pub headers: BTreeMap<String, String>,
    /// How long a request may take.
    pub timeout: Duration,
    /// What we call ourselves.
    pub service_name: String,
}

impl TraceSettings {
    /// All traces to `endpoint`, uncompressed.
    pub fn new(endpoint: impl Into<String>, service_name: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            sampling_fraction: 1.0,
            gzip: false,
            headers: BTreeMap::new(),
            timeout: Duration::from_secs(10),
            service_name: service_name.into(),
        }
    }
}

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The settings cannot work. Mend them.
    #[error("tracing: {0}")]
    Settings(String),
}

type Exporting = Option<OpenTelemetryLayer<Filtered, SdkTracer>>;
type Filtered = tracing_subscriber::layer::Layered<
    reload::Layer<tracing_subscriber::filter::Targets, Registry>,
    Registry,
>;

/// The running exporter, and the layer that feeds it.
#[derive(Clone)]
pub(crate) struct Handle {
    layer: reload::Handle<Exporting, Filtered>,
    provider: Arc<Mutex<Option<SdkTracerProvider>>>,
}

pub(crate) fn layer() -> (reload::Layer<Exporting, Filtered>, Handle) {
    let (layer, handle) = reload::Layer::new(None);
    (
        layer,
        Handle {
            layer: handle,
            provider: Arc::default(),
        },
    )
}

impl Logging {
    /// Sends spans as `settings` say from now on; `None` sends no more. What was not sent yet is sent
    /// first, which may block until the exporter's timeout: call it where blocking is allowed, and
    /// within a tokio runtime.
    ///
    /// # Errors
    /// [`TraceError::Settings`]; the spans then go where they went before.
    pub fn set_tracing(&self, settings: Option<&TraceSettings>) -> Result<(), TraceError> {
        let provider = settings.map(provider).transpose()?;
        let layer = provider.as_ref().map(|provider| {
            tracing_opentelemetry::layer().with_tracer(provider.tracer("headwater"))
        });
        // This fails only when the process does not log any more.
        let _ = self.traces.layer.reload(layer);
        let before = std::mem::replace(&mut *self.traces.provider.lock(), provider);
        if let Some(before) = before
            && let Err(error) = before.shutdown()
        {
            tracing::warn!(%error, "The last spans could not be sent");
        }
        Ok(())
    }
}

fn provider(settings: &TraceSettings) -> Result<SdkTracerProvider, TraceError> {
    let refused = |error: &dyn std::fmt::Display| TraceError::Settings(error.to_string());
    let endpoint = match settings.endpoint.contains("://") {
        true => settings.endpoint.clone(),
        false => format!("http://{}", settings.endpoint),
    };
    let mut exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(settings.timeout);
    if settings.gzip {
        exporter = exporter.with_compression(Compression::Gzip);
    }
    let mut headers = http::HeaderMap::new();
    for (name, value) in &settings.headers {
        let name: http::HeaderName = name
            .parse()
            .map_err(|_| refused(&format!("{name:?} is not a header name")))?;
        let value = value
            .parse()
            .map_err(|_| refused(&format!("header {name} has an invalid value")))?;
        headers.insert(name, value);
    }
    let exporter = exporter
        .with_metadata(tonic::metadata::MetadataMap::from_headers(headers))
        .build()
        .map_err(|error| refused(&error))?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
        settings.sampling_fraction,
    )));
    let service = KeyValue::new("service.name", settings.service_name.clone());
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(sampler)
        .with_resource(Resource::builder().with_attribute(service).build())
        .build())
}
