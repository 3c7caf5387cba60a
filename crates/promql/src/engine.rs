//! An engine bound to a store.

use std::sync::Arc;
use std::time::Instant;

use headwater_query::{
    Answer, Budget, CancelToken, CpuPool, EvalRequest, Evaluate, Gate, Limits, QueryError,
    QueryErrorKind, QueryStats, StatsLevel, StepGrid, Value,
};
use headwater_storage::{BoxFuture, Select, SelectHints, SelectRequest};

use crate::exec::{Cursor, Exec, Settings};
use crate::options::EngineOptions;
use crate::plan::{Plan, SelectPlan, Times, build};
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
        })
    }

    /// The settings of the engine.
    pub const fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// The plan of a query as text.
    ///
    /// # Errors
    /// The query does not parse, or not for these times.
    pub fn explain(&self, request: &EvalRequest) -> Result<String, QueryError> {
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
        let mut hints = SelectHints::default();
        hints.step = select.step;
        hints.window = select.window;
        hints.sorted = select.sorted || limited;
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

    async fn answer(&self, mut request: EvalRequest) -> Result<Answer, QueryError> {
        let begun = Instant::now();
        let plan = self.plan(&request).await?;
        let deadline = begun.checked_add(self.options.timeout);
        let cancel = with_deadline(&request.cancel, deadline);
        let _inside = self.gate.enter().await;
        cancel.check("query queue")?;
        let queued = begun.elapsed();
        let mut cursors = Vec::with_capacity(plan.selects.len());
        for select in &plan.selects {
            cancel.check("query preparation")?;
            cursors.push(self.open(select, request.limit > 0).await?);
        }
        let prepared = begun.elapsed();
        let limits = Limits::NONE
            .with_samples(self.options.max_samples)
            .with_bytes(self.options.max_bytes);
        let budget = Budget::within(&self.total, limits);
        let grid = StepGrid::new(request.start, request.end, request.step)?;
        let settings = Settings {
            lookback: request
                .lookback
                .filter(|millis| *millis > 0)
                .unwrap_or(self.options.lookback),
            delayed_names: self.options.delayed_name_removal,
            use_starts: self.options.use_start_timestamps,
            typed: self.options.type_and_unit_labels,
            instant: request.is_instant(),
            parallel: self.pool.threads() > 1,
            steps: grid.len(),
            per_step: request.stats == StatsLevel::PerStep,
        };
        let exec = Exec::new(
            plan,
            cursors,
            settings,
            budget.clone(),
            cancel,
            self.pool.clone(),
        );
        let time = request.is_instant().then_some(request.start);
        let worker = exec.clone();
        let mut guard = CancelOnDrop(Some(exec.cancel.clone()));
        let value = self.pool.run(move || worker.run(time)).await;
        guard.0 = None;
        let mut value = value?;
        let (mut warnings, infos) = exec.notes.texts(&request.expression, &exec.plan.aliases);
        warnings.extend(exec.storage_warnings());
        if truncate(&mut value, request.limit) {
            warnings.push("results truncated due to limit".to_owned());
        }
        request.expression.clear();
        let mut stats = QueryStats::default();
        stats.queue_time = queued;
        stats.prepare_time = prepared.saturating_sub(queued);
        stats.total_time = begun.elapsed();
        stats.eval_time = stats.total_time.saturating_sub(prepared);
        exec.tally.put_into(&mut stats, Some(grid));
        stats.peak_samples = budget.peak_samples();
        Ok(Answer {
            value,
            warnings,
            infos,
            stats,
        })
    }
}

impl Evaluate for Engine {
    fn evaluate(&self, request: EvalRequest) -> BoxFuture<'_, Result<Answer, QueryError>> {
        Box::pin(self.answer(request))
    }
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
        lookback: request
            .lookback
            .filter(|millis| *millis > 0)
            .unwrap_or(options.lookback),
        default_subquery_step: options.default_subquery_step,
    };
    build(
        &expr,
        times,
        options.optimise.then_some(&request.expression),
    )
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
