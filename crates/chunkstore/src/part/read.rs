//! Reading a part.

use std::sync::Arc;

use bytes::Bytes;
use headwater_model::Labels;

use super::filter::Probe;
use super::footer::{BlockInfo, Column, Footer};
use super::{MAGIC, MAX_FOOTER_BYTES, PartError, lines, metadata, times};
use crate::object::Object;

/// Bytes behind the footer: three numbers and the magic.
const TAIL: usize = 12 + MAGIC.len();

/// A part whose footer was read.
#[derive(Clone, Debug)]
pub struct Part {
    object: Arc<dyn Object>,
    footer: Arc<Footer>,
}

/// The decoded rows of a block. Reused between blocks.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Nanoseconds, run by run.
    pub times: Vec<i64>,
    /// All lines, one after the other.
    pub text: Vec<u8>,
    /// Where each line ends in `text`.
    pub ends: Vec<u32>,
    /// Distinct metadata sets of the block; empty if it has none.
    pub sets: Vec<Labels>,
    /// Index into `sets` of each row; empty if the block has no metadata.
    pub numbers: Vec<u32>,
}

impl Rows {
    /// The line of a row; empty if lines were not read.
    pub fn line(&self, row: usize) -> &[u8] {
        let start = row
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .map_or(0, |end| *end as usize);
        self.ends
            .get(row)
            .map_or(&[], |end| &self.text[start..*end as usize])
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        let sets = self
            .sets
            .iter()
            .map(|set| set.packed_len() + size_of::<Labels>());
        size_of::<Self>()
            + self.times.len() * size_of::<i64>()
            + self.text.len()
            + (self.ends.len() + self.numbers.len()) * size_of::<u32>()
            + sets.sum::<usize>()
    }

    /// The metadata of a row, if the block has any and it was read.
    pub fn metadata(&self, row: usize) -> Option<&Labels> {
        self.numbers
            .get(row)
            .map(|number| &self.sets[*number as usize])
    }
}

impl Part {
    /// A part in memory.
    ///
    /// # Errors
    /// As [`Part::read_from`].
    pub fn open(object: Bytes) -> Result<Self, PartError> {
        Self::read_from(Arc::new(object))
    }

    /// Reads the footer.
    ///
    /// # Errors
    /// The object is not a part or its footer is damaged: nothing of it can be read.
    pub fn read_from(object: Arc<dyn Object>) -> Result<Self, PartError> {
        let damaged = || PartError::Damaged { what: "footer" };
        let length = object.len();
        let start = object.read(0..length.min(MAGIC.len() as u64))?;
        check_magic(Some(&start), "at the start")?;
        let tail = length
            .checked_sub(TAIL as u64)
            .filter(|at| *at >= MAGIC.len() as u64);
        let Some(tail) = tail else {
            return Err(damaged());
        };
        let end = object.read(tail..length)?;
        check_magic(end.get(12..), "at the end")?;
        let number =
            |at: usize| u32::from_le_bytes([end[at], end[at + 1], end[at + 2], end[at + 3]]);
        let (stored, raw, wanted) = (number(0), number(4) as usize, number(8));
        let start = tail
            .checked_sub(u64::from(stored))
            .filter(|at| *at >= MAGIC.len() as u64)
            .ok_or_else(damaged)?;
        let bytes = object.read(start..tail)?;
        check_sum(&bytes, wanted, "footer", start)?;
        if raw > MAX_FOOTER_BYTES {
            return Err(damaged());
        }
        let footer = Footer::decode(&decompress(&bytes, raw, "footer")?)?;
        Ok(Self {
            object,
            footer: Arc::new(footer),
        })
    }

    /// The streams, ascending.
    pub fn streams(&self) -> &[Labels] {
        &self.footer.streams
    }

    /// The blocks, in the order of their streams and times.
    pub fn blocks(&self) -> &[BlockInfo] {
        &self.footer.blocks
    }

    /// Names in the structured metadata of any entry, ascending.
    pub fn metadata_names(&self) -> &[String] {
        &self.footer.metadata_names
    }

    /// The oldest and the newest time of any entry; `None` if there is none.
    pub fn times(&self) -> Option<(i64, i64)> {
        let runs = || self.footer.blocks.iter().flat_map(|block| &block.runs);
        let oldest = runs().map(|run| run.first_time).min()?;
        Some((oldest, runs().map(|run| run.last_time).max()?))
    }

