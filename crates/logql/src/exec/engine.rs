//! The engine: a query, a store, an answer.

use std::sync::Arc;
use std::time::Instant;

use headwater_query::{
    Answer, Budget, CancelToken, CpuPool, EvalRequest, Evaluate, InstantSample, Limits, Point,
    QueryError, QueryErrorKind, RangeSeries, StepGrid, Value, is_present,
};
use headwater_storage::{
    BoxFuture, Direction, LineNeed, LogCursor, LogHints, LogRequest, NanoRange, SelectLogs,
};

use super::Scan;
use super::logs::{Collector, Stream, Thinning};
use super::metric::{self, Prepared};
use super::rows::Evaluated;
use crate::ast::{Expr, LogExpr};
use crate::error::ParseError;
use crate::pipeline::{Pipeline, Wanted, probe};

/// Bounds of what a query may cost. Reaching one refuses the query with a
/// text that names the bound.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct EngineLimits {
    /// Series of an answer, or on the way to it; 0 for no bound.
    pub max_series: usize,
    /// Lines of an answer; 0 for no bound.
    pub max_entries: usize,
    /// Steps of a range query; 0 for no bound.
    pub max_steps: usize,
    /// Bytes that a query may hold at once; 0 for no bound.
    pub max_bytes: u64,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self {
            max_series: 500,
            max_entries: 5000,
            max_steps: 11_000,
            max_bytes: 1 << 30,
        }
    }
}

impl EngineLimits {
    /// Sets the bound on series.
    #[must_use]
    pub const fn with_max_series(mut self, series: usize) -> Self {
        self.max_series = series;
        self
    }

    /// Sets the bound on lines.
    #[must_use]
    pub const fn with_max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// Sets the bound on steps.
    #[must_use]
    pub const fn with_max_steps(mut self, steps: usize) -> Self {
        self.max_steps = steps;
        self
    }

    /// Sets the bound on bytes held at once.
    #[must_use]
    pub const fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }
}

/// One query. Times are nanoseconds since the epoch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogQuery {
    /// The text.
    pub text: String,
    /// First step of a metric query; first moment of a log query.
    pub start: i64,
    /// Last step of a metric query at the latest; end of a log query, which
    /// is not part of it unless it is the start too.
    pub end: i64,
    /// Distance of steps; 0 makes an instant query.
    pub step: i64,
    /// Lines closer together than this are thinned out; 0 for none.
    pub interval: i64,
    /// Loki's front end asks for long ranges in pieces of this length, at
    /// multiples of it, and what it puts together shows that: thinning begins
    /// anew in every piece, and series are in the order of their text. 0 for
    /// the range as a whole.
    pub split: i64,
    /// Lines of the answer; 0 for as many as the engine allows.
    pub limit: usize,
    /// Which lines come first, and so which survive the limit.
    pub direction: Direction,
    /// Tell structured metadata and parsed labels apart from the stream's own.
    pub categorize: bool,
    /// Stops the evaluation.
    pub cancel: CancelToken,
}

impl LogQuery {
    /// A query at one moment.
    pub fn instant(text: impl Into<String>, time: i64) -> Self {
        Self::range(text, time, time, 0)
    }

    /// A query over a range.
    pub fn range(text: impl Into<String>, start: i64, end: i64, step: i64) -> Self {
        Self {
            text: text.into(),
            start,
            end,
            step,
            interval: 0,
            split: 0,
            limit: 100,
            direction: Direction::Backward,
            categorize: false,
            cancel: CancelToken::new(),
        }
    }

    /// Sets the number of lines.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Sets the direction.
    #[must_use]
    pub fn with_direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// Moves the start of a range query down and its end up to multiples of
    /// its step, as Loki's front end does: the same steps come out whenever a
    /// dashboard is loaded again.
    #[must_use]
    pub fn aligned(mut self) -> Self {
        if self.step > 0 {
            let over = self.end.rem_euclid(self.step);
            self.start = self.start.saturating_sub(self.start.rem_euclid(self.step));
            if over > 0 {
                self.end = self.end.saturating_add(self.step - over);
            }
        }
        self
    }

