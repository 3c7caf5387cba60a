#![doc = include_str!("../README.md")]

mod error;
mod form;
mod json;
mod params;
mod parts;
mod receive;
mod router;
mod routes;
mod selectors;
mod serve;
mod state;
mod time;

pub use error::{ApiError, ErrorType};
pub use form::{MAX_FORM_BYTES, MAX_PARAMETERS};
pub use parts::{
    Admin, BuildInfo, DamagedBlock, Dropped, FailedBlock, Features, HeadStats, Health, Lifecycle,
    MendedBlock, Mending, NameCount, NoScraping, NoTsdb, Notification, Parts, Phase, RuntimeInfo,
    Scraping, Server, Settings, TargetMetadata, TargetView, TsdbStats, TsdbView, WalReplay,
};
pub use receive::{
    MAX_LABELS_PER_SERIES, MAX_SAMPLES_PER_WRITE, MAX_SERIES_PER_WRITE, MAX_SYMBOLS_PER_WRITE,
    WriteMessage,
};
pub use router::router;
pub use routes::query::MAX_RANGE_STEPS;
pub use serve::asker::Client;
pub use time::format_rfc3339;
