//! Parameters of a request: from the URL and, for forms, from the body.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Method, header};

use crate::error::{ApiError, ErrorType};

/// The largest body of a form, in bytes. Go's bound for forms.
pub const MAX_FORM_BYTES: usize = 10 << 20;
/// The most parameters of one request.
pub const MAX_PARAMETERS: usize = 1 << 14;

/// The parameters of one request; those of the body come before those of the URL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    pairs: Vec<(String, String)>,
    broken: Option<String>,
}

impl Form {
    /// The first value of `name`; empty if there is none, as Go's `FormValue`.
    pub(crate) fn first(&self, name: &str) -> &str {
        let pair = self.pairs.iter().find(|(candidate, _)| candidate == name);
        pair.map_or("", |(_, value)| value)
    }

    /// All values of `name`.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.pairs
            .iter()
            .filter(move |(candidate, _)| candidate == name)
            .map(|(_, value)| value.as_str())
    }

    /// Fails if a part of the form could not be decoded; readers of single values look past such parts.
    ///
    /// # Errors
    /// Names the escape that is not valid.
    pub(crate) fn strict(&self) -> Result<(), ApiError> {
        match &self.broken {
            Some(broken) => Err(ApiError::bad_data(format_args!(
                "error parsing form values: {broken}"
            ))),
            None => Ok(()),
        }
    }

    fn read(&mut self, encoded: &str) -> Result<(), ApiError> {
        for pair in encoded.split('&').filter(|pair| !pair.is_empty()) {
            if self.pairs.len() == MAX_PARAMETERS {
                return Err(ApiError::new(
                    ErrorType::TooLarge,
                    format!("request has more than {MAX_PARAMETERS} parameters"),
                ));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decode(name), decode(value)) {
                (Ok(name), Ok(value)) => self.pairs.push((name, value)),
                (Err(error), _) | (_, Err(error)) => {
                    self.broken = self.broken.take().or(Some(error))
                }
            }
        }
        Ok(())
    }
}

/// Decodes `+` and `%41`. Bytes that are not UTF-8 become U+FFFD.
fn decode(text: &str) -> Result<String, String> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Ok(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let escape: Vec<u8> = bytes.by_ref().take(2).collect();
                escaped(&escape).ok_or_else(|| {
                    let shown = String::from_utf8_lossy(&escape).into_owned();
                    format!("invalid URL escape \"%{shown}\"")
                })?
            }
            plain => plain,
        });
    }
    Ok(match String::from_utf8_lossy(&out) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    })
}

fn escaped(pair: &[u8]) -> Option<u8> {
    let [high, low] = pair else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn has_form(method: &Method, headers: &HeaderMap) -> bool {
    let carries = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media = kind.and_then(|kind| kind.split(';').next());
    carries
        && media.is_some_and(|media| {
            media
                .trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
}

async fn read_body(body: Body) -> Result<String, ApiError> {
    let bytes = axum::body::to_bytes(body, MAX_FORM_BYTES).await.map_err(|error| {
        let kind = if is_length_limit(&error) {
            ErrorType::TooLarge
        } else {
            ErrorType::BadData
        };
        ApiError::new(
            kind,
            format!("the form could not be read (at most {MAX_FORM_BYTES} bytes are accepted): {error}"),
        )
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_length_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.to_string().contains("length limit"))
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let mut form = Self::default();
        if has_form(&head.method, &head.headers) {
            form.read(&read_body(body).await?)?;
        }
        form.read(head.uri.query().unwrap_or(""))?;
        Ok(form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        let mut form = Form::default();
        form.read(text).unwrap();
        form
    }

    #[test]
    fn decodes_values() {
        let form = form("match%5B%5D=up%7Ba%3D%22b%22%7D&match[]=a+b&empty=&bare&=x");
        assert_eq!(
            form.all("match[]").collect::<Vec<_>>(),
            ["up{a=\"b\"}", "a b"]
        );
        assert_eq!(
            (form.first("empty"), form.first("bare"), form.first("nope")),
            ("", "", "")
        );
        assert!(form.strict().is_ok());
    }

    #[test]
    fn drops_what_it_cannot_decode_and_remembers() {
        for bad in ["query=%zz", "query=%4", "query=%", "%é=1"] {
            let form = form(bad);
            assert_eq!(form.first("query"), "", "{bad}");
            let error = form.strict().unwrap_err().to_string();
            assert!(
                error.starts_with("error parsing form values: invalid URL escape"),
                "{error}"
            );
        }
        assert_eq!(form("a=%ff").first("a"), "\u{fffd}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_form(text in "[a%+=&0-9é]{0,60}") {
            let form = form(&text);
            let _ = (form.first("a"), form.strict());
        }
    }

    #[test]
    fn refuses_too_many_parameters() {
        let text = "a=1&".repeat(MAX_PARAMETERS + 1);
        let error = Form::default().read(&text).unwrap_err();
        assert_eq!(error.kind(), ErrorType::TooLarge);
    }
}
