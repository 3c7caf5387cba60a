//! A store that serves while its log is read.

use std::path::Path;
use std::sync::Arc;

use headwater_env::{
    DirEntry, Env, FaultyFiles, File, FileError, Files, OpenMode, Region, SeededRng,
};
use headwater_model::{Exemplar, Histogram, Matcher, SeriesColumns, TimeRange};
use headwater_storage::{
    Append, AppendError, Appender, Delete, ErrorKind, LabelQueries, LabelRequest, SampleValue,
    Select, SelectExemplars, SelectRequest, block_on,
};
use headwater_tsdb::{Builder, Db, Durability, Opening};
use parking_lot::{Condvar, Mutex};

use crate::support::{Dump, batch, builder, dump, labels, rounds_are_whole};

const STEP: i64 = 15_000;

/// Files of which those of the log cannot be opened for reading until a test
/// says so: the replay waits there.
#[derive(Debug)]
struct Gated {
    files: Arc<dyn Files>,
    open: Mutex<bool>,
    opening: Condvar,
}

impl Gated {
    fn new(files: Arc<dyn Files>) -> Arc<Gated> {
        Arc::new(Gated {
            files,
            open: Mutex::new(false),
            opening: Condvar::new(),
        })
    }

    fn let_pass(&self) {
        *self.open.lock() = true;
        self.opening.notify_all();
    }
}

