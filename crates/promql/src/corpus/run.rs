//! Running scripts.

use std::sync::Arc;

use headwater_model::{FloatHistogram, Labels, is_stale_nan};
use headwater_query::{Answer, EvalRequest, Evaluate, InstantSample, QueryError, Value};
use headwater_storage::{AppendOptions, SampleValue, SeriesRef, block_on};

use super::chunks::stored_hint;
use super::compare::{check_notes, check_value, points};
use super::nhcb;
use super::script::{Command, Eval, Load, LoadedSeries, parse};
use super::values::SequenceValue;
use super::{Report, TestStore};
use crate::engine::Engine;
use crate::options::EngineOptions;
use crate::syntax::ast::{At, Expr};
use crate::syntax::parse::ParseOptions;

/// Samples that a case may load.
const MAX_SAMPLES: u64 = 10_000;

pub(super) struct Runner<'a> {
    name: &'a str,
    make_store: &'a dyn Fn() -> Arc<dyn TestStore>,
    store: Arc<dyn TestStore>,
    engine: Engine,
}

fn options() -> EngineOptions {
    EngineOptions {
        max_samples: MAX_SAMPLES,
        timeout: std::time::Duration::from_secs(100),
        parse: ParseOptions::all(),
        delayed_name_removal: true,
        use_start_timestamps: true,
        threads: 2,
        ..EngineOptions::default()
    }
}

impl<'a> Runner<'a> {
    pub(super) fn new(
        name: &'a str,
        make_store: &'a dyn Fn() -> Arc<dyn TestStore>,
    ) -> std::io::Result<Self> {
        let store = make_store();
        let engine = Engine::new(store.clone(), options())?;
        Ok(Self {
            name,
            make_store,
            store,
            engine,
        })
    }

    pub(super) fn run(mut self, text: &str) -> std::io::Result<Report> {
        let mut report = Report::default();
        let commands = match parse(text) {
            Ok(commands) => commands,
            Err((line, message)) => {
                report
                    .failures
                    .push(format!("{}:{line}: {message}", self.name));
                return Ok(report);
            }
        };
        for command in &commands {
            match command {
                Command::Clear => {
                    self.store = (self.make_store)();
                    self.engine = Engine::new(self.store.clone(), options())?;
                }
                Command::Load(load) => {
                    if let Err(message) = self.load(load) {
                        report
                            .failures
                            .push(format!("{}: load: {message}", self.name));
                    }
                }
                Command::Eval(eval) => match self.eval(eval) {
                    Ok(()) => report.passed += 1,
                    Err(message) => {
                        report.failures.push(format!(
                            "{}:{}: {}: {message}",
                            self.name, eval.line, eval.query
                        ));
                    }
                },
            }
        }
        Ok(report)
    }

    fn load(&self, load: &Load) -> Result<(), String> {
        let mut batch = self
            .store
            .appender(AppendOptions::default())
            .map_err(|error| error.to_string())?;
        let failed = |error: headwater_storage::AppendError| error.to_string();
        for series in &load.series {
            let reference = batch.series(&series.labels).map_err(failed)?;
            for (time, start, value) in stored(series, load.step) {
                append(&mut *batch, reference, (time, start), &value).map_err(failed)?;
            }
        }
        let native: Vec<(Labels, Vec<(i64, FloatHistogram)>)> = if load.nhcb {
            nhcb::convert(load)
        } else {
            Vec::new()
        };
        for (labels, samples) in native {
            let reference = batch.series(&labels).map_err(failed)?;
            let mut previous: Option<FloatHistogram> = None;
            for (time, mut histogram) in samples {
                histogram.reset_hint = stored_hint(previous.as_ref(), &histogram);
                let value = SampleValue::FloatHistogram(&histogram);
                batch.append(reference, time, 0, value).map_err(failed)?;
                previous = Some(histogram);
            }
        }
        batch.commit().map(drop).map_err(|error| error.to_string())
    }

    fn query(&self, request: EvalRequest) -> Result<Answer, QueryError> {
        block_on(self.engine.evaluate(request))
    }

    fn eval(&self, eval: &Eval) -> Result<(), String> {
        if eval.step > 0 {
            let request = EvalRequest::range(&*eval.query, eval.start, eval.end, eval.step);
            return check(eval, self.query(request)).map(drop);
        }
        self.instant(eval, &eval.query, eval.start)?;
        for (query, time) in pinned(&eval.query, eval.start) {
            self.instant(eval, &query, time)
                .map_err(|message| format!("as {query} at {time}: {message}"))?;
        }
        Ok(())
    }

    fn instant(&self, eval: &Eval, query: &str, time: i64) -> Result<(), String> {
        let answer = check(eval, self.query(EvalRequest::instant(query, time)))?;
        let Some(answer) = answer else { return Ok(()) };
        let lower = query.to_ascii_lowercase();
        let looks_at_query = ["start()", "end()", "range()", "step()"]
            .iter()
            .any(|call| lower.contains(call));
        let one_moment = matches!(answer.value, Value::Scalar { .. } | Value::Vector(_));
        if looks_at_query || !one_moment || eval.expect.range_vector.is_some() {
            return Ok(());
        }
        let request = EvalRequest::range(query, time - 60_000, time + 60_000, 60_000);
        let range = self
            .query(request)
            .map_err(|error| format!("in range mode: {error}"))?;
        if eval.expect.ordered {
            return Ok(());
        }
        let middle = middle(
            &range.value,
            time,
            matches!(answer.value, Value::Scalar { .. }),
        )?;
        check_value(eval, &middle).map_err(|message| format!("in range mode: {message}"))
    }
}

