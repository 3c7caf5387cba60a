//! What service discovery hands to whoever connects to the targets.

use crate::label::Labels;

/// Targets that share labels and come from one source of one discovery mechanism.
///
/// A group replaces the earlier group of the same `source`; a group without targets removes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// Names the group within its provider, e.g. a file and the position in it.
    pub source: String,
    /// Labels of all targets in the group.
    pub labels: Labels,
    /// One label set a target; each has `__address__`.
    pub targets: Vec<Labels>,
}
