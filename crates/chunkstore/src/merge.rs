//! Merging neighbouring parts, so that queries open few of them.
//!
//! Blocks of a good size are copied as they are; only small ones are written anew, together. So
//! merging costs little more than reading and writing what is stored. A part that was merged is
//! recognised by its name as what replaces the others: a crash at any moment leaves one or the other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use headwater_model::Labels;
use headwater_storage::{Error, ErrorKind, Result};

use crate::name::Flushes;
use crate::part::{Column, PartError, PartOptions, PartWriter, Rows};
use crate::store::{ChunkStore, StoredPart};

/// Bytes of lines that one merge holds decoded at most: the parts beyond wait for the next.
const MAX_REWRITTEN: u64 = 64 << 20;
/// Merges join at most so many times [`Config::merge_parts`](crate::Config::merge_parts).
const MOST_TIMES: usize = 4;

/// Which neighbours to merge, given the sizes of parts in the order of writing.
///
/// Parts of like size are joined once there are `count` of them, or fewer if they fill a part of
/// `max_bytes`; a part is never written anew because of much smaller ones.
pub(crate) fn choose(sizes: &[u64], count: usize, max_bytes: u64) -> Option<Range<usize>> {
    if count < 2 {
        return None;
    }
    let greatest = sizes.iter().copied().map(tier).max()?;
    (0..=greatest).find_map(|limit| {
        (0..sizes.len()).find_map(|start| {
            let (mut end, mut sum) = (start, 0);
            while end < sizes.len()
                && end - start < count * MOST_TIMES
                && tier(sizes[end]) <= limit
                && sum + sizes[end] <= max_bytes
            {
                sum += sizes[end];
                end += 1;
            }
            let chosen = &sizes[start..end];
            let largest = chosen.iter().copied().max().unwrap_or(0);
            let enough = chosen.len() >= count || (sum * 2 >= max_bytes && chosen.len() > 1);
            (enough && largest * 2 <= sum).then_some(start..end)
        })
    })
}

/// Parts of a tier differ in size by less than a factor of 8.
const fn tier(bytes: u64) -> u32 {
    match bytes >> 20 {
        0 => 0,
        mebibytes => mebibytes.ilog2() / 3 + 1,
    }
}

impl ChunkStore {
    /// Merges parts of a tenant as long as there are some to merge.
    pub(crate) fn merge_tenant(&self, name: &str) -> Result<()> {
        let Some(tenant) = self.find(name) else {
            return Ok(());
        };
        let _one_at_a_time = tenant.rewriting.lock();
        loop {
            let parts = tenant.state.read().parts.clone();
            let sizes: Vec<u64> = parts.iter().map(|part| part.len()).collect();
            let config = &self.config;
            let Some(range) = choose(&sizes, config.merge_parts, config.max_part_bytes) else {
                return Ok(());
            };
            let chosen = &parts[range];
            let plan = Plan::new(chosen, config.part);
            if plan.parts.len() < 2 {
                return Ok(());
            }
            let merged = Flushes::of(
                plan.parts[0].flushes.first,
                plan.parts[plan.parts.len() - 1].flushes.last,
            );
            let new = self.write_part(name, merged, |writer| plan.write(writer))?;
            self.replace(name, plan.parts, Some(new))?;
            self.counts.merges.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes a part. `fill` calls what it is given every now and then, so that the part needs not be
    /// in memory as a whole.
    pub(crate) fn write_part(
        &self,
        tenant: &str,
        flushes: Flushes,
        fill: impl FnOnce(&mut dyn FnMut(&mut PartWriter) -> Result<()>) -> Result<PartWriter>,
    ) -> Result<Arc<StoredPart>> {
        let mut upload = self.objects.upload(&flushes.name(tenant))?;
        let mut pass_on = |writer: &mut PartWriter| writer.take_ready(|bytes| upload.write(bytes));
        let writer = fill(&mut pass_on)?;
        let rest = writer.finish().map_err(of_part)?;
        upload.write(&rest)?;
        upload.finish()?;
        self.open_part(tenant, flushes)
    }

    /// Puts a part in the place of others, which are removed.
    pub(crate) fn replace(
        &self,
        name: &str,
        old: &[Arc<StoredPart>],
        new: Option<Arc<StoredPart>>,
    ) -> Result<()> {
        let Some(tenant) = self.find(name) else {
            return Ok(());
        };
        let is_old = |part: &Arc<StoredPart>| old.iter().any(|old| old.id == part.id);
        {
            let mut state = tenant.state.write();
            let at = state.parts.iter().position(is_old).unwrap_or(0);
            state.parts.retain(|part| !is_old(part));
            if let Some(new) = new {
                state.parts.insert(at, new);
            }
        }
        for part in old {
            self.cache.forget(part.id);
            self.objects.remove(&part.flushes.name(name))?;
        }
        Ok(())
    }
}

pub(crate) fn of_part(error: PartError) -> Error {
    match error {
        PartError::Read(error) => error,
        error => Error::new(ErrorKind::Corrupt, error.to_string()).because(error),
    }
}

/// A block of one of the parts.
#[derive(Clone, Copy)]
struct Place {
    part: usize,
    block: usize,
}

/// Rows of a stream that are written anew.
struct Run {
    place: Place,
    rows: Range<usize>,
}

/// What a merge does with every block.
struct Plan<'a> {
    parts: &'a [Arc<StoredPart>],
    options: PartOptions,
    copied: Vec<Place>,
    rewritten: Vec<Place>,
    /// First times of what is copied, by stream: where what is written anew must leave a gap.
    gaps: BTreeMap<&'a Labels, Vec<i64>>,
}

impl<'a> Plan<'a> {
    /// Plans to merge `parts`, or the first of them if there is too much to write anew.
    fn new(parts: &'a [Arc<StoredPart>], options: PartOptions) -> Self {
        let mut plan = Self::of_all(parts, options);
        while plan.rewritten_bytes() > MAX_REWRITTEN && plan.parts.len() > 1 {
            plan = Self::of_all(&parts[..plan.parts.len() - 1], options);
        }
        plan
    }

