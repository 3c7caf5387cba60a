//! Blocks, read completely: index, chunks, columns, tombstones, meta.json; and written again.

use std::collections::BTreeMap;
use std::path::Path;

use headwater_blockfmt::chunk::{self, Appender, Float, Integer, Kind, Xor2Appender};
use headwater_blockfmt::index::{ChunkMeta, Index, IndexWriter};
use headwater_blockfmt::record::TombstoneEntry;
use headwater_blockfmt::segment::{self, ChunkRef, RawChunk};
use headwater_blockfmt::{BlockMeta, Encoding, XorAppender, tombstones};
use headwater_model::{HistogramColumn, HistogramRef, Labels, ResetHint, SeriesColumns, TimeRange};
use serde_json::Value;

use crate::corpora::{data_directories, files, folders, name};

pub(crate) struct Block {
    meta: BlockMeta,
    index: Index<Vec<u8>>,
    segments: Vec<Vec<u8>>,
    tombstones: Vec<TombstoneEntry>,
}

impl Block {
    fn open(path: &Path) -> Self {
        let read = |file: &str| std::fs::read(path.join(file)).unwrap();
        let segments: Vec<_> = files(&path.join("chunks"))
            .iter()
            .map(|file| std::fs::read(file).unwrap())
            .collect();
        for segment in &segments {
            segment::check_header(segment).unwrap();
        }
        Self {
            meta: BlockMeta::decode(&read("meta.json")).unwrap(),
            index: Index::open(read("index")).unwrap(),
            segments,
            tombstones: tombstones::decode(&read("tombstones")).unwrap(),
        }
    }

    pub(crate) fn chunk(&self, meta: &ChunkMeta) -> RawChunk<'_> {
        let ChunkRef { segment, offset } = ChunkRef::from_u64(meta.reference);
        segment::read_chunk(&self.segments[segment as usize], offset as usize).unwrap()
    }

    /// Calls `each` with reference, labels and chunks of every series.
    pub(crate) fn series(&self, mut each: impl FnMut(u32, &[(&str, &str)], &[ChunkMeta])) {
        let (mut labels, mut chunks) = (Vec::new(), Vec::new());
        for reference in self.index.all_postings().unwrap() {
            self.index
                .series(reference)
                .unwrap()
                .read_into(&mut labels, &mut chunks)
                .unwrap();
            each(reference, &labels, &chunks);
        }
    }
}

pub(crate) fn blocks(directory: &Path) -> Vec<Block> {
    let is_block = |path: &Path| path.join("meta.json").is_file();
    folders(directory)
        .iter()
        .filter(|path| is_block(path))
        .map(|path| Block::open(path))
        .collect()
}

