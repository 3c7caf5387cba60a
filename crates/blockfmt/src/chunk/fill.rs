//! Where decoded floats go: the end of a column, which is as it was if decoding fails.

use headwater_model::{FloatColumn, TimeRange, Timestamp};

use crate::error::ChunkError;

/// Room for the samples of one chunk.
pub(super) struct Room<'a> {
    times: &'a mut [Timestamp],
    values: &'a mut [f64],
    /// Empty if neither column nor chunk has start timestamps.
    starts: &'a mut [Timestamp],
    range: TimeRange,
    kept: usize,
}

impl Room<'_> {
    /// Takes a sample if it lies in the range; answers whether later ones may.
    ///
    /// A sample before the range is written, too, and the next one written over it: that is
    /// cheaper than a branch.
    #[inline(always)]
    pub(super) fn put(&mut self, time: Timestamp, value: u64) -> bool {
        if time > self.range.end {
            return false;
        }
        if let (Some(to_time), Some(to_value)) = (
            self.times.get_mut(self.kept),
            self.values.get_mut(self.kept),
        ) {
            *to_time = time;
            *to_value = f64::from_bits(value);
        }
        self.kept += usize::from(time >= self.range.start);
        true
    }

    /// The same with a start timestamp.
    #[inline(always)]
    pub(super) fn put_with_start(&mut self, time: Timestamp, value: u64, start: Timestamp) -> bool {
        if let Some(to_start) = self.starts.get_mut(self.kept) {
            *to_start = start;
        }
        self.put(time, value)
    }
}

/// Makes room for `count` samples, has it filled, and gives back what is not needed.
#[inline(always)]
pub(super) fn fill(
    into: &mut FloatColumn,
    range: TimeRange,
    count: usize,
    with_starts: bool,
    read: impl FnOnce(&mut Room<'_>) -> Result<(), ChunkError>,
) -> Result<(), ChunkError> {
    let before = into.len();
    let had_starts = !into.starts.is_empty();
    into.times.resize(before + count, 0);
    into.values.resize(before + count, 0.0);
    if with_starts || had_starts {
        into.starts.resize(before + count, 0);
    }
    let mut room = Room {
        times: &mut into.times[before..],
        values: &mut into.values[before..],
        starts: into.starts.get_mut(before..).unwrap_or(&mut []),
        range,
        kept: 0,
    };
    let result = read(&mut room);
    let kept = before + if result.is_ok() { room.kept } else { 0 };
    into.times.truncate(kept);
    into.values.truncate(kept);
    into.starts.truncate(kept);
    if !had_starts && into.starts.iter().all(|&start| start == 0) {
        into.starts.clear();
    }
    result
}
