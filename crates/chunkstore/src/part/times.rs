//! The column of times.

use super::PartError;
use super::bytes::{Input, put_uvarint};
use super::footer::Run;

/// Writes the times of one run, ascending.
pub(super) fn encode(times: &[i64], out: &mut Vec<u8>) {
    let mut before = times.first().copied().unwrap_or(0);
    for time in times {
        put_uvarint(out, time.wrapping_sub(before) as u64);
        before = *time;
    }
}

/// Reads the times of all runs of a block.
pub(super) fn decode(column: &[u8], runs: &[Run], times: &mut Vec<i64>) -> Result<(), PartError> {
    times.clear();
    let mut input = Input::new(column, "times");
    for run in runs {
        let mut time = run.first_time;
        for _ in 0..run.rows {
            time = i64::try_from(input.uvarint()?)
                .ok()
                .and_then(|step| time.checked_add(step))
                .ok_or_else(|| input.damaged())?;
            times.push(time);
        }
    }
    if input.rest().is_empty() {
        Ok(())
    } else {
        Err(input.damaged())
    }
}
