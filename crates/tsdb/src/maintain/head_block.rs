//! A range of the head becomes a block.

use std::path::Path;
use std::sync::Arc;

use headwater_blockfmt::chunk::shrink;
use headwater_blockfmt::{BlockMeta, EncodedChunk, decode, encode_columns_with};
use headwater_model::{Labels, SeriesColumns, TimeRange};
use headwater_storage::Result;

use crate::block::new_meta;
use crate::block::write::BlockWriter;
use crate::db::Inner;
use crate::head::cursor::{View, damaged};
use crate::head::rules::as_before;
use crate::read::Loaded;

use super::late_blocks::Taken;
use super::order::Order;

/// Writes what the head has in `range`, late samples included, to a block in
/// `root`; `None` if that is nothing. Says which late samples the block has now.
pub(super) fn write(
    inner: &Inner,
    root: &Path,
    range: TimeRange,
) -> Result<(Option<BlockMeta>, Vec<Taken>)> {
    let view = View::new(&inner.head, range);
    let series = series_in(inner, &view, range);
    write_series(
        inner,
        root,
        new_meta(&inner.env, range),
        (&view, range),
        &series,
    )
}

/// Writes what some series, each with its slot, have in `range`.
pub(super) fn write_series(
    inner: &Inner,
    root: &Path,
    meta: BlockMeta,
    (view, range): (&View, TimeRange),
    series: &[(Labels, u32)],
) -> Result<(Option<BlockMeta>, Vec<Taken>)> {
    let order = Order::of(series.iter().map(|(labels, _)| labels));
    let files = Arc::clone(&inner.env.files);
    let symbols = order.symbols.iter().copied();
    let mut writer = BlockWriter::create(files, root, meta, symbols)?;
    let (mut taken, mut seen) = (Vec::new(), Loaded::default());
    for (at, pairs) in order.series() {
        let (labels, slot) = &series[at];
        view.see_into(*slot, &mut seen);
        let chunks = match seen.late.is_empty() {
            true => in_order_chunks(labels, &seen, range)?,
            false => {
                taken.extend(inner.late_of(*slot, range));
                merged_chunks(inner, labels, &seen)?
            }
        };
        if !chunks.is_empty() {
            writer.add_numbered(pairs, &chunks)?;
        }
    }
    Ok((writer.finish()?, taken))
}

fn in_order_chunks(labels: &Labels, seen: &Loaded, range: TimeRange) -> Result<Vec<EncodedChunk>> {
    let mut chunks = Vec::new();
    seen.take_chunks(labels, &mut chunks)?;
    clip(labels, &mut chunks, range)?;
    for chunk in &mut chunks {
        // What grew sample by sample can be smaller now that it is whole.
        if let Some(smaller) = shrink(chunk).map_err(|e| damaged(labels, e))? {
            *chunk = smaller;
        }
    }
    Ok(chunks)
}

/// Chunks of one block must not overlap, so late samples are put in order.
fn merged_chunks(inner: &Inner, labels: &Labels, seen: &Loaded) -> Result<Vec<EncodedChunk>> {
    let mut columns = SeriesColumns::default();
    seen.decode(labels, &mut columns)?;
    let options = inner.head.rules().encode_options();
    Ok(encode_columns_with(&columns, options))
}

fn series_in(inner: &Inner, view: &View, range: TimeRange) -> Vec<(Labels, u32)> {
    let labels = |slot: u32| {
        let times = inner.head.slots.get(slot)?.lock().all_times()?;
        let there = times.overlaps(&range);
        let labels = view.labels(slot).filter(|_| there)?;
        Some((labels, slot))
    };
    let slots = inner.slots_in(range, &[]);
    let mut series = Vec::with_capacity(slots.len());
    series.extend(slots.into_iter().filter_map(labels));
    series
}

/// Writes chunks anew that reach beyond the range. Chunks are cut at block
/// boundaries, so there are none unless the block range was changed.
fn clip(labels: &Labels, chunks: &mut Vec<EncodedChunk>, range: TimeRange) -> Result<()> {
    let inside = |c: &EncodedChunk| range.start <= c.min_time && c.max_time <= range.end;
    if chunks.iter().all(inside) {
        return Ok(());
    }
    for chunk in std::mem::take(chunks) {
        if inside(&chunk) {
            chunks.push(chunk);
            continue;
        }
        let mut columns = SeriesColumns::default();
        decode(chunk.encoding, &chunk.data, range, &mut columns).map_err(|e| damaged(labels, e))?;
        chunks.extend(encode_columns_with(&columns, as_before([&chunk])));
    }
    Ok(())
}
