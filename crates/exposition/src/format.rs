//! Which format to ask for, and which one came.

use std::fmt;

use crate::escape::Escaping;

/// The grammar of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus text.
    Text,
    /// OpenMetrics text.
    OpenMetrics,
    /// Delimited `MetricFamily` messages.
    Protobuf,
}

/// A format and its version, under the names that configuration files use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `PrometheusProto`
    PrometheusProto,
    /// `OpenMetricsText1.0.0`
    OpenMetricsText1_0_0,
    /// `OpenMetricsText0.0.1`
    OpenMetricsText0_0_1,
    /// `PrometheusText1.0.0`
    PrometheusText1_0_0,
    /// `PrometheusText0.0.4`
    PrometheusText0_0_4,
}

impl Protocol {
    /// All protocols.
    pub const ALL: [Self; 5] = [
        Self::PrometheusProto,
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];

    /// What is asked for unless configured otherwise, most wanted first.
    pub const DEFAULT: [Self; 4] = [
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];

    /// The order where native histograms are wanted: only protobuf carries them.
    pub const PROTO_FIRST: [Self; 5] = [
        Self::PrometheusProto,
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];

    /// The word for it in configuration files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PrometheusProto => "PrometheusProto",
            Self::OpenMetricsText1_0_0 => "OpenMetricsText1.0.0",
            Self::OpenMetricsText0_0_1 => "OpenMetricsText0.0.1",
            Self::PrometheusText1_0_0 => "PrometheusText1.0.0",
            Self::PrometheusText0_0_4 => "PrometheusText0.0.4",
        }
    }

    /// The protocol with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.name() == name)
    }

    /// The media type with its parameters, without escaping.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Self::OpenMetricsText1_0_0 => "application/openmetrics-text;version=1.0.0",
            Self::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1",
            Self::PrometheusText1_0_0 => "text/plain;version=1.0.0",
            Self::PrometheusText0_0_4 => "text/plain;version=0.0.4",
        }
    }

    /// The grammar.
    pub const fn format(self) -> Format {
        match self {
            Self::PrometheusProto => Format::Protobuf,
            Self::OpenMetricsText1_0_0 | Self::OpenMetricsText0_0_1 => Format::OpenMetrics,
            Self::PrometheusText1_0_0 | Self::PrometheusText0_0_4 => Format::Text,
        }
    }

    /// Whether names outside the classic character set can be negotiated.
    pub const fn has_escaping(self) -> bool {
        matches!(self, Self::OpenMetricsText1_0_0 | Self::PrometheusText1_0_0)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The `Accept` header that asks for `protocols`, most wanted first, anything else last.
pub fn accept_header(protocols: &[Protocol], escaping: Escaping) -> String {
    let mut header = String::new();
    let mut weight = Protocol::ALL.len() + 1;
    for protocol in protocols.iter().take(Protocol::ALL.len()) {
        header.push_str(protocol.media_type());
        if protocol.has_escaping() {
            header.push_str(";escaping=");
            header.push_str(escaping.as_str());
        }
        header.push_str(&format!(";q=0.{weight},"));
        weight -= 1;
    }
    header.push_str(&format!("*/*;q=0.{weight}"));
    header
}

/// Why a body's format is not known: give the target a fallback, or mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentTypeError {
    /// There is no `Content-Type`.
    #[error(
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target"
    )]
    Blank,
    /// The header breaks its grammar.
    #[error("cannot parse Content-Type {0:?} and no fallback_scrape_protocol for target")]
    Malformed(String),
    /// The media type is none of ours.
    #[error(
        "received unsupported Content-Type {0:?} and no fallback_scrape_protocol specified for target"
    )]
    Unsupported(String),
}

/// The format that a `Content-Type` header announces; `fallback` where it does not say.
/// Only the media type counts, its parameters do not.
///
/// # Errors
/// The header does not say and there is no fallback.
pub fn detect_format(
    content_type: &str,
    fallback: Option<Protocol>,
) -> Result<Format, ContentTypeError> {
    let or_fallback = |error| fallback.map(Protocol::format).ok_or(error);
    if content_type.trim().is_empty() {
        return or_fallback(ContentTypeError::Blank);
    }
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    match media_type.to_ascii_lowercase().as_str() {
        "text/plain" => Ok(Format::Text),
        "application/openmetrics-text" => Ok(Format::OpenMetrics),
        "application/vnd.google.protobuf" => Ok(Format::Protobuf),
        _ if !is_media_type(media_type) => {
            or_fallback(ContentTypeError::Malformed(content_type.to_owned()))
        }
        _ => or_fallback(ContentTypeError::Unsupported(content_type.to_owned())),
    }
}

