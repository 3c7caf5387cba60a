//! From sections to plugins that can be started.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::matcher::{Dialect, Matcher};
use crate::plugin::{
    BuildContext, Category, Defaults, Globals, MakeFilter, MakeInput, MakeOutput, Maker, Parts,
    Registry, Services, SplitterPart,
};

use super::common::{
    Buffering, ConsumerCommon, InputCommon, OutputCommon, PartCommon, QueueSettings, Retries,
    SplitterCommon,
};
use super::error::{ConfigError, ConfigErrors};
use super::fields::fields_of;
use super::hekad::HekadSettings;
use super::nearest;
use super::read::{Config, SectionTable, sections};

/// Sections that exist without being written.
const DEFAULTS: [&str; 6] = [
    "ProtobufDecoder",
    "ProtobufEncoder",
    "TokenSplitter",
    "PatternGroupingSplitter",
    "HekaFramingSplitter",
    "NullSplitter",
];

/// A checked configuration: every plugin can be built.
pub struct Plan {
    /// Settings of the daemon.
    pub hekad: HekadSettings,
    pub(crate) globals: Arc<Globals>,
    pub(crate) services: Arc<Services>,
    pub(crate) parts: Arc<Parts>,
    /// The inputs, in the order of the files.
    pub inputs: Vec<PlannedInput>,
    /// The filters.
    pub filters: Vec<PlannedFilter>,
    /// The outputs.
    pub outputs: Vec<PlannedOutput>,
    /// Keys of heka that were set and change nothing here, each with its
    /// reason.
    pub notices: Vec<String>,
}

/// An input to be started.
#[derive(Clone)]
pub struct PlannedInput {
    /// Name of the section.
    pub name: Arc<str>,
    /// Settings that all inputs share.
    pub common: InputCommon,
    pub(crate) make: MakeInput,
    pub(crate) content: toml::Value,
}

/// A filter to be started.
#[derive(Clone)]
pub struct PlannedFilter {
    /// Name of the section.
    pub name: Arc<str>,
    /// What it wants.
    pub wants: Wants,
    pub(crate) make: MakeFilter,
    pub(crate) content: toml::Value,
}

/// An output to be started.
#[derive(Clone)]
pub struct PlannedOutput {
    /// Name of the section.
    pub name: Arc<str>,
    /// What it wants.
    pub wants: Wants,
    /// The encoder's section, if it has one.
    pub encoder: Option<String>,
    /// Whether to frame, if the settings say.
    pub use_framing: Option<bool>,
    pub(crate) make: MakeOutput,
    pub(crate) content: toml::Value,
}

/// What filters and outputs have in common.
#[derive(Debug, Clone)]
pub struct Wants {
    /// Which messages.
    pub matcher: Matcher,
    /// Whose signature.
    pub signer: Option<String>,
    /// Time between ticks.
    pub ticker: Option<Duration>,
    /// The pipeline goes on without it.
    pub can_exit: bool,
    /// How to start again.
    pub retries: Retries,
    /// The queue in memory.
    pub queue: QueueSettings,
    /// The disk queue, if there is one.
    pub buffering: Option<Buffering>,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = |names: Vec<&Arc<str>>| format!("{names:?}");
        f.debug_struct("Plan")
            .field(
                "inputs",
                &names(self.inputs.iter().map(|p| &p.name).collect()),
            )
            .field(
                "filters",
                &names(self.filters.iter().map(|p| &p.name).collect()),
            )
            .field(
                "outputs",
                &names(self.outputs.iter().map(|p| &p.name).collect()),
            )
            .finish_non_exhaustive()
    }
}

/// One plugin section on its way to a plan.
struct Pending<'a> {
    section: SectionTable<'a>,
    category: Category,
    defaults: Defaults,
    maker: Maker,
    /// A key is wrong, so what is made of the others says nothing.
    faulty: bool,
}

impl Plan {
    /// Checks a configuration and prepares its plugins.
    ///
    /// # Errors
    ///
    /// All faults found.
    pub fn new(config: &Config, registry: &Registry) -> Result<Plan, ConfigErrors> {
        let mut errors = Vec::new();
        let mut sections = sections(config)?;
        let mut notices = Vec::new();
        let hekad = take_hekad(&mut sections, &mut errors, &mut notices);
        if sections.is_empty() && errors.is_empty() {
            errors.push(ConfigError::new(
                "empty configuration: no plugin is configured",
            ));
        }
        let mut pending = Vec::new();
        for section in sections {
            match prepare(section, registry, &mut errors) {
                Some(ready) => pending.push(ready),
                None => continue,
            }
        }
        for plugin in &pending {
            notices.extend(plugin.section.idle_keys(Some(plugin.category)));
        }
        let mut builder = Builder {
            plan: Plan {
                notices,
                ..Plan::empty(hekad)
            },
            parts: Parts::default(),
            contents: HashMap::new(),
            errors,
        };
        builder.add_defaults(registry);
        builder.add_parts(&pending);
        builder.check_parts(&pending);
        builder.add_plugins(pending);
        builder.finish()
    }

