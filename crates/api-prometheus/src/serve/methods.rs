//! Which methods a route takes.
//!
//! axum would answer HEAD where it answers GET. The original does not on its API, and says which
//! methods it knows; clients that probe see the same here.

use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};

use crate::serve::plain::error_text;

/// A set of methods as the header `Allow` names them. OPTIONS is answered before routes are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Methods(&'static str);

impl Methods {
    pub(crate) const GET: Self = Self("GET, OPTIONS");
    pub(crate) const GET_POST: Self = Self("GET, OPTIONS, POST");
    pub(crate) const POST: Self = Self("OPTIONS, POST");
    pub(crate) const POST_PUT: Self = Self("OPTIONS, POST, PUT");
    /// GET is for people who try; they are told what to do instead.
    pub(crate) const LIFECYCLE: Self = Self("GET, OPTIONS, POST, PUT");
    pub(crate) const GET_HEAD: Self = Self("GET, HEAD, OPTIONS");

    fn allows(self, method: &Method) -> bool {
        self.0.split(", ").any(|name| name == method.as_str())
    }

    /// A route that takes these methods only.
    pub(crate) fn route<H, T, S>(self, handler: H) -> MethodRouter<S>
    where
        H: Handler<T, S>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        any(handler).layer(from_fn_with_state(self, check))
    }
}

async fn check(State(methods): State<Methods>, request: Request, next: Next) -> Response {
    if methods.allows(request.method()) && request.method() != Method::OPTIONS {
        return next.run(request).await;
    }
    let allow = [(header::ALLOW, HeaderValue::from_static(methods.0))];
    if request.method() == Method::OPTIONS {
        return (StatusCode::OK, allow).into_response();
    }
    let refusal = error_text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    (allow, refusal).into_response()
}
