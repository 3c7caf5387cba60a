//! A process that is killed in the middle of everything.
//!
//! The test starts itself again as a writer, which appends, deletes, compacts, shortens its log,
//! takes snapshots and reopens its store, and says on its output what is done. The test kills it
//! at some moment and looks at what is left: nothing that was acknowledged is lost, nothing is
//! invented, and the store opens by itself. 50 kills; `HEADWATER_KILLS` says another number.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use headwater_env::{Env, RngExt, SystemRng};
use headwater_model::{Matcher, SeriesColumns, TimeRange, stale_nan};
use headwater_storage::{Delete, Select, SelectRequest, block_on};
use headwater_tsdb::{Builder, Db};

use crate::support::{batch, builder, commit, labels};

const DIR: &str = "HEADWATER_TEST_KILLED_DIR";
const SERIES: i64 = 20;
const STEP: i64 = 15_000;
/// Every so many batches a sample comes late, by so many steps.
const LATE_EVERY: i64 = 3;
const LATE_BY: i64 = 10;
/// The series of which samples are deleted, and the one whose samples come late.
const DELETED: i64 = 3;
const LATE: i64 = 0;
/// So many batches have a series that then ends, and leaves the head early.
const LIFE: i64 = 40;
/// The numbers of such series begin here.
const BRIEF: i64 = 1000;
/// Batches that are kept for sure.
const KEPT: i64 = 1500;

/// Small segments and blocks, so that everything happens often.
fn open(dir: &Path) -> Builder {
    builder(dir, Env::real()).configure(|options| {
        options.segment_bytes = 1;
        options.block_range = 40 * STEP;
        options.max_block_range = 360 * STEP;
        options.out_of_order_window = Duration::from_millis((100 * STEP) as u64);
        options.retention = Duration::from_millis((KEPT * STEP) as u64);
        options.snapshot_on_close = true;
        options.stale_series_threshold = 0.04;
    })
}

fn series_name(n: i64) -> headwater_model::Labels {
    labels(&[("__name__", "killed"), ("n", &n.to_string())])
}

fn late_time(at: i64) -> i64 {
    (at - LATE_BY) * STEP + 1
}

fn is_late(at: i64) -> bool {
    at % LATE_EVERY == 0 && at >= LATE_BY
}

fn write(db: &Db, at: i64) {
    let mut batch = batch(db);
    for n in 0..SERIES {
        let series = batch.series(&series_name(n)).unwrap();
        if n == LATE && is_late(at) {
            batch
                .append_float(series, late_time(at), at as f64 + 0.5)
                .unwrap();
        }
        batch
            .append_float(series, at * STEP, (at + n) as f64)
            .unwrap();
    }
    let (life, last) = (at / LIFE, at % LIFE == LIFE - 1);
    let brief = batch.series(&series_name(BRIEF + life)).unwrap();
    let value = if last { stale_nan() } else { at as f64 };
    batch.append_float(brief, at * STEP, value).unwrap();
    commit(batch);
}

/// The batches whose samples of one series are deleted.
type Range = (i64, i64);

fn delete(db: &Db, (first, last): Range) {
    let all = vec![Matcher::equal("n", DELETED.to_string())];
    block_on(db.delete(all, TimeRange::new(first * STEP, last * STEP))).unwrap();
}

/// The batches that series `n` has, and those whose late sample it has. Values are checked.
fn batches_of(db: &Db, n: i64) -> (Vec<i64>, Vec<i64>) {
    let matchers = vec![Matcher::equal("n", n.to_string())];
    let mut cursor = block_on(db.select(SelectRequest::new(matchers, TimeRange::ALL))).unwrap();
    let mut columns = SeriesColumns::default();
    let (mut in_order, mut late) = (Vec::new(), Vec::new());
    while let Some(labels) = cursor.advance().unwrap() {
        assert_eq!(labels, series_name(n));
        cursor.read(&mut columns).unwrap();
        for (time, value) in columns.floats.times.iter().zip(&columns.floats.values) {
            let at = match time % STEP {
                0 => time / STEP,
                _ => time / STEP + LATE_BY,
            };
            if time % STEP == 0 {
                assert_eq!(*value, (at + n) as f64, "{labels} at {time}");
                in_order.push(at);
            } else {
                assert!(
                    n == LATE && is_late(at) && late_time(at) == *time,
                    "{time} is invented"
                );
                assert_eq!(*value, at as f64 + 0.5, "{labels} at {time}");
                late.push(at);
            }
        }
    }
    let warnings = cursor.take_warnings();
    assert!(warnings.is_empty(), "{warnings:?}");
    (in_order, late)
}

