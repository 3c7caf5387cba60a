//! Reading the log back into heads when a store is opened.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

use headwater_env::{Files, FilesExt};
use headwater_storage::Result;
use headwater_wal::{DamageReason, Framing, SegmentDecoder, list_segments, segment_path};

use crate::object::file_error;
use crate::push::{PushStream, decode};
use crate::store::log_error;

/// What one segment of the log holds.
struct Segment {
    number: u64,
    pushes: Vec<(String, Vec<PushStream>)>,
    damaged: Vec<String>,
}

/// Calls `take` with every push of the log, in order, and with the segment that holds it. Some threads
/// read and decode segments ahead of it, each at most one. Answers what is damaged.
pub(crate) fn replay(
    files: &dyn Files,
    folder: &Path,
    threads: usize,
    mut take: impl FnMut(u64, &str, &[PushStream]),
) -> Result<Vec<String>> {
    let segments = list_segments(files, folder).map_err(log_error("cannot list the log"))?;
    let threads = threads.clamp(1, segments.len().max(1));
    let mut damaged = Vec::new();
    std::thread::scope(|scope| {
        let readers: Vec<Receiver<Result<Segment>>> = (0..threads)
            .map(|thread| {
                let (send, receive) = sync_channel(1);
                let mine = segments.iter().skip(thread).step_by(threads);
                scope.spawn(move || {
                    for segment in mine {
                        // Nobody listens any more: another segment could not be read.
                        if send.send(read(files, folder, *segment)).is_err() {
                            return;
                        }
                    }
                });
                receive
            })
            .collect();
        for at in 0..segments.len() {
            let Ok(segment) = readers[at % threads].recv() else {
                break;
            };
            let segment = segment?;
            for (tenant, streams) in &segment.pushes {
                take(segment.number, tenant, streams);
            }
            damaged.extend(segment.damaged);
        }
        Ok(damaged)
    })
}

fn read(files: &dyn Files, folder: &Path, number: u64) -> Result<Segment> {
    let path = segment_path(folder, number);
    let data = files
        .read(&path)
        .map_err(file_error(&path, "cannot read"))?;
    let (mut pushes, mut damaged) = (Vec::new(), Vec::new());
    let mut decoder = SegmentDecoder::new(Framing::Frames, number, &data);
    while let Some(record) = decoder.next_record() {
        match decode(record) {
            Ok(push) => pushes.push(push),
            Err(error) => damaged.push(format!("log {}: {error}", path.display())),
        }
    }
    // A record that ends early was being written when the process died: nobody was told that it is stored.
    let unexpected = decoder
        .damage()
        .iter()
        .filter(|damage| damage.reason != DamageReason::Torn);
    damaged.extend(unexpected.map(|damage| format!("log {}: {damage}", path.display())));
    Ok(Segment {
        number,
        pushes,
        damaged,
    })
}