    fn empty(hekad: HekadSettings) -> Plan {
        Plan {
            globals: Arc::new(Globals::new(&hekad)),
            hekad,
            services: Arc::default(),
            parts: Arc::default(),
            inputs: Vec::new(),
            filters: Vec::new(),
            outputs: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// A splitter of that section.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn splitter(
        &self,
        name: &str,
    ) -> Result<Box<dyn crate::plugin::Splitter>, crate::plugin::BuildError> {
        let Some(part) = self.parts.splitters.get(name) else {
            let text = format!("no splitter named {name}");
            return Err(crate::plugin::BuildError::new(text));
        };
        let cx = BuildContext::new(name, &self.globals, &self.services, &self.parts, None);
        (part.make)(&cx)
    }

    /// Puts queues and journals elsewhere than `[hekad]` says.
    pub fn set_base_dir(&mut self, dir: &std::path::Path) {
        Arc::make_mut(&mut self.globals).base_dir = dir.to_owned();
    }

    /// Gives this host another name than `[hekad]` says.
    pub fn set_hostname(&mut self, name: &str) {
        Arc::make_mut(&mut self.globals).hostname = name.to_owned().into();
    }

    /// What plugins know of the daemon.
    pub fn globals(&self) -> &Arc<Globals> {
        &self.globals
    }
}

fn take_hekad(
    sections: &mut Vec<SectionTable<'_>>,
    errors: &mut Vec<ConfigError>,
    notices: &mut Vec<String>,
) -> HekadSettings {
    let Some(place) = sections.iter().position(|section| section.name == "hekad") else {
        return HekadSettings::default();
    };
    let mut section = sections.remove(place);
    errors.extend(section.normalize(&[fields_of::<HekadSettings>()]));
    notices.extend(section.idle_keys(None));
    match section.read::<HekadSettings>() {
        Ok(settings) => {
            errors.extend(settings.fault().map(|fault| section.error(fault)));
            settings
        }
        Err(error) => {
            errors.push(error);
            HekadSettings::default()
        }
    }
}

/// Finds the type of a section and reads its settings.
fn prepare<'a>(
    mut section: SectionTable<'a>,
    registry: &Registry,
    errors: &mut Vec<ConfigError>,
) -> Option<Pending<'a>> {
    let type_name = section.text("type").unwrap_or(&section.name).to_owned();
    let Some(registered) = registry.get(&type_name) else {
        errors.push(unknown_type(&section, &type_name, registry));
        return None;
    };
    let common = match registered.category {
        Category::Input => fields_of::<InputCommon>(),
        Category::Splitter => fields_of::<SplitterCommon>(),
        Category::Decoder | Category::Encoder => fields_of::<PartCommon>(),
        Category::Filter | Category::Output => fields_of::<ConsumerCommon>(),
    };
    let more = match registered.category {
        Category::Output => fields_of::<OutputCommon>(),
        _ => &[],
    };
    let unknown = section.normalize(&[common, more, registered.fields]);
    let faulty = !unknown.is_empty();
    errors.extend(unknown);
    match (registered.prepare)(&section) {
        Ok(maker) => Some(Pending {
            category: registered.category,
            defaults: registered.defaults,
            maker,
            section,
            faulty,
        }),
        Err(error) => {
            errors.push(error);
            None
        }
    }
}

fn unknown_type(section: &SectionTable<'_>, name: &str, registry: &Registry) -> ConfigError {
    let message = match (registry.is_planned(name), nearest(name, registry.types())) {
        (true, _) => format!("{name} is a plugin of heka that is not built yet"),
        (false, Some(near)) => format!("no registered plugin type: {name} (did you mean {near}?)"),
        (false, None) => format!("no registered plugin type: {name}"),
    };
    section.error_at("type", message)
}

struct Builder {
    plan: Plan,
    parts: Parts,
    /// What the sections of splitters, decoders and encoders say.
    contents: HashMap<String, toml::Value>,
    errors: Vec<ConfigError>,
}

