//! Loki's gRPC services beside HTTP: `logproto.Pusher`, `logproto.Querier` and `grpc.health.v1.Health`.
//!
//! Everything is answered by what answers HTTP, within the same limits. The tenant is the metadata
//! `x-scope-orgid`. `GetChunkIDs` has no answer here: entries do not lie in Loki's chunks.

mod health;
mod pusher;
mod querier;

use axum::http::StatusCode;
use headwater_wire::loki::health::health_server::HealthServer;
use headwater_wire::loki::logproto::pusher_server::PusherServer;
use headwater_wire::loki::logproto::querier_server::QuerierServer;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Code, Status};

use crate::error::ApiError;
use crate::state::Api;

/// How the services behave. Plain data.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Bytes of one message that is received.
    pub max_receive_bytes: usize,
    /// Bytes of one message that is sent.
    pub max_send_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_receive_bytes: 4 << 20,
            max_send_bytes: 4 << 20,
        }
    }
}

/// The services as routes of a gRPC server.
pub(crate) fn routes(api: &Api, settings: &Settings) -> Routes {
    let (receive, send) = (settings.max_receive_bytes, settings.max_send_bytes);
    let pusher = PusherServer::new(pusher::Pusher(api.clone()))
        .max_decoding_message_size(receive)
        .max_encoding_message_size(send)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let querier = QuerierServer::new(querier::Querier(api.clone()))
        .max_decoding_message_size(receive)
        .max_encoding_message_size(send)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    Routes::new(HealthServer::new(health::Health(api.clone())))
        .add_service(pusher)
        .add_service(querier)
}

/// Whose call it is.
fn tenant(api: &Api, metadata: &MetadataMap) -> Result<String, Status> {
    api.tenant(&metadata.clone().into_headers()).map_err(status)
}

/// A failure in gRPC's codes, so that callers know whether trying again helps.
fn status(error: impl Into<ApiError>) -> Status {
    let error: ApiError = error.into();
    let code = match error.status() {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        StatusCode::GATEWAY_TIMEOUT => Code::DeadlineExceeded,
        status if status.as_u16() == 499 => Code::Cancelled,
        status if status.is_server_error() => Code::Internal,
        _ => Code::InvalidArgument,
    };
    Status::new(code, error.to_string().trim_end())
}
