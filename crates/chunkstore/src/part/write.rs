//! Writing a part, stream by stream or block by block.

use std::collections::{BTreeSet, HashMap};

use headwater_model::Labels;
use xxhash_rust::xxh3::xxh3_64;

use super::filter::FilterBuilder;
use super::footer::{BlockInfo, Column, ColumnPlace, Footer, Run};
use super::lines::LineEncoder;
use super::metadata::MetadataBuilder;
use super::read::Part;
use super::weigh::Weigher;
use super::{MAGIC, MAX_BLOCK_ROWS, PartError, times};

/// How a part is written.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PartOptions {
    /// A block is closed once its lines have this many bytes. Larger blocks compress better and are
    /// read as a whole.
    pub block_bytes: usize,
    /// Level of zstd, 1 to 19.
    pub level: i32,
}

impl Default for PartOptions {
    fn default() -> Self {
        Self {
            block_bytes: 1 << 20,
            level: 3,
        }
    }
}

/// Takes streams in ascending order of labels, entries in ascending order of time, and gives the object.
///
/// An entry that repeats another of its stream in time, line and metadata is left out if the other lies
/// in the same block; readers leave out the rest.
pub struct PartWriter {
    options: PartOptions,
    /// What was not taken yet, and how many bytes were.
    out: Vec<u8>,
    taken: u64,
    footer: Footer,
    metadata_names: BTreeSet<String>,
    /// Filters lie together behind all blocks, so that a search reads them at once.
    filters: Vec<u8>,
    /// Whether the streams were given at once, before any entry.
    fixed: bool,
    stream: Option<u32>,
    block: Block,
    lines: LineEncoder,
    filter: FilterBuilder,
    /// The object's compressor, kept because making one costs more than a small column.
    compressor: zstd::bulk::Compressor<'static>,
    raw: Vec<u8>,
    stored: Vec<u8>,
}

impl std::fmt::Debug for PartWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartWriter")
            .field("options", &self.options)
            .field("bytes", &self.len())
            .finish_non_exhaustive()
    }
}

/// The block being filled.
#[derive(Default)]
struct Block {
    text: Vec<u8>,
    lines: Vec<(u32, u32)>,
    times: Vec<i64>,
    runs: Vec<Run>,
    metadata: MetadataBuilder,
    /// Rows of the newest time by the hash of line and metadata, once there are several.
    same_time: HashMap<u64, u32>,
    /// The next entry begins a run.
    gap: bool,
}

impl PartWriter {
    /// An empty part.
    ///
    /// # Errors
    /// The level is none that zstd knows.
    pub fn new(options: PartOptions) -> Result<Self, PartError> {
        let level = options.level.clamp(1, 19);
        let compressor = zstd::bulk::Compressor::new(level)
            .map_err(|_| PartError::Damaged { what: "compressor" })?;
        Ok(Self {
            options,
            out: MAGIC.to_vec(),
            taken: 0,
            footer: Footer::default(),
            metadata_names: BTreeSet::new(),
            filters: Vec::new(),
            fixed: false,
            stream: None,
            block: Block::default(),
            lines: LineEncoder::new(),
            filter: FilterBuilder::default(),
            compressor,
            raw: Vec::new(),
            stored: Vec::new(),
        })
    }

    /// An empty part whose streams are known: blocks of other parts can be copied into it.
    ///
    /// # Errors
    /// As [`PartWriter::new`].
    pub fn with_streams(
        options: PartOptions,
        streams: BTreeSet<Labels>,
    ) -> Result<Self, PartError> {
        let mut writer = Self::new(options)?;
        writer.footer.streams = streams.into_iter().collect();
        writer.fixed = true;
        Ok(writer)
    }

    /// Begins a stream.
    ///
    /// # Errors
    /// The stream before has the same or greater labels, or the streams are fixed and this is none of them.
    pub fn stream(&mut self, labels: &Labels) -> Result<(), PartError> {
        let streams = &mut self.footer.streams;
        let number = match self.fixed {
            true => streams.binary_search(labels).ok(),
            false if streams.last().is_none_or(|before| before < labels) => {
                streams.push(labels.clone());
                Some(streams.len() - 1)
            }
            false => None,
        };
        let number = number.map(|number| number as u32);
        if number.is_none() || (self.stream.is_some() && self.stream >= number) {
            return Err(PartError::Order(format!(
                "stream {labels} has no place here"
            )));
        }
        self.stream = number;
        // Blocks with few streams are read for few queries: a block that is large enough ends here.
        if self.block.text.len() * 8 >= self.options.block_bytes * 3 {
            self.close_block()?;
        }
        Ok(())
    }

