//! The contracts of `headwater-storage`, kept by [`Opening`]: from the store
//! once it is there, from blocks until then.

use std::future::ready;

use headwater_model::{Labels, Matcher, TimeRange};
use headwater_storage::{
    Append, AppendOptions, Appender, BoxFuture, ChunkCursor, Delete, Error, ErrorKind,
    ExemplarSeries, LabelAnswer, LabelQueries, LabelRequest, MetadataEntry, MetadataStore, Result,
    Select, SelectChunks, SelectExemplars, SelectRequest, SeriesCursor,
};

use super::Opening;
use super::batch::EarlyBatch;
use crate::storage::Sources;

/// Said with answers that may lack the newest samples.
const INCOMPLETE: &str =
    "the log is still being read: samples that are in no block yet are missing";

impl Opening {
    /// What there is before the store is there.
    fn blocks_only(&self) -> Sources<'_> {
        Sources {
            head: &self.shared.blank,
            blocks: &self.shared.blocks,
            warning: Some(INCOMPLETE),
        }
    }

    fn not_ready(&self) -> Error {
        match self.shared.outcome.get() {
            Some(Err(failed)) => failed.error(),
            _ => Error::new(ErrorKind::NotReady, "the log is still being read"),
        }
    }

    fn labels<T: Send + 'static>(
        &self,
        mut answer: LabelAnswer<T>,
    ) -> BoxFuture<'_, Result<LabelAnswer<T>>> {
        answer.warnings.push(INCOMPLETE.to_owned());
        Box::pin(ready(Ok(answer)))
    }
}

impl Append for Opening {
    fn appender(&self, options: AppendOptions) -> Result<Box<dyn Appender + '_>> {
        match (self.db(), &self.shared.early) {
            (Some(db), _) => db.appender(options),
            (None, Some(early)) if self.shared.outcome.get().is_none() => {
                Ok(Box::new(EarlyBatch::new(early)))
            }
            _ => Err(self.not_ready()),
        }
    }
}

impl Select for Opening {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<Box<dyn SeriesCursor>>> {
        match self.db() {
            Some(db) => db.select(request),
            None => Box::pin(ready(self.blocks_only().select(&request))),
        }
    }
}

impl SelectChunks for Opening {
    fn select_chunks(&self, request: SelectRequest) -> BoxFuture<'_, Result<Box<dyn ChunkCursor>>> {
        match self.db() {
            Some(db) => db.select_chunks(request),
            None => Box::pin(ready(self.blocks_only().select_chunks(&request))),
        }
    }
}

impl LabelQueries for Opening {
    fn label_names(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
        match self.db() {
            Some(db) => db.label_names(request),
            None => self.labels(self.blocks_only().label_names(&request)),
        }
    }

    fn label_values(
        &self,
        name: &str,
        request: LabelRequest,
    ) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
        match self.db() {
            Some(db) => db.label_values(name, request),
            None => self.labels(self.blocks_only().label_values(name, &request)),
        }
    }

    fn series(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<Labels>>> {
        match self.db() {
            Some(db) => db.series(request),
            None => self.labels(self.blocks_only().series_labels(&request)),
        }
    }
}

impl SelectExemplars for Opening {
    fn exemplars(
        &self,
        matcher_sets: Vec<Vec<Matcher>>,
        range: TimeRange,
    ) -> BoxFuture<'_, Result<Vec<ExemplarSeries>>> {
        match self.db() {
            Some(db) => db.exemplars(matcher_sets, range),
            None => Box::pin(ready(Ok(Vec::new()))),
        }
    }
}

impl MetadataStore for Opening {
    fn series_metadata(
        &self,
        matchers: Vec<Matcher>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<MetadataEntry>>> {
        match self.db() {
            Some(db) => db.series_metadata(matchers, limit),
            None => Box::pin(ready(Ok(Vec::new()))),
        }
    }
}

impl Delete for Opening {
    fn delete(&self, matchers: Vec<Matcher>, range: TimeRange) -> BoxFuture<'_, Result<()>> {
        match self.db() {
            Some(db) => db.delete(matchers, range),
            None => Box::pin(ready(Err(self.not_ready()))),
        }
    }
}
