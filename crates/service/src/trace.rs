//! Spans sent to an OTLP endpoint.
//!
//! The exporter is built when tracing is switched on and shut down when it is switched off or changed,
//! so that a reload of settings needs no restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_otlp::{Compression, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use parking_lot::Mutex;
use tonic::metadata::MetadataMap;
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
    /// In the clear. A URL as endpoint says by its scheme whether it is.
    pub insecure: bool,
    /// Whom to trust, and what to show.
    pub tls: TraceTls,
    /// What we call ourselves.
    pub service_name: String,
}

/// How the endpoint is trusted; everything is PEM text, and what is not set is the system's.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TraceTls {
    /// Authorities to trust instead of the system's.
    pub ca: Option<String>,
    /// Our certificate and the key to it.
    pub identity: Option<(String, String)>,
    /// The name the server has to prove, if it is not the host's.
    pub server_name: Option<String>,
}

impl TraceSettings {
    /// All traces to `endpoint`, uncompressed, encrypted.
    pub fn new(endpoint: impl Into<String>, service_name: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            sampling_fraction: 1.0,
            gzip: false,
            headers: BTreeMap::new(),
            timeout: Duration::from_secs(10),
            insecure: false,
            tls: TraceTls::default(),
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
    let mut exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(settings.url())
        .with_timeout(settings.timeout)
        .with_metadata(MetadataMap::from_headers(settings.header_map()?));
    if settings.gzip {
        exporter = exporter.with_compression(Compression::Gzip);
    }
    if settings.url().starts_with("https") {
        exporter = exporter.with_tls_config(settings.tls.client());
    }
    let exporter = exporter
        .build()
        .map_err(|error| TraceError::Settings(error.to_string()))?;
    let share = Sampler::TraceIdRatioBased(settings.sampling_fraction);
    let service = KeyValue::new("service.name", settings.service_name.clone());
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(share)))
        .with_resource(Resource::builder().with_attribute(service).build())
        .build())
}

impl TraceSettings {
    fn url(&self) -> String {
        match (self.endpoint.contains("://"), self.insecure) {
            (true, _) => self.endpoint.clone(),
            (false, true) => format!("http://{}", self.endpoint),
            (false, false) => format!("https://{}", self.endpoint),
        }
    }

    fn header_map(&self) -> Result<HeaderMap, TraceError> {
        let pairs = self.headers.iter().map(|(name, value)| {
            let refused = || TraceError::Settings(format!("header {name:?} cannot be sent"));
            let parsed_name: HeaderName = name.parse().map_err(|_| refused())?;
            Ok((parsed_name, value.parse().map_err(|_| refused())?))
        });
        pairs.collect()
    }
}

impl TraceTls {
    fn client(&self) -> ClientTlsConfig {
        let mut client = match &self.ca {
            Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let Some((cert, key)) = &self.identity {
            client = client.identity(Identity::from_pem(cert, key));
        }
        match &self.server_name {
            Some(name) => client.domain_name(name),
            None => client,
        }
    }
}
