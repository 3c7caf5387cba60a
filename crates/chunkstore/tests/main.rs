//! The store as a whole: the contract of reading, crashes, full disks, damage.

mod maintenance;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use headwater_chunkstore::{
    ChunkStore, Config, LocalObjects, Object, ObjectClient, PushEntry, PushStream, Upload,
};
use headwater_env::{Env, FaultyFiles, Files, FilesExt, MemoryFiles};
use headwater_model::Labels;
use headwater_storage::logs::{
    Direction, LogBlock, LogRequest, NanoRange, SelectLogs, conformance,
};
use headwater_storage::{Error, ErrorKind, Result, block_on};

fn env(files: Arc<dyn Files>) -> Env {
    Env {
        files,
        ..Env::in_memory(1)
    }
}

fn open(files: Arc<dyn Files>) -> Arc<ChunkStore> {
    Arc::new(ChunkStore::open(env(files), Config::new("logs")).unwrap())
}

fn entry(time: i64, line: &str) -> PushEntry {
    PushEntry {
        time,
        line: line.as_bytes().to_vec(),
        metadata: Labels::empty(),
    }
}

fn stream(app: &str, entries: Vec<PushEntry>) -> PushStream {
    PushStream {
        labels: Labels::from_pairs([("app", app)]),
        entries,
    }
}

fn lines(store: &Arc<ChunkStore>, direction: Direction) -> Vec<(i64, String)> {
    let request = LogRequest::new(Vec::new(), NanoRange::ALL, direction);
    let logs = store.logs("t");
    let mut cursor = block_on(logs.select_logs(request)).unwrap();
    let (mut out, mut block) = (Vec::new(), LogBlock::default());
    while cursor.advance().unwrap().is_some() {
        while cursor.read(&mut block).unwrap() {
            out.extend((0..block.len()).map(|at| {
                (
                    block.times()[at],
                    String::from_utf8(block.line(at).to_vec()).unwrap(),
                )
            }));
        }
    }
    out
}

