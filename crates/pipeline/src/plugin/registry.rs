//! Plugins by name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::config::{ConfigError, SectionTable, SplitterCommon, fields_of};

use super::context::{BuildContext, BuildError};
use super::decoder::Decoder;
use super::encoder::Encoder;
use super::filter::Filter;
use super::input::Input;
use super::output::Output;
use super::splitter::Splitter;

/// The six kinds of plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// Brings messages in.
    Input,
    /// Cuts streams into records.
    Splitter,
    /// Makes messages of records.
    Decoder,
    /// Computes.
    Filter,
    /// Makes bytes of messages.
    Encoder,
    /// Sends bytes away.
    Output,
}

/// Defaults of a plugin for settings that all of its kind share.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Defaults {
    /// Decoder of an input.
    pub decoder: Option<&'static str>,
    /// Splitter of an input.
    pub splitter: Option<&'static str>,
    /// Encoder of an output.
    pub encoder: Option<&'static str>,
    /// An output that cannot do without an encoder.
    pub needs_encoder: bool,
    /// Seconds between ticks.
    pub ticker_interval: Option<u64>,
    /// What a filter or output wants if it does not say.
    pub matcher: Option<&'static str>,
    /// Whether the pipeline goes on without it.
    pub can_exit: bool,
    /// Whether a disk queue lies before it.
    pub use_buffering: bool,
}

/// A type of plugin that can be named in a configuration.
///
/// Implement it together with one of [`Input`], [`Splitter`], [`Decoder`],
/// [`Filter`], [`Encoder`], [`Output`], and register it with the method of
/// [`Registry`] of that name.
pub trait Plugin: Sized + Send + 'static {
    /// The name that configurations write in `type`.
    const TYPE: &'static str;

    /// The keys of its section, those that all plugins of its kind have left
    /// aside. Give it `#[serde(default, deny_unknown_fields)]`.
    type Settings: DeserializeOwned + Clone + Send + Sync + 'static;

    /// Makes an instance. Called once when the configuration is checked, and
    /// again for every stream, output or restart.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings.
    fn build(settings: &Self::Settings, cx: &BuildContext<'_>) -> Result<Self, BuildError>;

    /// Defaults for settings that all plugins of its kind share.
    fn defaults() -> Defaults {
        Defaults::default()
    }
}

/// Settings of a plugin that has none of its own.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoSettings {}

type Make<T> = Arc<dyn Fn(&BuildContext<'_>) -> Result<Box<T>, BuildError> + Send + Sync>;
pub(crate) type MakeInput = Make<dyn Input>;
pub(crate) type MakeFilter = Make<dyn Filter>;
pub(crate) type MakeOutput = Make<dyn Output>;

/// Builds instances from the settings of one section.
#[derive(Clone)]
pub(crate) enum Maker {
    Input(MakeInput),
    Splitter(Make<dyn Splitter>),
    Decoder(Make<dyn Decoder>),
    Filter(MakeFilter),
    Encoder(Make<dyn Encoder>),
    Output(MakeOutput),
}

/// The sections from which streams and outputs get their parts.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) splitters: HashMap<String, SplitterPart>,
    pub(crate) decoders: HashMap<String, Make<dyn Decoder>>,
    pub(crate) encoders: HashMap<String, Make<dyn Encoder>>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

pub(crate) struct SplitterPart {
    pub(crate) make: Make<dyn Splitter>,
    pub(crate) common: SplitterCommon,
}

type Prepare = Box<dyn Fn(&SectionTable<'_>) -> Result<Maker, ConfigError> + Send + Sync>;

pub(crate) struct Registered {
    pub(crate) category: Category,
    pub(crate) defaults: Defaults,
    pub(crate) fields: &'static [&'static str],
    pub(crate) prepare: Prepare,
    plain: Box<dyn Fn() -> Option<Maker> + Send + Sync>,
}

impl Registered {
    /// A maker with default settings, if no setting is required.
    pub(crate) fn plain(&self) -> Option<Maker> {
        (self.plain)()
    }
}

/// Types of plugins by name.
#[derive(Default)]
pub struct Registry {
    types: BTreeMap<&'static str, Registered>,
    planned: BTreeSet<&'static str>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.types.keys()).finish()
    }
}

impl Registry {
    /// A registry that knows nothing yet.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// Registers an input.
    pub fn input<P: Plugin + Input>(&mut self) -> &mut Registry {
        self.insert::<P>(Category::Input, |make| {
            Maker::Input(Arc::new(move |cx| Ok(Box::new(make(cx)?))))
        })
    }

    /// Registers a splitter.
    pub fn splitter<P: Plugin + Splitter>(&mut self) -> &mut Registry {
        self.insert::<P>(Category::Splitter, |make| {
            Maker::Splitter(Arc::new(move |cx| Ok(Box::new(make(cx)?))))
        })
    }

    /// Registers a decoder.
    pub fn decoder<P: Plugin + Decoder>(&mut self) -> &mut Registry {
        self.insert::<P>(Category::Decoder, |make| {
            Maker::Decoder(Arc::new(move |cx| Ok(Box::new(make(cx)?))))
        })
    }

    /// Registers a filter.
    pub fn filter<P: Plugin + Filter>(&mut self) -> &mut Registry {
        self.insert::<P>(Category::Filter, |make| {
            Maker::Filter(Arc::new(move |cx| Ok(Box::new(make(cx)?))))
        })
    }

    /// Registers an encoder.
    pub fn encoder<P: Plugin + Encoder>(&mut self) -> &mut Registry {
        self.insert::<P>(Category::Encoder, |make| {
            Maker::Encoder(Arc::new(move |cx| Ok(Box::new(make(cx)?))))
        })
    }

    /// Registers an output.
    pub fn output<P: Plugin + Output>(&mut self) -> &mut Registry {
        self.insert::<P>(Category::Output, |make| {
            Maker::Output(Arc::new(move |cx| Ok(Box::new(make(cx)?))))
        })
    }

    /// Names of types that heka has and this program does not: a
    /// configuration that uses one is told so.
    pub fn planned(&mut self, names: &[&'static str]) -> &mut Registry {
        self.planned.extend(names);
        self
    }

    /// The names of all types, in order.
    pub fn types(&self) -> impl Iterator<Item = &'static str> {
        self.types.keys().copied()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Registered> {
        self.types.get(name)
    }

    pub(crate) fn is_planned(&self, name: &str) -> bool {
        self.planned.contains(name)
    }

    fn insert<P: Plugin>(
        &mut self,
        category: Category,
        maker: fn(Build<P>) -> Maker,
    ) -> &mut Registry {
        let prepare = move |section: &SectionTable<'_>| {
            let settings: P::Settings = section.read()?;
            Ok(maker(build_with::<P>(settings)))
        };
        let plain = move || {
            let empty = toml::Table::new();
            let settings: P::Settings = empty.try_into().ok()?;
            Some(maker(build_with::<P>(settings)))
        };
        let registered = Registered {
            category,
            defaults: P::defaults(),
            fields: fields_of::<P::Settings>(),
            prepare: Box::new(prepare),
            plain: Box::new(plain),
        };
        self.types.insert(P::TYPE, registered);
        self
    }
}

type Build<P> = Box<dyn Fn(&BuildContext<'_>) -> Result<P, BuildError> + Send + Sync>;

fn build_with<P: Plugin>(settings: P::Settings) -> Build<P> {
    Box::new(move |cx| P::build(&settings, cx))
}