/// Checks an answer; `None` if it is an expected failure.
fn check(eval: &Eval, answer: Result<Answer, QueryError>) -> Result<Option<Answer>, String> {
    match (answer, &eval.expect.fail) {
        (Ok(answer), None) => {
            check_notes(&eval.expect, &answer)?;
            check_value(eval, &answer.value)?;
            Ok(Some(answer))
        }
        (Ok(_), Some(_)) => Err("expected an error, got none".to_owned()),
        (Err(error), Some(pattern)) if pattern.matches(&error.to_string()) => Ok(None),
        (Err(error), Some(pattern)) => Err(format!("expected error {pattern:?}, got {error}")),
        (Err(error), None) => Err(format!("error: {error}")),
    }
}

/// The value of a range query at one of its steps.
fn middle(value: &Value, time: i64, scalar: bool) -> Result<Value, String> {
    let Value::Matrix(series) = value else {
        return Err("not a matrix".to_owned());
    };
    let mut samples = Vec::new();
    for series in series {
        if let Some((_, point)) = points(&series.columns)
            .into_iter()
            .find(|(at, _)| *at == time)
        {
            samples.push(InstantSample {
                labels: series.labels.clone(),
                time,
                point,
            });
        }
    }
    match (scalar, samples.first()) {
        (false, _) => Ok(Value::Vector(samples)),
        (
            true,
            Some(InstantSample {
                point: headwater_query::Point::Float(value),
                ..
            }),
        ) => Ok(Value::Scalar {
            time,
            value: *value,
        }),
        (true, _) => Err("no value at the step".to_owned()),
    }
}

/// The samples of a series with their times, start timestamps, and the reset hints of a store with chunks.
fn stored(series: &LoadedSeries, step: i64) -> Vec<(i64, i64, SequenceValue)> {
    let mut previous: Option<FloatHistogram> = None;
    let mut out = Vec::new();
    for (at, value) in series.values.iter().enumerate() {
        let time = at as i64 * step;
        let start = series
            .starts
            .get(at)
            .copied()
            .flatten()
            .map_or(0, |offset| time + offset);
        let value = match value {
            SequenceValue::Omitted => continue,
            SequenceValue::Float(value) => {
                // A stale marker takes the kind of the series.
                if !is_stale_nan(*value) {
                    previous = None;
                } else if let Some(before) = &mut previous {
                    before.sum = *value;
                }
                SequenceValue::Float(*value)
            }
            SequenceValue::Histogram(histogram, hinted) => {
                let mut histogram = (**histogram).clone();
                histogram.reset_hint = stored_hint(previous.as_ref(), &histogram);
                previous = Some(histogram.clone());
                SequenceValue::Histogram(Arc::new(histogram), *hinted)
            }
        };
        out.push((time, start, value));
    }
    out
}

fn append(
    batch: &mut dyn headwater_storage::Appender,
    series: SeriesRef,
    (time, start): (i64, i64),
    value: &SequenceValue,
) -> Result<(), headwater_storage::AppendError> {
    match value {
        SequenceValue::Omitted => Ok(()),
        SequenceValue::Float(value) => {
            batch.append(series, time, start, SampleValue::Float(*value))
        }
        SequenceValue::Histogram(histogram, _) => {
            batch.append(series, time, start, SampleValue::FloatHistogram(histogram))
        }
    }
}

/// The query with `@` pinned to its time, and other times at which it must give the same.
fn pinned(query: &str, time: i64) -> Vec<(String, i64)> {
    let Ok(mut expr) = crate::syntax::parse::parse(query, ParseOptions::all()) else {
        return Vec::new();
    };
    let mut clock = false;
    pin(&mut expr, time, &mut clock);
    if clock {
        return Vec::new();
    }
    let times = if time == 0 {
        vec![-1000, 0, 1000]
    } else {
        vec![-10 * time, 0, time / 5, time, 10 * time]
    };
    let text = expr.to_string();
    times.into_iter().map(|time| (text.clone(), time)).collect()
}

fn pin_at(at: &mut Option<At>, time: i64) {
    if !matches!(at, Some(At::Time(_))) {
        *at = Some(At::Time(time));
    }
}

/// Sets `@` on everything that has no time of its own (both ends of an instant query are its time); inside a subquery that has one nothing is set.
fn pin(expr: &mut Expr, time: i64, clock: &mut bool) {
    match expr {
        Expr::Number(_) | Expr::String(_) => {}
        Expr::Vector(selector) => {
            pin_at(&mut selector.at, time);
        }
        Expr::Matrix(matrix) => {
            pin_at(&mut matrix.selector.at, time);
        }
        Expr::Subquery(subquery) => {
            pin_at(&mut subquery.at, time);
            // What stands inside is not pinned, yet may look at the clock.
        }
        Expr::Aggregate(aggregate) => {
            pin(&mut aggregate.expr, time, clock);
            if let Some(param) = &mut aggregate.param {
                pin(param, time, clock);
            }
        }
        Expr::Call(call) => {
            *clock |= matches!(
                call.function.name,
                "days_in_month"
                    | "day_of_month"
                    | "day_of_week"
                    | "day_of_year"
                    | "hour"
                    | "minute"
                    | "month"
                    | "year"
                    | "predict_linear"
                    | "time"
                    | "timestamp"
                    | "start"
                    | "end"
                    | "step"
                    | "range"
            );
            call.args.iter_mut().for_each(|arg| pin(arg, time, clock));
        }
        Expr::Binary(binary) => {
            pin(&mut binary.lhs, time, clock);
            pin(&mut binary.rhs, time, clock);
        }
        Expr::Unary(unary) => pin(&mut unary.expr, time, clock),
        Expr::Paren(paren) => pin(&mut paren.expr, time, clock),
    }
}
