//! How many members must answer, and how many may fail.

use crate::instance::Instance;

/// Why a ring cannot serve. The words are those of the original: operators
/// search for them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// Nobody has registered: wait, or look at the key-value store.
    #[error("empty ring")]
    Empty,
    /// Too few of a key's members are alive: retry, or bring members back.
    #[error(
        "at least {needed} live replicas required{across}, could only find {found}{}",
        unhealthy_text(.unhealthy)
    )]
    TooFewReplicas {
        /// Members that must answer.
        needed: usize,
        /// Members that could.
        found: usize,
        /// Addresses of those that could not.
        unhealthy: Vec<String>,
        /// ` across different availability zones`, or nothing.
        across: &'static str,
    },
    /// Too few of all members are alive: retry, or bring members back.
    #[error("too many unhealthy instances in the ring")]
    TooManyUnhealthy,
}

fn unhealthy_text(addresses: &[String]) -> String {
    match addresses {
        [] => String::new(),
        addresses => format!(" - unhealthy instances: {}", addresses.join(",")),
    }
}

/// The members to ask, and how many of them may fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicationSet {
    /// The members, by name.
    pub instances: Vec<(String, Instance)>,
    /// So many answers may be missing.
    pub max_errors: usize,
    /// So many whole zones may be missing; used instead of `max_errors` where
    /// it is not 0.
    pub max_unavailable_zones: usize,
}

impl ReplicationSet {
    /// How many answers make a success.
    pub fn needed(&self) -> usize {
        self.instances.len() - self.max_errors
    }

    /// The addresses of the members.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.instances
            .iter()
            .map(|(_, instance)| instance.address.as_str())
    }
}

/// How many of a key's `members` must succeed: more than half of them, or of
/// the replication factor if there are fewer members than that.
///
/// ```
/// use headwater_ring::quorum::needed_for_key;
/// assert_eq!(needed_for_key(3, 3), 2);
/// assert_eq!(needed_for_key(3, 4), 3); // three and one that leaves
/// assert_eq!(needed_for_key(2, 2), 2); // two replicas tolerate nothing
/// ```
pub const fn needed_for_key(replication_factor: usize, members: usize) -> usize {
    let members = if members > replication_factor {
        members
    } else {
        replication_factor
    };
    members / 2 + 1
}

/// How many of all `instances` must answer, so that every key has been heard.
///
/// ```
/// use headwater_ring::quorum::needed_of_all;
/// assert_eq!(needed_of_all(3, 10), 9);
/// assert_eq!(needed_of_all(3, 2), 2);
/// ```
pub const fn needed_of_all(replication_factor: usize, instances: usize) -> usize {
    let instances = if instances > replication_factor {
        instances
    } else {
        replication_factor
    };
    instances - replication_factor / 2
}

/// How many whole zones may be missing when keys are spread over zones.
pub const fn tolerated_zones(replication_factor: usize, zones: usize) -> usize {
    let spread = if zones < replication_factor {
        zones
    } else {
        replication_factor
    };
    spread / 2
}
