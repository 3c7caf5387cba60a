use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use headwater_env::{Env, Files, FilesExt, MemoryFiles};
use headwater_model::histogram::spans_indexes;
use headwater_model::{HistogramRef, Labels, SeriesColumns, Span, TimeRange};
use headwater_storage::{Append, Appender, Select, SelectRequest, Ticket, block_on};
use headwater_tsdb::{Builder, Db};

/// A store that does nothing behind the test's back.
pub(crate) fn builder(dir: impl AsRef<Path>, env: Env) -> Builder {
    Db::builder(dir)
        .env(env)
        .configure(|options| options.background = false)
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

pub(crate) fn batch(db: &Db) -> Box<dyn Appender + '_> {
    db.appender(Default::default()).unwrap()
}

pub(crate) fn commit(batch: Box<dyn Appender + '_>) {
    batch.commit().and_then(Ticket::wait).unwrap();
}

/// Everything in a store, as lines: labels, value, time. Histograms are told
/// by count and sum.
pub(crate) type Dump = BTreeMap<String, Vec<(i64, String)>>;

pub(crate) fn dump_range(db: &Db, range: TimeRange) -> Dump {
    let mut cursor = block_on(db.select(SelectRequest::new(Vec::new(), range))).unwrap();
    let mut columns = SeriesColumns::default();
    let mut out = Dump::new();
    while let Some(labels) = cursor.advance().unwrap() {
        cursor.read(&mut columns).unwrap();
        let mut samples: Vec<(i64, String)> = Vec::new();
        let floats = columns.floats.times.iter().zip(&columns.floats.values);
        samples.extend(floats.map(|(time, value)| (*time, format!("{:016x}", value.to_bits()))));
        for (at, time) in columns.histograms.times().iter().enumerate() {
            samples.push((*time, histogram_text(columns.histograms.get(at))));
        }
        samples.sort();
        if !samples.is_empty() {
            let old = out.insert(labels.to_string(), samples);
            assert!(old.is_none(), "{labels} came twice");
        }
    }
    out
}

pub(crate) fn dump(db: &Db) -> Dump {
    dump_range(db, TimeRange::ALL)
}

fn histogram_text(histogram: HistogramRef<'_>) -> String {
    let kind = match histogram {
        HistogramRef::Integer(_) => "integer",
        HistogramRef::Float(_) => "float",
    };
    let float = histogram.to_float();
    // Chunks that are merged may add empty buckets.
    let filled = |spans: &[Span], counts: &[f64]| -> Vec<(i32, f64)> {
        let all = spans_indexes(spans).zip(counts.iter().copied());
        all.filter(|(_, count)| *count != 0.0).collect()
    };
    format!(
        "{kind} count {} sum {:016x} buckets {:?} {:?}",
        float.count,
        float.sum.to_bits(),
        filled(&float.positive_spans, &float.positive_buckets),
        filled(&float.negative_spans, &float.negative_buckets)
    )
}

/// A folder of the corpora, or `None` (with a word) if they are not here.
pub(crate) fn corpora(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("HEADWATER_CORPORA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"),
        PathBuf::from,
    );
    let dir = root.join(folder);
    let found = dir.is_dir();
    missing(found, &format!("no corpora at {}", dir.display()));
    found.then_some(dir)
}

/// Whether a program is installed; if not, says that a test is skipped.
pub(crate) fn program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    missing(found, &format!("no {name} on the path"));
    found
}

fn missing(found: bool, what: &str) {
    if !found {
        let strict = std::env::var_os("HEADWATER_STRICT").is_some_and(|v| v == "1");
        assert!(!strict, "{what}");
        eprintln!("skipped: {what}");
    }
}

/// Copies a directory tree.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            // Not `fs::copy`: it would copy a read-only mode along.
            std::fs::write(&target, std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// Checks a store into which rounds were written: a sample of every one of `series` each, `step`
/// apart, its value the number of the round. At least the acknowledged rounds are there, whole, and
/// behind the last whole one there is nothing.
pub(crate) fn rounds_are_whole(
    db: &Db,
    rounds: usize,
    (series, step): (i64, i64),
    acknowledged: i64,
    context: &str,
) {
    let mut counts = vec![0; rounds];
    for (series, samples) in dump(db) {
        for (time, value) in samples {
            let at = time / step;
            let wanted = format!("{:016x}", (at as f64).to_bits());
            assert_eq!(value, wanted, "{context}: {series}");
            counts[at as usize] += 1;
        }
    }
    let whole = counts.iter().take_while(|c| **c == series).count();
    assert!(
        whole as i64 >= acknowledged,
        "{context}: {whole} of {acknowledged} left"
    );
    assert_eq!(counts[whole..].iter().sum::<i64>(), 0, "{context}");
}

/// The files of a directory.
pub(crate) type Tree = BTreeMap<PathBuf, Vec<u8>>;

pub(crate) fn tree(files: &dyn Files, dir: &Path, into: &mut Tree) {
    for entry in files.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        match entry.is_dir {
            true => tree(files, &path, into),
            false => {
                into.insert(path.clone(), files.read(&path).unwrap());
            }
        }
    }
}

pub(crate) fn planted(tree: &Tree) -> MemoryFiles {
    let files = MemoryFiles::new();
    for (path, bytes) in tree {
        plant(&files, path, bytes);
    }
    files
}

pub(crate) fn plant(files: &MemoryFiles, path: &Path, bytes: &[u8]) {
    files.create_dir_all(path.parent().unwrap()).unwrap();
    files.write_atomic(path, bytes).unwrap();
}