impl Builder {
    /// All that a plugin is made of, for a reload to compare: its section,
    /// and those of the parts that it names, and that these name.
    fn content(&self, plugin: &Pending<'_>) -> toml::Value {
        let own = plugin.section.plain();
        let defaults = &plugin.defaults;
        let mut names: Vec<String> = [defaults.splitter, defaults.decoder, defaults.encoder]
            .into_iter()
            .flatten()
            .map(str::to_owned)
            .collect();
        texts(&own, &mut names);
        let mut said = vec![self.plan.hekad.strict_compatibility.into(), own];
        let mut seen = HashSet::new();
        while let Some(name) = names.pop() {
            if let Some(part) = self.contents.get(&name)
                && seen.insert(name)
            {
                texts(part, &mut names);
                said.push(part.clone());
            }
        }
        toml::Value::Array(said)
    }

    fn add_defaults(&mut self, registry: &Registry) {
        for name in DEFAULTS {
            let Some(registered) = registry.get(name) else {
                continue;
            };
            if let Some(maker) = registered.plain() {
                self.add_part(name, maker, SplitterCommon::default());
            }
        }
    }

    fn add_part(&mut self, name: &str, maker: Maker, common: SplitterCommon) {
        let name = name.to_owned();
        match maker {
            Maker::Splitter(make) => {
                self.parts
                    .splitters
                    .insert(name, SplitterPart { make, common });
            }
            Maker::Decoder(make) => {
                self.parts.decoders.insert(name, make);
            }
            Maker::Encoder(make) => {
                self.parts.encoders.insert(name, make);
            }
            Maker::Input(_) | Maker::Filter(_) | Maker::Output(_) => {}
        }
    }

