//! `otlp`: how OpenTelemetry's metrics become ours.

use std::collections::BTreeSet;

use headwater_yaml::settings;

use crate::names::{Validation, words};

settings! {
    /// How OpenTelemetry's metrics become ours.
    #[derive(Clone, Debug, PartialEq)]
    pub struct OtlpConfig {
        /// Every attribute of the resource becomes a label.
        pub promote_all_resource_attributes: bool,
        /// These attributes of the resource become labels.
        pub promote_resource_attributes: Vec<String>,
        /// These do not, though all others do.
        pub ignore_resource_attributes: Vec<String>,
        /// How names are changed.
        pub translation_strategy: TranslationStrategy,
        /// Keep what identifies the resource in `target_info` too.
        pub keep_identifying_resource_attributes: bool,
        /// Turn classic histograms into native ones with custom buckets.
        pub convert_histograms_to_nhcb: bool,
        /// What describes the instrumentation becomes labels.
        pub promote_scope_metadata: bool,
        /// Put `key` before labels that begin with an underscore.
        pub label_name_underscore_sanitization: bool = true => always,
        /// Leave several underscores in a row alone.
        pub label_name_preserve_multiple_underscores: bool = true => always,
    }
    check(OtlpConfig::validate)
}

words! {
    /// How names are changed.
    #[derive(Default)]
    pub enum TranslationStrategy("OTLP translation strategy") {
        /// Classic characters, with unit and type at the end.
        #[default]
        UnderscoreEscapingWithSuffixes = "UnderscoreEscapingWithSuffixes",
        /// All characters, with unit and type at the end.
        NoUtf8EscapingWithSuffixes = "NoUTF8EscapingWithSuffixes",
        /// Classic characters, nothing added.
        UnderscoreEscapingWithoutSuffixes = "UnderscoreEscapingWithoutSuffixes",
        /// As they are.
        NoTranslation = "NoTranslation",
    }
}

impl OtlpConfig {
    fn validate(&mut self) -> Result<(), String> {
        if self.promote_all_resource_attributes && !self.promote_resource_attributes.is_empty() {
            return Err("'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured simultaneously".into());
        }
        if !self.promote_all_resource_attributes && !self.ignore_resource_attributes.is_empty() {
            return Err("'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true".into());
        }
        tidy(&mut self.promote_resource_attributes, "promoted")?;
        tidy(&mut self.ignore_resource_attributes, "ignored")
    }

    pub(crate) fn fits(&self, validation: Validation) -> Result<(), String> {
        use TranslationStrategy::{NoTranslation, NoUtf8EscapingWithSuffixes};
        let foreign = matches!(
            self.translation_strategy,
            NoTranslation | NoUtf8EscapingWithSuffixes
        );
        if foreign && validation == Validation::Legacy {
            let strategy = self.translation_strategy.word();
            return Err(format!(
                "OTLP translation strategy {strategy:?} is not allowed when UTF8 is disabled"
            ));
        }
        Ok(())
    }
}

/// Space around names does not count; names that are nothing or come twice are mistakes.
fn tidy(names: &mut [String], what: &str) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        *name = name.trim().to_owned();
        if name.is_empty() {
            return Err(format!("empty {what} OTel resource attribute"));
        }
        if !seen.insert(name.clone()) {
            return Err(format!(
                "duplicated {what} OTel resource attribute {name:?}"
            ));
        }
    }
    Ok(())
}
