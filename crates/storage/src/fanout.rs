//! Several stores as one, for reading.

use std::sync::Arc;

use headwater_model::{Labels, Matcher, TimeRange};

use crate::BoxFuture;
use crate::error::Result;
use crate::extras::{ExemplarSeries, SelectExemplars};
use crate::labels::{LabelAnswer, LabelQueries, LabelRequest};
use crate::merge::MergeCursor;
use crate::select::{Select, SelectRequest, SeriesCursor};

/// What a source of a [`FanOut`] can do.
pub trait Source: Select + LabelQueries + SelectExemplars {}

impl<S: Select + LabelQueries + SelectExemplars> Source for S {}

/// One primary store and others behind it. An error of the primary fails the query;
/// an error of another becomes a warning and its data is missing.
#[derive(Clone)]
pub struct FanOut {
    primary: Arc<dyn Source>,
    secondaries: Vec<Arc<dyn Source>>,
}

impl FanOut {
    /// Reads from `primary` and from all `secondaries`; samples of earlier sources win.
    pub fn new(primary: Arc<dyn Source>, secondaries: Vec<Arc<dyn Source>>) -> Self {
        Self {
            primary,
            secondaries,
        }
    }

    async fn gather<'a, T>(
        &'a self,
        ask: impl Fn(&'a dyn Source) -> BoxFuture<'a, Result<T>>,
    ) -> Result<(Vec<T>, Vec<String>)> {
        let (mut answers, mut warnings) = (vec![ask(&*self.primary).await?], Vec::new());
        for source in &self.secondaries {
            match ask(&**source).await {
                Ok(answer) => answers.push(answer),
                Err(error) => warnings.push(error.to_string()),
            }
        }
        Ok((answers, warnings))
    }

    async fn gather_labels<'a, T: Ord>(
        &'a self,
        limit: usize,
        ask: impl Fn(&'a dyn Source) -> BoxFuture<'a, Result<LabelAnswer<T>>>,
    ) -> Result<LabelAnswer<T>> {
        let (answers, warnings) = self.gather(ask).await?;
        let mut joined = LabelAnswer::merge(answers, limit);
        joined.warnings.extend(warnings);
        Ok(joined)
    }
}

impl Select for FanOut {
    fn select(&self, mut request: SelectRequest) -> BoxFuture<'_, Result<Box<dyn SeriesCursor>>> {
        Box::pin(async move {
            if self.secondaries.is_empty() {
                return self.primary.select(request).await;
            }
            request.hints.sorted = true;
            let (cursors, warnings) = self.gather(|source| source.select(request.clone())).await?;
            let merged: Box<dyn SeriesCursor> =
                Box::new(MergeCursor::new(cursors)?.with_warnings(warnings));
            Ok(merged)
        })
    }
}

impl LabelQueries for FanOut {
    fn label_names(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
        Box::pin(async move {
            self.gather_labels(request.limit, |source| source.label_names(request.clone()))
                .await
        })
    }

    fn label_values(
        &self,
        name: &str,
        request: LabelRequest,
    ) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
        let name = name.to_owned();
        Box::pin(async move {
            self.gather_labels(request.limit, |source| {
                source.label_values(&name, request.clone())
            })
            .await
        })
    }

    fn series(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<Labels>>> {
        Box::pin(async move {
            self.gather_labels(request.limit, |source| source.series(request.clone()))
                .await
        })
    }
}

impl SelectExemplars for FanOut {
    fn exemplars(
        &self,
        matcher_sets: Vec<Vec<Matcher>>,
        range: TimeRange,
    ) -> BoxFuture<'_, Result<Vec<ExemplarSeries>>> {
        Box::pin(async move {
            let (answers, _) = self
                .gather(|source| source.exemplars(matcher_sets.clone(), range))
                .await?;
            Ok(join_exemplars(answers.into_iter().flatten().collect()))
        })
    }
}

/// Joins the exemplars of equal series, in time, each once.
fn join_exemplars(mut series: Vec<ExemplarSeries>) -> Vec<ExemplarSeries> {
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    let mut joined: Vec<ExemplarSeries> = Vec::with_capacity(series.len());
    for mut next in series {
        match joined.last_mut().filter(|last| last.labels == next.labels) {
            Some(last) => last.exemplars.append(&mut next.exemplars),
            None => joined.push(next),
        }
    }
    for entry in &mut joined {
        entry.exemplars.sort_by_key(|exemplar| exemplar.time);
        entry.exemplars.dedup();
    }
    joined
}

#[cfg(test)]
mod tests {
    use headwater_model::SeriesColumns;

    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::{Append, AppendOptions, MemoryStore, block_on};

    /// A store that never answers.
    struct Down;

    fn down<T>() -> BoxFuture<'static, Result<T>> {
        Box::pin(async { Err(Error::new(ErrorKind::Unavailable, "store is down")) })
    }

    impl Select for Down {
        fn select(&self, _: SelectRequest) -> BoxFuture<'_, Result<Box<dyn SeriesCursor>>> {
            down()
        }
    }

    impl LabelQueries for Down {
        fn label_names(&self, _: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
            down()
        }
        fn label_values(
            &self,
            _: &str,
            _: LabelRequest,
        ) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
            down()
        }
        fn series(&self, _: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<Labels>>> {
            down()
        }
    }

    impl SelectExemplars for Down {
        fn exemplars(
            &self,
            _: Vec<Vec<Matcher>>,
            _: TimeRange,
        ) -> BoxFuture<'_, Result<Vec<ExemplarSeries>>> {
            down()
        }
    }

    fn filled(name: &str, times: &[i64]) -> Arc<MemoryStore> {
        let store = MemoryStore::new();
        let mut batch = store.appender(AppendOptions::default()).unwrap();
        let series = batch.series(&Labels::from_pairs([("n", name)])).unwrap();
        for time in times {
            batch.append_float(series, *time, *time as f64).unwrap();
        }
        batch.commit().unwrap().wait().unwrap();
        Arc::new(store)
    }

    #[test]
    fn joins_sources_and_warns_of_those_that_are_down() {
        let fan = FanOut::new(
            filled("a", &[1, 3]),
            vec![filled("a", &[2]), Arc::new(Down)],
        );
        let request = SelectRequest::new(vec![Matcher::equal("n", "a")], TimeRange::ALL);
        let mut cursor = block_on(fan.select(request)).unwrap();
        let mut columns = SeriesColumns::default();
        cursor.advance().unwrap().unwrap();
        cursor.read(&mut columns).unwrap();
        assert_eq!(columns.floats.times, [1, 2, 3]);
        assert!(cursor.advance().unwrap().is_none());
        assert_eq!(cursor.take_warnings(), ["store is down"]);

        let names = block_on(fan.label_values("n", LabelRequest::all(TimeRange::ALL))).unwrap();
        assert_eq!(
            (names.values, names.warnings),
            (vec!["a".into()], vec!["store is down".into()])
        );
    }

    #[test]
    fn a_primary_that_is_down_fails_the_query() {
        let fan = FanOut::new(Arc::new(Down), vec![filled("a", &[1])]);
        assert!(block_on(fan.select(SelectRequest::new(Vec::new(), TimeRange::ALL))).is_err());
    }
}
