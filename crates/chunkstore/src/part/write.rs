//! Writing a part, stream by stream.

use headwater_model::Labels;

use super::filter::FilterBuilder;
use super::footer::{BlockInfo, Column, ColumnPlace, Footer, Run};
use super::metadata::MetadataBuilder;
use super::{MAGIC, MAX_BLOCK_ROWS, PartError, lines, times};

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
pub struct PartWriter {
    options: PartOptions,
    out: Vec<u8>,
    footer: Footer,
    block: Block,
    /// The object's compressor, kept because making one costs more than a small column.
    compressor: zstd::bulk::Compressor<'static>,
}

impl std::fmt::Debug for PartWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartWriter")
            .field("options", &self.options)
            .field("bytes", &self.out.len())
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
            footer: Footer::default(),
            block: Block::default(),
            compressor,
        })
    }

    /// Begins a stream.
    ///
    /// # Errors
    /// The stream before has the same or greater labels.
    pub fn stream(&mut self, labels: &Labels) -> Result<(), PartError> {
        if let Some(before) = self
            .footer
            .streams
            .last()
            .filter(|before| *before >= labels)
        {
            return Err(PartError::Order(format!(
                "stream {labels} comes after {before}"
            )));
        }
        self.footer.streams.push(labels.clone());
        Ok(())
    }

    /// Appends an entry to the stream begun last.
    ///
    /// # Errors
    /// There is no stream, or the entry before is newer.
    pub fn push(&mut self, time: i64, line: &[u8], metadata: &Labels) -> Result<(), PartError> {
        let Some(stream) = self.footer.streams.len().checked_sub(1) else {
            return Err(PartError::Order("an entry before the first stream".into()));
        };
        let block = &mut self.block;
        if !block.lines.is_empty()
            && (block.text.len() + line.len() > self.options.block_bytes
                || block.lines.len() >= MAX_BLOCK_ROWS)
        {
            self.close_block()?;
        }
        self.block.push(stream as u32, time, line, metadata)
    }

    /// Bytes that the part has so far, without the open block.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.footer.blocks.is_empty() && self.block.lines.is_empty()
    }

    /// Closes the part and gives the object.
    ///
    /// # Errors
    /// A column cannot be compressed.
    pub fn finish(mut self) -> Result<Vec<u8>, PartError> {
        self.close_block()?;
        let raw = self.footer.encode();
        let stored = self.compress(&raw, "footer")?;
        self.out.extend_from_slice(&stored);
        for number in [
            stored.len() as u32,
            raw.len() as u32,
            crc32c::crc32c(&stored),
        ] {
            self.out.extend_from_slice(&number.to_le_bytes());
        }
        self.out.extend_from_slice(MAGIC);
        Ok(self.out)
    }

    fn close_block(&mut self) -> Result<(), PartError> {
        let mut block = std::mem::take(&mut self.block);
        if block.lines.is_empty() {
            return Ok(());
        }
        let mut columns = [ColumnPlace::default(); 4];
        let text = lines::encode(&block.text, &block.lines);
        columns[Column::Times as usize] = self.put_column(&block.encoded_times(), Column::Times)?;
        columns[Column::Lines as usize] = self.put_column(&text, Column::Lines)?;
        if let Some(metadata) = block.metadata.finish() {
            columns[Column::Metadata as usize] = self.put_column(&metadata, Column::Metadata)?;
        }
        columns[Column::Filter as usize] = self.put_stored(&block.filter(), None);
        self.footer.blocks.push(BlockInfo {
            rows: block.lines.len() as u32,
            line_bytes: block.text.len() as u32,
            runs: block.runs,
            columns,
        });
        Ok(())
    }

    fn put_column(&mut self, raw: &[u8], column: Column) -> Result<ColumnPlace, PartError> {
        let stored = self.compress(raw, column.name())?;
        Ok(self.put_stored(&stored, Some(raw.len())))
    }

    fn put_stored(&mut self, stored: &[u8], raw: Option<usize>) -> ColumnPlace {
        let place = ColumnPlace {
            offset: self.out.len() as u64,
            stored: stored.len() as u32,
            raw: raw.unwrap_or(stored.len()) as u32,
            checksum: crc32c::crc32c(stored),
        };
        self.out.extend_from_slice(stored);
        place
    }

    fn compress(&mut self, raw: &[u8], what: &'static str) -> Result<Vec<u8>, PartError> {
        self.compressor
            .compress(raw)
            .map_err(|_| PartError::Damaged { what })
    }
}

impl Block {
    fn push(
        &mut self,
        stream: u32,
        time: i64,
        line: &[u8],
        metadata: &Labels,
    ) -> Result<(), PartError> {
        match self.runs.last_mut().filter(|run| run.stream == stream) {
            Some(run) if run.last_time > time => {
                return Err(PartError::Order(format!(
                    "an entry of {time} after one of {}",
                    run.last_time
                )));
            }
            Some(run) => {
                run.rows += 1;
                run.last_time = time;
            }
            None => self.runs.push(Run {
                stream,
                rows: 1,
                first_time: time,
                last_time: time,
            }),
        }
        let start = self.text.len() as u32;
        self.text.extend_from_slice(line);
        self.lines.push((start, self.text.len() as u32));
        self.times.push(time);
        self.metadata.push(metadata);
        Ok(())
    }

    fn encoded_times(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.times.len() * 4);
        let mut rest = &self.times[..];
        for run in &self.runs {
            let (head, tail) = rest.split_at(run.rows as usize);
            times::encode(head, &mut out);
            rest = tail;
        }
        out
    }

    fn filter(&self) -> Vec<u8> {
        let mut builder = FilterBuilder::default();
        for (start, end) in &self.lines {
            builder.add_line(&self.text[*start as usize..*end as usize]);
        }
        builder.finish()
    }
}
