//! A flag by which a caller that went away stops the work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use crate::error::{QueryError, QueryErrorKind};

/// Shared between whoever may give up and the loops that do the work. Cheap to clone and to ask.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    state: Arc<AtomicU8>,
    deadline: Option<Instant>,
}

const CANCELED: u8 = 1;

impl CancelToken {
    /// A token that nobody has used.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that also stops the work at `deadline`.
    pub fn with_deadline(deadline: Instant) -> Self {
        Self {
            deadline: Some(deadline),
            ..Self::default()
        }
    }

    /// The same token with a deadline beside it; of two the earlier one counts.
    #[must_use]
    pub fn and_deadline(self, deadline: Instant) -> Self {
        let deadline = self.deadline.map_or(deadline, |own| own.min(deadline));
        Self {
            state: self.state,
            deadline: Some(deadline),
        }
    }

    /// Stops the work.
    pub fn cancel(&self) {
        self.state.store(CANCELED, Ordering::Relaxed);
    }

    /// Whether [`CancelToken::cancel`] was called; cheaper than a check, which looks at the clock too.
    #[inline]
    pub fn is_canceled(&self) -> bool {
        self.state.load(Ordering::Relaxed) == CANCELED
    }

    /// Fails if the work should stop. `doing` names it for the message, as in `query processing`.
    ///
    /// # Errors
    /// [`QueryErrorKind::Canceled`] or [`QueryErrorKind::Timeout`].
    pub fn check(&self, doing: &str) -> Result<(), QueryError> {
        if self.is_canceled() {
            return Err(QueryError::new(
                QueryErrorKind::Canceled,
                format!("query was canceled in {doing}"),
            ));
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(QueryError::new(
                QueryErrorKind::Timeout,
                format!("query timed out in {doing}"),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_why_it_stops() {
        let token = CancelToken::new();
        token.check("query processing").unwrap();
        assert!(!token.is_canceled());
        token.clone().cancel();
        assert!(token.is_canceled());
        assert_eq!(
            token.check("query processing").unwrap_err().to_string(),
            "query was canceled in query processing"
        );
        let late = CancelToken::with_deadline(Instant::now());
        assert_eq!(
            late.check("expression evaluation").unwrap_err().kind(),
            QueryErrorKind::Timeout
        );
    }
}
