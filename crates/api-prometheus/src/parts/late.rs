//! Parts that arrive after the router was made.
//!
//! A server listens before its store is open, because opening replays a log and operators want to
//! see how far it is. The router is made of [`Late`] parts then; they refuse until they are set, and
//! the gate of readiness keeps nearly all requests from getting that far.

use std::sync::{Arc, OnceLock};

use headwater_model::{Matcher, TimeRange};
use headwater_query::{Answer, EvalRequest, Evaluate, QueryError, QueryErrorKind};
use headwater_storage::{
    BoxFuture, Error, ErrorKind, ExemplarSeries, LabelAnswer, LabelQueries, LabelRequest, Result,
    Select, SelectExemplars, SelectRequest, SeriesCursor,
};

use super::{TsdbStats, TsdbView, WalReplay};
use crate::parts::tsdb::BlockView;

/// A part that is set once, later. Share it in an `Arc`.
#[derive(Debug)]
pub struct Late<T: ?Sized>(OnceLock<Arc<T>>);

impl<T: ?Sized> Default for Late<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T: ?Sized> Late<T> {
    /// A part that is not there yet, ready to be shared.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Sets the part; a second one is not taken, and false is the answer.
    pub fn set(&self, part: Arc<T>) -> bool {
        self.0.set(part).is_ok()
    }

    /// The part.
    ///
    /// # Errors
    /// It was not set yet: wait.
    pub fn get(&self) -> Result<&Arc<T>> {
        let missing = || Error::new(ErrorKind::NotReady, "TSDB not ready");
        self.0.get().ok_or_else(missing)
    }
}

impl<T: Evaluate + ?Sized> Evaluate for Late<T> {
    fn evaluate(&self, request: EvalRequest) -> BoxFuture<'_, Result<Answer, QueryError>> {
        match self.0.get() {
            Some(part) => part.evaluate(request),
            None => {
                let error = QueryError::new(QueryErrorKind::Storage, "TSDB not ready");
                Box::pin(std::future::ready(Err(error)))
            }
        }
    }
}

impl<T: Select + ?Sized> Select for Late<T> {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<Box<dyn SeriesCursor>>> {
        Box::pin(async { self.get()?.select(request).await })
    }
}

impl<T: LabelQueries + ?Sized> LabelQueries for Late<T> {
    fn label_names(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
        Box::pin(async { self.get()?.label_names(request).await })
    }

    fn label_values(
        &self,
        name: &str,
        request: LabelRequest,
    ) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
        match self.get() {
            Ok(part) => part.label_values(name, request),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn series(
        &self,
        request: LabelRequest,
    ) -> BoxFuture<'_, Result<LabelAnswer<headwater_model::Labels>>> {
        Box::pin(async { self.get()?.series(request).await })
    }
}

impl<T: SelectExemplars + ?Sized> SelectExemplars for Late<T> {
    fn exemplars(
        &self,
        matcher_sets: Vec<Vec<Matcher>>,
        range: TimeRange,
    ) -> BoxFuture<'_, Result<Vec<ExemplarSeries>>> {
        Box::pin(async move { self.get()?.exemplars(matcher_sets, range).await })
    }
}

impl<T: TsdbView + ?Sized> TsdbView for Late<T> {
    fn stats(&self, limit: usize) -> Result<TsdbStats> {
        self.get()?.stats(limit)
    }

    fn blocks(&self) -> Result<Vec<BlockView>> {
        self.get()?.blocks()
    }

    fn replay(&self) -> WalReplay {
        self.0
            .get()
            .map_or_else(WalReplay::default, |part| part.replay())
    }
}

#[cfg(test)]
mod tests {
    use headwater_storage::{MemoryStore, block_on};

    use super::*;

    #[test]
    fn refuses_until_it_is_set() {
        let store: Arc<Late<MemoryStore>> = Late::new();
        let ask = || block_on(store.label_names(LabelRequest::all(TimeRange::ALL)));
        assert_eq!(ask().expect_err("not ready").kind(), ErrorKind::NotReady);
        assert!(store.set(Arc::new(MemoryStore::new())));
        assert!(!store.set(Arc::new(MemoryStore::new())));
        assert!(ask().expect("an answer").values.is_empty());
    }
}
