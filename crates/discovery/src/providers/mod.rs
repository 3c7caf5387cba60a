//! One mechanism a file.

#[cfg(feature = "dns")]
mod dns;
#[cfg(feature = "file")]
mod file;
#[cfg(feature = "http")]
mod http;
mod refresh;
mod r#static;

#[cfg(feature = "dns")]
pub(crate) use dns::dns_provider;
#[cfg(feature = "file")]
pub use file::FileProvider;
#[cfg(feature = "http")]
pub(crate) use http::http_provider;
pub use refresh::{Refresh, Refreshed};
pub use r#static::StaticProvider;
