//! A process that is killed in the middle of everything.
//!
//! The test starts itself again as a writer, which says on its output which
//! batches are committed, kills it at some moment, and looks at what is left.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use headwater_env::{Env, RngExt, SystemRng};
use headwater_tsdb::{Builder, Db};

use crate::support::{batch, builder, commit, dump, labels};

const DIR: &str = "HEADWATER_TEST_KILLED_DIR";
const SERIES: i64 = 20;
const STEP: i64 = 15_000;

/// Small segments and blocks, so that everything happens often.
fn open(dir: &Path) -> Builder {
    builder(dir, Env::real()).configure(|options| {
        options.segment_bytes = 1;
        options.block_range = 40 * STEP;
        options.max_block_range = 360 * STEP;
    })
}

fn write(db: &Db, at: i64) {
    let mut batch = batch(db);
    for n in 0..SERIES {
        let name = labels(&[("__name__", "killed"), ("n", &n.to_string())]);
        let series = batch.series(&name).unwrap();
        batch.append_float(series, at * STEP, at as f64).unwrap();
    }
    commit(batch);
}

/// Checks that batches are there whole, one after the other from the first,
/// and says how many.
fn check(db: &Db) -> i64 {
    let dump = dump(db);
    let batches = dump.values().next().map_or(0, Vec::len);
    for (series, samples) in &dump {
        assert_eq!(samples.len(), batches, "{series}");
        for (at, (time, value)) in samples.iter().enumerate() {
            assert_eq!(*time, at as i64 * STEP, "{series}");
            assert_eq!(
                *value,
                format!("{:016x}", (at as f64).to_bits()),
                "{series}"
            );
        }
    }
    batches as i64
}

/// Not a test of its own: what the test below runs in another process.
#[test]
fn writer() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let db = open(Path::new(&dir)).open().unwrap();
    let first = check(&db);
    for at in first.. {
        write(&db, at);
        println!("committed {at}");
        if at % 50 == 49 {
            db.maintain().unwrap();
        }
    }
}

#[test]
fn nothing_committed_is_lost_when_a_process_is_killed() {
    let kills: u32 = std::env::var("HEADWATER_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(10);
    let dir = tempfile::tempdir().unwrap();
    let rng = SystemRng::new();
    for kill in 0..kills {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["killed::writer", "--exact", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let patience = 1 + rng.below(120) as usize;
        let committed = |line: String| line.strip_prefix("committed ")?.parse::<i64>().ok();
        let mut lines = lines.map_while(Result::ok).filter_map(committed);
        let seen = lines.by_ref().take(patience).last();
        writer.kill().unwrap();
        writer.wait().unwrap();
        // What it said before it died counts, too.
        let acknowledged = lines.last().or(seen).expect("the writer has written");
        let db = open(dir.path()).open().unwrap();
        assert!(db.damage().len() <= 1, "kill {kill}: {:?}", db.damage());
        let left = check(&db);
        assert!(
            left > acknowledged,
            "kill {kill}: {left} left, {acknowledged} acknowledged"
        );
    }
}
