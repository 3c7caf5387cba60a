//! Which pages of other origins may read our answers.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};

/// Decides by origin. Pages are told what Prometheus tells them.
#[derive(Clone)]
pub struct Cors(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl Cors {
    /// Allows the origins that `allowed` says yes to.
    pub fn new(allowed: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(allowed))
    }

    /// The value of `Access-Control-Allow-Origin` for a request, if its page is welcome.
    pub(super) fn welcome(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let origin = request.get(header::ORIGIN)?;
        origin
            .to_str()
            .is_ok_and(|origin| (self.0)(origin))
            .then(|| origin.clone())
    }

    /// Adds the headers to an answer.
    pub(super) fn add(origin: Option<HeaderValue>, answer: &mut HeaderMap) {
        answer.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = origin else { return };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let fixed = [
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "Accept, Authorization, Content-Type, Origin",
            ),
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
        ];
        for (name, value) in fixed {
            answer.insert(name, HeaderValue::from_static(value));
        }
    }
}

impl std::fmt::Debug for Cors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cors")
    }
}