    fn add_parts(&mut self, pending: &[Pending<'_>]) {
        for part in pending {
            let common = match part.category {
                Category::Splitter => part.section.read::<SplitterCommon>(),
                Category::Decoder | Category::Encoder => Ok(SplitterCommon::default()),
                _ => continue,
            };
            match common {
                Ok(common) => {
                    let name = &part.section.name;
                    self.contents.insert(name.clone(), part.section.plain());
                    self.add_part(name, part.maker.clone(), common);
                }
                Err(error) => self.errors.push(error),
            }
        }
        self.plan.parts = Arc::new(std::mem::take(&mut self.parts));
    }

    /// Builds each template once, so that its faults show now and not when
    /// the first stream opens.
    fn check_parts(&mut self, pending: &[Pending<'_>]) {
        for part in pending.iter().filter(|part| !part.faulty) {
            let cx = self.context(&part.section.name, None);
            let built = match &part.maker {
                Maker::Splitter(make) => make(&cx).map(drop),
                Maker::Decoder(make) => make(&cx).map(drop),
                Maker::Encoder(make) => make(&cx).map(drop),
                _ => continue,
            };
            if let Err(error) = built {
                self.errors.push(part.section.error(error.to_string()));
            }
        }
    }

    fn context<'b>(&'b self, name: &'b str, ticker: Option<Duration>) -> BuildContext<'b> {
        BuildContext::new(
            name,
            &self.plan.globals,
            &self.plan.services,
            &self.plan.parts,
            ticker,
        )
    }

    fn add_plugins(&mut self, pending: Vec<Pending<'_>>) {
        for plugin in pending.into_iter().filter(|plugin| !plugin.faulty) {
            let added = match plugin.maker.clone() {
                Maker::Input(make) => self.add_input(&plugin, make),
                Maker::Filter(make) => self.add_filter(&plugin, make),
                Maker::Output(make) => self.add_output(&plugin, make),
                _ => Ok(()),
            };
            if let Err(error) = added {
                self.errors.push(error);
            }
        }
    }

    fn add_input(&mut self, plugin: &Pending<'_>, make: MakeInput) -> Result<(), ConfigError> {
        let section = &plugin.section;
        let mut common: InputCommon = section.read()?;
        let defaults = &plugin.defaults;
        let chosen = |set: Option<String>, default: Option<&str>| {
            set.filter(|name| !name.is_empty())
                .or(default.map(str::to_owned))
        };
        common.decoder = chosen(common.decoder, defaults.decoder);
        common.splitter = chosen(common.splitter, defaults.splitter);
        common.ticker_interval = common.ticker_interval.or(defaults.ticker_interval);
        if let Some(name) = &common.decoder
            && !self.plan.parts.decoders.contains_key(name)
        {
            return Err(missing(
                section,
                "decoder",
                name,
                self.plan.parts.decoders.keys(),
            ));
        }
        if let Some(name) = &common.splitter
            && !self.plan.parts.splitters.contains_key(name)
        {
            return Err(missing(
                section,
                "splitter",
                name,
                self.plan.parts.splitters.keys(),
            ));
        }
        let ticker = common.ticker_interval.map(Duration::from_secs);
        make(&self.context(&section.name, ticker)).map_err(|e| section.error(e.to_string()))?;
        self.plan.inputs.push(PlannedInput {
            name: section.name.as_str().into(),
            common,
            make,
            content: self.content(plugin),
        });
        Ok(())
    }

    fn add_filter(&mut self, plugin: &Pending<'_>, make: MakeFilter) -> Result<(), ConfigError> {
        let section = &plugin.section;
        let wants = self.wants(plugin)?;
        make(&self.context(&section.name, wants.ticker))
            .map_err(|error| section.error(error.to_string()))?;
        self.plan.filters.push(PlannedFilter {
            name: section.name.as_str().into(),
            wants,
            make,
            content: self.content(plugin),
        });
        Ok(())
    }

    fn add_output(&mut self, plugin: &Pending<'_>, make: MakeOutput) -> Result<(), ConfigError> {
        let section = &plugin.section;
        let common: OutputCommon = section.read()?;
        let encoder = self.encoder(plugin, common.encoder)?;
        let wants = self.wants(plugin)?;
        make(&self.context(&section.name, wants.ticker))
            .map_err(|error| section.error(error.to_string()))?;
        self.plan.outputs.push(PlannedOutput {
            name: section.name.as_str().into(),
            wants,
            encoder,
            use_framing: common.use_framing,
            make,
            content: self.content(plugin),
        });
        Ok(())
    }

    /// The encoder that an output names, or its default.
    fn encoder(
        &self,
        plugin: &Pending<'_>,
        named: Option<String>,
    ) -> Result<Option<String>, ConfigError> {
        let known = &self.plan.parts.encoders;
        let encoder = named.filter(|name| !name.is_empty());
        let encoder = encoder.or(plugin.defaults.encoder.map(str::to_owned));
        match &encoder {
            Some(name) if !known.contains_key(name) => {
                Err(missing(&plugin.section, "encoder", name, known.keys()))
            }
            None if plugin.defaults.needs_encoder => {
                Err(plugin.section.error("an encoder is required"))
            }
            _ => Ok(encoder),
        }
    }

    fn wants(&self, plugin: &Pending<'_>) -> Result<Wants, ConfigError> {
        let section = &plugin.section;
        let defaults = &plugin.defaults;
        let wanted: ConsumerCommon = section.read()?;
        let text = wanted.message_matcher.filter(|text| !text.is_empty());
        let text = text.or(defaults.matcher.map(str::to_owned));
        let Some(text) = text else {
            return Err(section.error(format!("'{}' missing message matcher", section.name)));
        };
        let dialect = if self.plan.hekad.strict_compatibility {
            Dialect::Heka
        } else {
            Dialect::Extended
        };
        let matcher = Matcher::with_dialect(&text, dialect)
            .map_err(|error| section.error_at("message_matcher", error.to_string()))?;
        let buffered = wanted.use_buffering.unwrap_or(defaults.use_buffering);
        let buffering = wanted.buffering.unwrap_or_default();
        let record_max = crate::message::record_max(self.plan.hekad.max_message_size) as u64;
        if buffered && buffering.max_file_size <= record_max {
            let message = format!(
                "max_file_size must be greater than the largest record, {record_max} bytes"
            );
            return Err(section.error_at("buffering", message));
        }
        let ticker = wanted.ticker_interval.or(defaults.ticker_interval);
        Ok(Wants {
            matcher,
            signer: wanted.message_signer,
            ticker: ticker.filter(|secs| *secs > 0).map(Duration::from_secs),
            can_exit: wanted.can_exit.unwrap_or(defaults.can_exit),
            retries: wanted.retries,
            queue: wanted.queue,
            buffering: buffered.then_some(buffering),
        })
    }

    fn finish(self) -> Result<Plan, ConfigErrors> {
        if self.errors.is_empty() {
            Ok(self.plan)
        } else {
            Err(ConfigErrors(self.errors))
        }
    }
}

/// The strings in a value: among them are the names of other sections.
fn texts(value: &toml::Value, found: &mut Vec<String>) {
    match value {
        toml::Value::String(text) => found.push(text.clone()),
        toml::Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        toml::Value::Table(table) => table.values().for_each(|item| texts(item, found)),
        _ => {}
    }
}

fn missing<'a>(
    section: &SectionTable<'_>,
    kind: &str,
    name: &str,
    known: impl Iterator<Item = &'a String>,
) -> ConfigError {
    let known: HashMap<&str, ()> = known.map(|name| (name.as_str(), ())).collect();
    let hint = match nearest(name, known.keys().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("write a section [{name}]"),
    };
    section.error_at(kind, format!("no {kind} named {name} ({hint})"))
}
