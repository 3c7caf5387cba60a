//! Limits by tenant: what all have, and what single tenants have instead.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use headwater_yaml::{Error, Fields, settings};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::limits::Limits;

/// The limits of all tenants. May be exchanged while everything runs.
#[derive(Debug)]
pub struct Overrides {
    base: Arc<Limits>,
    tenants: ArcSwap<BTreeMap<String, Arc<Limits>>>,
}

impl Overrides {
    /// The same limits for everybody.
    pub fn new(base: Limits) -> Self {
        Self {
            base: Arc::new(base),
            tenants: ArcSwap::default(),
        }
    }

    /// The limits of one tenant.
    pub fn of(&self, tenant: &str) -> Arc<Limits> {
        self.tenants
            .load()
            .get(tenant)
            .unwrap_or(&self.base)
            .clone()
    }

    /// Limits of everybody who has none of their own.
    pub fn base(&self) -> &Limits {
        &self.base
    }

    /// Names of tenants with limits of their own.
    pub fn tenants(&self) -> Vec<String> {
        self.tenants.load().keys().cloned().collect()
    }

    /// Takes over the text of a runtime file: `overrides: {tenant: {limit: value}}`. Keys that are not
    /// given there are those of everybody.
    ///
    /// # Errors
    /// The text is not valid; the former limits stay.
    pub fn load(&self, text: &str) -> Result<(), Error> {
        let file: RuntimeFile = headwater_yaml::from_str(text)?;
        let tenants = file.overrides.0.into_iter();
        // Limits are read once more on top of everybody's, now that it is known that they are valid.
        let merged = tenants
            .map(|(tenant, limits)| (tenant, Arc::new(limits.over(&self.base))))
            .collect();
        self.tenants.store(Arc::new(merged));
        Ok(())
    }
}

settings! {
    /// The runtime file.
    #[derive(Clone, Debug)]
    struct RuntimeFile {
        overrides: Tenants,
    }
}

/// What tenants have instead, by tenant.
#[derive(Clone, Debug, Default)]
struct Tenants(BTreeMap<String, Partial>);

/// Limits of which only some were given: each is kept with its value as it was read.
#[derive(Clone, Debug, Default)]
struct Partial(Vec<(String, serde_json::Value)>);

impl Partial {
    fn over(&self, base: &Limits) -> Limits {
        let mut limits = base.clone();
        for (key, value) in &self.0 {
            // Checked when it was read.
            let _ = set(&mut limits, key, value);
        }
        limits
    }
}

/// Sets one limit; false if there is no such limit.
fn set(
    limits: &mut Limits,
    key: &str,
    value: &serde_json::Value,
) -> Result<bool, serde_json::Error> {
    use serde::de::value::MapDeserializer;
    let mut read = |value: &serde_json::Value| {
        let mut map = MapDeserializer::new(std::iter::once((key, value)));
        let _: Option<String> = map.next_key()?;
        limits.set(key, &mut map)
    };
    match value {
        // Sizes and durations may be bare numbers, but are read as texts.
        serde_json::Value::Number(number) => {
            read(value).or_else(|_| read(&serde_json::Value::String(number.to_string())))
        }
        value => read(value),
    }
}

impl<'de> Deserialize<'de> for Tenants {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(from).map(Self)
    }
}

impl serde::Serialize for Tenants {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(tenant, limits)| {
            let limits: BTreeMap<_, _> = limits.0.iter().cloned().collect();
            (tenant, limits)
        }))
    }
}

impl headwater_yaml::Empty for Tenants {}

impl<'de> Deserialize<'de> for Partial {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Partial;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mapping of limits")
            }

            fn visit_unit<E>(self) -> Result<Partial, E> {
                Ok(Partial::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Partial, A::Error> {
                use serde::de::Error as _;
                let (mut all, mut probe) = (Vec::new(), Limits::default());
                while let Some((key, value)) = map.next_entry::<String, serde_json::Value>()? {
                    match set(&mut probe, &key, &value) {
                        Ok(true) => all.push((key, value)),
                        Ok(false) => {
                            return Err(A::Error::custom(format_args!("unknown limit {key:?}")));
                        }
                        Err(error) => return Err(A::Error::custom(format_args!("{key}: {error}"))),
                    }
                }
                Ok(Partial(all))
            }
        }
        from.deserialize_map(Keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_have_the_rest_from_everybody() {
        let base: Limits = headwater_yaml::from_str("ingestion_rate_mb: 7\n").unwrap();
        let overrides = Overrides::new(base);
        overrides
            .load("overrides:\n  a:\n    max_line_size: 1024\n    max_global_streams_per_user: 7\n  b:\n")
            .unwrap();
        let a = overrides.of("a");
        assert_eq!((a.max_line_size.bytes(), a.ingestion_rate_mb), (1024, 7.0));
        assert_eq!(overrides.of("b").max_line_size.bytes(), 256 << 10);
        assert_eq!(overrides.tenants(), ["a", "b"]);
    }

    #[test]
    fn a_bad_file_changes_nothing() {
        let overrides = Overrides::new(Limits::default());
        overrides
            .load("overrides: {a: {max_line_size: 1KB}}")
            .unwrap();
        for text in [
            "overrides: {a: {max_line_siz: 1KB}}",
            "overrides: {a: {max_line_size: many}}",
            "other: 1",
        ] {
            assert!(overrides.load(text).is_err(), "{text}");
            assert_eq!(overrides.of("a").max_line_size.bytes(), 1024);
        }
    }
}
