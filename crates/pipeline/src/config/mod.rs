//! Settings: heka's TOML, from text to a plan that can be started.
//!
//! Every section is a plugin. Its `type` names what it is, or else its own
//! name does. Sections of splitters, decoders and encoders are templates
//! from which each stream or output gets its own. Unknown keys are errors,
//! and all errors of a configuration are reported at once, with their place.

mod common;
mod duration;
mod env;
mod error;
mod fields;
mod hekad;
mod idle;
mod keys;
mod nearest;
mod plan;
mod read;

pub use common::{
    Buffering, ConsumerCommon, FullAction, InputCommon, OutputCommon, PartCommon, QueuePolicy,
    QueueSettings, Retries, SplitterCommon,
};
pub use duration::GoDuration;
pub use env::interpolate;
pub use error::{ConfigError, ConfigErrors};
pub(crate) use fields::fields_of;
pub use hekad::HekadSettings;
pub use nearest::nearest;
pub use plan::{Plan, PlannedFilter, PlannedInput, PlannedOutput, Wants};
pub use read::Config;
pub(crate) use read::SectionTable;