/// What a life of the writer has said.
#[derive(Debug, Default)]
struct Told {
    /// Batches that are committed: all below.
    committed: i64,
    deleted: Vec<Range>,
    /// A deletion that was begun and not acknowledged.
    deleting: Vec<Range>,
    /// Batches that were there after a kill without being acknowledged.
    interrupted: Vec<i64>,
    /// Blocks of series that have ended.
    early: i64,
    /// The last snapshot that is complete, by the number of batches in it.
    snapshot: Option<i64>,
}

impl Told {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<i64>().unwrap();
        match words[0] {
            "committed" => self.committed = number(1) + 1,
            "deleting" => self.deleting.push((number(1), number(2))),
            "deleted" => self.deleted.push((number(1), number(2))),
            "snapshot" => self.snapshot = Some(number(1)),
            "early" => self.early += number(1),
            _ => {}
        }
    }
}

fn covers(ranges: &[Range], at: i64) -> bool {
    ranges
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&at))
}

/// Series that have ended are whole, with their marker.
fn check_brief(db: &Db, kept: i64, told: &Told, context: &str) {
    for life in kept / LIFE + 1..told.committed / LIFE {
        let n = (BRIEF + life).to_string();
        let matchers = vec![Matcher::equal("n", n)];
        let request = SelectRequest::new(matchers, TimeRange::ALL);
        let mut cursor = block_on(db.select(request)).unwrap();
        let mut columns = SeriesColumns::default();
        assert!(cursor.advance().unwrap().is_some(), "{context}: no {life}");
        cursor.read(&mut columns).unwrap();
        let batches: Vec<i64> = columns
            .floats
            .times
            .iter()
            .map(|time| time / STEP)
            .collect();
        let wanted: Vec<i64> = (life * LIFE..(life + 1) * LIFE).collect();
        assert_eq!(batches, wanted, "{context}: life {life}");
        let values = columns.floats.values.iter().map(|value| value.to_bits());
        let wanted = wanted.iter().map(|at| match at % LIFE == LIFE - 1 {
            true => stale_nan().to_bits(),
            false => (*at as f64).to_bits(),
        });
        assert!(values.eq(wanted), "{context}: life {life}");
    }
}

/// Checks a store; says how many batches it has had.
fn check(db: &Db, told: &Told, context: &str) -> i64 {
    let (first_series, _) = batches_of(db, 1);
    let batches = first_series.last().map_or(0, |last| last + 1);
    let kept = (batches - KEPT).max(0);
    assert!(
        batches >= told.committed,
        "{context}: {batches} batches left"
    );
    check_brief(db, kept, told, context);
    for n in 0..SERIES {
        let (there, late) = batches_of(db, n);
        let missing: Vec<i64> = (kept..batches)
            .filter(|at| there.binary_search(at).is_err())
            .collect();
        let may_miss = |at: &i64| n == DELETED && covers(&told.deleting, *at);
        let lost: Vec<&i64> = missing.iter().filter(|at| !may_miss(at)).collect();
        assert!(lost.is_empty(), "{context}: series {n} lacks {lost:?}");
        if n == DELETED {
            let back: Vec<&i64> = there
                .iter()
                .filter(|at| covers(&told.deleted, **at))
                .collect();
            assert!(back.is_empty(), "{context}: {back:?} are back");
        }
        if n == LATE {
            // They have a log of their own, so the end of a batch whose commit was interrupted may
            // be there without them.
            let wanted = (kept + LATE_BY..told.committed).filter(|at| is_late(*at));
            let wanted = wanted.filter(|at| !told.interrupted.contains(at));
            let lost: Vec<i64> = wanted
                .filter(|at| late.binary_search(at).is_err())
                .collect();
            assert!(lost.is_empty(), "{context}: late samples {lost:?}");
        }
    }
    batches
}

