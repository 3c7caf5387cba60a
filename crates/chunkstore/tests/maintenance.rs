//! What the store does beside pushes and queries: workers, merging, retention, and crashes between.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headwater_chunkstore::{ChunkStore, Config, FlushReason, PushStream};
use headwater_env::{Clock, Env, FaultyFiles, Files, ManualClock, MemoryFiles};
use headwater_model::{Labels, Matcher};
use headwater_storage::logs::{Direction, LineNeed, LogBlock, LogRequest, NanoRange, SelectLogs};
use headwater_storage::{ErrorKind, block_on};

use crate::{entry, env, lines, open, stream};

fn config() -> Config {
    let mut config = Config::new("logs");
    config.merge_parts = 4;
    config.part.block_bytes = 2000;
    config
}

fn open_with(files: Arc<dyn Files>, config: Config) -> Arc<ChunkStore> {
    Arc::new(ChunkStore::open(env(files), config).unwrap())
}

fn text(time: i64) -> String {
    format!(
        "level=info n={time} id={:016x}",
        (time as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    )
}

/// Pushes `count` entries of each of three streams, the first at `from`.
fn push(store: &ChunkStore, from: i64, count: i64) {
    let entries = |app: i64| {
        (from..from + count)
            .map(|time| entry(time, &format!("{} app={app}", text(time))))
            .collect()
    };
    let streams: Vec<PushStream> = (0..3)
        .map(|app| stream(&format!("app-{app}"), entries(app)))
        .collect();
    store.push("t", &streams).unwrap();
}

fn parts(files: &dyn Files) -> Vec<String> {
    let entries = files.list(Path::new("logs/parts/t")).unwrap();
    let mut names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
    names.sort();
    names
}

#[test]
fn parts_are_merged_and_nothing_changes_for_queries() {
    // Blocks that are copied, blocks that are written anew, and both.
    for (count, block_bytes) in [(100, 2000), (5, 2000), (30, 20_000)] {
        let files = Arc::new(MemoryFiles::new());
        let mut config = config();
        config.part.block_bytes = block_bytes;
        let store = open_with(files.clone(), config.clone());
        for flush in 0..6 {
            // Every other flush reaches back into the one before, and repeats some of it.
            push(&store, flush * count - (flush % 2) * 3, count);
            store.flush().unwrap();
        }
        let before = lines(&store, Direction::Forward);
        assert_eq!(before.len() as i64, 3 * (6 * count - 9));
        assert_eq!(parts(&*files).len(), 6);
        assert_eq!(store.sweep().unwrap(), []);
        assert_eq!(
            parts(&*files),
            ["0000000001-0000000006.part"],
            "{count} entries"
        );
        assert_eq!(store.counts().merges, 1);
        assert_eq!(lines(&store, Direction::Forward), before);
        let mut reversed = lines(&store, Direction::Backward);
        reversed.sort();
        let mut sorted = before.clone();
        sorted.sort();
        assert_eq!(reversed, sorted);
        let store = open_with(files, config);
        assert_eq!(lines(&store, Direction::Forward), before);
        push(&store, 10_000, 1);
        store.flush().unwrap();
        assert_eq!(lines(&store, Direction::Forward).len(), before.len() + 3);
    }
}

/// Writes, merges and lets expire until the power goes; answers what was acknowledged.
fn live(disk: &Arc<FaultyFiles>, clock: &Arc<ManualClock>) -> Vec<i64> {
    let mut acknowledged = Vec::new();
    let env = Env {
        clock: clock.clone(),
        ..env(disk.clone())
    };
    let Ok(store) = ChunkStore::open(env, config()) else {
        return acknowledged;
    };
    for time in 0..12 {
        if store
            .push("t", &[stream("a", vec![entry(time, &text(time))])])
            .is_ok()
        {
            acknowledged.push(time);
        }
        // What fails here loses nothing.
        let _ = store.flush();
        if time % 4 == 3 {
            let _ = store.sweep();
        }
        // At nanosecond 1004: what is older than 4 goes.
        let _ = store.expire(&|_, _| Some(Duration::from_nanos(1000)));
    }
    acknowledged
}

#[test]
fn the_power_may_be_cut_during_merging_and_retention() {
    let clock = Arc::new(ManualClock::new(0));
    clock.advance(Duration::from_nanos(1004));
    let now = clock.unix_nanos();
    let whole = Arc::new(FaultyFiles::new(0));
    live(&whole, &clock);
    let operations = whole.operations();
    assert!(operations > 100, "{operations} operations");
    for cut in 0..operations {
        let disk = Arc::new(FaultyFiles::new(cut));
        disk.cut_power_after(cut);
        let acknowledged = live(&disk, &clock);
        disk.crash();
        let store = open_with(disk, config());
        assert!(
            store.damaged().is_empty(),
            "cut {cut}: {:?}",
            store.damaged()
        );
        let found: Vec<i64> = lines(&store, Direction::Forward)
            .iter()
            .map(|line| line.0)
            .collect();
        assert!(
            found.windows(2).all(|pair| pair[0] < pair[1]),
            "cut {cut}: {found:?}"
        );
        for time in acknowledged.iter().filter(|time| **time >= now - 1000) {
            assert!(found.contains(time), "cut {cut}: {time} is gone: {found:?}");
        }
    }
}

#[test]
fn entries_expire_by_tenant_and_stream() {
    let files = Arc::new(MemoryFiles::new());
    let clock = Arc::new(ManualClock::new(0));
    let env = Env {
        clock: clock.clone(),
        ..env(files.clone())
    };
    let mut config = config();
    config.merge_parts = 0;
    let store = Arc::new(ChunkStore::open(env, config).unwrap());
    push(&store, 0, 200);
    store.flush().unwrap();
    push(&store, 1000, 10);
    store.flush().unwrap();
    clock.advance(Duration::from_nanos(1050));
    let count = |store: &Arc<ChunkStore>| lines(store, Direction::Forward).len();
    assert_eq!(store.expire(&|_, _| None).unwrap(), 0);
    assert_eq!(
        store
            .expire(&|tenant, _| (tenant == "other").then_some(Duration::ZERO))
            .unwrap(),
        0
    );
    assert_eq!(count(&store), 630);
    // One stream keeps nothing older than 100 ns: its blocks of the first part go.
    let one = |_: &str, labels: &Labels| {
        (labels.get("app") == Some("app-1")).then_some(Duration::from_nanos(100))
    };
    assert_eq!(store.expire(&one).unwrap(), 1);
    assert_eq!(parts(&*files), ["0000000001+1.part", "0000000002.part"]);
    let left = count(&store);
    assert!(
        (430..500).contains(&left),
        "{left} entries: a block may be shared with another stream"
    );
    assert_eq!(store.expire(&one).unwrap(), 0, "nothing more to do");
    assert_eq!(
        store
            .expire(&|_, _| Some(Duration::from_nanos(100)))
            .unwrap(),
        1
    );
    assert_eq!(
        (parts(&*files), count(&store)),
        (vec!["0000000002.part".to_owned()], 30)
    );
    assert_eq!(store.counts().expired, 2);
    drop(store);
    assert_eq!(count(&open(files)), 30);
}

#[test]
fn workers_flush_what_is_full_and_pushes_wait_for_room() {
    let files = Arc::new(MemoryFiles::new());
    let mut config = config();
    config.flush_bytes = 20_000;
    config.max_head_bytes = 30_000;
    config.max_push_wait = Duration::from_secs(60);
    let store = open_with(files, config);
    let workers = store.start_workers(2, |error| panic!("{error}")).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                (0..50).for_each(|round| push(store, thread * 10_000 + round * 20, 20))
            });
        }
    });
    assert!(
        store.counts().flushes[FlushReason::Full as usize] > 3,
        "{:?}",
        store.counts()
    );
    store.flush().unwrap();
    assert_eq!(store.head_bytes(), 0);
    drop(workers);
    assert_eq!(lines(&store, Direction::Forward).len(), 3 * 4 * 50 * 20);
    store.close().unwrap();
}

