//! Directories to which something has happened.
//!
//! Each fault is applied to each file of a directory, at many places: one that this crate has
//! written, and recorded ones of several versions of Prometheus. Whatever it is, the store opens;
//! it serves nothing that was not there, and no less than if the file were gone; it says that
//! something is missing; maintenance and the next start change nothing, and that start has nothing
//! to say of logs any more.
//!
//! `HEADWATER_EXHAUSTIVE=1` tries more places, and all of them on recorded directories.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use headwater_blockfmt::BlockMeta;
use headwater_env::{Env, Files, FilesExt, MemoryFiles};
use headwater_model::{Matcher, TimeRange};
use headwater_storage::{Delete, Select, SelectRequest, block_on};
use headwater_tsdb::{Builder, Db, Durability};

use crate::support::{
    Dump, Tree, batch, builder, commit, corpora, dump, labels, plant, planted, tree,
};

const STEP: i64 = 15_000;
const RANGE: i64 = 40 * STEP;

/// How a store on these files is opened.
type Opener = fn(&MemoryFiles, u64) -> Builder;

fn exhaustive() -> bool {
    std::env::var_os("HEADWATER_EXHAUSTIVE").is_some_and(|v| v == "1")
}

fn env(files: &MemoryFiles, life: u64) -> Env {
    Env {
        files: Arc::new(files.clone()),
        ..Env::in_memory(life)
    }
}

fn ours(files: &MemoryFiles, life: u64) -> Builder {
    builder("data", env(files, life)).configure(|options| {
        options.durability = Durability::System;
        options.block_range = RANGE;
        options.max_block_range = 3 * RANGE;
        options.segment_bytes = 1;
        options.retention = Duration::ZERO;
        options.out_of_order_window = Duration::from_millis(20 * RANGE as u64);
    })
}

fn with_snapshot(files: &MemoryFiles, life: u64) -> Builder {
    ours(files, life).configure(|options| options.snapshot_on_close = true)
}

fn recorded(files: &MemoryFiles, life: u64) -> Builder {
    builder("data", env(files, life)).configure(|options| {
        options.retention = Duration::ZERO;
        options.out_of_order_window = Duration::from_secs(30 * 24 * 3600);
        options.snapshot_on_close = true;
    })
}

fn append(db: &Db, time: i64, late: bool) {
    let mut batch = batch(db);
    // Series come and go, so that the log has something to say of all times.
    let names = (0..3).chain([100 + time / (20 * STEP)]);
    for n in names {
        let pairs = [("__name__", "m"), ("job", "a"), ("n", &n.to_string())];
        let series = batch.series(&labels(&pairs)).unwrap();
        let value = (time / STEP * (n + 1)) as f64 + if late { 0.5 } else { 0.0 };
        batch.append_float(series, time, value).unwrap();
    }
    commit(batch);
}

/// A store with blocks of two levels, deletions, a checkpoint, head chunks and late samples.
fn filled(open: Opener) -> Tree {
    let files = MemoryFiles::new();
    let db = open(&files, 1).open().unwrap();
    for at in 0..700 {
        append(&db, at * STEP, false);
        if at % 85 == 84 {
            db.maintain().unwrap();
        }
    }
    let one = vec![Matcher::equal("n", "1")];
    block_on(db.delete(one, TimeRange::new(10 * STEP, 20 * STEP))).unwrap();
    (664..667).for_each(|at| append(&db, at * STEP + 1, true));
    assert!(db.blocks().len() > 1, "{:?}", db.blocks());
    db.close().unwrap();
    let mut out = Tree::new();
    tree(&files, Path::new("data"), &mut out);
    for part in ["wal/checkpoint", "chunks_head/0", "wbl/0"] {
        let there = out.keys().any(|path| path.to_str().unwrap().contains(part));
        assert!(there, "{part}: {:?}", out.keys());
    }
    out
}

/// What a store serves, and what it has to say.
fn served(db: &Db) -> (Dump, Vec<String>) {
    let samples = dump(db);
    let all = SelectRequest::new(Vec::new(), TimeRange::ALL);
    let mut cursor = block_on(db.select(all)).unwrap();
    let mut columns = Default::default();
    while cursor.advance().unwrap().is_some() {
        cursor.read(&mut columns).unwrap();
    }
    let mut said = cursor.take_warnings();
    said.extend_from_slice(db.damage());
    let blocks = db.damaged_blocks().into_iter();
    said.extend(blocks.flat_map(|block| block.damage));
    (samples, said)
}