    fn of_all(parts: &'a [Arc<StoredPart>], options: PartOptions) -> Self {
        let overlapping = overlapping(parts);
        let mut plan = Self {
            parts,
            options,
            copied: Vec::new(),
            rewritten: Vec::new(),
            gaps: BTreeMap::new(),
        };
        for (part, stored) in parts.iter().enumerate() {
            for (block, info) in stored.blocks().iter().enumerate() {
                let small = (info.line_bytes as usize) < options.block_bytes / 4;
                if small || overlapping.contains(&(part, block)) {
                    plan.rewritten.push(Place { part, block });
                    continue;
                }
                plan.copied.push(Place { part, block });
                for run in &info.runs {
                    let labels = &stored.streams()[run.stream as usize];
                    plan.gaps.entry(labels).or_default().push(run.first_time);
                }
            }
        }
        plan.gaps
            .values_mut()
            .for_each(|times| times.sort_unstable());
        plan
    }

    fn rewritten_bytes(&self) -> u64 {
        let bytes =
            |place: &Place| u64::from(self.parts[place.part].blocks()[place.block].line_bytes);
        self.rewritten.iter().map(bytes).sum()
    }

    fn write(&self, pass_on: &mut dyn FnMut(&mut PartWriter) -> Result<()>) -> Result<PartWriter> {
        let streams: BTreeSet<Labels> = self
            .parts
            .iter()
            .flat_map(|part| part.streams())
            .cloned()
            .collect();
        let mut writer = PartWriter::with_streams(self.options, streams).map_err(of_part)?;
        for place in &self.copied {
            let part = &self.parts[place.part];
            let block = &part.blocks()[place.block];
            writer.copy_block(part, block).map_err(of_part)?;
            pass_on(&mut writer)?;
        }
        self.rewrite(writer, pass_on)
    }