/// Tokens, separated by at most one slash.
fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    text.split('/').count() <= 2 && text.split('/').all(token)
}

/// What a server should answer to an `Accept` header: the protocol and how to write names
/// that a classic reader does not understand. Text is the answer to anything unknown.
pub fn negotiate(accept: &str) -> (Protocol, Escaping) {
    let mut best = (0.0, Protocol::PrometheusText0_0_4, Escaping::Underscores);
    for range in accept.split(',') {
        let mut parameters = range.split(';').map(str::trim);
        let media_type = parameters.next().unwrap_or_default();
        let (mut quality, mut version, mut escaping, mut proto) =
            (1.0, "", Escaping::Underscores, true);
        for parameter in parameters {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name.trim() {
                "q" => quality = value.trim().parse().unwrap_or(0.0),
                "version" => version = value.trim(),
                "escaping" => escaping = Escaping::from_name(value.trim()).unwrap_or(escaping),
                "proto" => proto &= value.trim() == "io.prometheus.client.MetricFamily",
                "encoding" => proto &= value.trim() == "delimited",
                _ => {}
            }
        }
        let protocol = match (media_type, version) {
            ("application/vnd.google.protobuf", _) if proto => Protocol::PrometheusProto,
            ("application/openmetrics-text", "1.0.0") => Protocol::OpenMetricsText1_0_0,
            ("application/openmetrics-text", "" | "0.0.1") => Protocol::OpenMetricsText0_0_1,
            ("text/plain", "1.0.0") => Protocol::PrometheusText1_0_0,
            ("text/plain", "" | "0.0.4") => Protocol::PrometheusText0_0_4,
            _ => continue,
        };
        if quality > best.0 {
            best = (quality, protocol, escaping);
        }
    }
    (best.1, best.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_as_prometheus_asks() {
        assert_eq!(
            accept_header(&Protocol::DEFAULT, Escaping::AllowUtf8),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        );
    }

    #[test]
    fn recognises_formats() {
        for (header, format) in [
            ("text/plain; version=0.0.4; charset=utf-8", Format::Text),
            ("TEXT/PLAIN", Format::Text),
            (
                "application/openmetrics-text; version=9",
                Format::OpenMetrics,
            ),
            ("application/vnd.google.protobuf; proto=x", Format::Protobuf),
        ] {
            assert_eq!(detect_format(header, None), Ok(format), "{header}");
        }
    }

    #[test]
    fn strangers_need_a_fallback() {
        let fallback = Some(Protocol::OpenMetricsText1_0_0);
        for (header, message) in [
            ("", "non-compliant scrape target sending blank Content-Type"),
            (
                "text/html",
                "received unsupported Content-Type \"text/html\"",
            ),
            ("a b/c", "cannot parse Content-Type \"a b/c\""),
        ] {
            let error = detect_format(header, None).expect_err("no format");
            assert!(error.to_string().starts_with(message), "{error}");
            assert_eq!(detect_format(header, fallback), Ok(Format::OpenMetrics));
        }
    }

    #[test]
    fn answers_what_was_asked_for() {
        let prometheus = accept_header(&Protocol::PROTO_FIRST, Escaping::AllowUtf8);
        for (header, protocol, escaping) in [
            ("", Protocol::PrometheusText0_0_4, Escaping::Underscores),
            ("*/*", Protocol::PrometheusText0_0_4, Escaping::Underscores),
            (
                "text/html, text/plain;q=0.1",
                Protocol::PrometheusText0_0_4,
                Escaping::Underscores,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=dots;q=0.9,text/plain;q=0.5",
                Protocol::OpenMetricsText1_0_0,
                Escaping::Dots,
            ),
            (
                prometheus.as_str(),
                Protocol::PrometheusProto,
                Escaping::Underscores,
            ),
        ] {
            assert_eq!(negotiate(header), (protocol, escaping), "{header}");
        }
    }
}
