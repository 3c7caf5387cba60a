//! `tsdb analyze`: what makes a block large.

mod spread;

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use headwater_blockfmt::segment::{self, ChunkRef};
use headwater_blockfmt::{chunk, decode};
use headwater_model::{SeriesColumns, TimeRange};

use crate::failure::{Context, Failure, Outcome};
use crate::flags::Analyze;
use crate::go_text;
use crate::open::{self, Block};
use spread::Spread;

pub(crate) fn run(options: &Analyze) -> Outcome {
    let mut blocks = open::blocks(&options.path)?;
    let block = match &options.block {
        None => blocks.pop(),
        Some(name) => blocks.into_iter().find(|block| block.meta.ulid == *name),
    };
    let name = options.block.as_deref().unwrap_or_default();
    let block = block.ok_or_else(|| Failure::new(format_args!("block {name} not found")))?;
    let figures = Figures::of(&block)?;
    figures.print(&block, options.limit);
    match options.extended {
        true => print_chunks(&block),
        false => Ok(()),
    }
}

#[derive(Debug, Default)]
struct Figures {
    series: u64,
    pairs: u64,
    entries: u64,
    /// Series by pair and by label, and the time that they do not cover.
    by_pair: HashMap<(String, String), Share>,
    by_name: HashMap<String, Share>,
    value_bytes: HashMap<String, u64>,
    values: HashMap<String, u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    series: u64,
    uncovered: u64,
}

impl Share {
    fn add(&mut self, uncovered: u64) {
        self.series += 1;
        self.uncovered += uncovered;
    }
}

impl Figures {
    fn of(block: &Block) -> Outcome<Figures> {
        let path = block.dir.join("index");
        let index = block.index()?;
        let mut out = Figures::default();
        let (mut labels, mut chunks) = (Vec::new(), Vec::new());
        let span = block.meta.max_time.abs_diff(block.meta.min_time);
        for reference in index.all_postings().context(path.display())? {
            let entry = index.series(reference).context(path.display())?;
            entry
                .read_into(&mut labels, &mut chunks)
                .context(path.display())?;
            let covered = match (chunks.first(), chunks.last()) {
                (Some(first), Some(last)) => last.max_time.abs_diff(first.min_time),
                _ => 0,
            };
            let uncovered = span.saturating_sub(covered);
            out.series += 1;
            for (name, value) in &labels {
                out.entries += 1;
                let pair = ((*name).to_owned(), (*value).to_owned());
                out.by_pair.entry(pair).or_default().add(uncovered);
                out.by_name
                    .entry((*name).to_owned())
                    .or_default()
                    .add(uncovered);
            }
        }
        out.pairs = out.by_pair.len() as u64;
        for (name, value) in out.by_pair.keys() {
            *out.value_bytes.entry(name.clone()).or_default() += value.len() as u64;
            *out.values.entry(name.clone()).or_default() += 1;
        }
        Ok(out)
    }

    fn print(&self, block: &Block, limit: usize) {
        let span = block.meta.max_time.abs_diff(block.meta.min_time);
        println!("Block ID: {}", block.meta.ulid);
        println!(
            "Duration: {}",
            go_text::duration(Duration::from_millis(span))
        );
        println!("Total Series: {}", self.series);
        println!("Label names: {}", self.by_name.len());
        println!("Postings (unique label pairs): {}", self.pairs);
        println!("Postings entries (total label pairs): {}", self.entries);
        // A series that is there half of the time counts half.
        let churn = |share: &Share| share.uncovered.checked_div(span).unwrap_or(0);
        let text = |(name, value): &(String, String)| format!("{name}={value}");
        let pairs = |of: &dyn Fn(&Share) -> u64| {
            let rows = self.by_pair.iter();
            rows.map(|(pair, share)| (of(share), text(pair))).collect()
        };
        table(
            "Label pairs most involved in churning:",
            pairs(&churn),
            limit,
        );
        let names = self
            .by_name
            .iter()
            .map(|(name, share)| (churn(share), name.clone()));
        table(
            "Label names most involved in churning:",
            names.collect(),
            limit,
        );
        table(
            "Most common label pairs:",
            pairs(&|share| share.series),
            limit,
        );
        table(
            "Label names with highest cumulative label value length:",
            rows(&self.value_bytes),
            limit,
        );
        table("Highest cardinality labels:", rows(&self.values), limit);
        let metrics = self
            .by_pair
            .iter()
            .filter(|((name, _), _)| name == "__name__");
        let metrics = metrics.map(|((_, value), share)| (share.series, value.clone()));
        table(
            "Highest cardinality metric names:",
            metrics.collect(),
            limit,
        );
    }
}

fn rows<K: Hash + ToString>(of: &HashMap<K, u64>) -> Vec<(u64, String)> {
    of.iter()
        .map(|(name, count)| (*count, name.to_string()))
        .collect()
}

/// The largest rows, in the order of their names where they are equal.
fn table(title: &str, mut rows: Vec<(u64, String)>, limit: usize) {
    rows.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    println!("\n{title}");
    for (count, name) in rows.into_iter().take(limit) {
        println!("{count} {name}");
    }
}

/// How full chunks are.
fn print_chunks(block: &Block) -> Outcome {
    let path = block.dir.join("chunks");
    let (index, files) = (block.index()?, block.chunk_files()?);
    let [mut float_samples, mut float_bytes] = [const { Vec::new() }; 2];
    let [mut samples, mut bytes, mut buckets] = [const { Vec::new() }; 3];
    let mut chunks = Vec::new();
    let mut total = 0;
    for reference in index.all_postings().context(path.display())? {
        let entry = index.series(reference).context(path.display())?;
        entry.chunks_into(&mut chunks).context(path.display())?;
        for meta in &chunks {
            let place = ChunkRef::from_u64(meta.reference);
            let file = files.get(place.segment as usize);
            let file =
                file.ok_or_else(|| Failure::new(format_args!("{} lacks a file", path.display())))?;
            let raw = segment::read_chunk(file, place.offset as usize).context(path.display())?;
            let count = chunk::sample_count(raw.encoding, raw.data).context(path.display())?;
            total += 1;
            if !raw.encoding.is_histogram() {
                float_samples.push(count as u64);
                float_bytes.push(raw.data.len() as u64);
                continue;
            }
            let mut columns = SeriesColumns::default();
            decode(raw.encoding, raw.data, TimeRange::ALL, &mut columns).context(path.display())?;
            let histograms = &columns.histograms;
            let in_one = |at: usize| {
                let histogram = histograms.get(at).to_float();
                histogram.positive_buckets.len() + histogram.negative_buckets.len()
            };
            samples.push(count as u64);
            bytes.push(raw.data.len() as u64);
            buckets.push((0..histograms.len()).map(in_one).sum::<usize>() as u64);
        }
    }
    println!("\nCompaction analysis:\n");
    for (what, numbers) in [
        ("samples per float chunk", float_samples),
        ("bytes per float chunk", float_bytes),
        ("samples per histogram chunk", samples),
        ("bytes per histogram chunk", bytes),
        ("buckets per histogram chunk", buckets),
    ] {
        if let Some(spread) = Spread::of(numbers) {
            spread.print(what, total);
        }
    }
    Ok(())
}