/// Not a test of its own: what the test below runs in another process.
#[test]
fn writer() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let dir = Path::new(&dir);
    let mut db = open(dir).open().unwrap();
    let first = batches_of(&db, 1).0.last().map_or(0, |last| last + 1);
    for at in first.. {
        write(&db, at);
        println!("committed {at}");
        if at % 37 == 36 {
            let range = (at - 30, at - 25);
            println!("deleting {} {}", range.0, range.1);
            delete(&db, range);
            println!("deleted {} {}", range.0, range.1);
        }
        if at % 50 == 49 {
            let done = db.maintain().unwrap();
            println!("early {}", done.early_blocks);
        }
        if at % 61 == 60 {
            let copy = dir.join("snapshots").join(format!("{at}"));
            // One that an earlier life has begun is in the way.
            let _ = std::fs::remove_dir_all(&copy);
            db.snapshot(&copy, true).unwrap();
            println!("snapshot {}", at + 1);
        }
        if at % 83 == 82 {
            db.clean_tombstones().unwrap();
        }
        if at % 97 == 96 {
            db.close().unwrap();
            drop(db);
            println!("closed");
            db = open(dir).open().unwrap();
        }
    }
}

/// Lets a writer live for so many lines, kills it and hears what it has said.
fn live_and_die(dir: &Path, patience: usize, told: &mut Told) {
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["killed::writer", "--exact", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    let mut heard = 0;
    for line in lines.by_ref() {
        heard += usize::from(line.starts_with("committed"));
        told.hear(&line);
        if heard >= patience {
            break;
        }
    }
    writer.kill().unwrap();
    writer.wait().unwrap();
    // What it said before it died counts, too. A line is written at once, so none is cut short.
    lines.for_each(|line| told.hear(&line));
    assert!(heard >= patience, "the writer has died by itself");
}

#[test]
fn nothing_acknowledged_is_lost_when_a_process_is_killed() {
    let kills: u32 = std::env::var("HEADWATER_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(50);
    let dir = tempfile::tempdir().unwrap();
    let rng = SystemRng::new();
    let mut told = Told::default();
    for kill in 0..kills {
        live_and_die(dir.path(), 1 + rng.below(120) as usize, &mut told);
        let context = format!("kill {kill}, {} batches", told.committed);
        let db = open(dir.path())
            .open()
            .unwrap_or_else(|e| panic!("{context}: {e}"));
        // The end of the log may be torn, nothing else.
        assert!(db.damage().len() <= 1, "{context}: {:?}", db.damage());
        assert!(
            db.damaged_blocks().is_empty(),
            "{context}: {:?}",
            db.damaged_blocks()
        );
        let batches = check(&db, &told, &context);
        told.interrupted.extend(told.committed..batches);
        if let Some(batches) = told.snapshot.take() {
            let copy = dir
                .path()
                .join("snapshots")
                .join(format!("{}", batches - 1));
            let copy = open(&copy).open().unwrap();
            let then = Told {
                committed: batches,
                // What was deleted later is still there.
                deleting: std::mem::take(&mut told.deleting),
                interrupted: told.interrupted.clone(),
                ..Told::default()
            };
            assert_eq!(
                check(&copy, &then, &format!("snapshot, {context}")),
                batches
            );
            told.deleting = then.deleting;
        }
        let _ = std::fs::remove_dir_all(dir.path().join("snapshots"));
    }
    println!(
        "{kills} kills, {} batches, {} early blocks",
        told.committed, told.early
    );
    assert!(told.early > 0 || kills < 10, "no series left early");
}
