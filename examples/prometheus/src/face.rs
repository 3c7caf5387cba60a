//! What answers requests: one router while the server starts, another once it is up.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use axum::Router;
use axum::response::Response;
use headwater_api_prometheus::Client;
use headwater_http::{Body, Peer};
use http::Request;
use tower::{Service, ServiceExt};

/// The current router; clones share it.
#[derive(Clone)]
pub(crate) struct Face(Arc<ArcSwap<Router>>);

impl Face {
    pub(crate) fn new(router: Router) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(router)))
    }

    /// Requests from now on go to another router.
    pub(crate) fn set(&self, router: Router) {
        self.0.store(Arc::new(router));
    }
}

impl Service<Request<Body>> for Face {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<Peer>();
        if let Some(address) = peer.and_then(|peer| peer.address) {
            request.extensions_mut().insert(Client(address.ip()));
        }
        let router = Router::clone(&self.0.load());
        Box::pin(router.oneshot(request.map(axum::body::Body::new)))
    }
}
