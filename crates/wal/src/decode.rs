use std::ops::Range;

use crate::{Damage, DamageReason, Framing, frames, pages};

/// What a decoder found at an offset of its data.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A record from `start` to `end`, and how it is compressed as `bytes`
    /// has it: the flags of its framing, 0 for not at all.
    Record {
        start: usize,
        end: usize,
        bytes: Bytes,
        flags: u8,
    },
    /// No more records.
    End,
    /// Damage from `start`; the next record may begin at `resume`.
    Damage {
        start: usize,
        resume: usize,
        reason: DamageReason,
    },
}

/// Where the bytes of a record are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// In the data, in one piece.
    Data(Range<usize>),
    /// In [`Scratch::joined`].
    Joined,
    /// In [`Scratch::out`].
    Out,
}

impl Bytes {
    pub(crate) fn of<'a>(&self, data: &'a [u8], scratch: &'a Scratch) -> &'a [u8] {
        match self {
            Bytes::Data(range) => &data[range.clone()],
            Bytes::Joined => &scratch.joined,
            Bytes::Out => &scratch.out,
        }
    }
}

/// Buffers for records that do not lie in one piece.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Fragments as stored.
    pub(crate) joined: Vec<u8>,
    /// The record.
    pub(crate) out: Vec<u8>,
}

/// Reads the record at `at`. `data[0]` stands at `base` in the segment.
pub(crate) fn step(
    framing: Framing,
    data: &[u8],
    base: u64,
    at: usize,
    scratch: &mut Scratch,
) -> Step {
    let found = stored_step(framing, data, base, at, scratch);
    pages::unpack(found, data, scratch)
}

/// The same, leaving the record compressed.
pub(crate) fn stored_step(
    framing: Framing,
    data: &[u8],
    base: u64,
    at: usize,
    scratch: &mut Scratch,
) -> Step {
    match framing {
        Framing::Pages(_) => pages::stored(data, base, at, scratch),
        Framing::Frames => frames::decode(data, at),
    }
}

/// Reads the records of one segment that is held in memory, skipping damage.
///
/// This is the fast way through a segment: records that lie in one piece and
/// are not compressed are not copied.
///
/// ```
/// use headwater_wal::{Framing, SegmentDecoder};
///
/// let nothing = [0u8; 64];
/// let mut records = SegmentDecoder::new(Framing::Frames, 7, &nothing);
/// assert!(records.next_record().is_none());
/// assert!(records.damage().is_empty());
/// ```
#[derive(Debug)]
pub struct SegmentDecoder<'d> {
    framing: Framing,
    segment: u64,
    data: &'d [u8],
    at: usize,
    scratch: Scratch,
    damage: Vec<Damage>,
    stop_at_damage: bool,
}

impl<'d> SegmentDecoder<'d> {
    /// A decoder of the whole contents of segment number `segment`.
    pub fn new(framing: Framing, segment: u64, data: &'d [u8]) -> SegmentDecoder<'d> {
        SegmentDecoder {
            framing,
            segment,
            data,
            at: 0,
            scratch: Scratch::default(),
            damage: Vec::new(),
            stop_at_damage: false,
        }
    }

    /// Starts at a byte offset where a record begins.
    pub fn starting_at(mut self, offset: u64) -> SegmentDecoder<'d> {
        self.at = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.data.len());
        self
    }

    /// Ends at the first damage instead of skipping it.
    pub fn stopping_at_damage(mut self) -> SegmentDecoder<'d> {
        self.stop_at_damage = true;
        self
    }

    /// The next record, or `None` at the end.
    pub fn next_record(&mut self) -> Option<&[u8]> {
        loop {
            if self.stop_at_damage && !self.damage.is_empty() {
                return None;
            }
            match step(self.framing, self.data, 0, self.at, &mut self.scratch) {
                Step::Record { end, bytes, .. } => {
                    self.at = end;
                    return Some(bytes.of(self.data, &self.scratch));
                }
                Step::End => return None,
                Step::Damage {
                    start,
                    resume,
                    reason,
                } => self.note(start, resume, reason),
            }
        }
    }

    fn note(&mut self, start: usize, resume: usize, reason: DamageReason) {
        self.damage.push(Damage {
            segment: self.segment,
            offset: start as u64,
            lost_bytes: (resume - start) as u64,
            reason,
        });
        self.at = resume;
    }

    /// The byte offset of the next record.
    pub fn offset(&self) -> u64 {
        self.at as u64
    }

    /// The damage met so far.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }
}
