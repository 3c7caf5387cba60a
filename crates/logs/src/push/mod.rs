//! Reading what clients send: Loki's protobuf and JSON, the first JSON of all, and OTLP.
//!
//! Each reader takes the whole body and gives streams as a [`Distributor`](crate::Distributor) takes
//! them. What is wrong is told with Loki's statuses, and with its words where clients see them often.

mod body;
mod json;
mod labels;
mod mapping;
mod names;
mod otlp;
mod proto;
mod wire;

use headwater_chunkstore::PushStream;
use headwater_model::Labels;
use headwater_model::label::LabelsBuilder;

use crate::error::PushError;
pub use labels::parse_labels;
pub use mapping::{AttributesConfig, OtlpConfig, ResourceConfig};

/// A body with what its headers say of it.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Content-Encoding`.
    pub encoding: Option<&'a str>,
    /// The bytes as sent.
    pub body: &'a [u8],
    /// How many bytes the body may have once it is decompressed.
    pub max_decompressed: usize,
}

/// The most that deflate can expand what it is given. Source: zlib's technical details.
const DEFLATE_RATIO: usize = 1032;

impl Sent<'_> {
    /// The most bytes that the body can have once it is decompressed: what must be free before it is read.
    pub fn decompressed_bound(&self) -> usize {
        let is_json = media_type(self.content_type).is_ok_and(|media| media == "application/json");
        let bound = match self.encoding.unwrap_or("") {
            "" | "identity" if is_json => self.body.len(),
            "" | "identity" => snap::raw::decompress_len(self.body).unwrap_or(self.body.len()),
            "gzip" | "deflate" => self.body.len().saturating_mul(DEFLATE_RATIO),
            _ => self.max_decompressed,
        };
        bound.min(self.max_decompressed)
    }
}

/// Reads a push in Loki's own formats.
///
/// Everything that is not JSON is taken for protobuf in a block of snappy, as Loki does.
///
/// # Errors
/// 400: the body or its headers are wrong; 413: it is too large.
pub fn decode(sent: Sent<'_>) -> Result<Vec<PushStream>, PushError> {
    match media_type(sent.content_type)?.as_str() {
        "application/json" => json::decode(&body::of_json(sent)?),
        _ => body::of_protobuf(sent, proto::decode),
    }
}

/// Reads logs in OTLP; `now` in nanoseconds is the time of records that have none.
///
/// # Errors
/// As [`decode`].
pub fn decode_otlp(
    sent: Sent<'_>,
    config: &OtlpConfig,
    now: i64,
) -> Result<Vec<PushStream>, PushError> {
    let kind = sent.content_type.unwrap_or("");
    let media = kind.split(';').next().unwrap_or("").trim();
    let resources = match media {
        "application/json" => otlp::from_json(&body::of_otlp(sent)?)?,
        "application/x-protobuf" => otlp::from_protobuf(&body::of_otlp(sent)?)?,
        _ => return Err(bad(format!("content type: {kind} is not supported"))),
    };
    mapping::streams(resources, config, now)
}

/// Structured metadata with names that queries can write; empty values are dropped.
///
/// # Errors
/// 400: a name cannot be made writable, or there are too many.
pub fn metadata<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Labels, PushError> {
    let mut builder = LabelsBuilder::new();
    for (name, value) in pairs {
        names::room(builder.len())?;
        builder.set(&names::normalized(name)?, value);
    }
    Ok(builder.build())
}

/// The message as OTLP wants errors: a protobuf `google.rpc.Status` whose field 2 is the text.
pub fn otlp_status(message: &str) -> Vec<u8> {
    let mut out = vec![0x12];
    let mut length = message.len();
    while length >= 0x80 {
        out.push((length as u8 & 0x7f) | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(message.as_bytes());
    out
}

/// The type without its parameters, in lower case.
fn media_type(header: Option<&str>) -> Result<String, PushError> {
    let media = header.unwrap_or("").split(';').next().unwrap_or("").trim();
    let is_token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte))
    };
    match media.split_once('/') {
        Some((kind, name)) if is_token(kind) && is_token(name) => Ok(media.to_ascii_lowercase()),
        _ => Err(bad(
            "mime: no media type; send Content-Type: application/json or application/x-protobuf",
        )),
    }
}

pub(crate) fn bad(message: impl Into<String>) -> PushError {
    PushError::new(400, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_checked() {
        assert_eq!(
            media_type(Some("Application/JSON; charset=utf-8")).unwrap(),
            "application/json"
        );
        for header in [None, Some(""), Some("///"), Some("json")] {
            assert_eq!(media_type(header).unwrap_err().status, 400, "{header:?}");
        }
    }

    #[test]
    fn bodies_are_known_to_have_bounds() {
        let block = snap::raw::Encoder::new()
            .compress_vec(&[0; 100_000])
            .unwrap();
        let bound = |media, encoding, body| {
            let sent = Sent {
                content_type: Some(media),
                encoding,
                body,
                max_decompressed: 1 << 20,
            };
            sent.decompressed_bound()
        };
        assert_eq!(bound("application/json", None, b"{}"), 2);
        assert_eq!(
            bound("application/json", Some("gzip"), b"0123456789"),
            10_320
        );
        assert_eq!(bound("application/json", Some("zstd"), b"x"), 1 << 20);
        assert_eq!(bound("application/x-protobuf", None, &block), 100_000);
    }

    #[test]
    fn statuses_are_protobuf() {
        assert_eq!(otlp_status("no"), b"\x12\x02no");
        assert_eq!(otlp_status(&"x".repeat(200))[..3], [0x12, 0xc8, 0x01]);
    }
}