    /// Bytes of the object.
    pub fn len(&self) -> u64 {
        self.object.len()
    }

    /// Whether the part has no entries.
    pub fn is_empty(&self) -> bool {
        self.footer.blocks.is_empty()
    }

    /// Whether some line of the block may hold what the probe asks for.
    ///
    /// # Errors
    /// The filter is damaged.
    pub fn may_contain(&self, block: &BlockInfo, probe: &Probe) -> Result<bool, PartError> {
        Ok(probe.is_empty() || probe.may_be_in(&self.stored(block, Column::Filter)?))
    }

    /// Decodes the columns asked for; the others are left empty.
    ///
    /// # Errors
    /// A column is damaged; other blocks are not concerned.
    pub fn read(
        &self,
        block: &BlockInfo,
        columns: &[Column],
        into: &mut Rows,
    ) -> Result<(), PartError> {
        let Rows {
            times,
            text,
            ends,
            sets,
            numbers,
        } = into;
        times.clear();
        text.clear();
        ends.clear();
        sets.clear();
        numbers.clear();
        let rows = block.rows as usize;
        if columns.contains(&Column::Times) {
            times::decode(&self.raw(block, Column::Times)?, &block.runs, times)?;
        }
        if columns.contains(&Column::Lines) {
            lines::decode(
                &self.raw(block, Column::Lines)?,
                rows,
                block.line_bytes as usize,
                text,
                ends,
            )?;
        }
        if columns.contains(&Column::Metadata) && block.place(Column::Metadata).stored > 0 {
            (*sets, *numbers) = metadata::decode(&self.raw(block, Column::Metadata)?, rows)?;
        }
        Ok(())
    }

    fn raw(&self, block: &BlockInfo, column: Column) -> Result<Vec<u8>, PartError> {
        decompress(
            &self.stored(block, column)?,
            block.place(column).raw as usize,
            column.name(),
        )
    }

    /// The bytes of a column as they lie in the object.
    pub(super) fn stored(&self, block: &BlockInfo, column: Column) -> Result<Bytes, PartError> {
        let place = block.place(column);
        let end = place.offset.checked_add(u64::from(place.stored));
        let end = end
            .filter(|end| *end <= self.object.len())
            .ok_or(PartError::Damaged {
                what: column.name(),
            })?;
        let bytes = self.object.read(place.offset..end)?;
        check_sum(&bytes, place.checksum, column.name(), place.offset)?;
        Ok(bytes)
    }
}

fn check_magic(found: Option<&[u8]>, place: &'static str) -> Result<(), PartError> {
    match found {
        Some(bytes) if bytes == MAGIC => Ok(()),
        other => Err(PartError::Magic {
            found: other.unwrap_or_default().to_vec(),
            place,
        }),
    }
}

fn check_sum(bytes: &[u8], wanted: u32, what: &'static str, offset: u64) -> Result<(), PartError> {
    let found = crc32c::crc32c(bytes);
    if found == wanted {
        Ok(())
    } else {
        Err(PartError::Checksum {
            what,
            offset,
            found,
            wanted,
        })
    }
}