fn count(samples: &Dump) -> usize {
    samples.values().map(Vec::len).sum()
}

fn is_part_of(part: &Dump, whole: &Dump) -> bool {
    part.iter().all(|(series, samples)| {
        let there = whole.get(series);
        there.is_some_and(|there| samples.iter().all(|sample| there.contains(sample)))
    })
}

/// A directory that is whole, and what it is without some of its files.
struct Base {
    tree: Tree,
    open: Opener,
    whole: Dump,
    without: BTreeMap<PathBuf, usize>,
    cases: usize,
}

impl Base {
    fn new(tree: Tree, open: Opener) -> Base {
        let db = open(&planted(&tree), 2).open().unwrap();
        let (whole, said) = served(&db);
        assert!(said.is_empty(), "{said:?}");
        Base {
            tree,
            open,
            whole,
            without: BTreeMap::new(),
            cases: 0,
        }
    }

    /// How many samples are lost if a file is not there.
    fn lost_without(&mut self, path: &Path) -> usize {
        if let Some(lost) = self.without.get(path) {
            return *lost;
        }
        let mut tree = self.tree.clone();
        tree.remove(path);
        let db = (self.open)(&planted(&tree), 2).open();
        let db = db.unwrap_or_else(|e| panic!("without {}: {e}", path.display()));
        let lost = count(&self.whole).saturating_sub(count(&dump(&db)));
        self.without.insert(path.to_path_buf(), lost);
        lost
    }

    /// How many samples the block has that a file belongs to, if it belongs to one. The log may
    /// have them as well if the block is not there at all, but not if it is damaged: who would know
    /// at the start?
    fn samples_beside(&self, path: &Path) -> usize {
        if !is_in_block(path.to_str().unwrap()) {
            return 0;
        }
        let name = path.components().nth(1).unwrap().as_os_str();
        let meta = &self.tree[&Path::new("data").join(name).join("meta.json")];
        BlockMeta::decode(meta).unwrap().stats.num_samples as usize
    }

    /// Without its tombstones a block shows what is deleted, and without its hints it is not known
    /// which of two samples of a time counts. Prometheus logs samples, too, that it then refuses
    /// because there are newer ones: if these are lost, nobody can tell.
    fn may_show_others(&self, path: &str) -> bool {
        let of_prometheus = std::ptr::fn_addr_eq(self.open, recorded as Opener);
        let of_block = path.ends_with("tombstones") || path.ends_with("meta.json");
        of_block || of_prometheus && path.contains("/wal/")
    }

    /// Judges a copy to which something was done.
    fn judge(&mut self, files: &MemoryFiles, allowed: Allowed, context: &str) {
        self.cases += 1;
        let open = |life: u64| {
            (self.open)(files, life)
                .open()
                .unwrap_or_else(|e| panic!("{context}: {e}"))
        };
        let db = open(3);
        let (left, said) = served(&db);
        let invented = !allowed.others && !is_part_of(&left, &self.whole);
        assert!(!invented, "{context}: invented");
        let lost = count(&self.whole).saturating_sub(count(&left));
        let most = allowed.lost;
        assert!(lost <= most, "{context}: {lost} lost, {most} are bearable");
        let silent = left != self.whole && said.is_empty();
        assert!(!silent || allowed.silence, "{context}: in silence");
        db.maintain().unwrap_or_else(|e| panic!("{context}: {e}"));
        same(&dump(&db), &left, &format!("{context}: after maintenance"));
        db.close().unwrap_or_else(|e| panic!("{context}: {e}"));
        drop(db);
        let db = open(4);
        let (again, said) = served(&db);
        same(&again, &left, &format!("{context}: after another start"));
        let of_logs = said.iter().find(|line| is_of_logs(line));
        assert_eq!(of_logs, None, "{context}: another start is not quiet");
    }
}

/// Damage of logs is mended by the first start; what is not there is missed as long as the log has
/// something behind it, or of its series.
fn is_of_logs(line: &str) -> bool {
    let of_logs = ["log ", "log: ", "chunks_head", "chunk_snapshot"];
    let lasting = ["missing", "does not introduce"];
    let any = |words: &[&str]| words.iter().any(|word| line.contains(word));
    any(&of_logs) && !any(&lasting)
}

