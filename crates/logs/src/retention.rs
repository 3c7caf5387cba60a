//! How long entries are kept: by tenant, and within a tenant by stream.

use std::collections::BTreeMap;
use std::time::Duration as Period;

use headwater_chunkstore::ChunkStore;
use headwater_model::{Labels, Matcher};
use headwater_storage::Result;
use headwater_yaml::{Duration, settings};

use crate::limits::Limits;
use crate::overrides::Overrides;

settings! {
    /// Streams that are kept for another time than the rest.
    #[derive(Clone, Debug, PartialEq)]
    pub struct RetentionStream {
        /// Which streams: `{namespace="dev"}`.
        pub selector: String,
        /// Of several rules that fit, the one with the highest number counts.
        pub priority: i64,
        /// How long their entries are kept; 0 for ever.
        pub period: Duration,
    }
    check(|rule: &mut RetentionStream| match headwater_logql::parse_selector(&rule.selector) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("selector {:?}: {error}", rule.selector)),
    })
}

/// The rules of one tenant.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Sorted so that the first that fits counts.
    streams: Vec<(Vec<Matcher>, Option<Period>)>,
    rest: Option<Period>,
}

impl Retention {
    /// The rules that limits state.
    pub fn of(limits: &Limits) -> Self {
        let mut rules: Vec<_> = limits.retention_stream.iter().collect();
        // Of rules of one priority the shorter period counts, as in Loki.
        rules.sort_by_key(|rule| (std::cmp::Reverse(rule.priority), rule.period.millis()));
        let streams = rules.into_iter().filter_map(|rule| {
            // Selectors were checked when they were read.
            let selector = headwater_logql::parse_selector(&rule.selector).ok()?;
            Some((selector.matchers, period(rule.period)))
        });
        Self {
            streams: streams.collect(),
            rest: period(limits.retention_period),
        }
    }

    /// How long entries of a stream are kept; `None` for ever.
    pub fn period(&self, labels: &Labels) -> Option<Period> {
        let fits = |matcher: &Matcher| matcher.matches(labels.get(&matcher.name).unwrap_or(""));
        let mut streams = self.streams.iter();
        match streams.find(|(matchers, _)| matchers.iter().all(fits)) {
            Some((_, period)) => *period,
            None => self.rest,
        }
    }
}

fn period(duration: Duration) -> Option<Period> {
    (!duration.is_zero()).then(|| duration.to_std())
}

impl Overrides {
    /// Removes from a store what is older than its tenant and stream keep it. Answers how many parts
    /// were removed or made smaller.
    ///
    /// # Errors
    /// As [`ChunkStore::expire`].
    pub fn expire(&self, store: &ChunkStore) -> Result<usize> {
        let names = store.tenants().into_iter();
        let rules: BTreeMap<String, Retention> = names
            .map(|name| {
                let rules = Retention::of(&self.of(&name));
                (name, rules)
            })
            .collect();
        store.expire(&|tenant, labels| rules.get(tenant)?.period(labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> Limits {
        headwater_yaml::from_str(text).unwrap()
    }

    #[test]
    fn the_rule_of_highest_priority_counts() {
        let rules = Retention::of(&limits(
            "retention_period: 744h
retention_stream:
- {selector: '{namespace=\"dev\"}', priority: 1, period: 24h}
- {selector: '{namespace=~\"dev|audit\"}', priority: 2, period: 0s}
- {selector: '{app=\"a\"}', priority: 1, period: 48h}
- {selector: '{app=~\"a|b\"}', priority: 1, period: 12h}
",
        ));
        let hours = |pairs: &[(&str, &str)]| {
            let period = rules.period(&Labels::from_pairs(pairs.iter().copied()));
            period.map(|period| period.as_secs() / 3600)
        };
        assert_eq!(hours(&[("app", "x")]), Some(744));
        assert_eq!(hours(&[("namespace", "dev")]), None, "for ever");
        assert_eq!(hours(&[("app", "a"), ("namespace", "prod")]), Some(12));
        assert_eq!(
            Retention::of(&Limits::default()).period(&Labels::empty()),
            None
        );
    }

    #[test]
    fn selectors_are_checked() {
        let text = "retention_stream: [{selector: 'app=a', period: 24h}]";
        let error = headwater_yaml::from_str::<Limits>(text).unwrap_err();
        assert!(error.to_string().contains("selector \"app=a\""), "{error}");
    }
}
