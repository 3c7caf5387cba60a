//! Writing families in each format.

mod protobuf;
mod text;

use crate::escape::Escaping;
use crate::family::MetricFamily;
use crate::format::{Format, Protocol};

/// Writes a whole body. Names outside the classic character set are treated as `escaping`
/// says, which only protocols with negotiated escaping can leave as they are.
///
/// ```
/// use headwater_exposition::{Escaping, Metric, MetricFamily, MetricValue, Protocol, write_body};
/// use headwater_model::MetricType;
///
/// let family = MetricFamily::new("jobs_total", "Jobs done.", MetricType::Counter)
///     .with(Metric::new(MetricValue::Number(3.0)).label("kind", "a"));
/// let body = write_body(&[family], Protocol::PrometheusText0_0_4, Escaping::Underscores);
/// assert_eq!(
///     String::from_utf8_lossy(&body),
///     "# HELP jobs_total Jobs done.\n# TYPE jobs_total counter\njobs_total{kind=\"a\"} 3\n"
/// );
/// ```
pub fn write_body(families: &[MetricFamily], protocol: Protocol, escaping: Escaping) -> Vec<u8> {
    let escaping = match protocol {
        Protocol::PrometheusText0_0_4 | Protocol::OpenMetricsText0_0_1
            if escaping == Escaping::AllowUtf8 =>
        {
            Escaping::Underscores
        }
        _ => escaping,
    };
    match protocol.format() {
        Format::Text => text::write(families, false, escaping).into_bytes(),
        Format::OpenMetrics => text::write(families, true, escaping).into_bytes(),
        Format::Protobuf => protobuf::write(families, escaping),
    }
}

/// The `Content-Type` of a body that [`write_body`] has written.
pub fn content_type(protocol: Protocol, escaping: Escaping) -> String {
    let media_type = protocol.media_type().replace(';', "; ");
    match protocol.format() {
        Format::Protobuf => format!("{media_type}; escaping={}", escaping.as_str()),
        _ if protocol.has_escaping() => {
            format!(
                "{media_type}; charset=utf-8; escaping={}",
                escaping.as_str()
            )
        }
        _ => format!("{media_type}; charset=utf-8; escaping=underscores"),
    }
}
