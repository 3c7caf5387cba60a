//! Parameters of a request: from the body of a form, and from the URL.

use axum::extract::{FromRequest, Request};
use axum::http::{Method, StatusCode, header};

use crate::error::ApiError;

/// The largest body of a form, in bytes. Go's bound for forms.
pub const MAX_FORM_BYTES: usize = 10 << 20;
/// The most parameters of one request.
const MAX_PARAMETERS: usize = 1 << 14;

/// The parameters of one request; those of the body come before those of the URL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    pairs: Vec<(String, String)>,
}

impl Form {
    /// The first value of `name`; empty if there is none.
    pub(crate) fn first(&self, name: &str) -> &str {
        let pair = self.pairs.iter().find(|(known, _)| known == name);
        pair.map_or("", |(_, value)| value)
    }

    /// The first value of `name` that is not empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        Some(self.first(name)).filter(|value| !value.is_empty())
    }

    /// All values of any of these names.
    pub(crate) fn all<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a str> + 'a {
        let named = |(name, _): &&(String, String)| names.contains(&name.as_str());
        self.pairs
            .iter()
            .filter(named)
            .map(|(_, value)| value.as_str())
    }

    fn read(&mut self, encoded: &[u8]) -> Result<(), ApiError> {
        for (name, value) in form_urlencoded::parse(encoded) {
            if self.pairs.len() == MAX_PARAMETERS {
                return Err(ApiError::bad(format_args!(
                    "the request has more than {MAX_PARAMETERS} parameters"
                )));
            }
            self.pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(())
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let mut form = Self::default();
        let kind = head.headers.get(header::CONTENT_TYPE);
        let is_form = kind
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        if head.method == Method::POST && is_form {
            let body = axum::body::to_bytes(body, MAX_FORM_BYTES).await;
            form.read(&body.map_err(|error| {
                ApiError::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!("the form could not be read (at most {MAX_FORM_BYTES} bytes): {error}"),
                )
            })?)?;
        }
        form.read(head.uri.query().unwrap_or("").as_bytes())?;
        Ok(form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pairs() {
        let mut form = Form::default();
        form.read(b"match%5B%5D=%7Ba%3D%22b%22%7D&match=x+y&empty=")
            .unwrap();
        let all: Vec<_> = form.all(&["match[]", "match"]).collect();
        assert_eq!(all, ["{a=\"b\"}", "x y"]);
        assert_eq!((form.first("empty"), form.given("empty")), ("", None));
    }
}
