//! What can go wrong with a request, sorted by what to do next.

use std::fmt::Write as _;

/// Why a request could not be made or its answer not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The settings cannot work. Mend them.
    #[error("{0}")]
    Settings(String),
    /// A file that the settings name cannot be read. Mend the file or the settings.
    #[error("unable to read {what} {path}: {source}")]
    File {
        /// What the file holds.
        what: &'static str,
        /// Which file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The request is not one that can be sent. Mend the request.
    #[error("invalid request: {0}")]
    Request(String),
    /// The server was not reached, or broke off. Trying again may help.
    #[error("{method} {url:?}: {}", chain(source.as_ref()))]
    Transport {
        /// The method of the request.
        method: http::Method,
        /// Its address, without a password.
        url: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server of tokens did not give one.
    #[error("cannot fetch an OAuth 2.0 token: {0}")]
    Token(String),
    /// The answer points on and on.
    #[error("stopped after {0} redirects")]
    TooManyRedirects(usize),
    /// The answer broke off or is not what its headers say. Trying again may help.
    #[error("cannot read the body: {0}")]
    Body(String),
    /// The answer is longer than the caller allows.
    #[error("body size limit of {limit} bytes exceeded")]
    BodyTooLarge {
        /// The limit, in bytes after decompression.
        limit: u64,
    },
}

/// An error with all its causes, each once: `tcp connect error: connection refused`.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            let _ = write!(text, ": {words}");
        }
        cause = next.source();
    }
    text
}