fn same(found: &Dump, wanted: &Dump, context: &str) {
    if found != wanted {
        let (found, wanted) = (count(found), count(wanted));
        panic!("{context}: {found} samples, there were {wanted}");
    }
}

/// What a fault may do.
#[derive(Clone, Copy, Debug, Default)]
struct Allowed {
    /// So many samples may be lost.
    lost: usize,
    /// Samples may be seen that others hide: those that are deleted, or superseded.
    others: bool,
    /// Nobody may be able to tell.
    silence: bool,
}

/// Nobody can tell that a log once went on behind what looks like its end.
fn is_newest_of_its_log(tree: &Tree, path: &Path) -> bool {
    let dir = path.parent().unwrap();
    let of_log = dir.ends_with("wal") || dir.ends_with("wbl");
    let mut later = tree.range(path.to_path_buf()..).skip(1);
    of_log && !later.any(|(other, bytes)| other.parent() == Some(dir) && !bytes.is_empty())
}

/// What happens to a file.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Cut(usize),
    Zeros(usize),
    Garbage(usize),
    Longer(u8),
    Gone,
    Directory,
}

fn faults(len: usize) -> Vec<Fault> {
    let shares = if exhaustive() { 24 } else { 3 };
    let inside = (0..=shares).map(|share| len * share / shares);
    let mut cuts: Vec<usize> = [1, 4, 8, len.saturating_sub(1), len.saturating_sub(5)]
        .into_iter()
        .chain(inside.clone())
        .filter(|at| *at < len)
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut all: Vec<Fault> = cuts.into_iter().map(Fault::Cut).collect();
    for at in inside.filter(|at| *at < len) {
        all.extend([Fault::Zeros(at), Fault::Garbage(at)]);
    }
    all.extend([Fault::Longer(0), Fault::Longer(0xa7)]);
    all.extend([Fault::Gone, Fault::Directory]);
    all
}

fn apply(files: &MemoryFiles, path: &Path, fault: Fault) {
    let mut bytes = files.read(path).unwrap();
    let len = bytes.len();
    match fault {
        Fault::Cut(at) => bytes.truncate(at),
        Fault::Zeros(at) => bytes[at..len.min(at + 512)].fill(0),
        Fault::Garbage(at) => {
            let mut state = at as u32 | 1;
            for byte in &mut bytes[at..len.min(at + 64)] {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (state >> 24) as u8;
            }
        }
        Fault::Longer(byte) => bytes.extend([byte; 700]),
        Fault::Gone | Fault::Directory => {
            files.remove_file(path).unwrap();
            if matches!(fault, Fault::Directory) {
                files.create_dir_all(path).unwrap();
            }
            return;
        }
    }
    files.write_atomic(path, &bytes).unwrap();
}

/// Every fault at every file that is `wanted`; of all of them one in so many.
fn every_fault(base: &mut Base, wanted: impl Fn(&str) -> bool, one_in: usize) {
    let paths: Vec<PathBuf> = base.tree.keys().cloned().collect();
    let (mut nth, mut failed) = (0, 0);
    for path in paths.iter().filter(|path| wanted(path.to_str().unwrap())) {
        for fault in faults(base.tree[path].len()) {
            nth += 1;
            if nth % one_in != 0 {
                continue;
            }
            let files = planted(&base.tree);
            apply(&files, path, fault);
            let context = format!("{}: {fault:?}", path.display());
            let text = path.to_str().unwrap();
            let allowed = Allowed {
                lost: base.lost_without(path).max(base.samples_beside(path)),
                others: base.may_show_others(text),
                silence: is_newest_of_its_log(&base.tree, path)
                    && matches!(fault, Fault::Cut(_) | Fault::Zeros(_) | Fault::Gone),
            };
            let judge = || base.judge(&files, allowed, &context);
            // All that fall are told of, not the first alone.
            failed += usize::from(catch_unwind(AssertUnwindSafe(judge)).is_err());
        }
    }
    assert!(
        base.cases > 0 && failed == 0,
        "{failed} of {} fail",
        base.cases
    );
}

fn is_in_block(path: &str) -> bool {
    path.split('/').nth(1).is_some_and(|name| name.len() == 26)
}

#[test]
fn files_of_logs() {
    let mut base = Base::new(filled(ours), ours);
    let wanted = |path: &str| path.contains("/wal/") || path.contains("/wbl/");
    every_fault(&mut base, wanted, if exhaustive() { 1 } else { 3 });
}

