//! The footer: which streams a part holds, and where the columns of its blocks lie.

use headwater_model::Labels;
use headwater_storage::logs::NanoRange;

use super::bytes::{Input, put_bytes, put_uvarint, put_varint};
use super::metadata::{put_labels, take_labels};
use super::{MAX_BLOCK_ROWS, MAX_COLUMN_BYTES, PartError};

/// The columns of a block, in the order in which the footer lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// When each entry was written.
    Times,
    /// The lines.
    Lines,
    /// Structured metadata; absent if no entry has any.
    Metadata,
    /// Tokens of the lines.
    Filter,
}

impl Column {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Times, Self::Lines, Self::Metadata, Self::Filter];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Times => "column of times",
            Self::Lines => "column of lines",
            Self::Metadata => "column of metadata",
            Self::Filter => "filter",
        }
    }
}

/// Where a column lies in the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColumnPlace {
    /// Bytes from the start of the object.
    pub offset: u64,
    /// Bytes as stored; 0 if the column is absent.
    pub stored: u32,
    /// Bytes when decompressed.
    pub raw: u32,
    /// CRC-32C of the stored bytes.
    pub checksum: u32,
}

/// Rows of one stream that lie together in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Number of the stream in the part.
    pub stream: u32,
    /// Entries.
    pub rows: u32,
    /// The oldest time, in nanoseconds.
    pub first_time: i64,
    /// The newest time, in nanoseconds.
    pub last_time: i64,
    /// Bytes of lines and of names and values of structured metadata.
    pub bytes: u64,
    /// Bytes as Loki's chunks count them: lines, eight for each pair of structured metadata, and every
    /// text of it once.
    pub weight: u64,
}

impl Run {
    /// Whether some entry may lie in the range.
    pub const fn overlaps(&self, range: NanoRange) -> bool {
        self.first_time < range.end && range.start <= self.last_time
    }
}

/// What the footer says of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// Entries.
    pub rows: u32,
    /// Bytes of all lines together.
    pub line_bytes: u32,
    /// Its streams, ascending.
    pub runs: Vec<Run>,
    pub(super) columns: [ColumnPlace; 4],
}

impl BlockInfo {
    /// Where a column lies.
    pub const fn place(&self, column: Column) -> ColumnPlace {
        self.columns[column as usize]
    }

    fn first_time(&self) -> i64 {
        self.runs
            .iter()
            .map(|run| run.first_time)
            .min()
            .unwrap_or(0)
    }

    fn last_time(&self) -> i64 {
        self.runs.iter().map(|run| run.last_time).max().unwrap_or(0)
    }

    fn put(&self, out: &mut Vec<u8>) {
        let first = self.first_time();
        put_uvarint(out, u64::from(self.rows));
        put_varint(out, first);
        put_uvarint(out, self.last_time().wrapping_sub(first) as u64);
        put_uvarint(out, u64::from(self.line_bytes));
        put_uvarint(out, self.runs.len() as u64);
        let mut before = 0;
        for run in &self.runs {
            put_uvarint(out, u64::from(run.stream - before));
            put_uvarint(out, u64::from(run.rows));
            put_varint(out, run.first_time.wrapping_sub(first));
            put_uvarint(out, run.last_time.wrapping_sub(run.first_time) as u64);
            put_uvarint(out, run.bytes);
            put_uvarint(out, run.weight);
            before = run.stream;
        }
        for place in &self.columns {
            put_uvarint(out, place.offset);
            put_uvarint(out, u64::from(place.stored));
            put_uvarint(out, u64::from(place.raw));
            out.extend_from_slice(&place.checksum.to_le_bytes());
        }
    }

    fn take(input: &mut Input<'_>, streams: usize) -> Result<Self, PartError> {
        let rows = small(input, MAX_BLOCK_ROWS)?;
        let first = input.varint()?;
        let span = input.uvarint()?;
        let line_bytes = small(input, MAX_COLUMN_BYTES)?;
        let (mut runs, mut stream, mut sum) = (Vec::new(), 0u64, 0u64);
        for _ in 0..input.count(6)? {
            stream = stream.saturating_add(input.uvarint()?);
            let run_rows = small(input, MAX_BLOCK_ROWS)?;
            let first_time = first
                .checked_add(input.varint()?)
                .ok_or_else(|| input.damaged())?;
            let length = i64::try_from(input.uvarint()?).map_err(|_| input.damaged())?;
            let last_time = first_time
                .checked_add(length)
                .ok_or_else(|| input.damaged())?;
            let (bytes, weight) = (input.uvarint()?, input.uvarint()?);
            if stream >= streams as u64 || run_rows == 0 {
                return Err(input.damaged());
            }
            sum += u64::from(run_rows);
            runs.push(Run {
                stream: stream as u32,
                rows: run_rows,
                first_time,
                last_time,
                bytes,
                weight,
            });
        }
        let mut columns = [ColumnPlace::default(); 4];
        for place in &mut columns {
            place.offset = input.uvarint()?;
            place.stored = small(input, MAX_COLUMN_BYTES)?;
            place.raw = small(input, MAX_COLUMN_BYTES)?;
            place.checksum = input.u32()?;
        }
        let block = Self {
            rows,
            line_bytes,
            runs,
            columns,
        };
        let sound = sum == u64::from(rows)
            && block.first_time() == first
            && block.last_time().wrapping_sub(first) as u64 == span;
        if sound {
            Ok(block)
        } else {
            Err(input.damaged())
        }
    }
}

fn small(input: &mut Input<'_>, limit: usize) -> Result<u32, PartError> {
    let value = input.uvarint()?;
    if value <= limit as u64 {
        Ok(value as u32)
    } else {
        Err(input.damaged())
    }
}

/// Streams and blocks of a part.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Footer {
    pub(super) streams: Vec<Labels>,
    /// Names in the structured metadata of any entry, ascending.
    pub(super) metadata_names: Vec<String>,
    pub(super) blocks: Vec<BlockInfo>,
}

impl Footer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_uvarint(&mut out, self.streams.len() as u64);
        for labels in &self.streams {
            put_labels(&mut out, labels);
        }
        put_uvarint(&mut out, self.metadata_names.len() as u64);
        for name in &self.metadata_names {
            put_bytes(&mut out, name.as_bytes());
        }
        put_uvarint(&mut out, self.blocks.len() as u64);
        for block in &self.blocks {
            block.put(&mut out);
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, PartError> {
        let mut input = Input::new(bytes, "footer");
        let count = input.count(1)?;
        let streams = (0..count)
            .map(|_| take_labels(&mut input))
            .collect::<Result<Vec<_>, _>>()?;
        let metadata_names = (0..input.count(1)?)
            .map(|_| input.text().map(str::to_owned))
            .collect::<Result<Vec<_>, _>>()?;
        let count = input.count(20)?;
        let blocks = (0..count)
            .map(|_| BlockInfo::take(&mut input, streams.len()))
            .collect::<Result<Vec<_>, _>>()?;
        if input.rest().is_empty() {
            Ok(Self {
                streams,
                metadata_names,
                blocks,
            })
        } else {
            Err(input.damaged())
        }
    }
}
