//! The moments at which a query is evaluated.

use headwater_model::Timestamp;

use crate::error::{QueryError, QueryErrorKind};

/// Evenly spaced steps. Kernels work on step indexes; only the grid knows times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepGrid {
    start: Timestamp,
    step: i64,
    len: usize,
}

impl StepGrid {
    /// Steps at `start`, `start + step`, … up to `end`. A `step` of 0 makes one step at `start`.
    ///
    /// # Errors
    /// The step is negative, the end lies before the start, or there would be more than 2^31 steps.
    pub fn new(start: Timestamp, end: Timestamp, step: i64) -> Result<Self, QueryError> {
        let bad = |message: &str| Err(QueryError::new(QueryErrorKind::BadData, message));
        if step == 0 {
            return Ok(Self::instant(start));
        }
        if step < 0 {
            return bad(
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            );
        }
        if end < start {
            return bad("end timestamp must not be before start time");
        }
        let steps = (i128::from(end) - i128::from(start)) / i128::from(step) + 1;
        match usize::try_from(steps) {
            Ok(len) if len <= 1 << 31 => Ok(Self { start, step, len }),
            _ => bad("query has more than 2^31 steps"),
        }
    }

    /// One step.
    pub const fn instant(time: Timestamp) -> Self {
        Self {
            start: time,
            step: 1,
            len: 1,
        }
    }

    /// Number of steps, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a grid always has a step")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Time of step `index` in milliseconds.
    pub const fn time(&self, index: usize) -> Timestamp {
        self.start + self.step * index as i64
    }

    /// Time of the first step.
    pub const fn first(&self) -> Timestamp {
        self.start
    }

    /// Time of the last step.
    pub const fn last(&self) -> Timestamp {
        self.time(self.len - 1)
    }

    /// Milliseconds between steps (1 for a grid of one step).
    pub const fn step(&self) -> i64 {
        self.step
    }

    /// The times of all steps.
    pub fn times(&self) -> impl ExactSizeIterator<Item = Timestamp> + use<> {
        let grid = *self;
        (0..grid.len).map(move |index| grid.time(index))
    }

    /// Index of the first step whose time is at or after `time`; may be `len()`.
    pub fn first_at_or_after(&self, time: Timestamp) -> usize {
        if time <= self.start {
            return 0;
        }
        let steps = (i128::from(time) - i128::from(self.start) + i128::from(self.step) - 1)
            / i128::from(self.step);
        usize::try_from(steps).map_or(self.len, |steps| steps.min(self.len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_finds_steps() {
        let grid = StepGrid::new(10, 45, 10).unwrap();
        assert_eq!(grid.times().collect::<Vec<_>>(), [10, 20, 30, 40]);
        assert_eq!((grid.first(), grid.last()), (10, 40));
        let found: Vec<_> = [i64::MIN, 10, 11, 20, 40, 41, i64::MAX]
            .map(|t| grid.first_at_or_after(t))
            .into();
        assert_eq!(found, [0, 0, 1, 1, 3, 4, 4]);
    }

    #[test]
    fn refuses_nonsense() {
        assert!(StepGrid::new(0, 10, -1).is_err());
        assert!(StepGrid::new(10, 0, 1).is_err());
        assert!(StepGrid::new(i64::MIN, i64::MAX, 1).is_err());
        assert_eq!(StepGrid::new(5, 5, 0).unwrap().len(), 1);
    }
}
