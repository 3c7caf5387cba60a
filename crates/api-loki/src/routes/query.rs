//! Queries over a range and at a moment, and those of the first API.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use headwater_logql::{Expr, LogAnswer, LogQuery, LogValue, parse};
use headwater_logs::Limits;
use headwater_model::duration::format_duration;
use headwater_query::CancelToken;
use headwater_storage::Direction;

use crate::error::ApiError;
use crate::form::Form;
use crate::json::{Flags, json, legacy_streams, query_answer};
use crate::routes::range::{bounds, forward_bounds, limit};
use crate::state::Api;
use crate::time::{SECOND, go_duration, parse_step, parse_time};

/// Lines of an answer if the request does not say.
pub(crate) const DEFAULT_LIMIT: usize = 100;
/// Steps of an answer. Source: Loki and Prometheus.
const MAX_STEPS: i64 = 11_000;

/// `/loki/api/v1/query_range`.
pub(crate) async fn range(
    State(api): State<Api>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, ApiError> {
    let tenant = api.tenant(&headers)?;
    let limits = api.limits(&tenant);
    let flags = flags(&headers);
    let (start, end) = forward_bounds(&form, api.now())?;
    let step = step(&form, start, end)?;
    if (end - start) / step > MAX_STEPS {
        return Err(ApiError::bad(
            "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
        ));
    }
    let text = form.first("query");
    let expr = parse(text)?;
    check(&expr, &limits)?;
    check_length(start, end, &limits)?;
    let mut query = LogQuery::range(text, start, end, step)
        .with_limit(limit(&form, DEFAULT_LIMIT)?)
        .with_direction(direction(&form)?)
        .with_split(split(&limits));
    query.interval = interval(&form)?;
    query.categorize = flags.categorize();
    if !expr.is_log() {
        query = query.aligned();
    }
    let answer = run(&api, &tenant, &limits, look_back(query, &limits, api.now())).await?;
    Ok(json(query_answer(&answer, &flags)))
}

/// The distance of steps in nanoseconds.
pub(crate) fn step(form: &Form, start: i64, end: i64) -> Result<i64, ApiError> {
    let step = match form.given("step") {
        Some(text) => parse_step(text)?,
        None => ((end - start) / (250 * SECOND)).max(1) * SECOND,
    };
    match step > 0 {
        true => Ok(step),
        false => Err(ApiError::bad(
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        )),
    }
}

/// `/loki/api/v1/query`.
pub(crate) async fn instant(
    State(api): State<Api>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, ApiError> {
    let tenant = api.tenant(&headers)?;
    let limits = api.limits(&tenant);
    let flags = flags(&headers);
    let time = match form.given("time") {
        Some(text) => parse_time(text)?,
        None => api.now(),
    };
    let text = form.first("query");
    check(&parse(text)?, &limits)?;
    let mut query = LogQuery::instant(text, time)
        .with_limit(limit(&form, DEFAULT_LIMIT)?)
        .with_direction(direction(&form)?);
    query.categorize = flags.categorize();
    let answer = run(&api, &tenant, &limits, query).await?;
    Ok(json(query_answer(&answer, &flags)))
}

/// `/api/prom/query`: lines only.
pub(crate) async fn legacy(
    State(api): State<Api>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, ApiError> {
    let tenant = api.tenant(&headers)?;
    let limits = api.limits(&tenant);
    let (start, end) = bounds(&form, api.now())?;
    let mut text = form.first("query").to_owned();
    if let Some(regexp) = form.given("regexp") {
        text = format!("{text} |~ {}", headwater_model::quote::go_quoted(regexp));
    }
    let expr = parse(&text)?;
    if !expr.is_log() {
        return Err(ApiError::bad(
            "rpc error: code = Code(400) desc = legacy endpoints only support streams result type",
        ));
    }
    check(&expr, &limits)?;
    check_length(start, end, &limits)?;
    let query = LogQuery::range(text, start, end, SECOND)
        .with_limit(limit(&form, DEFAULT_LIMIT)?)
        .with_direction(direction(&form)?);
    let answer = run(&api, &tenant, &limits, look_back(query, &limits, api.now())).await?;
    match &answer.value {
        LogValue::Streams(streams) => Ok(json(legacy_streams(streams, &answer.stats))),
        LogValue::Metric(_) => Err(ApiError::internal("a log query gave numbers")),
    }
}

/// The header that tells how lines are written.
pub(crate) fn flags(headers: &HeaderMap) -> Flags {
    let header = headers.get(Flags::HEADER);
    Flags::parse(header.and_then(|value| value.to_str().ok()))
}

fn direction(form: &Form) -> Result<Direction, ApiError> {
    match form.first("direction").to_ascii_lowercase().as_str() {
        "" | "backward" => Ok(Direction::Backward),
        "forward" => Ok(Direction::Forward),
        other => Err(ApiError::bad(format_args!("invalid direction '{other}'"))),
    }
}

/// The length in nanoseconds of the pieces in which Loki would ask.
fn split(limits: &Limits) -> i64 {
    limits
        .split_queries_by_interval
        .millis()
        .saturating_mul(1_000_000)
}

fn interval(form: &Form) -> Result<i64, ApiError> {
    let interval = form.given("interval").map_or(Ok(0), parse_step)?;
    match interval < 0 {
        true => Err(ApiError::bad("interval must be >= 0")),
        false => Ok(interval),
    }
}

/// What a tenant asks of its queries.
pub(crate) fn check(expr: &Expr, limits: &Limits) -> Result<(), ApiError> {
    for log in expr.selectors() {
        let (count, most) = (log.matchers.len(), limits.max_streams_matchers_per_query);
        if most > 0 && count > most {
            return Err(ApiError::bad(format_args!(
                "max streams matchers per query exceeded, matchers-count > limit ({count} > {most})"
            )));
        }
        let missing: Vec<&str> = limits
            .required_labels
            .iter()
            .map(String::as_str)
            .filter(|name| !log.matchers.iter().any(|matcher| matcher.name == *name))
            .collect();
        if !missing.is_empty() {
            return Err(ApiError::bad(format_args!(
                "stream selector is missing required matchers [{}], labels present in the query were [{}]",
                missing.join(", "),
                names(&log.matchers).join(", ")
            )));
        }
        let asked = limits.minimum_labels_number;
        if count < asked {
            return Err(ApiError::bad(format_args!(
                "stream selector has less label matchers than required: (present: [{}], number_present: {count}, required_number_label_matchers: {asked})",
                names(&log.matchers).join(", ")
            )));
        }
    }
    Ok(())
}

fn names(matchers: &[headwater_model::Matcher]) -> Vec<&str> {
    matchers
        .iter()
        .map(|matcher| matcher.name.as_str())
        .collect()
}

pub(crate) fn check_length(start: i64, end: i64, limits: &Limits) -> Result<(), ApiError> {
    let most = limits.max_query_length.millis();
    let length = end.saturating_sub(start);
    if most > 0 && length > most.saturating_mul(1_000_000) {
        return Err(ApiError::bad(format_args!(
            "the query time range exceeds the limit (query length: {}, limit: {})",
            go_duration(length),
            format_duration(most)
        )));
    }
    Ok(())
}

/// Moves a start that lies too far back.
fn look_back(mut query: LogQuery, limits: &Limits, now: i64) -> LogQuery {
    let back = limits.max_query_lookback.millis();
    if back > 0 {
        let oldest = now.saturating_sub(back.saturating_mul(1_000_000));
        query.start = query.start.max(oldest).min(query.end.max(query.start));
    }
    query
}

/// Cancels a query whose caller has gone.
struct Abandoned(CancelToken);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Gives a query the time that the tenant's queries have, or less if nobody waits for it any more.
fn patient(limits: &Limits, query: &mut LogQuery) -> Abandoned {
    let patience = Duration::from_millis(limits.query_timeout.millis().max(0) as u64);
    if !patience.is_zero() {
        query.cancel = CancelToken::with_deadline(Instant::now() + patience);
    }
    Abandoned(query.cancel.clone())
}

/// The samples of lines, within the tenant's limits.
#[cfg(feature = "grpc")]
pub(crate) async fn samples(
    api: &Api,
    tenant: &str,
    limits: &Limits,
    mut query: LogQuery,
) -> Result<Vec<headwater_logql::SampleSeries>, ApiError> {
    let _abandoned = patient(limits, &mut query);
    let engine = api.engine(tenant, limits);
    match api.parts.pool {
        Some(_) => Ok(engine.samples(query).await?),
        None => {
            let work = move |_: &Api| Ok(headwater_storage::block_on(engine.samples(query))?);
            api.read(work).await
        }
    }
}

/// Evaluates within the tenant's limits.
pub(crate) async fn run(
    api: &Api,
    tenant: &str,
    limits: &Limits,
    mut query: LogQuery,
) -> Result<LogAnswer, ApiError> {
    let _abandoned = patient(limits, &mut query);
    let engine = api.engine(tenant, limits);
    let text = query.text.clone();
    let answer = match api.parts.pool {
        Some(_) => engine.query(query).await?,
        // Without a pool the work is done where it may take its time.
        None => api.read(move |_| Ok(engine.query_blocking(query)?)).await?,
    };
    let stats = &answer.stats;
    tracing::debug!(
        tenant,
        query = text,
        lines = stats.lines,
        bytes = stats.bytes,
        returned = stats.returned,
        duration = ?stats.time,
        "query"
    );
    Ok(answer)
}

/// What is not there yet, in plain words.
pub(crate) async fn missing() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "404 page not found\n")
}
