//! The range of time that a request is about.

use headwater_model::duration::parse_duration;

use crate::error::ApiError;
use crate::form::Form;
use crate::time::{SECOND, parse_time};

/// Start and end in nanoseconds: `start` and `end`, where `since` says how long before the end (or
/// now, if that is earlier) a start lies that is not given.
pub(crate) fn bounds(form: &Form, now: i64) -> Result<(i64, i64), ApiError> {
    let since = match form.given("since") {
        Some(text) => parse_duration(text)
            .map(|millis| millis.saturating_mul(1_000_000))
            .map_err(|_| {
                ApiError::bad(format_args!(
                    "could not parse 'since' parameter: not a valid duration string: {text:?}"
                ))
            })?,
        None => 3600 * SECOND,
    };
    let named = |name: &str| {
        form.given(name)
            .map(parse_time)
            .transpose()
            .map_err(|error| {
                ApiError::bad(format_args!("could not parse '{name}' parameter: {error}"))
            })
    };
    let end = named("end")?.unwrap_or(now);
    let start = named("start")?.unwrap_or_else(|| end.min(now).saturating_sub(since));
    Ok((start, end))
}

/// As [`bounds`], for requests that must look at something.
pub(crate) fn forward_bounds(form: &Form, now: i64) -> Result<(i64, i64), ApiError> {
    let (start, end) = bounds(form, now)?;
    match end < start {
        true => Err(ApiError::bad(
            "end timestamp must not be before or equal to start time",
        )),
        false => Ok((start, end)),
    }
}

/// A number of lines or rows.
pub(crate) fn limit(form: &Form, default: usize) -> Result<usize, ApiError> {
    let Some(text) = form.given("limit") else {
        return Ok(default);
    };
    let number: i64 = text.parse().map_err(|_| {
        ApiError::bad(format_args!(
            "strconv.Atoi: parsing {text:?}: invalid syntax"
        ))
    })?;
    if number > i64::from(u32::MAX) {
        return Err(ApiError::bad(format_args!(
            "limit value {number} is out of range [0, {}]",
            u32::MAX
        )));
    }
    match usize::try_from(number) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(ApiError::bad("limit must be a positive value")),
    }
}