impl Files for Gated {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn File>, FileError> {
        if path.parent() == Some(Path::new("data/wal")) && mode == OpenMode::Read {
            let mut open = self.open.lock();
            self.opening.wait_while(&mut open, |open| !*open);
        }
        self.files.open(path, mode)
    }
    fn map(&self, path: &Path) -> Result<Region, FileError> {
        self.files.map(path)
    }
    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>, FileError> {
        self.files.list(dir)
    }
    fn create_dir_all(&self, dir: &Path) -> Result<(), FileError> {
        self.files.create_dir_all(dir)
    }
    fn sync_dir(&self, dir: &Path) -> Result<(), FileError> {
        self.files.sync_dir(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        self.files.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> Result<(), FileError> {
        self.files.remove_file(path)
    }
    fn remove_dir_all(&self, dir: &Path) -> Result<(), FileError> {
        self.files.remove_dir_all(dir)
    }
    fn hard_link(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        self.files.hard_link(from, to)
    }
    fn file_len(&self, path: &Path) -> Result<Option<u64>, FileError> {
        self.files.file_len(path)
    }
    fn is_dir(&self, path: &Path) -> bool {
        self.files.is_dir(path)
    }
    fn free_space(&self, path: &Path) -> Result<u64, FileError> {
        self.files.free_space(path)
    }
    fn total_space(&self, path: &Path) -> Result<u64, FileError> {
        self.files.total_space(path)
    }
}

fn env(files: Arc<dyn Files>) -> Env {
    Env {
        files,
        rng: Arc::new(SeededRng::new(7)),
        ..Env::in_memory(7)
    }
}

fn gated(inner: &Env) -> (Arc<Gated>, Env) {
    let gate = Gated::new(Arc::clone(&inner.files));
    (Arc::clone(&gate), env(gate))
}

fn on(env: &Env) -> Builder {
    builder("data", env.clone())
}

/// One sample of each kind in each round.
fn put(batch: &mut dyn Appender, round: i64) {
    for n in 0..3 {
        let name = labels(&[("__name__", "float"), ("n", &n.to_string())]);
        let series = batch.series(&name).unwrap();
        let value = SampleValue::Float((round * n) as f64);
        batch.append(series, round * STEP, 0, value).unwrap();
        let exemplar = Exemplar {
            labels: labels(&[("trace_id", &round.to_string())]),
            value: 0.5,
            time: Some(round * STEP),
        };
        batch.exemplar(series, &exemplar).unwrap();
    }
    let histogram = Histogram {
        count: round as u64,
        zero_count: round as u64,
        ..Histogram::default()
    };
    let name = labels(&[("__name__", "new"), ("born", &(round / 10).to_string())]);
    let series = batch.series(&name).unwrap();
    let value = SampleValue::Histogram(&histogram);
    batch.append(series, round * STEP, 0, value).unwrap();
    let float = histogram.to_float();
    let value = SampleValue::FloatHistogram(&float);
    batch.append(series, round * STEP + 1, 0, value).unwrap();
}

fn write(store: &dyn Append, rounds: std::ops::Range<i64>) {
    for round in rounds {
        let mut batch = store.appender(Default::default()).unwrap();
        put(batch.as_mut(), round);
        batch.commit().unwrap().wait().unwrap();
    }
}

/// What a store has that was written to without a break.
fn reference(rounds: i64) -> (Dump, usize) {
    let db = on(&Env::in_memory(7)).open().unwrap();
    write(&db, 0..rounds);
    (dump(&db), exemplars(&db))
}

fn exemplars(db: &Db) -> usize {
    let found = block_on(db.exemplars(vec![Vec::new()], TimeRange::ALL)).unwrap();
    found.iter().map(|series| series.exemplars.len()).sum()
}

#[test]
fn what_comes_early_stands_behind_what_was_there() {
    let disk = Env::in_memory(7);
    write(&on(&disk).open().unwrap(), 0..50);
    let (gate, held) = gated(&disk);
    let store = on(&held).open_early().unwrap();
    assert!(store.db().is_none());
    write(&store, 50..80);
    let early = batch_with_reference(&store);
    gate.let_pass();
    let db = store.wait().unwrap();
    assert_eq!((dump(&db), exemplars(&db)), reference(80));
    assert!(!held.files.is_dir(Path::new("data/early_wal")));
    // A reference of before is forgotten, one that is asked for now is good.
    let mut batch = store.appender(Default::default()).unwrap();
    let append = batch.append_float(early, 80 * STEP, 0.0);
    assert!(matches!(append, Err(AppendError::UnknownSeries)));
    drop(batch);
    write(&store, 80..90);
    assert_eq!(dump(&db), reference(90).0);
    let progress = store.progress();
    assert_eq!(progress.current, progress.last);
    drop((db, store));
    assert_eq!(dump(&on(&disk).open().unwrap()), reference(90).0);
}

fn batch_with_reference(store: &Opening) -> headwater_storage::SeriesRef {
    let mut batch = store.appender(Default::default()).unwrap();
    let name = labels(&[("__name__", "float"), ("n", "0")]);
    batch.series(&name).unwrap()
}

#[test]
fn a_batch_that_is_open_when_the_store_comes_goes_there() {
    let disk = Env::in_memory(7);
    write(&on(&disk).open().unwrap(), 0..50);
    let (gate, held) = gated(&disk);
    let store = on(&held).open_early().unwrap();
    let mut early = store.appender(Default::default()).unwrap();
    put(early.as_mut(), 50);
    gate.let_pass();
    let db = store.wait().unwrap();
    assert_eq!(dump(&db), reference(50).0);
    early.commit().unwrap().wait().unwrap();
    assert_eq!(dump(&db), reference(51).0);
}

#[test]
fn blocks_are_served_and_what_is_missing_is_said() {
    let disk = Env::in_memory(7);
    let db = on(&disk).open().unwrap();
    write(&db, 0..600);
    db.flush_before(480 * STEP).unwrap();
    write(&db, 600..610);
    drop(db);
    let (gate, held) = gated(&disk);
    let store = on(&held).open_early().unwrap();
    let request = SelectRequest::new(vec![Matcher::equal("n", "1")], TimeRange::ALL);
    let mut cursor = block_on(store.select(request.clone())).unwrap();
    let mut columns = SeriesColumns::default();
    assert!(cursor.advance().unwrap().is_some());
    cursor.read(&mut columns).unwrap();
    assert_eq!(columns.floats.len(), 480, "those of the block");
    assert!(cursor.advance().unwrap().is_none());
    let warnings = cursor.take_warnings();
    assert!(warnings[0].contains("still being read"), "{warnings:?}");
    let names = block_on(store.label_names(LabelRequest::all(TimeRange::ALL))).unwrap();
    assert_eq!(names.values, ["__name__", "born", "n"]);
    assert_eq!(names.warnings.len(), 1);
    let refused = block_on(store.delete(Vec::new(), TimeRange::ALL));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotReady);
    gate.let_pass();
    let db = store.wait().unwrap();
    assert_eq!(dump(&db), reference(610).0);
    let mut cursor = block_on(store.select(request)).unwrap();
    assert!(cursor.advance().unwrap().is_some());
    assert!(cursor.take_warnings().is_empty());
}

#[test]
fn a_store_that_is_closed_early_keeps_what_came() {
    let disk = Env::in_memory(7);
    write(&on(&disk).open().unwrap(), 0..50);
    for lives in 0..3 {
        let (gate, held) = gated(&disk);
        let store = on(&held).open_early().unwrap();
        write(&store, 50 + lives * 10..60 + lives * 10);
        store.shut(&gate);
        let refused = store.appender(Default::default()).map(drop);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Canceled);
    }
    // It does not matter how the store is opened then.
    let db = on(&disk).open().unwrap();
    assert_eq!((dump(&db), exemplars(&db)), reference(80));
    assert!(!disk.files.is_dir(Path::new("data/early_wal")));
}

