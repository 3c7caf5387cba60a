//! A damaged block becomes a sound one, and is kept beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_blockfmt::meta::BlockMeta;
use headwater_env::{Env, FaultyFiles, Files, FilesExt, MemoryFiles};
use headwater_model::{Matcher, TimeRange};
use headwater_storage::{Delete, ErrorKind, block_on};
use headwater_tsdb::{Builder, Db};

use crate::support::{Dump, batch, builder, commit, dump, labels};

const STEP: i64 = 15_000;
const RANGE: i64 = 160 * STEP;

/// A life with a clock and numbers of its own.
fn on(files: &(impl Files + Clone + 'static), life: u64) -> Builder {
    let env = Env {
        files: Arc::new(files.clone()),
        ..Env::in_memory(life)
    };
    builder("data", env).configure(|options| {
        options.block_range = RANGE;
        options.max_block_range = 3 * RANGE;
        options.retention = std::time::Duration::ZERO;
    })
}

/// Blocks of one range each, of which the first has deleted samples.
fn fill(db: &Db, ranges: i64) {
    for at in 0..ranges * 160 {
        let mut batch = batch(db);
        for n in 0..3i64 {
            let pairs = [("__name__", "m"), ("n", &n.to_string())];
            let series = batch.series(&labels(&pairs)).unwrap();
            batch
                .append_float(series, at * STEP, (at * (n + 1)) as f64 / 3.0)
                .unwrap();
        }
        commit(batch);
    }
    let one = vec![Matcher::equal("n", "1")];
    db.flush_before(i64::MAX).unwrap();
    block_on(db.delete(one, TimeRange::new(5 * STEP, 40 * STEP))).unwrap();
}

fn block_dirs(files: &dyn Files) -> Vec<PathBuf> {
    let mut dirs: Vec<(i64, PathBuf)> = Vec::new();
    for entry in files.list(Path::new("data")).unwrap() {
        if entry.is_dir && entry.name.len() == 26 {
            let dir = Path::new("data").join(&entry.name);
            let meta = BlockMeta::decode(&files.read(&dir.join("meta.json")).unwrap()).unwrap();
            dirs.push((meta.min_time, dir));
        }
    }
    dirs.sort();
    dirs.into_iter().map(|(_, dir)| dir).collect()
}

fn asides(files: &dyn Files) -> Vec<String> {
    let all = files.list(Path::new("data")).unwrap().into_iter();
    all.map(|entry| entry.name)
        .filter(|name| name.contains(".damaged"))
        .collect()
}

fn name_of(dir: &Path) -> &str {
    dir.file_name().unwrap().to_str().unwrap()
}

/// Writes a file anew with the byte changed that a share of it leads to, or cut off there.
fn spoil(files: &dyn Files, path: &Path, (place, of): (usize, usize), cut: bool) {
    let mut bytes = files.read(path).unwrap();
    let at = bytes.len() * place / of;
    match cut {
        true => bytes.truncate(at),
        false => bytes[at] ^= 0x10,
    }
    files.write_atomic(path, &bytes).unwrap();
}

/// Mends whatever is damaged.
fn mend_all(db: &Db, context: &str) -> usize {
    let damaged = db.verify_blocks().unwrap();
    for block in &damaged {
        let mended = db
            .mend_block(&block.ulid)
            .unwrap_or_else(|e| panic!("{context}: {e}"));
        let mended = mended.unwrap_or_else(|| panic!("{context}: {block:?} is sound"));
        assert_eq!(mended.lost_series, block.lost_series, "{context}");
        assert!(!mended.damage.is_empty(), "{context}");
    }
    assert!(db.damaged_blocks().is_empty(), "{context}");
    damaged.len()
}

#[test]
fn whatever_is_damaged_what_is_served_stays() {
    let pristine = MemoryFiles::new();
    let db = on(&pristine, 1).open().unwrap();
    fill(&db, 2);
    db.close().unwrap();
    drop(db);
    let whole = dump(&on(&pristine, 2).open().unwrap());
    let block = block_dirs(&pristine)[0].clone();
    let places = 13;
    let mut mended = 0;
    for file in ["index", "chunks/000001", "tombstones", "meta.json"] {
        for (place, cut) in (0..places).flat_map(|place| [(place, false), (place, true)]) {
            let context = format!("{file} at {place}/{places}, cut {cut}");
            let files = copied(&pristine);
            spoil(&files, &block.join(file), (place, places), cut);
            let db = on(&files, 3).open().unwrap();
            db.verify_blocks().unwrap();
            let served = dump(&db);
            let count = mend_all(&db, &context);
            if count == 0 {
                assert_eq!(served, whole, "{context}: nothing was said");
                continue;
            }
            mended += 1;
            assert!(dump(&db) == served, "{context}");
            assert_eq!(asides(&files), [format!("{}.damaged", name_of(&block))]);
            drop(db);
            let db = on(&files, 4).open().unwrap();
            assert!(db.damage().is_empty(), "{context}: {:?}", db.damage());
            assert!(db.verify_blocks().unwrap().is_empty(), "{context}");
            assert!(dump(&db) == served, "{context}: after a start");
            db.maintain().unwrap();
            assert!(dump(&db) == served, "{context}: after maintenance");
        }
    }
    assert!(mended > 2 * places, "{mended}");
}

fn copied(from: &MemoryFiles) -> MemoryFiles {
    fn copy(from: &dyn Files, to: &dyn Files, dir: &Path) {
        to.create_dir_all(dir).unwrap();
        for entry in from.list(dir).unwrap() {
            let path = dir.join(&entry.name);
            match entry.is_dir {
                true => copy(from, to, &path),
                false => to.write_atomic(&path, &from.read(&path).unwrap()).unwrap(),
            }
        }
    }
    let to = MemoryFiles::new();
    copy(from, &to, Path::new("data"));
    to
}

#[test]
fn a_sound_block_is_left_alone_and_an_unknown_one_is_refused() {
    let files = MemoryFiles::new();
    let db = on(&files, 1).open().unwrap();
    fill(&db, 1);
    let ulid = db.blocks()[0].ulid.clone();
    assert_eq!(db.mend_block(&ulid).unwrap(), None);
    assert_eq!(db.blocks()[0].ulid, ulid);
    let unknown = db.mend_block("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Invalid);
}

/// Whenever power is lost, one of the two blocks is served, and none is lost.
#[test]
fn mending_survives_power_cuts() {
    let prepare = |disk: &FaultyFiles| -> (Db, String, Dump) {
        let db = on(disk, 1).open().unwrap();
        fill(&db, 2);
        db.close().unwrap();
        drop(db);
        let block = block_dirs(disk)[0].clone();
        let index = block.join("index");
        let len = disk.file_len(&index).unwrap().unwrap();
        disk.flip_bit(&index, len / 2, 3).unwrap();
        let db = on(disk, 2).open().unwrap();
        assert_eq!(db.verify_blocks().unwrap().len(), 1);
        let served = dump(&db);
        (db, name_of(&block).to_owned(), served)
    };
    let clean = FaultyFiles::new(0);
    let (db, ulid, _) = prepare(&clean);
    let start = clean.operations();
    db.mend_block(&ulid).unwrap().unwrap();
    let operations = clean.operations() - start;
    let (mut before, mut after) = (0, 0);
    for cut in 0..=operations {
        let disk = FaultyFiles::new(cut);
        let context = format!("cut {cut} of {operations}");
        let (db, ulid, served) = prepare(&disk);
        disk.cut_power_after(cut);
        let done = db.mend_block(&ulid);
        disk.crash();
        drop(db);
        let db = on(&disk, 3)
            .open()
            .unwrap_or_else(|e| panic!("{context}: {e}"));
        db.verify_blocks().unwrap();
        assert!(dump(&db) == served, "{context}, {done:?}");
        assert_eq!(db.blocks().len(), 2, "{context}");
        let left = block_dirs(&disk).iter().any(|dir| name_of(dir) == ulid);
        match left {
            true => before += 1,
            false => after += 1,
        }
        assert_eq!(asides(&disk).len(), usize::from(!left), "{context}");
        assert_eq!(mend_all(&db, &context), usize::from(left), "{context}");
        assert!(dump(&db) == served, "{context}, second try");
    }
    assert!(before > 3 && after > 1, "{before} {after}");
}

/// The others are merged without a damaged block; once it is mended, it joins them.
#[test]
fn a_damaged_block_holds_up_nobody() {
    let files = MemoryFiles::new();
    let db = on(&files, 1).open().unwrap();
    fill(&db, 4);
    db.close().unwrap();
    drop(db);
    let bad = block_dirs(&files)[1].clone();
    let chunks = bad.join("chunks/000001");
    spoil(&files, &chunks, (1, 2), false);
    let db = on(&files, 2).open().unwrap();
    // Nobody has seen the damage yet: the merge does.
    assert!(db.damaged_blocks().is_empty());
    assert_eq!(db.maintain().unwrap().merges, 1);
    assert_eq!(db.blocks().len(), 3, "two of them have become one");
    let served = dump(&db);
    assert_eq!(db.damaged_blocks().len(), 1);
    assert_eq!(db.maintain().unwrap().merges, 0, "the others are done");
    assert_eq!(mend_all(&db, "chunk"), 1);
    assert_eq!(db.maintain().unwrap().merges, 1);
    assert_eq!(db.blocks().len(), 2);
    assert!(dump(&db) == served);
    drop(db);
    assert!(dump(&on(&files, 3).open().unwrap()) == served);
}

#[test]
fn what_was_set_aside_counts_and_is_the_first_to_go() {
    let files = MemoryFiles::new();
    let db = on(&files, 1).open().unwrap();
    fill(&db, 3);
    db.close().unwrap();
    drop(db);
    let bad = block_dirs(&files)[2].clone();
    spoil(&files, &bad.join("chunks/000001"), (1, 2), false);
    let db = on(&files, 2).open().unwrap();
    mend_all(&db, "chunk");
    let served = dump(&db);
    db.maintain().unwrap();
    let all = files.dir_size(Path::new("data")).unwrap();
    db.set_retention(|keep| keep.bytes = all);
    assert_eq!(db.maintain().unwrap().removed, 0);
    // Less than all of them take: what nobody reads goes, and no block.
    db.set_retention(|keep| keep.bytes = all - 1);
    assert_eq!(db.maintain().unwrap().removed, 1);
    assert!(asides(&files).is_empty());
    assert!(dump(&db) == served);
}

#[test]
fn a_block_without_an_index_is_set_aside_or_served_again() {
    let files = MemoryFiles::new();
    let db = on(&files, 1).open().unwrap();
    fill(&db, 2);
    let whole = dump(&db);
    db.close().unwrap();
    drop(db);
    let bad = block_dirs(&files)[0].clone();
    let index = bad.join("index");
    let bytes = files.read(&index).unwrap();
    files.remove_file(&index).unwrap();
    let db = on(&files, 2).open().unwrap();
    let served = dump(&db);
    assert_eq!(db.blocks().len(), 1);
    // Somebody has a copy.
    files.write_atomic(&index, &bytes).unwrap();
    assert_eq!(db.mend_block(name_of(&bad)).unwrap(), None);
    assert!(dump(&db) == whole && db.damaged_blocks().is_empty());
    drop(db);
    // Nobody has.
    files.remove_file(&index).unwrap();
    let db = on(&files, 3).open().unwrap();
    let mended = db.mend_block(name_of(&bad)).unwrap().unwrap();
    assert_eq!(mended.replaced_by, None);
    assert!(files.is_dir(&mended.set_aside));
    assert!(dump(&db) == served && db.damaged_blocks().is_empty());
    drop(db);
    let db = on(&files, 4).open().unwrap();
    assert!(db.damage().is_empty() && dump(&db) == served);
}

/// A crash has left a block that is superseded, and of which nothing can be read.
#[test]
fn what_is_superseded_is_not_missed() {
    let files = MemoryFiles::new();
    let db = on(&files, 1).open().unwrap();
    fill(&db, 4);
    db.close().unwrap();
    drop(db);
    let old = block_dirs(&files)[0].clone();
    let copy = copied(&files);
    let db = on(&files, 2).open().unwrap();
    assert_eq!(db.maintain().unwrap().merges, 1);
    let merged = dump(&db);
    drop(db);
    // The directory comes back without its index.
    files.create_dir_all(&old.join("chunks")).unwrap();
    let meta = copy.read(&old.join("meta.json")).unwrap();
    files.write_atomic(&old.join("meta.json"), &meta).unwrap();
    let db = on(&files, 3).open().unwrap();
    assert!(db.damage().is_empty(), "{:?}", db.damage());
    assert!(db.damaged_blocks().is_empty() && !files.is_dir(&old));
    assert!(dump(&db) == merged);
}
