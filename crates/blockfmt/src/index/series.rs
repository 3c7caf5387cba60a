//! Series entries: labels and chunks.

use headwater_model::{TimeRange, Timestamp};

use super::read::Index;
use crate::error::DecodeError;
use crate::input::{Input, put_uvarint, put_varint};
use crate::record::LabelPairs;

/// A chunk as the index knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChunkMeta {
    /// Time of the first sample, in milliseconds.
    pub min_time: Timestamp,
    /// Time of the last sample, in milliseconds.
    pub max_time: Timestamp,
    /// Where it lies; see [`ChunkRef`](crate::segment::ChunkRef).
    pub reference: u64,
}

impl ChunkMeta {
    /// First to last sample.
    pub const fn range(&self) -> TimeRange {
        TimeRange::new(self.min_time, self.max_time)
    }
}

/// A series in an index, its checksum verified.
#[derive(Debug)]
pub struct SeriesEntry<'a, B> {
    pub(super) index: &'a Index<B>,
    pub(super) input: Input<'a>,
    /// Offset of the entry's body in the file, for errors.
    pub(super) base: usize,
}

impl<B> Clone for SeriesEntry<'_, B> {
    fn clone(&self) -> Self {
        Self {
            index: self.index,
            input: self.input,
            base: self.base,
        }
    }
}

impl<'a, B: AsRef<[u8]>> SeriesEntry<'a, B> {
    fn walk_labels(
        &self,
        each: impl FnMut(u32, u32) -> Result<(), DecodeError>,
    ) -> Result<Input<'a>, DecodeError> {
        walk_labels(self.input, each)
    }

    /// Reads the labels in place of what `labels` holds, ascending by name.
    ///
    /// # Errors
    /// The entry names symbols that the index does not have.
    pub fn labels_into(&self, labels: &mut LabelPairs<'a>) -> Result<(), DecodeError> {
        labels.clear();
        let read = self.walk_labels(|name, value| {
            labels.push((self.index.symbol(name)?, self.index.symbol(value)?));
            Ok(())
        });
        read.map(|_| ()).map_err(|error| error.at_base(self.base))
    }

    /// Reads the symbols of the labels in place of what `pairs` holds: name, value.
    ///
    /// # Errors
    /// The entry is damaged.
    pub fn symbols_into(&self, pairs: &mut Vec<(u32, u32)>) -> Result<(), DecodeError> {
        pairs.clear();
        let read = self.walk_labels(|name, value| {
            pairs.push((name, value));
            Ok(())
        });
        read.map(|_| ()).map_err(|error| error.at_base(self.base))
    }

    /// Reads the chunks in place of what `chunks` holds, ascending by time.
    ///
    /// # Errors
    /// The entry is damaged.
    pub fn chunks_into(&self, chunks: &mut Vec<ChunkMeta>) -> Result<(), DecodeError> {
        chunks.clear();
        let read = self
            .walk_labels(|_, _| Ok(()))
            .and_then(|input| read_chunks(input, chunks));
        read.map_err(|error| error.at_base(self.base))
    }

    /// Labels and chunks at once.
    ///
    /// # Errors
    /// As the two alone.
    pub fn read_into(
        &self,
        labels: &mut LabelPairs<'a>,
        chunks: &mut Vec<ChunkMeta>,
    ) -> Result<(), DecodeError> {
        labels.clear();
        chunks.clear();
        let read = self.walk_labels(|name, value| {
            labels.push((self.index.symbol(name)?, self.index.symbol(value)?));
            Ok(())
        });
        read.and_then(|input| read_chunks(input, chunks))
            .map_err(|error| error.at_base(self.base))
    }
}

/// Calls `each` with the symbols of every label pair; answers what is left, the chunks.
pub(super) fn walk_labels<'a>(
    mut input: Input<'a>,
    mut each: impl FnMut(u32, u32) -> Result<(), DecodeError>,
) -> Result<Input<'a>, DecodeError> {
    let symbol = |input: &mut Input<'a>| {
        let before = *input;
        u32::try_from(input.uvarint()?)
            .map_err(|_| before.invalid("a symbol that the index does not have"))
    };
    for _ in 0..input.count(2)? {
        let (name, value) = (symbol(&mut input)?, symbol(&mut input)?);
        each(name, value)?;
    }
    Ok(input)
}

pub(super) fn read_chunks(
    mut input: Input<'_>,
    chunks: &mut Vec<ChunkMeta>,
) -> Result<(), DecodeError> {
    // Two times and a reference.
    let count = input.count(3)?;
    chunks.reserve_exact(count);
    for at in 0..count {
        let chunk = match chunks.last() {
            Some(&before) if at > 0 => {
                let min_time = before.max_time.wrapping_add_unsigned(input.uvarint()?);
                let max_time = min_time.wrapping_add_unsigned(input.uvarint()?);
                ChunkMeta {
                    min_time,
                    max_time,
                    reference: before.reference.wrapping_add_signed(input.varint()?),
                }
            }
            _ => {
                let min_time = input.varint()?;
                let max_time = min_time.wrapping_add_unsigned(input.uvarint()?);
                ChunkMeta {
                    min_time,
                    max_time,
                    reference: input.uvarint()?,
                }
            }
        };
        chunks.push(chunk);
    }
    input.finish()
}

/// Appends the body of a series entry.
pub(super) fn put_series(out: &mut Vec<u8>, symbols: &[(u32, u32)], chunks: &[ChunkMeta]) {
    put_uvarint(out, symbols.len() as u64);
    for &(name, value) in symbols {
        put_uvarint(out, name.into());
        put_uvarint(out, value.into());
    }
    put_uvarint(out, chunks.len() as u64);
    let mut before: Option<&ChunkMeta> = None;
    for chunk in chunks {
        let span = chunk.max_time.wrapping_sub(chunk.min_time) as u64;
        match before {
            Some(before) => {
                put_uvarint(out, chunk.min_time.wrapping_sub(before.max_time) as u64);
                put_uvarint(out, span);
                put_varint(out, chunk.reference.wrapping_sub(before.reference) as i64);
            }
            None => {
                put_varint(out, chunk.min_time);
                put_uvarint(out, span);
                put_uvarint(out, chunk.reference);
            }
        }
        before = Some(chunk);
    }
}
