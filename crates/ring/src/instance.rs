//! The members of a ring, as they are published.

use std::collections::BTreeMap;
use std::fmt;

/// What a member is doing. The numbers are those of Loki's and Cortex's rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Takes reads and writes.
    #[default]
    Active = 0,
    /// Takes no more writes; hands over what it has.
    Leaving = 1,
    /// Has an entry but no tokens of its own yet.
    Pending = 2,
    /// Has tokens and waits whether another member claims them too.
    Joining = 3,
    /// Is gone. Kept for a while where members gossip, so that an old message
    /// does not bring it back.
    Left = 4,
}

impl State {
    /// All states, by number.
    pub const ALL: [Self; 5] = [
        Self::Active,
        Self::Leaving,
        Self::Pending,
        Self::Joining,
        Self::Left,
    ];

    /// The word by which the state is known.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Leaving => "LEAVING",
            Self::Pending => "PENDING",
            Self::Joining => "JOINING",
            Self::Left => "LEFT",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether a member may go from this state to another by itself.
    pub const fn may_become(self, next: Self) -> bool {
        use State::{Active, Joining, Leaving, Pending};
        matches!(
            (self, next),
            (Pending, Joining | Active) | (Joining, Pending | Active) | (Active, Leaving)
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Where it is reached.
    pub address: String,
    /// The zone it shares its fate with; empty if zones are not used.
    pub zone: String,
    /// What it is doing.
    pub state: State,
    /// Ascending, each once; empty once it has left.
    pub tokens: Vec<u32>,
    /// Its last sign of life, in seconds since the epoch.
    pub heartbeat: i64,
    /// When it first registered, in seconds since the epoch; 0 if unknown.
    pub registered: i64,
    /// Takes no writes although it is active, for example before it is scaled away.
    pub read_only: bool,
}

impl Instance {
    /// Whether the last sign of life is recent. A timeout of 0 means always.
    pub const fn is_alive(&self, now: i64, timeout_seconds: i64) -> bool {
        timeout_seconds == 0 || now.saturating_sub(self.heartbeat) <= timeout_seconds
    }

    /// The state as a status page shows it: `UNHEALTHY` for members that fell silent.
    pub fn shown_state(&self, now: i64, timeout_seconds: i64) -> &'static str {
        match self.is_alive(now, timeout_seconds) {
            true => self.state.as_str(),
            false => "UNHEALTHY",
        }
    }
}

/// All members by name: the value that is published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desc {
    /// Members by name.
    pub instances: BTreeMap<String, Instance>,
}

impl Desc {
    /// A ring without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// All tokens of all members but one, ascending.
    pub fn tokens_of_others(&self, id: &str) -> Vec<u32> {
        let others = self.instances.iter().filter(|(other, _)| *other != id);
        let mut tokens: Vec<u32> = others.flat_map(|(_, i)| i.tokens.iter().copied()).collect();
        tokens.sort_unstable();
        tokens
    }
}
