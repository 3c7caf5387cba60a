//! The column of structured metadata: distinct sets, and runs of rows that share one.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use headwater_model::{Labels, LabelsBuilder};

use super::PartError;
use super::bytes::{Input, put_bytes, put_uvarint};

/// Collects the metadata of a block.
#[derive(Debug, Default)]
pub(super) struct MetadataBuilder {
    sets: Vec<Labels>,
    numbers: HashMap<Labels, u32>,
    /// Set number and rows, in order.
    runs: Vec<(u32, u32)>,
}

impl MetadataBuilder {
    pub(super) fn push(&mut self, set: &Labels) {
        let last = self.runs.last().map(|run| run.0 as usize);
        if let Some(run) = self
            .runs
            .last_mut()
            .filter(|_| last.is_some_and(|at| &self.sets[at] == set))
        {
            run.1 += 1;
            return;
        }
        let next = self.sets.len() as u32;
        let number = *self.numbers.entry(set.clone()).or_insert_with(|| {
            self.sets.push(set.clone());
            next
        });
        self.runs.push((number, 1));
    }

    /// The set of the newest row.
    pub(super) fn last(&self) -> Option<&Labels> {
        self.runs
            .last()
            .map(|(number, _)| &self.sets[*number as usize])
    }

    /// The sets of the rows, in order, and how many rows that follow each other have each.
    pub(super) fn runs(&self) -> impl Iterator<Item = (&Labels, u32)> {
        let set = |(number, rows): &(u32, u32)| (&self.sets[*number as usize], *rows);
        self.runs.iter().map(set)
    }

    /// The column; `None` if no entry has metadata. The builder is empty afterwards, and `names` has
    /// every name of the sets.
    pub(super) fn finish(&mut self, names: &mut BTreeSet<String>) -> Option<Vec<u8>> {
        let taken = std::mem::take(self);
        if taken.sets.iter().all(Labels::is_empty) {
            return None;
        }
        for (name, _) in taken.sets.iter().flat_map(Labels::iter) {
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
        }
        let mut out = Vec::new();
        put_uvarint(&mut out, taken.sets.len() as u64);
        for set in &taken.sets {
            put_labels(&mut out, set);
        }
        for (number, rows) in taken.runs {
            put_uvarint(&mut out, u64::from(number));
            put_uvarint(&mut out, u64::from(rows));
        }
        Some(out)
    }
}

/// Reads the set of every row: the sets, and a number into them a row.
pub(super) fn decode(column: &[u8], rows: usize) -> Result<(Vec<Labels>, Vec<u32>), PartError> {
    let mut input = Input::new(column, "metadata");
    let count = input.count(1)?;
    let sets = (0..count)
        .map(|_| take_labels(&mut input))
        .collect::<Result<Vec<_>, _>>()?;
    let mut numbers = Vec::with_capacity(rows);
    while numbers.len() < rows {
        let (number, run) = (input.uvarint()?, input.uvarint()?);
        if number >= sets.len() as u64 || run == 0 || run > (rows - numbers.len()) as u64 {
            return Err(input.damaged());
        }
        numbers.resize(numbers.len() + run as usize, number as u32);
    }
    if input.rest().is_empty() {
        Ok((sets, numbers))
    } else {
        Err(input.damaged())
    }
}

pub(crate) fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    put_uvarint(out, labels.len() as u64);
    for (name, value) in labels {
        put_bytes(out, name.as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

pub(crate) fn take_labels(input: &mut Input<'_>) -> Result<Labels, PartError> {
    let mut builder = LabelsBuilder::new();
    for _ in 0..input.count(2)? {
        let (name, value) = (input.text()?, input.text()?);
        builder.push(name, value);
    }
    if builder.duplicate().is_some() {
        Err(input.damaged())
    } else {
        Ok(builder.build())
    }
}
