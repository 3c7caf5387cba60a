//! `/api/v1/query` and `/api/v1/query_range`.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::Response;
use headwater_model::Timestamp;
use headwater_query::{
    Answer, CancelToken, EvalRequest, Evaluate, QueryError, QueryErrorKind, StatsLevel, Value,
};
use headwater_storage::BoxFuture;

use crate::error::{ApiError, ErrorType};
use crate::form::Form;
use crate::json::body::respond;
use crate::json::stats::StatsDetail;
use crate::params;
use crate::serve::asker::Asker;
use crate::state::Api;
use crate::time::{parse_nanos, parse_span, parse_time, time_parameter};

/// The most steps between the ends of a range query, so that no client draws more points than any
/// screen has, by mistake. One point more than this is accepted, because both ends count.
pub const MAX_RANGE_STEPS: i64 = 11_000;

const TRUNCATED: &str = "results truncated due to limit";
const NANOS_PER_MILLI: i64 = 1_000_000;

/// A query at one moment.
pub(crate) async fn instant(
    State(api): State<Api>,
    asker: Asker,
    form: Form,
) -> Result<Response, ApiError> {
    let limit = params::limit(&form)?;
    let request = instant_request(&api, &form)?;
    run(&api, &form, request, asker, limit).await
}

/// A query at every step of a range.
pub(crate) async fn range(
    State(api): State<Api>,
    asker: Asker,
    form: Form,
) -> Result<Response, ApiError> {
    let limit = params::limit(&form)?;
    let request = range_request(&form)?;
    run(&api, &form, request, asker, limit).await
}

/// What a form asks of one moment.
pub(crate) fn instant_request(api: &Api, form: &Form) -> Result<EvalRequest, ApiError> {
    let time = time_parameter(form, "time", api.parts.clock.unix_millis())?;
    Ok(EvalRequest::instant(form.first("query"), time))
}

/// What a form asks of a range.
pub(crate) fn range_request(form: &Form) -> Result<EvalRequest, ApiError> {
    let (start, end, step) = steps(form)?;
    Ok(EvalRequest::range(form.first("query"), start, end, step))
}

