//! What there is most of: series, label values, bytes.

use headwater_model::label::METRIC_NAME;
use headwater_storage::{Error, ErrorKind, Result};

use crate::block::Block;
use crate::db::Db;
use crate::head::Head;
use crate::stats::{Cardinality, TopEntry};

impl Db {
    /// Which metrics and labels of the head make the most series and take the
    /// most memory, the first `limit` of each list. It looks at every series.
    pub fn cardinality(&self, limit: usize) -> Cardinality {
        self.inner.head.cardinality(limit)
    }

    /// The same for a block, where bytes are those of its chunks. It looks at
    /// every chunk.
    ///
    /// # Errors
    /// There is no such block, or its index is damaged.
    pub fn block_cardinality(&self, ulid: &str, limit: usize) -> Result<Cardinality> {
        let blocks = self.inner.blocks.all();
        let block = blocks.iter().find(|block| block.meta.ulid == ulid);
        let block = block.ok_or_else(|| {
            let what = format!("there is no block {ulid}");
            Error::new(ErrorKind::Invalid, what)
        })?;
        block.cardinality(limit)
    }
}

impl Head {
    fn cardinality(&self, limit: usize) -> Cardinality {
        let bytes = self.bytes_by_slot();
        let bytes_of = |slot: u32| bytes.get(slot as usize).copied().unwrap_or(0);
        let index = self.index.read();
        let mut tally = Tally::new(limit);
        for (name, values) in index.names() {
            let values = values.iter();
            tally.label(
                name,
                values.map(|(value, series)| Value {
                    value,
                    series: series.len(),
                    bytes: series.sum(bytes_of),
                }),
            );
        }
        tally.finish()
    }

    fn bytes_by_slot(&self) -> Vec<u64> {
        let bytes = |slot| {
            let series = self.slots.get(slot)?.lock();
            series.alive.then(|| series.bytes() as u64)
        };
        let slots = 0..self.slots.len();
        slots.map(|slot| bytes(slot).unwrap_or(0)).collect()
    }
}

impl Block {
    fn cardinality(&self, limit: usize) -> Result<Cardinality> {
        let bytes = self.bytes_by_series()?;
        let bytes_of = |reference: u32| {
            let at = bytes.binary_search_by_key(&reference, |(series, _)| *series);
            at.map_or(0, |at| bytes[at].1)
        };
        let mut tally = Tally::new(limit);
        for name in self.index.label_names() {
            let mut found = Vec::new();
            let mut values = self.index.label_values(name);
            while let Some((value, postings)) = values.next_postings() {
                let postings = postings.map_err(|e| self.bad_index(e))?;
                let (mut series, mut bytes) = (0, 0);
                for reference in postings.iter() {
                    series += 1;
                    bytes += bytes_of(reference);
                }
                found.push(Value {
                    value,
                    series,
                    bytes,
                });
            }
            tally.label(name, found.into_iter());
        }
        Ok(tally.finish())
    }

    /// What the chunks of each series take; damaged ones count nothing.
    fn bytes_by_series(&self) -> Result<Vec<(u32, u64)>> {
        let mut out = Vec::new();
        let mut metas = Vec::new();
        for reference in self.matching(&[])? {
            let sound = self.series(reference, &mut metas).is_ok();
            let chunks = metas.iter().filter(|_| sound);
            let bytes = chunks
                .filter_map(|meta| self.chunk(meta).ok())
                .map(|chunk| chunk.data.len() as u64)
                .sum();
            out.push((reference, bytes));
        }
        out.sort_unstable();
        Ok(out)
    }
}

/// A value of a label and what the series with it are.
#[derive(Clone, Copy)]
struct Value<'v> {
    value: &'v str,
    series: u64,
    bytes: u64,
}

/// Collects what there is most of.
struct Tally {
    limit: usize,
    out: Cardinality,
}

impl Tally {
    fn new(limit: usize) -> Tally {
        Tally {
            limit,
            out: Cardinality::default(),
        }
    }

    /// All values of a label.
    fn label<'v>(&mut self, name: &str, values: impl Iterator<Item = Value<'v>>) {
        let values: Vec<Value<'v>> = values.collect();
        let entry = |value| TopEntry {
            name: name.to_owned(),
            value,
        };
        let text = values.iter().map(|v| v.value.len() as u64 * v.series).sum();
        let out = &mut self.out;
        out.values_by_label.push(entry(values.len() as u64));
        out.bytes_by_label.push(entry(text));
        if name == METRIC_NAME {
            let metric = |v: &Value<'_>| v.value.to_owned();
            out.series_by_metric = largest(&values, self.limit, metric, |v| v.series);
            out.bytes_by_metric = largest(&values, self.limit, metric, |v| v.bytes);
        }
        // Of each label only the largest can be among the largest of all.
        let pair = |v: &Value<'_>| format!("{name}={}", v.value);
        let series = largest(&values, self.limit, pair, |v| v.series);
        let bytes = largest(&values, self.limit, pair, |v| v.bytes);
        out.series_by_pair.extend(series);
        out.bytes_by_pair.extend(bytes);
    }

    fn finish(mut self) -> Cardinality {
        for list in [
            &mut self.out.values_by_label,
            &mut self.out.bytes_by_label,
            &mut self.out.series_by_pair,
            &mut self.out.bytes_by_pair,
        ] {
            list.sort_by(|a, b| b.value.cmp(&a.value).then_with(|| a.name.cmp(&b.name)));
            list.truncate(self.limit);
        }
        self.out
    }
}

/// The largest values under their names; equal ones in the order of these.
fn largest<'v>(
    values: &[Value<'v>],
    limit: usize,
    name: impl Fn(&Value<'v>) -> String,
    size: impl Fn(&Value<'v>) -> u64,
) -> Vec<TopEntry> {
    let mut sorted: Vec<&Value<'v>> = values.iter().collect();
    sorted.sort_unstable_by(|a, b| size(b).cmp(&size(a)).then_with(|| a.value.cmp(b.value)));
    let entry = |v: &&Value<'v>| TopEntry {
        name: name(v),
        value: size(v),
    };
    sorted.iter().take(limit).map(entry).collect()
}