    /// Sets the length of the pieces in which Loki's front end would ask.
    #[must_use]
    pub const fn with_split(mut self, nanos: i64) -> Self {
        self.split = nanos;
        self
    }

    fn is_instant(&self) -> bool {
        self.step == 0
    }

    /// Whether Loki's front end would ask for the steps in several pieces.
    fn is_split(&self) -> bool {
        if self.split <= 0 || self.is_instant() {
            return false;
        }
        let step = self.step;
        let next_piece = match step >= self.split {
            true => self.start.saturating_add(step),
            false => {
                let boundary = self.start.saturating_sub(self.start.rem_euclid(self.split));
                let boundary = boundary.saturating_add(self.split);
                // The last step before the boundary ends the piece.
                let over = (boundary - self.start).rem_euclid(step);
                let last = boundary - if over == 0 { step } else { over };
                last.saturating_add(step)
            }
        };
        next_piece < self.end
    }
}

/// What a query answers.
#[derive(Clone, Debug)]
pub enum LogValue {
    /// Lines, by labels.
    Streams(Vec<Stream>),
    /// Numbers; times in milliseconds.
    Metric(Value),
}

/// An answer with what it cost.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogAnswer {
    /// The value.
    pub value: LogValue,
    /// What went wrong without making the answer useless.
    pub warnings: Vec<String>,
    /// What it cost.
    pub stats: LogStats,
}

/// What a query cost.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct LogStats {
    /// Lines looked at.
    pub lines: u64,
    /// Bytes of lines looked at.
    pub bytes: u64,
    /// Lines that passed the pipeline.
    pub kept: u64,
    /// Lines of the answer.
    pub returned: u64,
    /// Blocks decoded and skipped, bytes read.
    pub storage: headwater_storage::LogCosts,
    /// From arrival to answer.
    pub time: std::time::Duration,
}

/// Evaluates queries over a store.
///
/// Opening streams is asynchronous; the work itself is not, and runs on a
/// [`CpuPool`], or where the future is polled if the engine has none.
#[derive(Clone)]
pub struct Engine {
    store: Arc<dyn SelectLogs>,
    limits: EngineLimits,
    pool: Option<Arc<CpuPool>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine over a store, without threads of its own.
    pub fn new(store: Arc<dyn SelectLogs>, limits: EngineLimits) -> Self {
        Self {
            store,
            limits,
            pool: None,
        }
    }

    pub(super) fn store(&self) -> &dyn SelectLogs {
        &*self.store
    }

