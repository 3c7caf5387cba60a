use std::path::Path;
use std::sync::Arc;

use headwater_env::Files;

use crate::{
    Damage, DamagePolicy, Framing, Result, SegmentDecoder, SegmentWriter, list_segments,
    segment_path,
};

/// Rewrites damaged segments so that every reader can read what is left, and
/// says what was lost. Call it before the log is opened for writing.
///
/// Under [`DamagePolicy::Truncate`] the log ends before the first damage and
/// later segments are removed, as Prometheus does. Under
/// [`DamagePolicy::Skip`] all records that can be read are kept.
///
/// A damaged segment is written anew and renamed over the old one, so a crash
/// in between leaves one or the other.
pub fn repair(
    files: &Arc<dyn Files>,
    dir: &Path,
    framing: Framing,
    policy: DamagePolicy,
) -> Result<Vec<Damage>> {
    let mut all = Vec::new();
    remove_leftovers(files.as_ref(), dir)?;
    for segment in list_segments(files.as_ref(), dir)? {
        if policy == DamagePolicy::Truncate && !all.is_empty() {
            files.remove_file(&segment_path(dir, segment))?;
            continue;
        }
        all.extend(repair_segment(files, dir, framing, policy, segment)?);
    }
    if !all.is_empty() {
        files.sync_dir(dir)?;
    }
    Ok(all)
}

/// Rewrites one segment if it is damaged; see [`repair`].
pub fn repair_segment(
    files: &Arc<dyn Files>,
    dir: &Path,
    framing: Framing,
    policy: DamagePolicy,
    segment: u64,
) -> Result<Vec<Damage>> {
    let path = segment_path(dir, segment);
    let region = files.map(&path)?;
    let decoder = || {
        let decoder = SegmentDecoder::new(framing, segment, &region);
        match policy {
            DamagePolicy::Truncate => decoder.stopping_at_damage(),
            DamagePolicy::Skip => decoder,
        }
    };
    let mut records = decoder();
    while records.next_record().is_some() {}
    if records.damage().is_empty() {
        return Ok(Vec::new());
    }
    let mut damage = records.damage().to_vec();
    if let (DamagePolicy::Truncate, Some(last)) = (policy, damage.last_mut()) {
        last.lost_bytes = region.len() as u64 - last.offset;
    }
    rewrite(files, dir, framing, segment, decoder())?;
    Ok(damage)
}

fn rewrite(
    files: &Arc<dyn Files>,
    dir: &Path,
    framing: Framing,
    segment: u64,
    mut records: SegmentDecoder<'_>,
) -> Result<()> {
    let work = dir.join(format!("{segment:08}{WORK_SUFFIX}"));
    files.create_dir_all(&work)?;
    // Reading and writing differ by a few bytes of framing at most, so the
    // rewritten segment may slightly exceed its size: it must stay one file.
    let mut writer =
        SegmentWriter::create_at(Arc::clone(files), &work, framing, u64::MAX, segment)?;
    while let Some(record) = records.next_record() {
        writer.append(&[record])?;
    }
    writer.sync()?;
    files.rename(&segment_path(&work, segment), &segment_path(dir, segment))?;
    files.remove_dir_all(&work)?;
    Ok(files.sync_dir(dir)?)
}

const WORK_SUFFIX: &str = ".repair";

fn remove_leftovers(files: &dyn Files, dir: &Path) -> Result<()> {
    if !files.is_dir(dir) {
        return Ok(());
    }
    for entry in files.list(dir)? {
        if entry.is_dir && entry.name.ends_with(WORK_SUFFIX) {
            files.remove_dir_all(&dir.join(entry.name))?;
        }
    }
    Ok(())
}
