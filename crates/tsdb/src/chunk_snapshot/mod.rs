//! Chunk snapshots: the head as it was at shutdown, so that a start need not
//! read the log before it.
//!
//! As in Prometheus, a snapshot is a directory `chunk_snapshot.S.O` that
//! stands for the log up to offset `O` of segment `S`: series with their
//! growing chunks, tombstones, exemplars. Finished chunks are not in it but in
//! `chunks_head`. `write` makes one, `find` decides whether one may be used,
//! `contents` is a list that lies beside the records, by which a snapshot or
//! head chunk files that have become shorter are noticed; Prometheus does not
//! look at it.
//!
//! A snapshot saves time and nothing else: the log is kept as if there were
//! none. Whatever is wrong with it, the log is read instead.

mod contents;
mod find;
mod write;

pub(crate) use contents::{ChunkFile, Contents};
pub(crate) use find::{Usable, find, remove_all};

/// What the names of snapshots begin with.
const PREFIX: &str = "chunk_snapshot.";
/// The file in which a snapshot says what belongs to it.
const CONTENTS: &str = "contents";
