#![doc = include_str!("../README.md")]

mod error;
mod follow;
mod form;
#[cfg(feature = "golden")]
pub mod golden;
#[cfg(feature = "grpc")]
pub mod grpc;
mod json;
mod metrics;
mod observe;
mod parts;
mod router;
mod routes;
mod selector;
mod state;
mod time;

pub use error::ApiError;
pub use form::MAX_FORM_BYTES;
pub use parts::{Parts, ServiceState, Settings, Status};
pub use router::router;
#[cfg(feature = "grpc")]
pub use router::router_with_grpc;