    /// Works on the threads of a pool, where a query takes as many as are idle.
    #[must_use]
    pub fn with_pool(mut self, pool: Arc<CpuPool>) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Does the work of a query: on the pool, or here if there is none.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        match &self.pool {
            Some(pool) => pool.run(work).await,
            None => work(),
        }
    }

    /// Parses and evaluates.
    ///
    /// # Errors
    /// The query has no answer; the kind says what the caller can do.
    pub async fn query(&self, query: LogQuery) -> Result<LogAnswer, QueryError> {
        let started = Instant::now();
        let expr = crate::parse(&query.text)?;
        let scan = Arc::new(Scan::new(query.cancel.clone(), self.pool.clone()));
        let value = match &expr {
            Expr::Log(log) => LogValue::Streams(self.streams(log, &query, &scan).await?),
            _ => LogValue::Metric(self.metric(&expr, &query, &scan).await?),
        };
        let (mut stats, warnings) = scan.finish();
        stats.time = started.elapsed();
        if let LogValue::Streams(streams) = &value {
            stats.returned = streams.iter().map(|s| s.entries.len() as u64).sum();
        }
        Ok(LogAnswer {
            value,
            warnings,
            stats,
        })
    }

    /// Parses and evaluates on this thread, waiting for the store.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub fn query_blocking(&self, query: LogQuery) -> Result<LogAnswer, QueryError> {
        headwater_storage::block_on(self.query(query))
    }

    /// Checks that a query can be compiled, without running it.
    ///
    /// # Errors
    /// The query does not parse or one of its stages makes no sense.
    pub fn check(text: &str) -> Result<Expr, QueryError> {
        let expr = crate::parse(text)?;
        for log in expr.selectors() {
            Pipeline::new(&log.stages, Wanted::All)?;
        }
        Ok(expr)
    }

    pub(super) fn budget(&self) -> Budget {
        Budget::new(Limits::NONE.with_bytes(self.limits.max_bytes))
    }

    async fn streams(
        &self,
        log: &LogExpr,
        query: &LogQuery,
        scan: &Arc<Scan>,
    ) -> Result<Vec<Stream>, QueryError> {
        if query.is_instant() && query.start == query.end {
            return bad(
                "log queries are not supported as an instant query type, please change your \
                 query to a range query type",
            );
        }
        let most = self.limits.max_entries;
        if most > 0 && query.limit > most {
            let limit = query.limit;
            return bad(&format!(
                "max entries limit per query exceeded, limit > max_entries_limit_per_query \
                 ({limit} > {most})"
            ));
        }
        let pipeline = match Pipeline::new(&log.stages, Wanted::All) {
            Ok(pipeline) => Arc::new(pipeline),
            Err(error) if error.is_late() => {
                return self.unless_nothing_is_selected(log, query, error).await;
            }
            Err(error) => return Err(error.into()),
        };
        let probe = match probe(&log.stages) {
            Some((end, wanted)) => Some(Arc::new(Pipeline::new(&log.stages[..end], wanted)?)),
            None => None,
        };
        let limit = if query.limit == 0 { most } else { query.limit };
        // Thinning needs to see lines that it then drops.
        let kept = if query.interval > 0 { 0 } else { limit };
        let mut request = LogRequest::new(
            log.matchers.clone(),
            NanoRange::new(query.start, query.end.max(query.start.saturating_add(1))),
            query.direction,
        );
        request.hints.needles = pipeline.needles().to_vec();
        request.hints.limit = if pipeline.is_empty() { kept } else { 0 };
        let cursor = self.store.select_logs(request).await?;
        let (scan, budget) = (scan.clone(), self.budget());
        let (direction, categorize) = (query.direction, query.categorize);
        let thinning = Thinning {
            interval: query.interval,
            split: query.split,
        };
        self.work(move || {
            let parts = scan.split(cursor);
            let inner = scan.clone();
            let read = move |part: Box<dyn LogCursor>| {
                let hold = budget.hold(0, 0, "log query")?;
                let (pipeline, probe) = (pipeline.clone(), probe.clone());
                Collector::new(pipeline, probe, direction, kept, categorize, hold)
                    .read(part, &inner)
            };
            let mut all = scan.run(parts, read)?.into_iter();
            let Some(mut whole) = all.next() else {
                return Ok(Vec::new());
            };
            all.for_each(|part| whole.merge(part));
            Ok(whole.finish(thinning, limit))
        })
        .await
    }

    /// Loki builds stages when it meets a stream, so that clients are told of a
    /// mistake in a stage only if the selector finds something.
    async fn unless_nothing_is_selected(
        &self,
        log: &LogExpr,
        query: &LogQuery,
        error: ParseError,
    ) -> Result<Vec<Stream>, QueryError> {
        let range = NanoRange::new(query.start, query.end.max(query.start.saturating_add(1)));
        let mut request = LogRequest::new(log.matchers.clone(), range, query.direction);
        request.hints.limit = 1;
        request.hints.without_metadata = true;
        let mut cursor = self.store.select_logs(request).await?;
        self.work(move || match cursor.advance()? {
            Some(_) => Err(error.into()),
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn metric(
        &self,
        expr: &Expr,
        query: &LogQuery,
        scan: &Arc<Scan>,
    ) -> Result<Value, QueryError> {
        let grid = self.grid(query)?;
        let mut prepared = Vec::new();
        for plan in metric::plans(expr, &grid)? {
            let (after, until) = plan.windows.span();
            let mut request = LogRequest::new(
                plan.matchers,
                NanoRange::new(after.saturating_add(1), until.saturating_add(1)),
                Direction::Forward,
            );
            request.hints = hints(&plan.plan);
            let cursor = self.store.select_logs(request).await?;
            prepared.push(Prepared {
                plan: plan.plan,
                cursor: Some(cursor),
            });
        }
        let (budget, max_series) = (self.budget(), self.limits.max_series);
        let (expr, scan, instant) = (expr.clone(), scan.clone(), query.is_instant());
        let split = query.is_split();
        self.work(move || {
            let value = metric::evaluate(&expr, &grid, prepared, &budget, max_series, &scan)?;
            let mut answer = answer(value, &grid, instant);
            if let (true, Value::Matrix(series)) = (split, &mut answer) {
                series.sort_by_cached_key(|series| series.labels.to_string());
            }
            Ok(answer)
        })
        .await
    }

    fn grid(&self, query: &LogQuery) -> Result<StepGrid, QueryError> {
        let grid = StepGrid::new(query.start, query.end, query.step)?;
        match self.limits.max_steps > 0 && grid.len() > self.limits.max_steps + 1 {
            true => bad(
                "exceeded maximum resolution of 11,000 points per time series. Try increasing \
                 the value of the step parameter",
            ),
            false => Ok(grid),
        }
    }
}

fn hints(plan: &super::range::Plan) -> LogHints {
    let mut hints = LogHints::default();
    hints.needles = plan.pipeline.needles().to_vec();
    hints.without_metadata = !plan.reads_metadata();
    hints.metadata_names = plan.metadata_names();
    hints.lines = match () {
        () if plan.reads_lines() => LineNeed::Bytes,
        () if plan.reads_lengths() => LineNeed::Length,
        () => LineNeed::Nothing,
    };
    hints
}

fn bad<T>(message: &str) -> Result<T, QueryError> {
    Err(QueryError::new(QueryErrorKind::BadData, message))
}

const NANOS: i64 = 1_000_000;

fn answer(value: Evaluated, grid: &StepGrid, instant: bool) -> Value {
    let time = |step: usize| grid.time(step).div_euclid(NANOS);
    match value {
        Evaluated::Scalar(value) if instant => Value::Scalar {
            time: time(0),
            value,
        },
        Evaluated::Scalar(value) => {
            let labels = headwater_model::Labels::empty();
            let row = super::rows::Row::constant(labels, value, grid);
            answer(Evaluated::Rows(vec![row]), grid, false)
        }
        Evaluated::Rows(rows) if instant => Value::Vector(
            rows.into_iter()
                .filter(|row| is_present(row.values[0]))
                .map(|row| InstantSample {
                    labels: row.labels,
                    time: time(0),
                    point: Point::Float(row.values[0]),
                })
                .collect(),
        ),
        Evaluated::Rows(mut rows) => {
            rows.sort_by(|a, b| a.labels.cmp(&b.labels));
            Value::Matrix(rows.into_iter().map(|row| series(row, &time)).collect())
        }
    }
}

fn series(row: super::rows::Row, time: &impl Fn(usize) -> i64) -> RangeSeries {
    let mut columns = headwater_model::SeriesColumns::default();
    for (step, value) in row.values.iter().enumerate() {
        if is_present(*value) {
            columns.floats.times.push(time(step));
            columns.floats.values.push(*value);
        }
    }
    RangeSeries {
        labels: row.labels,
        columns,
    }
}

impl Evaluate for Engine {
    fn evaluate(&self, request: EvalRequest) -> BoxFuture<'_, Result<Answer, QueryError>> {
        Box::pin(async move {
            let nanos = |millis: i64| millis.saturating_mul(NANOS);
            let mut query = LogQuery::range(
                request.expression,
                nanos(request.start),
                nanos(request.end),
                nanos(request.step),
            );
            query.cancel = request.cancel;
            let found = self.query(query).await?;
            let LogValue::Metric(value) = found.value else {
                return bad("log queries do not give numbers");
            };
            let mut answer = Answer {
                value,
                warnings: found.warnings,
                ..Answer::default()
            };
            answer.stats.total_time = found.stats.time;
            answer.stats.samples = found.stats.kept;
            Ok(answer)
        })
    }
}
