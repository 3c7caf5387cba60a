//! A block written here, read by Prometheus's own tool.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use headwater_blockfmt::index::{ChunkMeta, IndexWriter};
use headwater_blockfmt::meta::{BlockMeta, BlockStats, Compaction};
use headwater_blockfmt::record::TombstoneEntry;
use headwater_blockfmt::segment::{self, ChunkRef};
use headwater_blockfmt::{encode_columns, tombstones};
use headwater_model::{Labels, SeriesColumns, TimeRange};

const ULID: &str = "01M7VEG35M1H4J3XJ0DXJM8NQY";
const START: i64 = 1_767_225_600_000;
const SAMPLES: i64 = 500;

/// The tool, if it is installed; a missing one is an error only where nothing may be skipped.
fn promtool() -> Option<Command> {
    if Command::new("promtool").arg("--version").output().is_ok() {
        return Some(Command::new("promtool"));
    }
    let strict = std::env::var_os("HEADWATER_STRICT").is_some_and(|strict| strict == "1");
    assert!(!strict, "promtool is not installed");
    println!("skipped: promtool is not installed");
    None
}

fn series() -> Vec<(Labels, SeriesColumns)> {
    let columns = |slope: f64| {
        let mut columns = SeriesColumns::default();
        for at in 0..SAMPLES {
            columns.floats.push(START + at * 10_000, at as f64 * slope);
        }
        columns
    };
    vec![
        (
            Labels::from_pairs([("__name__", "lines"), ("job", "a \"b\"")]),
            columns(1.0),
        ),
        (
            Labels::from_pairs([("__name__", "lines"), ("job", "é")]),
            columns(0.5),
        ),
        (
            Labels::from_pairs([("__name__", "other"), ("zone", "x")]),
            columns(0.0),
        ),
    ]
}

/// Writes a block; the last series has its first ten samples deleted.
fn write_block(folder: &Path) {
    let series = series();
    let symbols: BTreeSet<&str> = series
        .iter()
        .flat_map(|(labels, _)| labels.iter())
        .flat_map(<[&str; 2]>::from)
        .collect();
    let mut index = IndexWriter::new(symbols).unwrap();
    let mut file = segment::header().to_vec();
    let (mut chunk_count, mut last) = (0, 0);
    for (labels, columns) in &series {
        let mut metas = Vec::new();
        for chunk in encode_columns(columns) {
            let reference = ChunkRef {
                segment: 0,
                offset: file.len() as u32,
            }
            .to_u64();
            metas.push(ChunkMeta {
                min_time: chunk.min_time,
                max_time: chunk.max_time,
                reference,
            });
            segment::put_chunk(&mut file, chunk.encoding, &chunk.data);
        }
        chunk_count += metas.len() as u64;
        last = index.add_series(labels, &metas).unwrap();
    }
    let gone = TombstoneEntry {
        reference: last.into(),
        range: TimeRange::new(START, START + 9 * 10_000),
    };
    let meta = BlockMeta {
        ulid: ULID.into(),
        min_time: START,
        max_time: START + SAMPLES * 10_000,
        stats: BlockStats {
            num_samples: series.len() as u64 * SAMPLES as u64,
            num_series: series.len() as u64,
            num_chunks: chunk_count,
            num_tombstones: 1,
            ..BlockStats::default()
        },
        compaction: Compaction {
            level: 1,
            sources: vec![ULID.into()],
            ..Compaction::default()
        },
        ..BlockMeta::default()
    };
    let block = folder.join(ULID);
    std::fs::create_dir_all(block.join("chunks")).unwrap();
    std::fs::create_dir_all(folder.join("wal")).unwrap();
    std::fs::write(block.join("chunks/000001"), file).unwrap();
    std::fs::write(block.join("index"), index.finish().unwrap()).unwrap();
    std::fs::write(block.join("tombstones"), tombstones::encode([gone])).unwrap();
    std::fs::write(block.join("meta.json"), meta.encode()).unwrap();
}

fn expected() -> BTreeSet<String> {
    let lines = |(labels, columns): (Labels, SeriesColumns)| {
        let deleted = if labels.metric_name() == Some("other") {
            10
        } else {
            0
        };
        let floats = columns.floats;
        let samples = floats.times.into_iter().zip(floats.values).skip(deleted);
        samples
            .map(move |(time, value)| format!("{labels} {value} {time}"))
            .collect::<Vec<_>>()
    };
    series().into_iter().flat_map(lines).collect()
}

#[test]
fn promtool_dumps_what_was_written() {
    let Some(mut promtool) = promtool() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    write_block(folder.path());
    let output = promtool
        .args(["tsdb", "dump"])
        .arg(folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let dumped = String::from_utf8(output.stdout).unwrap();
    let dumped: BTreeSet<String> = dumped.lines().map(str::to_owned).collect();
    assert_eq!(dumped, expected(), "{errors}");
}