#[test]
fn without_workers_a_full_head_refuses_pushes_until_it_is_swept() {
    let mut config = config();
    config.flush_bytes = 1000;
    config.max_head_bytes = 2000;
    let store = open_with(Arc::new(MemoryFiles::new()), config);
    let full = (0..1000)
        .find_map(|time| {
            store
                .push("t", &[stream("a", vec![entry(time, &text(time))])])
                .err()
        })
        .unwrap();
    assert_eq!(full.kind(), ErrorKind::Limit, "{full}");
    assert_eq!(store.sweep().unwrap(), [FlushReason::Full]);
    store
        .push("t", &[stream("a", vec![entry(5000, "x")])])
        .unwrap();
}

/// Entries as counted by a query that looks at nothing but times.
fn counted(store: &Arc<ChunkStore>) -> usize {
    let mut request = LogRequest::new(Vec::new(), NanoRange::ALL, Direction::Forward);
    request.hints.lines = LineNeed::Nothing;
    request.hints.without_metadata = true;
    let mut cursor = block_on(store.logs("t").select_logs(request)).unwrap();
    let (mut count, mut block) = (0, LogBlock::default());
    while cursor.advance().unwrap().is_some() {
        while cursor.read(&mut block).unwrap() {
            assert!(block.text().is_empty() && block.metadata_sets().is_empty());
            count += block.len();
        }
    }
    count
}

#[test]
fn counting_needs_no_lines_but_sees_repetitions() {
    let store = open_with(Arc::new(MemoryFiles::new()), config());
    push(&store, 0, 50);
    store.flush().unwrap();
    assert_eq!(counted(&store), 150);
    // The same again, in another part and in a head.
    push(&store, 20, 50);
    store.flush().unwrap();
    push(&store, 60, 20);
    assert_eq!(counted(&store), 240);
    assert_eq!(counted(&store), lines(&store, Direction::Backward).len());
}

#[test]
fn blocks_that_cannot_hold_the_needle_are_not_decoded() {
    let store = open_with(Arc::new(MemoryFiles::new()), config());
    push(&store, 0, 400);
    store.flush().unwrap();
    let id = format!("{:016x}", 333u64.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let ask = |needle: &str| {
        let mut request = LogRequest::new(
            vec![Matcher::equal("app", "app-2")],
            NanoRange::ALL,
            Direction::Backward,
        );
        request.hints.needles = vec![vec![needle.as_bytes().to_vec()]];
        let mut cursor = block_on(store.logs("t").select_logs(request)).unwrap();
        let (mut found, mut block) = (0, LogBlock::default());
        while cursor.advance().unwrap().is_some() {
            while cursor.read(&mut block).unwrap() {
                found += (0..block.len())
                    .filter(|at| memchr::memmem::find(block.line(*at), needle.as_bytes()).is_some())
                    .count();
            }
        }
        (
            found,
            cursor.costs().blocks_read,
            cursor.costs().blocks_skipped,
        )
    };
    let (found, read, skipped) = ask(&id[2..14]);
    assert!(
        found == 1 && (1..4).contains(&read) && skipped > 5,
        "{found} lines, {read} read, {skipped} skipped"
    );
    let (found, read, skipped) = ask("n=77 ");
    assert!(
        found == 1 && read > 5 && skipped == 0,
        "too short for the filter: {read} read, {skipped} skipped"
    );
    let (found, read, _) = ask("deadbeefdead");
    assert!(found == 0 && read < 3, "{read} read");
}
