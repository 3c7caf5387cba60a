//! Answers that point elsewhere: where to, with what, and who may be told our password.

use http::{HeaderMap, Method, Response, StatusCode, Uri, header, request};

use super::error::ClientError;

/// As many as Go's client follows.
pub(super) const MAX_REDIRECTS: usize = 10;

/// The request that a redirect asks for.
pub(super) struct Next {
    pub(super) uri: Uri,
    pub(super) method: Method,
    pub(super) keep_body: bool,
}

/// What to ask next, if the answer is a redirect that can be followed.
pub(super) fn next<B>(
    parts: &request::Parts,
    response: &Response<B>,
) -> Result<Option<Next>, ClientError> {
    let keep_body = match response.status() {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => false,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => return Ok(None),
    };
    let Some(location) = response.headers().get(header::LOCATION) else {
        return Ok(None);
    };
    let uri = absolute(&parts.uri, location.as_bytes())?;
    let method = match &parts.method {
        method if keep_body => method.clone(),
        &Method::HEAD => Method::HEAD,
        _ => Method::GET,
    };
    Ok(Some(Next {
        uri,
        method,
        keep_body,
    }))
}

fn absolute(base: &Uri, location: &[u8]) -> Result<Uri, ClientError> {
    let invalid = |error: &dyn std::fmt::Display| {
        let location = String::from_utf8_lossy(location);
        ClientError::Request(format!(
            "cannot follow the redirect to {location:?}: {error}"
        ))
    };
    let text = std::str::from_utf8(location).map_err(|error| invalid(&error))?;
    let url = url::Url::parse(&base.to_string())
        .and_then(|base| base.join(text))
        .map_err(|error| invalid(&error))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid(&"unsupported protocol scheme"));
    }
    // A user in the location is not ours to send, and the fragment is not for the server.
    let mut url = url;
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    url.as_str()
        .parse()
        .map_err(|error: http::uri::InvalidUri| invalid(&error))
}

/// True if what we show the first address may be shown to the second: the same host and port, and
/// not in the clear after having been encrypted.
pub(super) fn same_host(first: &Uri, second: &Uri) -> bool {
    let port = |uri: &Uri| {
        uri.port_u16().or(if uri.scheme_str() == Some("https") {
            Some(443)
        } else {
            Some(80)
        })
    };
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    host(first) == host(second)
        && first.scheme_str() == second.scheme_str()
        && port(first) == port(second)
}

pub(super) fn drop_credentials(headers: &mut HeaderMap) {
    for name in [
        header::AUTHORIZATION,
        header::COOKIE,
        header::PROXY_AUTHORIZATION,
        header::WWW_AUTHENTICATE,
    ] {
        headers.remove(name);
    }
}

pub(super) fn drop_content(headers: &mut HeaderMap) {
    for name in [
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::TRANSFER_ENCODING,
    ] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &'static str) -> Uri {
        Uri::from_static(text)
    }

    #[test]
    fn credentials_stay_with_their_host() {
        assert!(same_host(&uri("http://a/x"), &uri("http://A:80/y")));
        assert!(!same_host(&uri("http://a/x"), &uri("http://b/x")));
        assert!(!same_host(&uri("http://a/x"), &uri("http://a:81/x")));
        assert!(!same_host(&uri("https://a/x"), &uri("http://a/x")));
    }

    #[test]
    fn a_location_is_relative_to_the_request() {
        let base = uri("http://a:1/x/y?z=1");
        assert_eq!(absolute(&base, b"../q?r").unwrap(), "http://a:1/q?r");
        assert_eq!(absolute(&base, b"http://me:pw@b/#f").unwrap(), "http://b/");
        assert!(absolute(&base, b"file:///etc/passwd").is_err());
    }

    #[test]
    fn see_other_asks_without_a_body() {
        let (parts, ()) = http::Request::post("http://a/")
            .body(())
            .unwrap()
            .into_parts();
        let answer = |status: u16| {
            Response::builder()
                .status(status)
                .header("location", "/b")
                .body(())
                .unwrap()
        };
        let followed = next(&parts, &answer(303)).unwrap().unwrap();
        assert_eq!((followed.method, followed.keep_body), (Method::GET, false));
        let followed = next(&parts, &answer(307)).unwrap().unwrap();
        assert_eq!((followed.method, followed.keep_body), (Method::POST, true));
        assert!(next(&parts, &answer(304)).unwrap().is_none());
    }
}