/// Allocates what the footer says, which its checksum vouches for.
fn decompress(stored: &[u8], raw: usize, what: &'static str) -> Result<Vec<u8>, PartError> {
    let out = zstd::bulk::decompress(stored, raw).map_err(|_| PartError::Damaged { what })?;
    if out.len() == raw {
        Ok(out)
    } else {
        Err(PartError::Damaged { what })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PartOptions, PartWriter};
    use super::*;

    type Entry = (i64, String, Labels);

    fn sample() -> Vec<(Labels, Vec<Entry>)> {
        let stream = |name: &str| Labels::from_pairs([("app", name)]);
        let entries = |app: usize| {
            let entry = |at: i64| {
                let metadata = if at % 10 < 5 {
                    Labels::empty()
                } else {
                    Labels::from_pairs([("trace", (at / 10).to_string())])
                };
                (
                    1_000 * at / 3,
                    format!("level=info app={app} took={at}ms msg=\"GET /api/{at}\""),
                    metadata,
                )
            };
            (0..500i64).map(entry).collect::<Vec<_>>()
        };
        (0..5)
            .map(|app| (stream(&format!("app-{app}")), entries(app)))
            .collect()
    }

    fn write(streams: &[(Labels, Vec<Entry>)], block_bytes: usize) -> Vec<u8> {
        let mut writer = PartWriter::new(PartOptions {
            block_bytes,
            ..PartOptions::default()
        })
        .unwrap();
        for (labels, entries) in streams {
            writer.stream(labels).unwrap();
            for (time, line, metadata) in entries {
                writer.push(*time, line.as_bytes(), metadata).unwrap();
            }
        }
        writer.finish().unwrap()
    }

    fn read_back(object: &[u8]) -> Vec<(Labels, Vec<Entry>)> {
        let part = Part::open(Bytes::copy_from_slice(object)).unwrap();
        let mut out: Vec<(Labels, Vec<Entry>)> = part
            .streams()
            .iter()
            .map(|labels| (labels.clone(), Vec::new()))
            .collect();
        let mut rows = Rows::default();
        for block in part.blocks() {
            part.read(block, &Column::ALL, &mut rows).unwrap();
            let mut row = 0;
            for run in &block.runs {
                for _ in 0..run.rows {
                    let line = String::from_utf8(rows.line(row).to_vec()).unwrap();
                    let metadata = rows.metadata(row).cloned().unwrap_or_default();
                    out[run.stream as usize]
                        .1
                        .push((rows.times[row], line, metadata));
                    row += 1;
                }
            }
        }
        out
    }

    #[test]
    fn entries_come_back_from_small_and_large_blocks() {
        let streams = sample();
        for block_bytes in [1, 1000, 20_000, 1 << 20] {
            assert_eq!(
                read_back(&write(&streams, block_bytes)),
                streams,
                "blocks of {block_bytes} bytes"
            );
        }
    }

    #[test]
    fn an_empty_part_is_a_part() {
        assert!(Part::open(write(&[], 1000).into()).unwrap().is_empty());
    }

    #[test]
    fn filters_rule_blocks_out() {
        let part = Part::open(write(&sample(), 10_000).into()).unwrap();
        let perhaps = part
            .blocks()
            .iter()
            .filter(|block| {
                part.may_contain(block, &Probe::new(b" took=237ms "))
                    .unwrap()
            })
            .count();
        assert!(
            part.blocks().len() > 10 && (5..10).contains(&perhaps),
            "{perhaps} of {}",
            part.blocks().len()
        );
    }

    #[test]
    fn disorder_is_refused() {
        let mut writer = PartWriter::new(PartOptions::default()).unwrap();
        assert!(matches!(
            writer.push(1, b"x", &Labels::empty()),
            Err(PartError::Order(_))
        ));
        writer.stream(&Labels::from_pairs([("a", "2")])).unwrap();
        writer.push(2, b"x", &Labels::empty()).unwrap();
        assert!(matches!(
            writer.push(1, b"x", &Labels::empty()),
            Err(PartError::Order(_))
        ));
        assert!(matches!(
            writer.stream(&Labels::from_pairs([("a", "1")])),
            Err(PartError::Order(_))
        ));
    }

    #[test]
    fn every_flipped_byte_is_found_or_harmless() {
        let streams: Vec<_> = sample()
            .into_iter()
            .take(2)
            .map(|(labels, entries)| (labels, entries[..40].to_vec()))
            .collect();
        let object = write(&streams, 1000);
        for at in 0..object.len() {
            let mut damaged = object.clone();
            damaged[at] ^= 0x41;
            let Ok(part) = Part::open(damaged.into()) else {
                continue;
            };
            let mut rows = Rows::default();
            let found = part.blocks().iter().any(|block| {
                part.read(block, &Column::ALL, &mut rows).is_err()
                    || part.may_contain(block, &Probe::new(b" xyz ")).is_err()
            });
            assert!(
                found,
                "byte {at} of {} was changed and nobody noticed",
                object.len()
            );
        }
    }

    #[test]
    fn an_object_that_was_cut_short_is_refused() {
        let object = write(&sample(), 20_000);
        for length in (0..object.len()).step_by(97) {
            assert!(
                Part::open(Bytes::copy_from_slice(&object[..length])).is_err(),
                "{length} bytes"
            );
        }
    }
}
