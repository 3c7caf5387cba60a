//! `/api/v1/write`: remote write, 1.0 and 2.0.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use headwater_storage::ErrorKind;
use headwater_wire::{MAX_DECOMPRESSED, WireError};

use crate::receive::{Refusal, WriteMessage, Written};
use crate::serve::plain::error_text;
use crate::state::Api;

/// The first part of the content type of both messages.
const PROTOBUF: &str = "application/x-protobuf";
/// A body of up to this many bytes, compressed, is worked on where it arrives: that takes about a
/// millisecond, and changing threads would cost more than it saves.
const SMALL_BYTES: usize = 256 << 10;

/// What was written, for senders of 2.0.
const WRITTEN: [HeaderName; 3] = [
    HeaderName::from_static("x-prometheus-remote-write-samples-written"),
    HeaderName::from_static("x-prometheus-remote-write-histograms-written"),
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written"),
];

/// Takes samples.
pub(crate) async fn write(State(api): State<Api>, headers: HeaderMap, body: Body) -> Response {
    if api.receiver.is_none() {
        return error_text(
            StatusCode::NOT_FOUND,
            "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n",
        );
    }
    let message = match message_of(&headers, &api.parts.settings.write_messages) {
        Ok(message) => message,
        Err(text) => return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, &text),
    };
    // What is compressed well is far smaller than its bound, what is not hardly larger.
    let compressed = match axum::body::to_bytes(body, MAX_DECOMPRESSED).await {
        Ok(compressed) => compressed,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let outcome = receive(&api, message, compressed).await;
    respond(&api, message, outcome).await
}

async fn receive(api: &Api, message: WriteMessage, compressed: Bytes) -> Result<Written, Refusal> {
    let Some(receiver) = api.receiver.clone() else {
        return Err(Refusal::Malformed(WireError::Truncated));
    };
    let now = api.parts.clock.unix_millis();
    if compressed.len() <= SMALL_BYTES {
        return receiver.receive(message, &compressed, now);
    }
    let permit = api.writes.clone().acquire_owned().await;
    let task = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        receiver.receive(message, &compressed, now)
    });
    task.await.unwrap_or_else(|error| {
        let message = format!("the write failed: {error}");
        Err(headwater_storage::Error::new(ErrorKind::Internal, message).into())
    })
}

/// The message that the headers announce, if it is one that is taken.
fn message_of(headers: &HeaderMap, taken: &[WriteMessage]) -> Result<WriteMessage, String> {
    let header = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    // Early senders of 1.0 do not say what they send.
    let content_type = header(header::CONTENT_TYPE).filter(|kind| !kind.is_empty());
    let message = message_of_type(content_type.unwrap_or(PROTOBUF).trim())?;
    if !taken.contains(&message) {
        let names: Vec<&str> = taken.iter().map(|message| message.name()).collect();
        return Err(format!(
            "{} protobuf message is not accepted by this server; accepted [{}]",
            message.name(),
            names.join(" ")
        ));
    }
    match header(header::CONTENT_ENCODING) {
        None | Some("") => Ok(message),
        Some(encoding) if encoding.eq_ignore_ascii_case("snappy") => Ok(message),
        Some(encoding) => Err(format!(
            "{encoding} encoding (compression) is not accepted by this server; only snappy is acceptable"
        )),
    }
}

fn message_of_type(content_type: &str) -> Result<WriteMessage, String> {
    let mut parts = content_type.split(';');
    if parts.next() != Some(PROTOBUF) {
        return Err(format!(
            "expected {PROTOBUF} as the first (media) part, got {content_type} content-type"
        ));
    }
    for part in parts {
        let Some((name, value)) = part.trim().split_once('=') else {
            return Err(format!(
                "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be key-values, got {part} in {content_type} content-type"
            ));
        };
        if name == "proto" {
            return WriteMessage::from_name(value).ok_or_else(|| {
                let names = WriteMessage::ALL.map(WriteMessage::name).join(", ");
                format!(
                    "got {content_type} content type; unknown type for remote write protobuf message {value}, supported: {names}"
                )
            });
        }
    }
    Ok(WriteMessage::V1)
}

async fn respond(api: &Api, message: WriteMessage, outcome: Result<Written, Refusal>) -> Response {
    let store = api.parts.samples.as_deref();
    let (response, counts) = match outcome {
        Ok(written) => {
            let counts = [written.samples, written.histograms, written.exemplars];
            match written.ticket.await {
                Err(error) => (store_failed(&error), [0; 3]),
                Ok(()) if written.faults.is_empty() => {
                    (StatusCode::NO_CONTENT.into_response(), counts)
                }
                Ok(()) => {
                    let text = written.faults.text(store).await;
                    (refuse(StatusCode::BAD_REQUEST, &text), counts)
                }
            }
        }
        Err(Refusal::Malformed(error)) => return malformed(&error),
        Err(Refusal::Sample(fault)) => {
            let text = fault.text(store).await;
            (refuse(StatusCode::BAD_REQUEST, &text), [0; 3])
        }
        Err(Refusal::Store(error)) => (store_failed(&error), [0; 3]),
    };
    match message {
        WriteMessage::V1 => response,
        WriteMessage::V2 => with_counts(response, counts),
    }
}

fn with_counts(mut response: Response, counts: [usize; 3]) -> Response {
    let headers = response.headers_mut();
    for (name, count) in WRITTEN.into_iter().zip(counts) {
        headers.insert(name, HeaderValue::from(count));
    }
    response
}

fn malformed(error: &WireError) -> Response {
    let text = match error {
        // The original decompresses with another library here than for reads.
        WireError::Snappy => "s2: corrupt input".to_owned(),
        other => other.to_string(),
    };
    refuse(StatusCode::BAD_REQUEST, &text)
}

/// What the sender may send again.
fn store_failed(error: &headwater_storage::Error) -> Response {
    let status = match error.kind() {
        ErrorKind::Invalid | ErrorKind::Limit => StatusCode::BAD_REQUEST,
        ErrorKind::NotReady | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refuse(status, &error.to_string())
}

fn refuse(status: StatusCode, text: &str) -> Response {
    error_text(status, format!("{text}\n"))
}
