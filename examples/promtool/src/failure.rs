//! Why a command ends without success.

use std::fmt;

/// What a command comes to.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// A message for people and the status of the process.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// Something did not work: status 1.
    pub(crate) fn new(message: impl fmt::Display) -> Failure {
        Failure {
            message: message.to_string(),
            code: 1,
        }
    }

    /// What was looked at is not in order: status 3, as of linters.
    pub(crate) fn lint() -> Failure {
        Failure {
            message: String::new(),
            code: 3,
        }
    }

    /// Says why, if that was not said before.
    pub(crate) fn tell(&self) {
        if !self.message.is_empty() {
            eprintln!("{}", self.message);
        }
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<headwater_storage::Error> for Failure {
    fn from(error: headwater_storage::Error) -> Failure {
        Failure::new(error)
    }
}

/// Says what was being done when something failed.
pub(crate) trait Context<T> {
    fn context(self, doing: impl fmt::Display) -> Outcome<T>;
}

impl<T, E: fmt::Display> Context<T> for Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Outcome<T> {
        self.map_err(|error| Failure::new(format_args!("{doing}: {error}")))
    }
}