    /// Appends an entry to the stream begun last.
    ///
    /// # Errors
    /// There is no stream, or the entry before is newer.
    pub fn push(&mut self, time: i64, line: &[u8], metadata: &Labels) -> Result<(), PartError> {
        let Some(stream) = self.stream else {
            return Err(PartError::Order("an entry before the first stream".into()));
        };
        let block = &mut self.block;
        if !block.lines.is_empty()
            && (block.text.len() + line.len() > self.options.block_bytes
                || block.lines.len() >= MAX_BLOCK_ROWS)
        {
            self.close_block()?;
        }
        self.block.push(stream, time, line, metadata)
    }

    /// Copies a block of another part as it is, without decoding it. The streams must be fixed, and
    /// no entry of its streams may be older than its newest and newer than its oldest.
    ///
    /// # Errors
    /// A column is damaged, or a stream is none of those given.
    pub fn copy_block(&mut self, part: &Part, block: &BlockInfo) -> Result<(), PartError> {
        let mut copy = block.clone();
        for run in &mut copy.runs {
            let labels = &part.streams()[run.stream as usize];
            let number = self.footer.streams.binary_search(labels);
            run.stream = number
                .map_err(|_| PartError::Order(format!("stream {labels} has no place here")))?
                as u32;
        }
        for column in Column::ALL {
            let bytes = part.stored(block, column)?;
            let raw = block.place(column).raw as usize;
            copy.columns[column as usize] = match (column, bytes.is_empty()) {
                (_, true) => ColumnPlace::default(),
                (Column::Filter, _) => put(&mut self.filters, 0, &bytes, raw),
                _ => put(&mut self.out, self.taken, &bytes, raw),
            };
        }
        self.metadata_names
            .extend(part.metadata_names().iter().cloned());
        self.footer.blocks.push(copy);
        Ok(())
    }

    /// The next entry of the stream is kept apart from those before: what lies between them in time was copied.
    pub fn gap(&mut self) {
        self.block.gap = true;
    }

    /// Bytes that the part has so far, without the open block.
    pub fn len(&self) -> u64 {
        self.taken + (self.out.len() + self.filters.len()) as u64
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.footer.blocks.is_empty() && self.block.lines.is_empty()
    }