fn json(directory: &Path) -> Value {
    let file = directory
        .with_file_name(name(directory) + ".expected")
        .join("series.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn every_block_holds_what_its_statistics_say() {
    for (directory, path) in data_directories() {
        let expected = json(&path);
        let statistics: BTreeMap<&str, &Value> = expected["blocks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (it["ulid"].as_str().unwrap(), it))
            .collect();
        for block in blocks(&path) {
            let (mut series, mut chunks, mut floats, mut histograms) = (0, 0, 0, 0);
            let mut columns = SeriesColumns::default();
            block.series(|_, _, metas| {
                series += 1;
                for meta in metas {
                    let raw = block.chunk(meta);
                    columns.clear();
                    chunk::decode(raw.encoding, raw.data, TimeRange::ALL, &mut columns).unwrap();
                    assert_eq!(
                        chunk::sample_count(raw.encoding, raw.data).unwrap(),
                        columns.len()
                    );
                    let times = if raw.encoding.is_histogram() {
                        columns.histograms.times()
                    } else {
                        &columns.floats.times
                    };
                    assert_eq!(
                        (times.first(), times.last()),
                        (Some(&meta.min_time), Some(&meta.max_time))
                    );
                    chunks += 1;
                    floats += columns.floats.len() as u64;
                    histograms += columns.histograms.len() as u64;
                }
            });
            let stats = &block.meta.stats;
            assert_eq!(
                (stats.num_series, stats.num_chunks, stats.num_samples),
                (series, chunks, floats + histograms),
                "{directory}"
            );
            // Prometheus 2.42 does not tell floats and histograms apart.
            let kinds = [0, stats.num_float_samples];
            assert!(
                kinds.contains(&floats) || stats.num_float_samples == 0,
                "{directory}"
            );
            let said = statistics[block.meta.ulid.as_str()];
            assert_eq!(
                (said["Series"].as_u64(), said["Chunks"].as_u64()),
                (Some(series), Some(chunks)),
                "{directory}"
            );
            assert_eq!(
                said["Samples"].as_u64(),
                Some(floats + histograms),
                "{directory}"
            );
            assert_eq!(
                said["Tombstones"].as_u64().unwrap_or(0),
                stats.num_tombstones
            );
        }
    }
}

/// What a query would see of one series in all blocks: sorted, each time once, deleted gone.
fn visible(blocks: &[Block]) -> BTreeMap<Labels, SeriesColumns> {
    let mut all: BTreeMap<Labels, BTreeMap<i64, (u64, i64)>> = BTreeMap::new();
    for block in blocks {
        block.series(|reference, labels, chunks| {
            let samples = all
                .entry(Labels::from_pairs(labels.iter().copied()))
                .or_default();
            let mut columns = SeriesColumns::default();
            for meta in chunks {
                let raw = block.chunk(meta);
                chunk::decode(raw.encoding, raw.data, TimeRange::ALL, &mut columns).unwrap();
            }
            let floats = &columns.floats;
            for (at, &time) in floats.times.iter().enumerate() {
                let gone = |it: &TombstoneEntry| {
                    it.reference == u64::from(reference) && it.range.contains(time)
                };
                if !block.tombstones.iter().any(gone) {
                    let start = floats.starts.get(at).copied().unwrap_or(0);
                    samples.insert(time, (floats.values[at].to_bits(), start));
                }
            }
        });
    }
    let column = |samples: BTreeMap<i64, (u64, i64)>| {
        let mut columns = SeriesColumns::default();
        for (time, (value, start)) in samples {
            columns
                .floats
                .push_with_start(time, f64::from_bits(value), start);
        }
        columns
    };
    all.into_iter()
        .map(|(labels, samples)| (labels, column(samples)))
        .collect()
}

fn fnv1a(words: impl Iterator<Item = u64>) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = words
        .flat_map(u64::to_le_bytes)
        .fold(0xcbf2_9ce4_8422_2325, step);
    format!("{hash:016x}")
}

/// Series whose samples all lie in blocks have the checksums that Prometheus's readers gave.
#[test]
fn checksums_of_series_in_blocks_agree() {
    for (directory, path) in data_directories() {
        let (expected, visible) = (json(&path), visible(&blocks(&path)));
        let mut compared = (0, 0);
        for line in expected["series"].as_array().unwrap() {
            let pairs = line["labels"].as_object().unwrap();
            let labels = Labels::from_pairs(
                pairs
                    .iter()
                    .map(|(name, value)| (name, value.as_str().unwrap())),
            );
            let Some(SeriesColumns { floats, .. }) = visible.get(&labels) else {
                continue;
            };
            if floats.is_empty() || line["floats"].as_u64() != Some(floats.len() as u64) {
                continue;
            }
            let words = floats
                .times
                .iter()
                .zip(&floats.values)
                .flat_map(|(&time, value)| [time as u64, value.to_bits()]);
            assert_eq!(line["float_fnv1a64"], fnv1a(words), "{directory} {labels}");
            compared.0 += 1;
            if let Some(starts) = line["start_timestamp_fnv1a64"].as_str() {
                let words = floats
                    .times
                    .iter()
                    .zip(&floats.starts)
                    .filter(|(_, start)| **start != 0);
                assert_eq!(
                    starts,
                    fnv1a(words.flat_map(|(&time, &start)| [time as u64, start as u64])),
                    "{directory} {labels}"
                );
                compared.1 += 1;
            }
        }
        println!(
            "{directory}: {} series compared, {} with start timestamps",
            compared.0, compared.1
        );
        assert!(
            compared.0 > 0,
            "{directory}: no series lies in blocks alone"
        );
    }
}

/// Appending what was decoded gives the same bytes: our writers write what Prometheus's do.
#[test]
fn chunks_are_written_as_prometheus_writes_them() {
    for (directory, path) in data_directories() {
        let mut seen: BTreeMap<u8, usize> = BTreeMap::new();
        for block in blocks(&path) {
            block.series(|_, labels, chunks| {
                for meta in chunks {
                    let raw = block.chunk(meta);
                    let ours = rewrite(&raw);
                    // Prometheus 2.42 leaves an empty byte behind a chunk that ends with a byte.
                    let same = raw
                        .data
                        .strip_prefix(&ours[..])
                        .is_some_and(|more| matches!(more, [] | [0]));
                    assert!(same, "{directory} {labels:?} {meta:?}");
                    *seen.entry(raw.encoding.number()).or_default() += 1;
                }
            });
        }
        println!("{directory}: chunks by encoding, all equal byte by byte: {seen:?}");
        assert!(!seen.is_empty(), "{directory}");
    }
}

fn rewrite(raw: &RawChunk<'_>) -> Vec<u8> {
    let mut columns = SeriesColumns::default();
    chunk::decode(raw.encoding, raw.data, TimeRange::ALL, &mut columns).unwrap();
    let floats = &columns.floats;
    let samples = floats.times.iter().zip(&floats.values);
    match raw.encoding {
        Encoding::Xor => {
            let mut appender = XorAppender::new();
            samples.for_each(|(&time, &value)| appender.append(time, value));
            appender.to_bytes().to_vec()
        }
        Encoding::Xor2 => {
            let mut appender = Xor2Appender::new();
            for (at, (&time, &value)) in samples.enumerate() {
                appender.append_with_start(
                    time,
                    value,
                    floats.starts.get(at).copied().unwrap_or(0),
                );
            }
            appender.bytes().to_vec()
        }
        Encoding::Histogram => rewrite_histograms::<Integer>(raw, &columns.histograms, integer),
        Encoding::HistogramSt => rewrite_histograms::<Integer>(raw, &columns.histograms, integer),
        Encoding::FloatHistogram => rewrite_histograms::<Float>(raw, &columns.histograms, float),
        Encoding::FloatHistogramSt => rewrite_histograms::<Float>(raw, &columns.histograms, float),
    }
}

fn integer(histogram: HistogramRef<'_>) -> headwater_model::Histogram {
    match histogram {
        HistogramRef::Integer(histogram) => histogram.clone(),
        HistogramRef::Float(_) => panic!("an integer chunk has integer histograms"),
    }
}

fn float(histogram: HistogramRef<'_>) -> headwater_model::FloatHistogram {
    histogram.to_float().into_owned()
}

fn rewrite_histograms<K: Kind>(
    raw: &RawChunk<'_>,
    column: &HistogramColumn,
    convert: fn(HistogramRef<'_>) -> K::Histogram,
) -> Vec<u8> {
    let with_starts = raw.encoding == K::WITH_STARTS;
    // The hint about the chunk before is not in the samples.
    let reset = match raw.data[if with_starts { 0 } else { 2 }] >> 6 {
        0b01 => ResetHint::NotReset,
        0b10 => ResetHint::Reset,
        0b11 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    };
    let mut appender = Appender::<K>::after(chunk::Cut { reset });
    if with_starts {
        appender = appender.with_starts();
    }
    for (at, &time) in column.times().iter().enumerate() {
        if appender
            .append_with_start(time, &convert(column.get(at)), column.start(at))
            .is_err()
        {
            return Vec::new();
        }
    }
    appender.bytes().to_vec()
}

#[test]
fn small_files_are_written_as_prometheus_writes_them() {
    for (directory, path) in data_directories() {
        for block in folders(&path)
            .iter()
            .filter(|path| path.join("meta.json").is_file())
        {
            let meta = std::fs::read(block.join("meta.json")).unwrap();
            assert_eq!(
                BlockMeta::decode(&meta).unwrap().encode(),
                meta,
                "{directory}"
            );
            let file = std::fs::read(block.join("tombstones")).unwrap();
            assert_eq!(
                tombstones::encode(tombstones::decode(&file).unwrap()),
                file,
                "{directory}"
            );
        }
    }
}

#[test]
fn indexes_are_written_as_prometheus_writes_them() {
    for (directory, path) in data_directories() {
        for block in blocks(&path) {
            let mut writer = IndexWriter::new(block.index.symbols()).unwrap();
            let mut file = Vec::new();
            block.series(|reference, labels, chunks| {
                let labels = Labels::from_pairs(labels.iter().copied());
                assert_eq!(writer.add_series(&labels, chunks).unwrap(), reference);
                file.extend(writer.take());
            });
            file.extend(writer.finish().unwrap());
            // Prometheus 2.42 still writes label indices, which moves all that follows.
            if directory.starts_with("prom-3") {
                assert!(
                    &file == block.index.bytes(),
                    "{directory} {}",
                    block.meta.ulid
                );
            }
            compare(&Index::open(file).unwrap(), &block.index);
        }
    }
}

fn compare(ours: &Index<Vec<u8>>, theirs: &Index<Vec<u8>>) {
    assert!(ours.symbols().eq(theirs.symbols()));
    assert!(ours.label_names().eq(theirs.label_names()));
    for name in ours.label_names() {
        assert!(ours.label_values(name).eq(theirs.label_values(name)));
        for value in ours.label_values(name) {
            let (ours, theirs) = (
                ours.postings(name, value).unwrap(),
                theirs.postings(name, value).unwrap(),
            );
            assert!(ours.iter().eq(theirs.iter()));
        }
    }
}
