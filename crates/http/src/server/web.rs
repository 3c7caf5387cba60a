//! The web configuration in use, read again when a file changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::tls::server_config;
use super::web_config::WebConfig;
use crate::files::Watched;

/// What the file said when it last made sense.
#[derive(Debug)]
pub(super) struct Web {
    source: Source,
    look_again: Duration,
    loaded: ArcSwap<Loaded>,
}

/// Where the settings come from.
#[derive(Debug)]
pub(super) enum Source {
    File(PathBuf),
    /// Given by the program. The certificates that they name may change.
    Given(Box<WebConfig>),
}

impl Source {
    fn path(&self) -> Option<&Path> {
        match self {
            Source::File(path) => Some(path),
            Source::Given(_) => None,
        }
    }
}

/// One reading of the file.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: WebConfig,
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
    /// Sent with every answer.
    pub(super) headers: HeaderMap,
    watched: Watched,
}

impl Web {
    pub(super) fn open(
        source: Source,
        look_again: Duration,
    ) -> Result<Self, headwater_yaml::Error> {
        let loaded = Loaded::read(&source, look_again)?;
        Ok(Self {
            source,
            look_again,
            loaded: ArcSwap::from_pointee(loaded),
        })
    }

    /// What is in force. A file that no longer makes sense leaves the old settings in force.
    pub(super) fn current(&self) -> Arc<Loaded> {
        let current = self.loaded.load_full();
        if !current.watched.changed() {
            return current;
        }
        match Loaded::read(&self.source, self.look_again) {
            Ok(fresh) => {
                let fresh = Arc::new(fresh);
                self.loaded.store(fresh.clone());
                tracing::info!("The web configuration changed and is in force");
                fresh
            }
            Err(error) => {
                tracing::error!(%error, "The web configuration changed but cannot be used; keeping the old one");
                current
            }
        }
    }
}

impl Loaded {
    fn read(source: &Source, look_again: Duration) -> Result<Self, headwater_yaml::Error> {
        let path = source.path();
        // Dates are noted before contents are read, so that a change in between is seen later.
        let mut watched = Watched::new(path.map(Path::to_owned).into_iter().collect(), look_again);
        let config = match source {
            Source::File(path) => WebConfig::load(path)?,
            Source::Given(config) => WebConfig::clone(config),
        };
        watched.add(config.files());
        let http2 = config.http_server_config.http2;
        let tls = config
            .tls_server_config
            .as_ref()
            .map(|tls| server_config(tls, http2))
            .transpose();
        let tls = tls.map_err(|message| {
            let error = headwater_yaml::Error::new(format!("tls_server_config: {message}"));
            match path {
                Some(path) => error.in_file(path),
                None => error,
            }
        })?;
        let headers = config.http_server_config.headers.iter();
        let headers = headers
            .filter_map(|(name, value)| {
                Some((
                    HeaderName::try_from(name).ok()?,
                    HeaderValue::from_str(value).ok()?,
                ))
            })
            .collect();
        Ok(Self {
            config,
            tls,
            headers,
            watched,
        })
    }
}
