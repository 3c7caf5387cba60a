//! An engine bound to a store.

use std::sync::Arc;
use std::time::Instant;

use headwater_query::{
    ActiveQueries, ActiveQuery, Answer, Budget, CancelToken, CpuPool, EvalRequest, Evaluate,
    Explain, Gate, Limits, QueryError, QueryErrorKind, QueryStats, StatsLevel, StepGrid, Value,
};
use headwater_storage::{BoxFuture, CursorVec, Select, SelectHints, SelectRequest};

use crate::exec::{Cursor, Exec, Settings};
use crate::options::EngineOptions;
use crate::plan::{Estimates, Optimise, Plan, SelectPlan, Times, build, explain};
use crate::query_log::QueryLog;
use crate::syntax::ast::ValueType;
use crate::syntax::parse::parse;

/// Evaluates queries over a store. Cheap to share; queries run on the engine's own threads.
pub struct Engine {
    store: Arc<dyn Select>,
    options: EngineOptions,
    pool: Arc<CpuPool>,
    gate: Arc<Gate>,
    /// What all queries hold.
    total: Budget,
    active: Option<Arc<ActiveQueries>>,
    log: Option<Arc<QueryLog>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Expressions of up to this many bytes are parsed and planned on the caller's thread.
const SHORT_EXPRESSION: usize = 512;

/// Stops the work when its future is dropped: nobody waits for the answer any more.
struct CancelOnDrop(Option<CancelToken>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(token) = &self.0 {
            token.cancel();
        }
    }
}

