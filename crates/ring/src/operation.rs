//! What a caller wants to do decides which members will do.

use crate::instance::State;

/// What is to be done with the members of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Writes go to active members only. For each member met that is not
    /// active one more is taken, because data written now must be found where
    /// it will be looked for once the change is over.
    Write,
    /// Like `Write`, without taking more members.
    WriteNoExtend,
    /// Reads also ask members that are coming or going, and follow writes in
    /// taking more.
    Read,
    /// Everybody, whatever they do.
    Reporting,
}

impl Operation {
    /// Whether a member in this state may be used.
    pub const fn accepts(self, state: State) -> bool {
        match self {
            Self::Write | Self::WriteNoExtend => matches!(state, State::Active),
            Self::Read => matches!(state, State::Active | State::Pending | State::Leaving),
            Self::Reporting => true,
        }
    }

    /// Whether meeting a member in this state makes room for one more.
    pub const fn extends(self, state: State) -> bool {
        match self {
            Self::Write => !matches!(state, State::Active),
            // Data that was written past a leaving member is also still there.
            Self::Read => !matches!(state, State::Active | State::Leaving),
            Self::WriteNoExtend | Self::Reporting => false,
        }
    }
}
