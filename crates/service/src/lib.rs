#![doc = include_str!("../README.md")]

mod group;
mod log;
mod modules;
mod ready;
mod reload;
mod signals;
#[cfg(feature = "otlp")]
mod trace;

pub use group::{Actor, BoxError, GroupError, RunGroup, Stop, Stopper};
pub use log::{LogFormat, LogLevel, LogSettings, Logging};
pub use modules::{ModuleError, Modules};
pub use ready::{Readiness, State};
pub use reload::{ReloadError, Reloader, Reloads, Wish, reload_hook};
pub use signals::{Signal, Signals};
#[cfg(feature = "otlp")]
pub use trace::{TraceError, TraceSettings, TraceTls};
