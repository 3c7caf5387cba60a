//! Taking entries.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use headwater_chunkstore::PushStream;
use headwater_logs::PushError;
use headwater_logs::push::{Sent, decode, decode_otlp, otlp_status};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::error::ApiError;
use crate::state::Api;

/// `/loki/api/v1/push` and `/api/prom/push`.
pub(crate) async fn push(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let tenant = api.tenant(&head.headers)?;
    let headers = head.headers;
    let _room = api.room_for_push(length(&headers)).await;
    let body = read(&api, body).await?;
    let _more_room = api
        .room_for_decoding(sent(&api, &headers, &body).decompressed_bound())
        .await;
    store(&api, tenant, move |api, _| {
        decode(sent(api, &headers, &body))
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `/otlp/v1/logs`: errors are protobuf, as OTLP asks.
pub(crate) async fn otlp(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let tenant = api.tenant(&head.headers)?;
    let headers = head.headers;
    let _room = api.room_for_push(length(&headers)).await;
    let stored = async {
        let body = read(&api, body).await?;
        let _more_room = api
            .room_for_decoding(sent(&api, &headers, &body).decompressed_bound())
            .await;
        store(&api, tenant, move |api, tenant| {
            let limits = api.limits(tenant);
            decode_otlp(sent(api, &headers, &body), &limits.otlp_config, api.now())
        })
        .await
    };
    match stored.await {
        Ok(()) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) => {
            // Clients give up on 500 and try again on 503.
            let status = match error.status() {
                StatusCode::INTERNAL_SERVER_ERROR => StatusCode::SERVICE_UNAVAILABLE,
                status => status,
            };
            let body = otlp_status(error.to_string().trim_end_matches('\n'));
            let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
            Ok((status, kind, body).into_response())
        }
    }
}

/// Decodes and stores on a thread that may be busy and wait for the disk.
pub(crate) async fn store(
    api: &Api,
    tenant: String,
    decode: impl FnOnce(&Api, &str) -> Result<Vec<PushStream>, PushError> + Send + 'static,
) -> Result<(), ApiError> {
    let api = api.clone();
    let task = tokio::task::spawn_blocking(move || {
        let streams = decode(&api, &tenant)?;
        let limits = api.limits(&tenant);
        api.parts.distributor.push(&tenant, streams, &limits)
    });
    let pushed = task
        .await
        .map_err(|error| ApiError::internal(format_args!("the push failed: {error}")))?;
    Ok(pushed?)
}

fn sent<'a>(api: &Api, headers: &'a HeaderMap, body: &'a [u8]) -> Sent<'a> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Sent {
        content_type: header(header::CONTENT_TYPE),
        encoding: header(header::CONTENT_ENCODING),
        body,
        max_decompressed: api.parts.settings.max_decompressed_bytes,
    }
}

fn length(headers: &HeaderMap) -> Option<usize> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

async fn read(api: &Api, body: Body) -> Result<axum::body::Bytes, ApiError> {
    let limit = api.parts.settings.max_push_bytes;
    let read = Limited::new(body, limit).collect().await;
    read.map(http_body_util::Collected::to_bytes)
        .map_err(|error| match error.is::<LengthLimitError>() {
            true => ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "request body too large: message size too large than max ({} vs {limit})\n",
                    limit + 1
                ),
            ),
            false => ApiError::bad(format_args!("the body could not be read: {error}\n")),
        })
}
