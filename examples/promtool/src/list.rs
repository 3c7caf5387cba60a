//! `tsdb list`: the blocks of a directory.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use headwater_blockfmt::BlockMeta;

use crate::failure::Outcome;
use crate::flags::List;
use crate::{go_text, open};

pub(crate) fn run(options: &List) -> Outcome {
    let mut table = Table::new(options.human_readable);
    for block in open::blocks(&options.path)? {
        table.add(&block.meta, block.bytes()?);
    }
    print!("{table}");
    Ok(())
}

/// Prints blocks that were just made.
pub(crate) fn print_made(dir: &Path, made: &[BlockMeta], human_readable: bool) -> Outcome {
    let mut table = Table::new(human_readable);
    for block in open::blocks(dir)? {
        if made.iter().any(|meta| meta.ulid == block.meta.ulid) {
            table.add(&block.meta, block.bytes()?);
        }
    }
    print!("{table}");
    Ok(())
}

/// Columns as wide as what is in them, and 13 characters at least.
struct Table {
    human_readable: bool,
    rows: Vec<[String; 8]>,
}

impl Table {
    fn new(human_readable: bool) -> Table {
        let titles = [
            "BLOCK ULID",
            "MIN TIME",
            "MAX TIME",
            "DURATION",
            "NUM SAMPLES",
            "NUM CHUNKS",
            "NUM SERIES",
            "SIZE",
        ];
        Table {
            human_readable,
            rows: vec![titles.map(str::to_owned)],
        }
    }

    fn add(&mut self, meta: &BlockMeta, bytes: u64) {
        let time = |millis: i64| match self.human_readable {
            true => go_text::utc(millis),
            false => millis.to_string(),
        };
        let millis = meta.max_time.saturating_sub(meta.min_time).max(0);
        let size = match self.human_readable {
            true => binary_bytes(bytes),
            false => bytes.to_string(),
        };
        self.rows.push([
            meta.ulid.clone(),
            time(meta.min_time),
            time(meta.max_time),
            go_text::duration(Duration::from_millis(millis.unsigned_abs())),
            meta.stats.num_samples.to_string(),
            meta.stats.num_chunks.to_string(),
            meta.stats.num_series.to_string(),
            size,
        ]);
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const LEAST: usize = 13;
        let width = |at: usize| {
            let widest = self
                .rows
                .iter()
                .map(|row| row[at].chars().count() + 2)
                .max();
            widest.unwrap_or(0).max(LEAST)
        };
        for row in &self.rows {
            let mut line = String::new();
            for (at, cell) in row.iter().enumerate() {
                let width = if at + 1 < row.len() { width(at) } else { 0 };
                write!(line, "{cell:width$}")?;
            }
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

/// `703B`, `1.5KiB`, `3MiB2KiB`: the units that are not zero, largest first.
fn binary_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["TiB", "GiB", "MiB", "KiB", "B"];
    if bytes == 0 {
        return "0B".to_owned();
    }
    let mut out = String::new();
    for (at, unit) in UNITS.iter().enumerate() {
        let count = (bytes >> (10 * (UNITS.len() - 1 - at))) & 0x3ff;
        if count > 0 {
            let _ = write!(out, "{count}{unit}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_name_every_unit() {
        assert_eq!(binary_bytes(0), "0B");
        assert_eq!(binary_bytes(903), "903B");
        assert_eq!(binary_bytes(3 << 20 | 2 << 10), "3MiB2KiB");
    }
}