impl Engine {
    /// An engine over `store`.
    ///
    /// # Errors
    /// The operating system gave no threads.
    pub fn new(store: Arc<dyn Select>, options: EngineOptions) -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if options.threads == 0 {
            cores
        } else {
            options.threads
        };
        let at_once = match options.max_concurrency {
            0 => threads,
            some => some,
        };
        let total = Budget::new(Limits::NONE.with_bytes(options.max_total_bytes));
        Ok(Self {
            store,
            options,
            total,
            pool: CpuPool::new(threads)?,
            gate: Gate::new(at_once),
            active: None,
            log: None,
        })
    }

    /// Notes the queries that run where they can be read after a crash.
    #[must_use]
    pub fn with_active_queries(mut self, active: Arc<ActiveQueries>) -> Self {
        self.active = Some(active);
        self
    }

    /// Logs queries.
    #[must_use]
    pub fn with_query_log(mut self, log: Arc<QueryLog>) -> Self {
        self.log = Some(log);
        self
    }

    /// The settings of the engine.
    pub const fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// The plan of a query as text, without looking into the store.
    ///
    /// # Errors
    /// The query does not parse, or not for these times.
    pub fn plan_text(&self, request: &EvalRequest) -> Result<String, QueryError> {
        Ok(plan(&self.options, request)?.to_string())
    }

    /// Parsing and planning recurse into the expression. What nests deeply is done on the engine's own
    /// threads, whose stacks are made for it; the caller's may be small.
    async fn plan(&self, request: &EvalRequest) -> Result<Plan, QueryError> {
        if request.expression.len() <= SHORT_EXPRESSION {
            return plan(&self.options, request);
        }
        let (options, request) = (self.options.clone(), request.clone());
        self.pool.run(move || plan(&options, &request)).await
    }

    async fn open(&self, select: &SelectPlan, limited: bool) -> Result<Cursor, QueryError> {
        if select.unused {
            return Ok(Box::new(CursorVec::default()));
        }
        let mut hints = SelectHints::default();
        hints.step = select.step;
        hints.window = select.window;
        hints.sorted = select.sorted || limited;
        hints.projection = select.labels.clone();
        hints.newest = select.newest;
        hints.function = select.function.map(str::to_owned);
        let request = SelectRequest {
            matchers: select.matchers.clone(),
            range: select.range,
            hints,
        };
        self.store.select(request).await.map_err(|error| {
            let inner = QueryError::from(error);
            QueryError::new(inner.kind(), format!("expanding series: {inner}")).because(inner)
        })
    }

    /// Opens the selects of a plan, each a snapshot of the store.
    async fn open_all(
        &self,
        plan: &Plan,
        request: &EvalRequest,
        cancel: &CancelToken,
    ) -> Result<Vec<Cursor>, QueryError> {
        let mut cursors = Vec::with_capacity(plan.selects.len());
        for select in &plan.selects {
            cancel.check("query preparation")?;
            cursors.push(self.open(select, request.limit > 0).await?);
        }
        Ok(cursors)
    }

    /// What a query will run with. `analyze` asks for measures of each operator.
    fn exec(
        &self,
        request: &EvalRequest,
        plan: Plan,
        cursors: Vec<Cursor>,
        cancel: CancelToken,
        analyze: bool,
    ) -> Result<Arc<Exec>, QueryError> {
        let limits = Limits::NONE
            .with_samples(self.options.max_samples)
            .with_bytes(self.options.max_bytes);
        let settings = Settings {
            lookback: lookback(&self.options, request),
            delayed_names: self.options.delayed_name_removal,
            use_starts: self.options.use_start_timestamps,
            typed: self.options.type_and_unit_labels,
            instant: request.is_instant(),
            parallel: self.pool.threads() > 1,
            steps: StepGrid::new(request.start, request.end, request.step)?.len(),
            per_step: request.stats == StatsLevel::PerStep,
            analyze,
        };
        let budget = Budget::within(&self.total, limits);
        let pool = self.pool.clone();
        Ok(Exec::new(plan, cursors, settings, budget, cancel, pool))
    }

    /// Runs a plan on the engine's threads; whoever drops the future stops it.
    async fn run(&self, exec: &Arc<Exec>, request: &EvalRequest) -> Result<Value, QueryError> {
        let time = request.is_instant().then_some(request.start);
        let worker = exec.clone();
        let mut guard = CancelOnDrop(Some(exec.cancel.clone()));
        let value = self.pool.run(move || worker.run(time)).await;
        guard.0 = None;
        value
    }

    async fn answer(&self, mut request: EvalRequest) -> Result<Answer, QueryError> {
        let begun = Instant::now();
        if request.stats == StatsLevel::None && self.log.as_ref().is_some_and(|log| log.is_on()) {
            // The log tells them.
            request.stats = StatsLevel::Totals;
        }
        let plan = self.plan(&request).await?;
        let mut stats = QueryStats::default();
        let result = self.planned(&request, plan, begun, &mut stats).await;
        stats.total_time = begun.elapsed();
        self.log(request, &stats, result.as_ref().err());
        result.map(|answer| Answer { stats, ..answer })
    }

    /// Answers a query that was planned, and notes on the way what it costs.
    async fn planned(
        &self,
        request: &EvalRequest,
        plan: Plan,
        begun: Instant,
        stats: &mut QueryStats,
    ) -> Result<Answer, QueryError> {
        let deadline = begun.checked_add(self.options.timeout);
        let cancel = with_deadline(&request.cancel, deadline);
        let _inside = self.gate.enter().await;
        let _noted = self.note(request);
        stats.queue_time = begun.elapsed();
        cancel.check("query queue")?;
        let cursors = self.open_all(&plan, request, &cancel).await?;
        stats.prepare_time = begun.elapsed().saturating_sub(stats.queue_time);
        let prepared = begun.elapsed();
        let exec = self.exec(request, plan, cursors, cancel, false)?;
        let value = self.run(&exec, request).await;
        stats.eval_time = begun.elapsed().saturating_sub(prepared);
        let grid = StepGrid::new(request.start, request.end, request.step)?;
        exec.tally.put_into(stats, Some(grid));
        stats.peak_samples = exec.budget.peak_samples();
        let mut value = value?;
        let (mut warnings, infos) = exec.notes.texts(&request.expression, &exec.plan.aliases);
        warnings.extend(exec.storage_warnings());
        if truncate(&mut value, request.limit) {
            warnings.push("results truncated due to limit".to_owned());
        }
        Ok(Answer {
            value,
            warnings,
            infos,
            ..Answer::default()
        })
    }

    fn note(&self, request: &EvalRequest) -> Option<ActiveQuery> {
        let active = self.active.as_ref()?;
        Some(active.enter(&request.expression))
    }

    /// Writes the line of a query. The file may be slow, so that is done on the engine's threads.
    fn log(&self, request: EvalRequest, stats: &QueryStats, error: Option<&QueryError>) {
        let Some(log) = self.log.as_ref().filter(|log| log.is_on()) else {
            return;
        };
        let error = error.map(|error| QueryError::new(error.kind(), error.to_string()));
        let (log, stats) = (log.clone(), stats.clone());
        let job = move || {
            log.write(&request, &stats, error.as_ref());
            Ok(())
        };
        // If too much waits already, the line is lost.
        drop(self.pool.run(job));
    }

    async fn explained(&self, request: EvalRequest, how: Explain) -> Result<String, QueryError> {
        let begun = Instant::now();
        let plan = self.plan(&request).await?;
        let deadline = begun.checked_add(self.options.timeout);
        let cancel = with_deadline(&request.cancel, deadline);
        let _inside = self.gate.enter().await;
        let _noted = self.note(&request);
        cancel.check("query queue")?;
        let cursors = self.open_all(&plan, &request, &cancel).await?;
        if how == Explain::Estimate {
            let series = cursors.iter().map(|cursor| cursor.remaining()).collect();
            return Ok(explain(&plan, &Estimates::new(&plan, series)));
        }
        let exec = self.exec(&request, plan, cursors, cancel, true)?;
        self.run(&exec, &request).await?;
        let measured = exec
            .measures
            .as_ref()
            .map_or_else(String::new, |measures| explain(&exec.plan, measures));
        Ok(format!(
            "{measured}peak of {} samples and {} bytes held, {:.3} ms from arrival to answer\n",
            exec.budget.peak_samples(),
            exec.budget.peak_bytes(),
            begun.elapsed().as_secs_f64() * 1000.0
        ))
    }
}

