//! The pages: plain HTML, ES modules and one style sheet, all files of this crate, cached by their
//! content. They know the server only through its API and hold relative addresses only, so that
//! they work under any prefix.

use std::sync::Arc;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use xxhash_rust::xxh64::xxh64;

use crate::parts::Settings;
use crate::state::Api;

const PAGE: &str = include_str!("../../assets/index.html");
const STYLE: &str = include_str!("../../assets/style.css");
const SCRIPTS: [(&str, &str); 6] = [
    ("/assets/app.js", include_str!("../../assets/app.js")),
    ("/assets/api.js", include_str!("../../assets/api.js")),
    ("/assets/dom.js", include_str!("../../assets/dom.js")),
    ("/assets/graph.js", include_str!("../../assets/graph.js")),
    ("/assets/lists.js", include_str!("../../assets/lists.js")),
    ("/assets/query.js", include_str!("../../assets/query.js")),
];

/// What the page has where its title goes.
const TITLE: &str = "{{title}}";

/// Paths that show the page; the script looks at the path to know which view is wanted.
const VIEWS: [&str; 3] = ["/query", "/targets", "/status"];

/// The page may load its own files and ask its own server, nothing else.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'self'",
);

/// Pages and redirects to them.
pub(crate) fn routes(settings: &Settings) -> Router<Api> {
    let title = escape_html(&settings.page_title);
    let page = asset("text/html; charset=utf-8", PAGE.replace(TITLE, &title));
    let start = format!("{}/query", settings.route_prefix);
    let graph = start.clone();
    let redirect = async move |RawQuery(query): RawQuery| {
        found(&format!("{graph}?{}", query.unwrap_or_default()))
    };
    let mut routes = Router::new()
        .route("/graph", get(redirect))
        .route("/assets/style.css", asset("text/css; charset=utf-8", STYLE));
    for (path, script) in SCRIPTS {
        routes = routes.route(path, asset("text/javascript; charset=utf-8", script));
    }
    for view in VIEWS {
        routes = routes.route(view, page.clone());
    }
    match settings.route_prefix.is_empty() {
        true => routes.route("/", get(async move || found(&start))),
        false => routes,
    }
}

/// With a prefix: from the root to it, and from it to the page.
pub(crate) fn redirects_to(prefix: &str) -> Router<Api> {
    let (root, slash, page) = (
        prefix.to_owned(),
        format!("{prefix}/"),
        format!("{prefix}/query"),
    );
    let with_slash = slash.clone();
    Router::new()
        .route("/", get(async move || found(&root)))
        .route(prefix, get(async move || moved(&with_slash)))
        .route(&slash, get(async move || found(&page)))
}

fn found(location: &str) -> Response {
    redirect(StatusCode::FOUND, "Found", location)
}

fn moved(location: &str) -> Response {
    redirect(StatusCode::MOVED_PERMANENTLY, "Moved Permanently", location)
}

fn redirect(status: StatusCode, word: &str, location: &str) -> Response {
    let body = format!("<a href=\"{}\">{word}</a>.\n\n", escape_html(location));
    let Ok(value) = HeaderValue::from_str(location) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    (
        status,
        [(header::LOCATION, value), (header::CONTENT_TYPE, html)],
        body,
    )
        .into_response()
}

/// A route that serves one text, and says "not modified" to those who have it.
fn asset(content_type: &'static str, text: impl Into<String>) -> MethodRouter<Api> {
    let text: Arc<str> = text.into().into();
    let tag = format!("\"{:016x}\"", xxh64(text.as_bytes(), 0));
    let tag = HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"0\""));
    get(async move |request: HeaderMap| {
        let headers = [
            (header::ETAG, tag.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        if has(&request, &tag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        let kind = [
            (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
            (
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ),
            (header::CONTENT_SECURITY_POLICY, POLICY),
        ];
        (headers, kind, text.to_string()).into_response()
    })
}

/// Whether the browser has this version. A proxy that compresses may have weakened the tag.
fn has(request: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = request
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let tag = tag.to_str().unwrap_or_default();
    known.is_some_and(|known| {
        known
            .split(',')
            .any(|candidate| candidate.trim().trim_start_matches("W/") == tag)
    })
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_the_browser_has() {
        let tag = HeaderValue::from_static("\"a\"");
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(value));
            has(&headers, &tag)
        };
        assert!(with("\"a\"") && with("\"b\", W/\"a\""));
        assert!(!with("\"b\"") && !has(&HeaderMap::new(), &tag));
    }

    #[test]
    fn titles_are_text() {
        assert_eq!(escape_html("<a & \"b\">"), "&lt;a &amp; &quot;b&quot;&gt;");
        assert!(PAGE.contains(TITLE));
    }
}
