#![doc = include_str!("../README.md")]

mod bytes;
mod distributor;
mod error;
mod ingester;
mod level;
mod limits;
mod overrides;
pub mod push;
mod rate;
mod retention;
mod service_name;
mod tail;
mod validate;

pub use bytes::ByteSize;
pub use distributor::{Counts, Distributor};
pub use error::{PushError, Reason};
pub use ingester::{Ingester, IngesterConfig};
pub use level::{DETECTED_LEVEL, detect, level_of_word};
pub use limits::{Limits, ShardStreams};
pub use overrides::Overrides;
pub use rate::TokenBucket;
pub use retention::{Retention, RetentionStream};
pub use service_name::{SERVICE_NAME, UNKNOWN_SERVICE, with_service_name};
pub use tail::{Follower, Followers, News, Stored};