#[test]
fn files_of_head_chunks() {
    let mut base = Base::new(filled(ours), ours);
    let head_chunks = |path: &str| path.contains("/chunks_head/");
    every_fault(&mut base, head_chunks, 1);
}

#[test]
fn files_of_blocks() {
    let mut base = Base::new(filled(ours), ours);
    every_fault(&mut base, is_in_block, if exhaustive() { 1 } else { 5 });
}

#[test]
fn files_of_snapshots_and_what_they_rely_on() {
    let mut base = Base::new(filled(with_snapshot), with_snapshot);
    let one_in = if exhaustive() { 1 } else { 3 };
    let wanted = |path: &str| !is_in_block(path) && path != "data/lock";
    every_fault(&mut base, wanted, one_in);
}

#[test]
fn files_of_recorded_directories() {
    let Some(root) = corpora("prometheus/datadirs") else {
        return;
    };
    for (nth, name) in [
        "prom-2.42",
        "prom-3.14-default",
        "prom-3.14-snapshot",
        "prom-3.14-st",
        "prom-3.14-xor2-zstd",
    ]
    .into_iter()
    .enumerate()
    {
        let mut on_disk = Tree::new();
        tree(&headwater_env::RealFiles, &root.join(name), &mut on_disk);
        let moved = on_disk.into_iter().map(|(path, bytes)| {
            let below = path.strip_prefix(root.join(name)).unwrap();
            (Path::new("data").join(below), bytes)
        });
        let mut base = Base::new(moved.collect(), recorded);
        let one_in = if exhaustive() { 1 } else { 150 + 7 * nth };
        every_fault(&mut base, |_| true, one_in);
    }
}

/// Copies a directory within the files.
fn copy_dir(files: &MemoryFiles, from: &str, to: &str) {
    let mut all = Tree::new();
    tree(files, Path::new(from), &mut all);
    assert!(!all.is_empty(), "{from}");
    for (path, bytes) in all {
        let below = path.strip_prefix(from).unwrap();
        plant(files, &Path::new(to).join(below), &bytes);
    }
}

fn block_of(base: &Base) -> String {
    let path = base.tree.keys().find(|path| path.ends_with("meta.json"));
    path.unwrap().parent().unwrap().to_str().unwrap().to_owned()
}

fn change_meta(files: &MemoryFiles, block: &str, change: &dyn Fn(String) -> String) {
    let path = Path::new(block).join("meta.json");
    let text = String::from_utf8(files.read(&path).unwrap()).unwrap();
    let changed = change(text.clone());
    assert_ne!(changed, text);
    files.write_atomic(&path, changed.as_bytes()).unwrap();
}

type Happening<'h> = (&'h str, &'h dyn Fn(&MemoryFiles));

