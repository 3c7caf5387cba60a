//! One handle for each set of label values.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};
use parking_lot::RwLock;

use super::{Collect, Measure};
use crate::family::{Metric, MetricFamily};

/// Most label sets that a family tells; handles for more work but are not told.
const MAX_CHILDREN: usize = 20_000;

/// Metrics of one name, told apart by labels. Cloning is cheap and shares them.
///
/// [`Family::with`] takes a lock: where it matters, keep the handle.
pub struct Family<M>(Arc<Inner<M>>);

struct Inner<M> {
    name: String,
    help: String,
    labels: Box<[&'static str]>,
    make: Box<dyn Fn() -> M + Send + Sync>,
    children: RwLock<HashMap<Vec<String>, M>>,
}

impl<M> Clone for Family<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> std::fmt::Debug for Family<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Family")
            .field("name", &self.0.name)
            .field("labels", &self.0.labels)
            .finish()
    }
}

/// Label values as they are asked for; hashes as the owned ones do.
struct Key<'a>(&'a [&'a str]);

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Equivalent<Vec<String>> for Key<'_> {
    fn equivalent(&self, key: &Vec<String>) -> bool {
        self.0.iter().eq(key.iter())
    }
}

impl<M: Measure> Family<M> {
    pub(super) fn new(
        name: &str,
        help: &str,
        labels: &[&'static str],
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            name: name.to_owned(),
            help: help.to_owned(),
            labels: labels.into(),
            make: Box::new(make),
            children: RwLock::default(),
        }))
    }

    /// The handle for these values, one for each label in the order in which they were
    /// declared; values that are missing are empty, values too many are left out.
    pub fn with(&self, values: &[&str]) -> M {
        debug_assert_eq!(
            values.len(),
            self.0.labels.len(),
            "label values of {}",
            self.0.name
        );
        if let Some(child) = self.0.children.read().get(&Key(values)) {
            return child.clone();
        }
        let mut children = self.0.children.write();
        if let Some(child) = children.get(&Key(values)) {
            return child.clone();
        }
        let child = (self.0.make)();
        if children.len() < MAX_CHILDREN {
            children.insert(
                values.iter().map(|value| (*value).to_owned()).collect(),
                child.clone(),
            );
        }
        child
    }

    /// Stops telling the metric with these values. Handles to it go on working.
    pub fn remove(&self, values: &[&str]) {
        self.0.children.write().remove(&Key(values));
    }

    /// Stops telling any metric of the family.
    pub fn clear(&self) {
        self.0.children.write().clear();
    }
}

impl<M: Measure> Collect for Family<M> {
    fn collect(&self, out: &mut Vec<MetricFamily>) {
        let mut children: Vec<(Vec<String>, M)> = self
            .0
            .children
            .read()
            .iter()
            .map(|(values, child)| (values.clone(), child.clone()))
            .collect();
        children.sort_by(|a, b| a.0.cmp(&b.0));
        let mut family = MetricFamily::new(&self.0.name, &self.0.help, M::TYPE);
        family
            .metrics
            .extend(children.into_iter().map(|(values, child)| {
                let names = self.0.labels.iter().map(|name| Cow::Borrowed(*name));
                Metric {
                    labels: names.zip(values).collect(),
                    ..Metric::new(child.measure())
                }
            }));
        out.push(family);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    #[test]
    fn equal_values_share_a_handle() {
        let family = Registry::new().counters("c_total", "", &["a", "b"]);
        family.with(&["x", "y"]).inc();
        family.with(&["x", "y"]).inc();
        family.with(&["xy", ""]).inc();
        assert_eq!(family.with(&["x", "y"]).get(), 2.0);
        family.remove(&["x", "y"]);
        assert_eq!(family.with(&["x", "y"]).get(), 0.0);
    }

    #[test]
    fn the_number_of_label_sets_is_bounded() {
        let registry = Registry::new();
        let family = registry.counters("c_total", "", &["a"]);
        (0..MAX_CHILDREN + 5).for_each(|i| family.with(&[&i.to_string()]).inc());
        assert_eq!(registry.gather()[0].metrics.len(), MAX_CHILDREN);
    }
}