    /// Gives the bytes of the object that are ready: a large part needs not be in memory at once.
    ///
    /// # Errors
    /// Those of `take`; the writer is of no use any more.
    pub fn take_ready<E>(&mut self, take: impl FnOnce(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.taken += self.out.len() as u64;
        let taken = take(&self.out);
        self.out.clear();
        taken
    }

    /// Closes the part and gives the object, or what of it was not taken yet.
    ///
    /// # Errors
    /// A column cannot be compressed.
    pub fn finish(mut self) -> Result<Vec<u8>, PartError> {
        self.close_block()?;
        let base = self.taken + self.out.len() as u64;
        for block in &mut self.footer.blocks {
            block.columns[Column::Filter as usize].offset += base;
        }
        self.out.append(&mut self.filters);
        self.footer.metadata_names = self.metadata_names.into_iter().collect();
        let raw = self.footer.encode();
        compress(&mut self.compressor, &raw, &mut self.stored, "footer")?;
        self.out.extend_from_slice(&self.stored);
        for number in [
            self.stored.len() as u32,
            raw.len() as u32,
            crc32c::crc32c(&self.stored),
        ] {
            self.out.extend_from_slice(&number.to_le_bytes());
        }
        self.out.extend_from_slice(MAGIC);
        Ok(self.out)
    }

    fn close_block(&mut self) -> Result<(), PartError> {
        if self.block.lines.is_empty() {
            return Ok(());
        }
        let mut columns = [ColumnPlace::default(); 4];
        self.block.weigh();
        self.raw.clear();
        self.block.encode_times(&mut self.raw);
        columns[Column::Times as usize] = self.put_column(Column::Times)?;
        self.raw.clear();
        self.lines.encode(
            &self.block.text,
            &self.block.lines,
            &mut self.filter,
            &mut self.raw,
        );
        columns[Column::Lines as usize] = self.put_column(Column::Lines)?;
        if let Some(metadata) = self.block.metadata.finish(&mut self.metadata_names) {
            self.raw = metadata;
            columns[Column::Metadata as usize] = self.put_column(Column::Metadata)?;
        }
        self.raw.clear();
        self.filter.finish(&mut self.raw);
        columns[Column::Filter as usize] = put(&mut self.filters, 0, &self.raw, self.raw.len());
        let block = &mut self.block;
        self.footer.blocks.push(BlockInfo {
            rows: block.lines.len() as u32,
            line_bytes: block.text.len() as u32,
            runs: std::mem::take(&mut block.runs),
            columns,
        });
        block.text.clear();
        block.lines.clear();
        block.times.clear();
        block.same_time.clear();
        Ok(())
    }

    /// Compresses `self.raw`.
    fn put_column(&mut self, column: Column) -> Result<ColumnPlace, PartError> {
        compress(
            &mut self.compressor,
            &self.raw,
            &mut self.stored,
            column.name(),
        )?;
        Ok(put(&mut self.out, self.taken, &self.stored, self.raw.len()))
    }
}

fn put(out: &mut Vec<u8>, base: u64, stored: &[u8], raw: usize) -> ColumnPlace {
    let place = ColumnPlace {
        offset: base + out.len() as u64,
        stored: stored.len() as u32,
        raw: raw as u32,
        checksum: crc32c::crc32c(stored),
    };
    out.extend_from_slice(stored);
    place
}

fn compress(
    compressor: &mut zstd::bulk::Compressor<'_>,
    raw: &[u8],
    stored: &mut Vec<u8>,
    what: &'static str,
) -> Result<(), PartError> {
    stored.clear();
    stored.reserve(zstd::zstd_safe::compress_bound(raw.len()));
    let written = compressor.compress_to_buffer(raw, stored);
    written.map_err(|_| PartError::Damaged { what }).map(|_| ())
}

impl Block {
    fn push(
        &mut self,
        stream: u32,
        time: i64,
        line: &[u8],
        metadata: &Labels,
    ) -> Result<(), PartError> {
        let apart = std::mem::take(&mut self.gap);
        match self
            .runs
            .last_mut()
            .filter(|run| run.stream == stream && !apart)
        {
            Some(run) if run.last_time > time => {
                return Err(PartError::Order(format!(
                    "an entry of {time} after one of {}",
                    run.last_time
                )));
            }
            Some(run) if run.last_time == time => {
                if self.is_repetition(line, metadata) {
                    return Ok(());
                }
                if let Some(run) = self.runs.last_mut() {
                    run.rows += 1;
                }
            }
            Some(run) => {
                run.rows += 1;
                run.last_time = time;
                self.same_time.clear();
            }
            None => {
                self.same_time.clear();
                self.runs.push(Run {
                    stream,
                    rows: 1,
                    first_time: time,
                    last_time: time,
                    bytes: 0,
                    weight: 0,
                });
            }
        }
        let start = self.text.len() as u32;
        self.text.extend_from_slice(line);
        self.lines.push((start, self.text.len() as u32));
        self.times.push(time);
        self.metadata.push(metadata);
        Ok(())
    }

    /// Whether an entry with the time of the last is there already.
    fn is_repetition(&mut self, line: &[u8], metadata: &Labels) -> bool {
        let hash =
            |line: &[u8], metadata: &Labels| xxh3_64(line) ^ metadata.hash64().rotate_left(17);
        let line_of = |row: u32| {
            let (start, end) = self.lines[row as usize];
            &self.text[start as usize..end as usize]
        };
        if self.same_time.is_empty()
            && let (Some(row), Some(last)) = (self.lines.len().checked_sub(1), self.metadata.last())
        {
            let row = row as u32;
            self.same_time.insert(hash(line_of(row), last), row);
        }
        let next = self.lines.len() as u32;
        let earlier = *self.same_time.entry(hash(line, metadata)).or_insert(next);
        // Lines whose hashes meet by chance are both kept.
        earlier != next && line_of(earlier) == line
    }

    /// Says of each run how much it weighs.
    fn weigh(&mut self) {
        let (mut first, mut sets) = (0, self.metadata.runs());
        let mut current = sets.next();
        for run in &mut self.runs {
            let rows = &self.lines[first..first + run.rows as usize];
            first += rows.len();
            let mut weigher = Weigher::default();
            let bytes = rows.iter().map(|(start, end)| (end - start) as usize).sum();
            weigher.add_lines(rows.len(), bytes);
            let mut left = run.rows;
            while left > 0
                && let Some((set, count)) = &mut current
            {
                let shared = left.min(*count);
                weigher.add_metadata(shared as usize, set);
                (left, *count) = (left - shared, *count - shared);
                if *count == 0 {
                    current = sets.next();
                }
            }
            (run.bytes, run.weight) = (weigher.bytes as u64, weigher.weight as u64);
        }
    }

    fn encode_times(&self, out: &mut Vec<u8>) {
        let mut rest = &self.times[..];
        for run in &self.runs {
            let (head, tail) = rest.split_at(run.rows as usize);
            times::encode(head, out);
            rest = tail;
        }
    }
}