/// A store that is flushed and opened again every so many pushes still keeps the contract of reading.
#[test]
fn conforms_wherever_the_entries_lie() {
    for flush_every in [usize::MAX, 1000, 3] {
        conformance::check(|| {
            let store = open(Arc::new(MemoryFiles::new()));
            let (writer, mut count) = (store.clone(), 0);
            let push = move |labels: &Labels, time: i64, line: &str, metadata: &Labels| {
                let entries = vec![PushEntry {
                    time,
                    line: line.as_bytes().to_vec(),
                    metadata: metadata.clone(),
                }];
                writer
                    .push(
                        "t",
                        &[PushStream {
                            labels: labels.clone(),
                            entries,
                        }],
                    )
                    .unwrap();
                count += 1;
                // The first entries only, or ten thousand pushes would make thousands of parts.
                if count % flush_every == 0 && (flush_every > 100 || count < 60) {
                    writer.flush().unwrap();
                }
            };
            (store.logs("t"), push)
        });
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_anywhere() {
    for seed in 0..40u64 {
        let disk = Arc::new(FaultyFiles::new(seed));
        let mut acknowledged = Vec::new();
        for life in 0..4i64 {
            let store = open(disk.clone());
            assert!(
                store.damaged().is_empty(),
                "seed {seed}: {:?}",
                store.damaged()
            );
            let there = lines(&store, Direction::Forward);
            assert_eq!(there, acknowledged, "seed {seed}, life {life}");
            for at in 0..(seed as i64 % 7) + 3 {
                let time = life * 1000 + at;
                store
                    .push(
                        "t",
                        &[stream("a", vec![entry(time, &format!("line {time}"))])],
                    )
                    .unwrap();
                acknowledged.push((time, format!("line {time}")));
                if at == seed as i64 % 5 {
                    store.flush().unwrap();
                }
            }
            disk.crash();
        }
    }
}

#[test]
fn a_full_disk_refuses_pushes_and_recovers_without_a_restart() {
    let disk = Arc::new(FaultyFiles::new(3));
    let store = open(disk.clone());
    store
        .push("t", &[stream("a", vec![entry(1, "before")])])
        .unwrap();
    disk.limit_space(0);
    let refused = store
        .push("t", &[stream("a", vec![entry(2, &"x".repeat(100_000))])])
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NoSpace, "{refused}");
    assert!(store.flush().is_err());
    assert_eq!(
        lines(&store, Direction::Backward),
        [(1, "before".into())],
        "reads go on"
    );
    disk.free_up_space();
    store
        .push("t", &[stream("a", vec![entry(3, "after")])])
        .unwrap();
    store.flush().unwrap();
    let wanted = [(1, "before".into()), (3, "after".into())];
    assert_eq!(lines(&store, Direction::Forward), wanted);
    drop(store);
    assert_eq!(lines(&open(disk), Direction::Forward), wanted);
}

#[test]
fn a_damaged_part_is_named_and_the_others_are_served() {
    let files = Arc::new(MemoryFiles::new());
    let store = open(files.clone());
    for at in 0..3 {
        store
            .push("t", &[stream("a", vec![entry(at, "line")])])
            .unwrap();
        store.flush().unwrap();
    }
    drop(store);
    let path = Path::new("logs/parts/t/0000000002.part");
    let mut bytes = files.read(path).unwrap();
    let middle = bytes.len() - 30;
    bytes[middle] ^= 1;
    files.write_atomic(path, &bytes).unwrap();
    let store = open(files);
    assert!(
        store.damaged().len() == 1 && store.damaged()[0].contains("0000000002.part"),
        "{:?}",
        store.damaged()
    );
    assert_eq!(
        lines(&store, Direction::Forward)
            .iter()
            .map(|line| line.0)
            .collect::<Vec<_>>(),
        [0, 2]
    );
}

/// Files that answer, or do not.
#[derive(Debug)]
struct Unreliable {
    objects: LocalObjects,
    silent: AtomicBool,
}

impl ObjectClient for Unreliable {
    fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.objects.list(folder)
    }

    fn upload(&self, name: &str) -> Result<Box<dyn Upload>> {
        self.objects.upload(name)
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Object>> {
        match self.silent.load(Ordering::Relaxed) {
            true => Err(Error::new(ErrorKind::Unavailable, "no answer")),
            false => self.objects.open(name),
        }
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.objects.remove(name)
    }
}

#[test]
fn parts_that_cannot_be_reached_are_not_taken_for_damaged() {
    let files: Arc<dyn Files> = Arc::new(MemoryFiles::new());
    let objects = Arc::new(Unreliable {
        objects: LocalObjects::new(files.clone(), "parts").unwrap(),
        silent: AtomicBool::new(false),
    });
    let open = || ChunkStore::open_with(env(files.clone()), Config::new("logs"), objects.clone());
    let store = open().unwrap();
    store
        .push("t", &[stream("a", vec![entry(1, "x")])])
        .unwrap();
    store.flush().unwrap();
    drop(store);
    objects.silent.store(true, Ordering::Relaxed);
    assert_eq!(open().unwrap_err().kind(), ErrorKind::Unavailable);
    objects.silent.store(false, Ordering::Relaxed);
    let store = Arc::new(open().unwrap());
    assert_eq!(lines(&store, Direction::Forward), [(1, "x".into())]);
}

#[test]
fn names_of_tenants_cannot_leave_their_folder() {
    let store = open(Arc::new(MemoryFiles::new()));
    for bad in ["", "..", "a/b", "é", &"x".repeat(151)] {
        let refused = store
            .push(bad, &[stream("a", vec![entry(1, "x")])])
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{bad}");
    }
    assert!(store.tenants().is_empty());
}

#[test]
fn streams_are_listed_wherever_they_lie() {
    let store = open(Arc::new(MemoryFiles::new()));
    store
        .push("t", &[stream("old", vec![entry(1, "x")])])
        .unwrap();
    store.flush().unwrap();
    store
        .push(
            "t",
            &[
                stream("new", vec![entry(2, "x")]),
                stream("old", vec![entry(3, "x")]),
            ],
        )
        .unwrap();
    let names: Vec<_> = store
        .streams("t")
        .iter()
        .map(|labels| labels.get("app").unwrap().to_owned())
        .collect();
    assert_eq!(names, ["new", "old"]);
    assert!(store.streams("other").is_empty());
}

/// Pushes and flushes until the power goes; answers what was acknowledged and what was tried.
fn live(disk: &Arc<FaultyFiles>) -> (Vec<i64>, i64) {
    let mut acknowledged = Vec::new();
    let Ok(store) = ChunkStore::open(env(disk.clone()), Config::new("logs")) else {
        return (acknowledged, 0);
    };
    let mut tried = 0;
    for time in 0..12 {
        tried = time + 1;
        if store
            .push("t", &[stream("a", vec![entry(time, "x")])])
            .is_ok()
        {
            acknowledged.push(time);
        }
        if time % 5 == 4 {
            // A flush that fails loses nothing: the log has it.
            let _ = store.flush();
        }
    }
    (acknowledged, tried)
}

#[test]
fn the_power_may_be_cut_during_every_single_operation() {
    let whole = Arc::new(FaultyFiles::new(0));
    live(&whole);
    let operations = whole.operations();
    assert!(operations > 30, "{operations} operations");
    for cut in 0..operations {
        let disk = Arc::new(FaultyFiles::new(cut));
        disk.cut_power_after(cut);
        let (acknowledged, tried) = live(&disk);
        disk.crash();
        let store = open(disk);
        let found: Vec<i64> = lines(&store, Direction::Forward)
            .iter()
            .map(|line| line.0)
            .collect();
        for time in &acknowledged {
            assert!(
                found.contains(time),
                "cut {cut}: entry {time} was acknowledged and is gone: {found:?}"
            );
        }
        assert!(
            found.windows(2).all(|pair| pair[0] < pair[1]),
            "cut {cut}: {found:?}"
        );
        assert!(
            found.iter().all(|time| *time < tried),
            "cut {cut}: {found:?}"
        );
    }
}