/// Start, end and step in milliseconds.
fn steps(form: &Form) -> Result<(Timestamp, Timestamp, i64), ApiError> {
    let time = |name: &str| parse_time(form.first(name)).map_err(|error| error.in_parameter(name));
    let (start, end) = (time("start")?, time("end")?);
    if end < start {
        let message = "end timestamp must not be before start time";
        return Err(ApiError::parameter("end", message));
    }
    let nanos = parse_nanos(form.first("step")).map_err(|error| error.in_parameter("step"))?;
    let step = nanos / NANOS_PER_MILLI;
    if step <= 0 {
        return Err(ApiError::parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if (i128::from(end) - i128::from(start)) / i128::from(step) > i128::from(MAX_RANGE_STEPS) {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    Ok((start, end, step))
}

async fn run(
    api: &Api,
    form: &Form,
    mut request: EvalRequest,
    asker: Asker,
    limit: usize,
) -> Result<Response, ApiError> {
    let (detail, remark) = stats_parameter(form);
    request.stats = match detail {
        None => StatsLevel::None,
        Some(StatsDetail::Totals) => StatsLevel::Totals,
        Some(StatsDetail::PerStep) => StatsLevel::PerStep,
    };
    request.limit = limit;
    request.origin = Some(asker.0);
    let evaluated = api.ask(form, request, |engine, request| engine.evaluate(request));
    let mut answer = evaluated.await?;
    // An engine that stops early says so itself.
    if truncate(&mut answer, limit) && !answer.warnings.iter().any(|known| known == TRUNCATED) {
        answer.warnings.push(TRUNCATED.to_owned());
    }
    answer.warnings.extend(remark);
    shorten(&mut answer.warnings, "warning");
    shorten(&mut answer.infos, "info");
    Ok(respond(answer, detail))
}

/// As many remarks of each kind as an answer shows; strange data can make one a series.
const MAX_REMARKS: usize = 10;

/// Leaves the first remarks and says how many more there were.
fn shorten(remarks: &mut Vec<String>, kind: &str) {
    if remarks.len() > MAX_REMARKS {
        let more = remarks.len() - MAX_REMARKS;
        remarks.truncate(MAX_REMARKS);
        remarks.push(format!("{more} more {kind} annotations omitted"));
    }
}

/// The bound that the server has for everyone, or less where the request asks for less.
fn timeout(api: &Api, form: &Form) -> Result<Duration, ApiError> {
    let bound = api.parts.settings.query_timeout;
    match form.first("timeout") {
        "" => Ok(bound),
        text => parse_span(text)
            .map(|asked| asked.min(bound))
            .map_err(|error| error.in_parameter("timeout")),
    }
}

/// `lookback_delta` in milliseconds; what is not above zero means the engine's own.
fn lookback(form: &Form) -> Result<Option<i64>, ApiError> {
    match form.first("lookback_delta") {
        "" => Ok(None),
        text => match parse_nanos(text) {
            Ok(nanos) => Ok(Some(nanos / NANOS_PER_MILLI).filter(|millis| *millis > 0)),
            Err(error) => Err(ApiError::bad_data(format_args!(
                "error parsing lookback delta duration: {error}"
            ))),
        },
    }
}

/// Which statistics are wanted, and a remark on values that only old servers took.
fn stats_parameter(form: &Form) -> (Option<StatsDetail>, Option<String>) {
    match form.first("stats") {
        "" => (None, None),
        "all" => (Some(StatsDetail::PerStep), None),
        "true" => (Some(StatsDetail::Totals), None),
        other => {
            let remark = format!(
                "value {other:?} for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" or \"all\""
            );
            (Some(StatsDetail::Totals), Some(remark))
        }
    }
}

/// Cuts the answer to `limit` series (0 for all) and tells whether there were more.
fn truncate(answer: &mut Answer, limit: usize) -> bool {
    if limit == 0 {
        return false;
    }
    match &mut answer.value {
        Value::Vector(samples) => cut(samples, limit),
        Value::Matrix(series) => cut(series, limit),
        _ => false,
    }
}

fn cut<T>(values: &mut Vec<T>, limit: usize) -> bool {
    let more = values.len() > limit;
    values.truncate(limit);
    more
}

/// Stops an evaluation whose caller went away: then the future that holds this is dropped.
pub(crate) struct CancelOnDrop(pub(crate) CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// An engine that evaluates gives up by itself at the deadline, between two series; what waits for a
/// turn cannot, and is given up this much later.
const GRACE: Duration = Duration::from_secs(1);

impl Api {
    /// Asks the engine, within the time that the form and the server grant, as long as the caller waits.
    pub(crate) async fn ask<'a, T>(
        &'a self,
        form: &Form,
        mut request: EvalRequest,
        ask: impl FnOnce(&'a dyn Evaluate, EvalRequest) -> BoxFuture<'a, Result<T, QueryError>>,
    ) -> Result<T, ApiError> {
        let timeout = timeout(self, form)?;
        request.lookback = lookback(form)?;
        request.cancel = CancelToken::with_deadline(Instant::now() + timeout);
        let _guard = CancelOnDrop(request.cancel.clone());
        let asked = ask(self.engine()?, request);
        let waited = tokio::time::timeout(timeout + GRACE, asked).await;
        let result = waited.unwrap_or_else(|_| {
            let message = "query timed out in query queue";
            Err(QueryError::new(QueryErrorKind::Timeout, message))
        });
        result.map_err(|error| ApiError::from(error).in_parameter("query"))
    }

    fn engine(&self) -> Result<&dyn headwater_query::Evaluate, ApiError> {
        self.parts.engine.as_deref().ok_or_else(agent_only)
    }
}

/// What a server without a store answers to every question about data.
pub(crate) fn agent_only() -> ApiError {
    ApiError::new(ErrorType::Execution, "unavailable with Prometheus Agent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_remarks_are_shown() {
        let mut remarks: Vec<String> = (0..12).map(|at| at.to_string()).collect();
        shorten(&mut remarks, "info");
        assert_eq!(remarks.len(), 11);
        assert_eq!(remarks[10], "2 more info annotations omitted");
        shorten(&mut vec!["one".to_owned()], "info");
    }
}