fn nothing_is_lost(base: &mut Base, happenings: &[Happening<'_>]) {
    let mut failed = 0;
    for (name, happens) in happenings {
        let files = planted(&base.tree);
        happens(&files);
        let judge = || base.judge(&files, Allowed::default(), name);
        failed += usize::from(catch_unwind(AssertUnwindSafe(judge)).is_err());
    }
    assert_eq!(failed, 0, "of {}", base.cases);
}

const OTHER: &str = "data/01ARZ3NDEKTSV4RRFFQ69G5FAV";

#[test]
fn blocks_and_what_looks_like_them() {
    let mut base = Base::new(filled(ours), ours);
    let block = &block_of(&base);
    let name = Path::new(block).file_name().unwrap().to_str().unwrap();
    let copy_as = |files: &MemoryFiles, end: &str| copy_dir(files, block, &format!("{block}{end}"));
    let other = |files: &MemoryFiles| {
        copy_dir(files, block, OTHER);
        change_meta(files, OTHER, &|text| text.replace(name, &OTHER[5..]));
    };
    let meta = |change: &'static dyn Fn(String) -> String| {
        move |files: &MemoryFiles| change_meta(files, block, change)
    };
    let garbage = |files: &MemoryFiles, path: &str| plant(files, Path::new(path), b"garbage");
    nothing_is_lost(
        &mut base,
        &[
            ("the same twice", &other),
            ("another's name", &|f| copy_dir(f, block, OTHER)),
            ("interrupted writing", &|f| copy_as(f, ".tmp-for-creation")),
            ("interrupted removal", &|f| copy_as(f, ".tmp-for-deletion")),
            ("of old versions", &|f| copy_as(f, ".tmp")),
            ("set aside", &|f| copy_as(f, ".damaged")),
            ("nothing inside", &|f| {
                f.create_dir_all(OTHER.as_ref()).unwrap()
            }),
            ("a file", &|f| garbage(f, OTHER)),
            ("only garbage", &|f| garbage(f, &format!("{OTHER}/index"))),
            ("unknown files", &|f| garbage(f, &format!("{block}/notes"))),
            ("unknown directory", &|f| garbage(f, "data/backup/index")),
            (
                "unknown field",
                &meta(&|t| t.replacen('{', "{\"thanos\":{\"x\":[1]},", 1)),
            ),
            (
                "another version",
                &meta(&|t| t.replace("\"version\": 1", "\"version\": 7")),
            ),
            ("no name", &meta(&|t| t.replacen("ulid", "dilu", 1))),
            ("no times", &meta(&|t| t.replacen("minTime", "min", 1))),
            (
                "wrong times",
                &meta(&|t| t.replacen("\"maxTime\": ", "\"maxTime\": -9", 1)),
            ),
            (
                "far times",
                &meta(&|t| t.replacen("\"maxTime\": ", "\"maxTime\": 99999", 1)),
            ),
            (
                "text for a number",
                &meta(&|t| t.replacen("\"minTime\": ", "\"minTime\": \"x\", \"y\": ", 1)),
            ),
            ("no stats", &meta(&|t| t.replace("stats", "stets"))),
            (
                "wrong counts",
                &meta(&|t| t.replace("\"numSeries\": ", "\"numSeries\": 9")),
            ),
        ],
    );
}

#[test]
fn what_lies_about_in_logs() {
    let mut base = Base::new(filled(ours), ours);
    let checkpoint = base
        .tree
        .keys()
        .find(|path| path.to_str().unwrap().contains("checkpoint."));
    let checkpoint = checkpoint
        .unwrap()
        .parent()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let garbage = |files: &MemoryFiles, path: &str| plant(files, Path::new(path), b"garbage");
    let dir = |files: &MemoryFiles, path: &str| files.create_dir_all(path.as_ref()).unwrap();
    let replaced = |files: &MemoryFiles, path: &str| {
        files.remove_dir_all(path.as_ref()).unwrap();
        plant(files, Path::new(path), b"a file");
    };
    nothing_is_lost(
        &mut base,
        &[
            ("an older checkpoint", &|f| {
                copy_dir(f, &checkpoint, "data/wal/checkpoint.00000000")
            }),
            ("an unfinished one", &|f| {
                copy_dir(f, &checkpoint, "data/wal/checkpoint.00000999.tmp")
            }),
            ("one of no number", &|f| dir(f, "data/wal/checkpoint.abc")),
            ("an empty one", &|f| dir(f, "data/wal/checkpoint.00000999")),
            ("a checkpoint that is a file", &|f| {
                garbage(f, "data/wal/checkpoint.00000999")
            }),
            ("a copy of a segment", &|f| {
                garbage(f, "data/wal/00000001.bak")
            }),
            ("a note", &|f| garbage(f, "data/wal/README")),
            ("notes of fast startup", &|f| {
                garbage(f, "data/wal/series_state.json")
            }),
            ("unknown head chunks", &|f| {
                garbage(f, "data/chunks_head/000009.tmp")
            }),
            ("a directory of head chunks", &|f| {
                dir(f, "data/chunks_head/000009")
            }),
            ("head chunks that are a file", &|f| {
                replaced(f, "data/chunks_head")
            }),
            ("a directory in the late log", &|f| {
                dir(f, "data/wbl/00000099")
            }),
            ("a lock with something in it", &|f| garbage(f, "data/lock")),
            ("a query log", &|f| garbage(f, "data/queries.active")),
            ("a snapshot of nothing", &|f| {
                dir(f, "data/chunk_snapshot.000003.0000000000")
            }),
            ("a snapshot of no number", &|f| {
                dir(f, "data/chunk_snapshot.x.y")
            }),
            ("an unfinished snapshot", &|f| {
                dir(f, "data/chunk_snapshot.000003.0000000000.tmp")
            }),
        ],
    );
}