    /// Writes the other blocks anew, stream by stream.
    fn rewrite(
        &self,
        mut writer: PartWriter,
        pass_on: &mut dyn FnMut(&mut PartWriter) -> Result<()>,
    ) -> Result<PartWriter> {
        let mut decoded: BTreeMap<(usize, usize), Rows> = BTreeMap::new();
        let mut streams: BTreeMap<&Labels, Vec<Run>> = BTreeMap::new();
        for place in &self.rewritten {
            let part = &self.parts[place.part];
            let block = &part.blocks()[place.block];
            let mut rows = Rows::default();
            let columns = [Column::Times, Column::Lines, Column::Metadata];
            part.read(block, &columns, &mut rows).map_err(of_part)?;
            decoded.insert((place.part, place.block), rows);
            let mut first = 0;
            for run in &block.runs {
                let rows = first..first + run.rows as usize;
                first = rows.end;
                let labels = &part.streams()[run.stream as usize];
                streams.entry(labels).or_default().push(Run {
                    place: *place,
                    rows,
                });
            }
        }
        let none = Labels::empty();
        for (labels, runs) in streams {
            writer.stream(labels).map_err(of_part)?;
            let gaps = self.gaps.get(labels).map_or(&[][..], Vec::as_slice);
            let mut passed = None;
            for (time, run, row) in in_order(&runs, &decoded) {
                let before = gaps.partition_point(|first| *first <= time);
                if passed
                    .replace(before)
                    .is_some_and(|passed| passed != before)
                {
                    writer.gap();
                }
                let rows = &decoded[&(runs[run].place.part, runs[run].place.block)];
                let metadata = rows.metadata(row).unwrap_or(&none);
                writer
                    .push(time, rows.line(row), metadata)
                    .map_err(of_part)?;
            }
            pass_on(&mut writer)?;
        }
        Ok(writer)
    }
}

/// Time, run and row of all rows: by time, those of one time in the order of writing.
fn in_order(runs: &[Run], decoded: &BTreeMap<(usize, usize), Rows>) -> Vec<(i64, usize, usize)> {
    let mut order = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let rows = &decoded[&(run.place.part, run.place.block)];
        order.extend(run.rows.clone().map(|row| (rows.times[row], number, row)));
    }
    order.sort_unstable();
    order
}

/// Oldest and newest time of a run, and its part and block.
type Stretch = (i64, i64, (usize, usize));

/// Blocks that share a stretch of time of some stream with another.
fn overlapping(parts: &[Arc<StoredPart>]) -> BTreeSet<(usize, usize)> {
    let mut pieces: BTreeMap<&Labels, Vec<Stretch>> = BTreeMap::new();
    for (part, stored) in parts.iter().enumerate() {
        for (block, info) in stored.blocks().iter().enumerate() {
            for run in &info.runs {
                let labels = &stored.streams()[run.stream as usize];
                let piece = (run.first_time, run.last_time, (part, block));
                pieces.entry(labels).or_default().push(piece);
            }
        }
    }
    let mut found = BTreeSet::new();
    for mut pieces in pieces.into_values() {
        pieces.sort_unstable();
        let mut newest: Option<(i64, (usize, usize))> = None;
        for (first, last, place) in pieces {
            if let Some((_, other)) = newest.filter(|(newest, _)| first <= *newest) {
                found.extend([other, place]);
            }
            if newest.is_none_or(|(newest, _)| last > newest) {
                newest = Some((last, place));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn neighbours_of_like_size_are_chosen() {
        let max = 512 * MIB;
        for (sizes, chosen) in [
            (vec![], None),
            (vec![1000; 7], None),
            (vec![1000; 8], Some(0..8)),
            (vec![12 * MIB; 17], Some(0..17)),
            (vec![12 * MIB; 100], Some(0..32)),
            // Small ones do not make a large one be written anew.
            ([vec![100 * MIB], vec![1000; 7]].concat(), None),
            ([vec![100 * MIB], vec![1000; 8]].concat(), Some(1..9)),
            // A few that fill a part are enough.
            (vec![96 * MIB; 5], Some(0..5)),
            (vec![480 * MIB, 20 * MIB], None),
            (vec![512 * MIB; 20], None),
        ] {
            assert_eq!(choose(&sizes, 8, max), chosen, "{sizes:?}");
        }
        assert_eq!(choose(&[1; 100], 0, max), None);
    }

    /// However parts come, merging ends, and leaves few.
    #[test]
    fn merging_comes_to_an_end() {
        let (mut sizes, mut written) = (Vec::new(), 0);
        for flush in 0..2000u64 {
            sizes.push((flush * 7919 % 20 + 1) * MIB);
            let mut rounds = 0;
            while let Some(range) = choose(&sizes, 8, 512 * MIB) {
                let sum: u64 = sizes[range.clone()].iter().sum();
                written += sum;
                sizes.splice(range, [sum]);
                rounds += 1;
                assert!(rounds < 10, "{sizes:?}");
            }
        }
        let total: u64 = sizes.iter().sum();
        assert!(sizes.len() < 100, "{} parts", sizes.len());
        assert!(written < total * 4, "written {written} for {total}");
    }
}
