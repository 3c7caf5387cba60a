//! Questions about labels: names, values, series.

use std::collections::BTreeSet;

use headwater_model::{Labels, Matcher};
use headwater_storage::{LabelAnswer, LabelRequest, Result};
use roaring::RoaringBitmap;

use crate::block::Block;
use crate::head::Head;
use crate::storage::Sources;

impl Sources<'_> {
    pub(crate) fn label_names(&self, request: &LabelRequest) -> LabelAnswer<String> {
        self.ask(request, self.head.label_names(request), |block, series| {
            block.label_names(series, enough(request))
        })
    }

    pub(crate) fn label_values(&self, name: &str, request: &LabelRequest) -> LabelAnswer<String> {
        let of_head = self.head.label_values(name, request);
        self.ask(request, of_head, |block, series| {
            block.label_values(name, series, enough(request))
        })
    }

    pub(crate) fn series_labels(&self, request: &LabelRequest) -> LabelAnswer<Labels> {
        self.ask(
            request,
            self.head.series_labels(request),
            |block, series| block.series_labels(series, request),
        )
    }

    /// Puts the answers of head and blocks together. `ask` is given the
    /// series of a block that are asked about, or `None` for all.
    fn ask<T: Ord>(
        &self,
        request: &LabelRequest,
        mut answers: Vec<T>,
        ask: impl Fn(&Block, Option<&RoaringBitmap>) -> Result<Vec<T>>,
    ) -> LabelAnswer<T> {
        let mut warnings = Vec::new();
        for block in self.blocks.overlapping(request.range) {
            let found = block.ask(&mut warnings, |block| {
                let series = block.asked_about(&request.matcher_sets)?;
                ask(block, series.as_ref())
            });
            match found {
                Ok(found) => answers.extend(found),
                // One damaged block must not hide what the others have.
                Err(error) => warnings.push(error.to_string()),
            }
        }
        let mut answer = LabelAnswer::from_unsorted(answers, request.limit);
        answer.warnings = warnings;
        answer
    }
}

/// Answers of a block, which come sorted, that are enough to know those of all: one more than asked
/// for, so that it shows that there are more.
fn enough(request: &LabelRequest) -> usize {
    match request.limit {
        0 => usize::MAX,
        limit => limit.saturating_add(1),
    }
}

impl Block {
    fn asked_about(&self, sets: &[Vec<Matcher>]) -> Result<Option<RoaringBitmap>> {
        if sets.is_empty() {
            return Ok(None);
        }
        let mut sum = RoaringBitmap::new();
        for matchers in sets {
            sum |= self.matching(matchers)?;
        }
        Ok(Some(sum))
    }

    fn label_names(&self, series: Option<&RoaringBitmap>, most: usize) -> Result<Vec<String>> {
        let Some(series) = series else {
            let names = self.index.label_names().take(most);
            return Ok(names.map(str::to_owned).collect());
        };
        let mut names = BTreeSet::new();
        let mut chunks = Vec::new();
        for reference in series {
            for (name, _) in &self.series(reference, &mut chunks)? {
                if !names.contains(name) {
                    names.insert(name.to_owned());
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    fn label_values(
        &self,
        name: &str,
        series: Option<&RoaringBitmap>,
        most: usize,
    ) -> Result<Vec<String>> {
        let mut values = self.index.label_values(name);
        let Some(series) = series else {
            return Ok(values.take(most).map(str::to_owned).collect());
        };
        let mut out = Vec::new();
        while out.len() < most
            && let Some((value, postings)) = values.next_postings()
        {
            let postings = postings.map_err(|e| self.bad_index(e))?;
            if postings.iter().any(|reference| series.contains(reference)) {
                out.push(value.to_owned());
            }
        }
        Ok(out)
    }

    fn series_labels(
        &self,
        series: Option<&RoaringBitmap>,
        request: &LabelRequest,
    ) -> Result<Vec<Labels>> {
        let all = match series {
            Some(series) => series.clone(),
            None => self.matching(&[])?,
        };
        let mut out = Vec::new();
        let mut chunks = Vec::new();
        for reference in all {
            let labels = self.series(reference, &mut chunks)?;
            if chunks.iter().any(|c| c.range().overlaps(&request.range)) {
                out.push(labels);
            }
            if out.len() == enough(request) {
                break;
            }
        }
        Ok(out)
    }
}

impl Head {
    /// The slots of the series that a label request is about; `None` for all.
    fn asked_about(&self, request: &LabelRequest) -> Option<RoaringBitmap> {
        if !self.may_have(request.range) {
            return Some(RoaringBitmap::new());
        }
        if request.matcher_sets.is_empty() {
            return None;
        }
        let index = self.index.read();
        let sets = request.matcher_sets.iter().map(|set| index.matching(set));
        Some(sets.fold(RoaringBitmap::new(), |sum, set| sum | set))
    }

    fn label_names(&self, request: &LabelRequest) -> Vec<String> {
        let slots = self.asked_about(request);
        let index = self.index.read();
        let asked = |present: &RoaringBitmap| {
            slots
                .as_ref()
                .is_none_or(|slots| !present.is_disjoint(slots))
        };
        let names = index.names().filter(|(_, values)| asked(values.present()));
        names.map(|(name, _)| name.to_owned()).collect()
    }

    fn label_values(&self, name: &str, request: &LabelRequest) -> Vec<String> {
        let slots = self.asked_about(request);
        let index = self.index.read();
        let Some(values) = index.values(name) else {
            return Vec::new();
        };
        let values = values
            .iter()
            .filter(|(_, postings)| slots.as_ref().is_none_or(|slots| postings.meets(slots)));
        values.map(|(value, _)| value.to_owned()).collect()
    }

    fn series_labels(&self, request: &LabelRequest) -> Vec<Labels> {
        let slots = self.asked_about(request);
        let slots = slots.unwrap_or_else(|| self.index.read().all().clone());
        let labels = |slot: u32| {
            let series = self.slots.get(slot)?.lock();
            let there = series
                .all_times()
                .is_some_and(|t| t.overlaps(&request.range));
            (series.alive && there).then(|| series.labels.clone())
        };
        slots.iter().filter_map(labels).collect()
    }
}
