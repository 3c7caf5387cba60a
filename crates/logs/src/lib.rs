#![doc = include_str!("../README.md")]

mod distributor;
mod error;
mod ingester;
mod level;
mod limits;
mod rate;
mod service_name;
mod validate;

pub use distributor::{Counts, Distributor};
pub use error::{PushError, Reason};
pub use ingester::{Ingester, IngesterConfig};
pub use level::{DETECTED_LEVEL, detect, level_of_word};
pub use limits::Limits;
pub use rate::TokenBucket;
pub use service_name::{SERVICE_NAME, UNKNOWN_SERVICE, with_service_name};
