//! What a plugin is: the six traits, what they are given, and the registry
//! in which they are found by name.

pub mod conformance;
mod context;
mod cut;
mod decoder;
mod emitter;
mod encoder;
mod filter;
mod input;
mod output;
mod registry;
mod session;
mod splitter;
mod stats;

#[cfg(test)]
pub(crate) use context::for_test;
pub use context::{
    BuildContext, BuildError, FilterContext, Globals, InputContext, OutputContext, Services,
};
pub use cut::{Cut, cut};
pub use decoder::{Decoder, Decoding, Incoming};
pub use emitter::Emitter;
pub use encoder::Encoder;
pub use filter::Filter;
pub use input::Input;
pub use output::{Next, Output, Undelivered};
pub use registry::{Category, Defaults, NoSettings, Plugin, Registry};
pub(crate) use registry::{MakeFilter, MakeInput, MakeOutput, Maker, Parts, SplitterPart};
pub(crate) use session::now_nanos;
pub use session::{Session, SessionOptions};
pub use splitter::{Content, Found, Splitter};
pub use stats::{Counter, Stats};
