//! Answers as JSON, written straight into one buffer.

mod answer;
mod stats;
mod text;

use axum::http::header;
use axum::response::{IntoResponse, Response};

pub(crate) use answer::{Flags, legacy_streams, query_answer, tail_frame};
pub(crate) use text::{push_seconds, push_text};

/// Loki's content type, in its spelling.
pub(crate) const JSON: &str = "application/json; charset=UTF-8";

/// A finished JSON text as an answer.
pub(crate) fn json(body: impl Into<axum::body::Body>) -> Response {
    ([(header::CONTENT_TYPE, JSON)], body.into()).into_response()
}

/// `{"status":"success","data":[..]}`; without `data` if there is nothing, as in Loki.
pub(crate) fn success(values: &[String]) -> Response {
    let mut out = String::from("{\"status\":\"success\"");
    if !values.is_empty() {
        out.push_str(",\"data\":");
        text::push_list(&mut out, values, |out, value| push_text(out, value));
    }
    out.push('}');
    json(out)
}

/// A list of label sets.
pub(crate) fn label_sets<'a>(
    sets: impl IntoIterator<Item = &'a headwater_model::Labels>,
) -> Response {
    let mut out = String::from("{\"status\":\"success\",\"data\":");
    text::push_list(&mut out, sets, |out, labels| {
        text::push_object(out, labels.iter());
    });
    out.push('}');
    json(out)
}

/// An object of texts.
pub(crate) fn push_labels<N: AsRef<str>, V: AsRef<str>>(
    out: &mut String,
    pairs: impl IntoIterator<Item = (N, V)>,
) {
    text::push_object(out, pairs);
}

/// A list.
pub(crate) fn push_list<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    push: impl FnMut(&mut String, T),
) {
    text::push_list(out, items, push);
}
