//! Who asks, for the query log.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts as RequestParts;
use headwater_query::Origin;

/// The address of the client. Whoever accepts connections puts it into the extensions of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client(pub IpAddr);

/// The origin of a request.
pub(crate) struct Asker(pub(crate) Origin);

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut RequestParts, _: &S) -> Result<Self, Infallible> {
        let client = parts.extensions.get::<Client>();
        // The path as it was asked for, also below a prefix.
        let original = parts.extensions.get::<axum::extract::OriginalUri>();
        let path = original.map_or(parts.uri.path(), |uri| uri.path());
        Ok(Self(Origin::Http {
            client: client.map_or_else(String::new, |client| client.0.to_string()),
            method: parts.method.to_string(),
            path: path.to_owned(),
        }))
    }
}