impl Evaluate for Engine {
    fn evaluate(&self, request: EvalRequest) -> BoxFuture<'_, Result<Answer, QueryError>> {
        Box::pin(self.answer(request))
    }

    fn explain(
        &self,
        request: EvalRequest,
        how: Explain,
    ) -> BoxFuture<'_, Result<String, QueryError>> {
        Box::pin(self.explained(request, how))
    }
}

/// The look-back of a query, in milliseconds.
fn lookback(options: &EngineOptions, request: &EvalRequest) -> i64 {
    let asked = request.lookback.filter(|millis| *millis > 0);
    asked.unwrap_or(options.lookback)
}

/// The plan of a query. An expression nests at most as deeply as it is long.
fn plan(options: &EngineOptions, request: &EvalRequest) -> Result<Plan, QueryError> {
    let bad =
        |error: &dyn std::error::Error| QueryError::new(QueryErrorKind::BadData, error.to_string());
    let expr =
        parse(&request.expression, options.parse).map_err(|error| bad(&error).because(error))?;
    let kind = expr.value_type();
    if !request.is_instant() && !matches!(kind, ValueType::Scalar | ValueType::Vector) {
        let found = kind.documented();
        let message = format!(
            "invalid expression type \"{found}\" for range query, must be Scalar or instant Vector"
        );
        return Err(QueryError::new(QueryErrorKind::BadData, message));
    }
    let times = Times {
        start: request.start,
        end: if request.is_instant() {
            request.start
        } else {
            request.end
        },
        step: request.step,
        lookback: lookback(options, request),
        default_subquery_step: options.default_subquery_step,
    };
    let optimise = Optimise {
        text: &request.expression,
        counted: request.stats != StatsLevel::None,
    };
    build(&expr, times, options.optimise.then_some(optimise))
}

/// The caller's token with the engine's deadline.
fn with_deadline(token: &CancelToken, deadline: Option<Instant>) -> CancelToken {
    deadline.map_or_else(
        || token.clone(),
        |deadline| token.clone().and_deadline(deadline),
    )
}

/// Keeps the first series of an answer; answers whether any was cut off.
fn truncate(value: &mut Value, limit: usize) -> bool {
    let cut = |len: usize| limit > 0 && len > limit;
    match value {
        Value::Vector(samples) if cut(samples.len()) => samples.truncate(limit),
        Value::Matrix(series) if cut(series.len()) => series.truncate(limit),
        _ => return false,
    }
    true
}