/// Closing while the replay waits.
trait Shut {
    fn shut(&self, gate: &Gated);
}

impl Shut for Opening {
    fn shut(&self, gate: &Gated) {
        std::thread::scope(|scope| {
            let closing = scope.spawn(|| self.close());
            // The replay is let go only when it has been told to stop.
            while !self.is_closing() {
                std::thread::yield_now();
            }
            gate.let_pass();
            closing.join().unwrap().unwrap();
        });
    }
}

#[test]
fn what_turns_out_to_be_old_is_dropped_and_counted() {
    let disk = Env::in_memory(7);
    write(&on(&disk).open().unwrap(), 0..50);
    let (gate, held) = gated(&disk);
    let store = on(&held).open_early().unwrap();
    write(&store, 45..55);
    gate.let_pass();
    let db = store.wait().unwrap();
    let (found, wanted) = (dump(&db), reference(55).0);
    assert_eq!(found, wanted, "the same samples twice are one");
    let mut old = batch(&db);
    let series = old
        .series(&labels(&[("__name__", "float"), ("n", "2")]))
        .unwrap();
    assert!(old.append_float(series, 3 * STEP, 9.0).is_err());
}

const SERIES: i64 = 4;

fn one_batch(store: &dyn Append, at: i64) -> headwater_storage::Result<()> {
    let mut batch = store.appender(Default::default())?;
    for n in 0..SERIES {
        let name = labels(&[("n", &n.to_string()), ("age", &(at / 7).to_string())]);
        let series = batch.series(&name).expect("the series is taken");
        batch
            .append_float(series, at * STEP, at as f64)
            .expect("taken");
    }
    batch.commit()?.wait()
}

/// Four lives, each of which begins to write before its log is read; says how
/// many batches were acknowledged.
fn live(disk: &FaultyFiles) -> i64 {
    let mut done = 0;
    for life in 1..5 {
        let held = env(Arc::new(disk.clone()));
        let opened = on(&held)
            .configure(|options| options.durability = Durability::OnCommit)
            .open_early();
        let Ok(store) = opened else { return done };
        let whole = one_life(&store, &mut done, life);
        // A crash ends the replay, too; here it has to end by itself.
        let _ = store.wait();
        if !whole || (life % 2 == 0 && store.close().is_err()) {
            return done;
        }
    }
    done
}

fn one_life(store: &Opening, done: &mut i64, life: i64) -> bool {
    while *done < life * 10 {
        if one_batch(store, *done).is_err() {
            return false;
        }
        *done += 1;
        if *done % 10 == 5 && store.wait().is_err() {
            return false;
        }
    }
    true
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_that_was_acknowledged() {
    let clean = FaultyFiles::new(0);
    assert_eq!(live(&clean), 40);
    let operations = clean.operations();
    for cut in 0..operations {
        let disk = FaultyFiles::new(cut);
        disk.cut_power_after(cut);
        let acknowledged = live(&disk);
        disk.crash();
        let context = format!("cut {cut} of {operations}");
        let left = env(Arc::new(disk.clone()));
        let db = on(&left)
            .open()
            .unwrap_or_else(|e| panic!("{context}: {e}"));
        rounds_are_whole(&db, 40, (SERIES, STEP), acknowledged, &context);
    }
}

#[test]
fn what_waits_is_bounded() {
    let disk = Env::in_memory(7);
    write(&on(&disk).open().unwrap(), 0..5);
    let (gate, held) = gated(&disk);
    let store = on(&held).open_early().unwrap();
    let long = "x".repeat(1 << 20);
    let mut refused = None;
    for n in 0..300 {
        let mut batch = store.appender(Default::default()).unwrap();
        let name = labels(&[("n", &n.to_string()), ("long", &long)]);
        if let Err(error) = batch.series(&name) {
            refused = Some((n, error));
            break;
        }
    }
    let (n, error) = refused.expect("there is a bound");
    assert!(n > 200, "{n}");
    assert!(matches!(error, AppendError::SeriesLimit(_)), "{error}");
    gate.let_pass();
    store.wait().unwrap();
}
