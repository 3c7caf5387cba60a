//! Running a plan.
//!
//! Series are pushed from the store through operators one at a time, each with a column that has
//! one value a step, into whatever collects them: groups of an aggregation, or a block. A series
//! is decoded once, however many steps look at it. Operators that need all series of their input
//! collect a block first. Where series come from one select, its cursor is divided and the parts
//! run on several threads, each with a collector of its own.

mod absent;
mod aggregate;
mod best;
mod binary;
mod block;
pub(crate) mod column;
mod count_values;
mod elements;
mod grouping;
mod histogram;
mod info;
mod labels;
mod limit;
mod map;
mod measure;
mod quantile;
mod result;
pub(crate) mod samples;
mod scalar;
mod select;
mod set;
mod smoothed;
mod sort;
pub(crate) mod spans;
mod stream;
pub(crate) mod tally;
mod topk;
mod window;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use headwater_model::Labels;
use headwater_query::{Budget, CancelToken, CpuPool, QueryError, QueryErrorKind};
use headwater_storage::SeriesCursor;
use parking_lot::Mutex;

use crate::annotation::Notes;
use crate::plan::{Node, Plan};
use block::Block;
use column::{Column, Key, is_reserved};
pub(crate) use elements::{float_op, scalar_op};
pub(crate) use measure::Measures;
use tally::Tally;

/// Everything that an operator may fail with.
pub(crate) type Result<T, E = QueryError> = std::result::Result<T, E>;

/// A cursor that one operator walks.
pub(crate) type Cursor = Box<dyn SeriesCursor>;

/// What a run needs beside its plan.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) lookback: i64,
    pub(crate) delayed_names: bool,
    pub(crate) use_starts: bool,
    pub(crate) typed: bool,
    /// The query has one step.
    pub(crate) instant: bool,
    /// Divide series over threads.
    pub(crate) parallel: bool,
    /// The steps of the query.
    pub(crate) steps: usize,
    /// Count samples by step.
    pub(crate) per_step: bool,
    /// Measure each operator.
    pub(crate) analyze: bool,
}

/// One run of a plan. Shared by the threads that work on it.
pub(crate) struct Exec {
    pub(crate) plan: Plan,
    pub(crate) settings: Settings,
    pub(crate) notes: Notes,
    pub(crate) budget: Budget,
    pub(crate) cancel: CancelToken,
    pub(crate) tally: Tally,
    pub(crate) pool: Arc<CpuPool>,
    pub(crate) measures: Option<Measures>,
    cursors: Vec<Mutex<Option<Cursor>>>,
    failed: AtomicBool,
    warnings: Mutex<Vec<String>>,
    shared: Mutex<HashMap<usize, Arc<Block>>>,
    scalars: Mutex<HashMap<usize, Arc<[f64]>>>,
}

/// How many series a walk has seen.
#[derive(Debug, Default)]
struct Pace {
    series: u32,
}

/// Reading the clock costs as much as reading a few samples.
const SERIES_PER_CHECK: u32 = 16;

/// Takes series one at a time. The column may be changed; its memory is used again for the next series.
pub(crate) trait Sink {
    fn push(&mut self, key: Key, column: &mut Column) -> Result<()>;
}

impl<F: FnMut(Key, &mut Column) -> Result<()>> Sink for F {
    fn push(&mut self, key: Key, column: &mut Column) -> Result<()> {
        self(key, column)
    }
}

/// The error of two series that became one.
pub(crate) fn same_labelset() -> QueryError {
    execution("vector cannot contain metrics with the same labelset")
}

/// Evaluation is not defined for what was found.
pub(crate) fn execution(message: impl Into<String>) -> QueryError {
    QueryError::new(QueryErrorKind::Execution, message)
}

impl Exec {
    pub(crate) fn new(
        plan: Plan,
        cursors: Vec<Cursor>,
        settings: Settings,
        budget: Budget,
        cancel: CancelToken,
        pool: Arc<CpuPool>,
    ) -> Arc<Self> {
        let measures = settings.analyze.then(|| Measures::new(&plan));
        let cursors = cursors
            .into_iter()
            .enumerate()
            .map(|(select, cursor)| match &measures {
                Some(measures) => measures.watch(select, cursor),
                None => cursor,
            })
            .map(|cursor| Mutex::new(Some(cursor)))
            .collect();
        Arc::new(Self {
            plan,
            measures,
            tally: Tally::new(settings.steps, settings.per_step),
            settings,
            notes: Notes::default(),
            budget,
            cancel,
            pool,
            cursors,
            failed: AtomicBool::new(false),
            warnings: Mutex::default(),
            shared: Mutex::default(),
            scalars: Mutex::default(),
        })
    }

    fn check(&self) -> Result<()> {
        if self.failed.load(Ordering::Relaxed) {
            let message = "another part of the query failed";
            return Err(QueryError::new(QueryErrorKind::Canceled, message));
        }
        self.cancel.check("expression evaluation")
    }

    /// The same for walks over series: each one sees whether the query is still wanted, some of them
    /// look at the clock.
    fn check_at(&self, pace: &mut Pace) -> Result<()> {
        pace.series = pace.series.wrapping_add(1);
        let stopped = self.failed.load(Ordering::Relaxed) || self.cancel.is_canceled();
        if stopped || pace.series % SERIES_PER_CHECK == 1 {
            return self.check();
        }
        Ok(())
    }

    /// Nothing that other threads do is of use any more.
    fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    fn take_cursor(&self, select: usize) -> Result<Cursor> {
        self.cursors[select].lock().take().ok_or_else(|| {
            QueryError::new(
                QueryErrorKind::Internal,
                format!("select {select} was walked over twice"),
            )
        })
    }

    fn keep_warnings(&self, cursor: &mut Cursor) {
        let new = cursor.take_warnings();
        if !new.is_empty() {
            self.warnings.lock().extend(new);
        }
    }

    /// Warnings of the store, each once.
    pub(crate) fn storage_warnings(&self) -> Vec<String> {
        let mut warnings = std::mem::take(&mut *self.warnings.lock());
        warnings.sort_unstable();
        warnings.dedup();
        warnings
    }

    /// Takes the name from a series, now or at the end.
    fn drop_name(&self, key: &mut Key) {
        if self.settings.delayed_names {
            key.drop_name = true;
        } else {
            key.labels = without_reserved(&key.labels);
        }
    }

    /// Whether series that lost their names have to be looked through for ones that became the same.
    fn may_collide(&self, input: &Node) -> bool {
        !self.settings.delayed_names && input.names_vary(&self.plan.selects)
    }
}

pub(crate) fn without_reserved(labels: &Labels) -> Labels {
    labels.project(|name| !is_reserved(name))
}
