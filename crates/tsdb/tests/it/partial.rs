//! Blocks that have some series only, as Prometheus makes them of series that
//! have gone stale.

use std::path::Path;

use headwater_env::{Env, FilesExt};
use headwater_tsdb::Db;

use crate::support::{batch, builder, commit, dump, labels};

const STEP: i64 = 15_000;
const HOURS: i64 = 3_600_000;

fn write(db: &Db, rounds: std::ops::Range<i64>) {
    for round in rounds {
        let mut batch = batch(db);
        for n in 0..3 {
            let series = batch.series(&labels(&[("n", &n.to_string())])).unwrap();
            batch
                .append_float(series, round * STEP, round as f64)
                .unwrap();
        }
        commit(batch);
    }
}

/// Gives all blocks a hint, as if they had been made so.
fn mark(env: &Env, db: &Db, hint: &str) {
    for block in db.blocks() {
        let path = Path::new("data").join(&block.ulid).join("meta.json");
        let text = env.files.read(&path).unwrap();
        let mut json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        json["compaction"]["hints"] = serde_json::json!([hint]);
        let text = serde_json::to_vec(&json).unwrap();
        env.files.write_atomic(&path, &text).unwrap();
    }
}

#[test]
fn the_log_is_read_behind_a_block_of_some_series() {
    for (hint, wanted) in [
        ("from-stale-series", 0),
        ("from-selected-series", 0),
        ("something-else", 2 * HOURS),
    ] {
        let env = Env::in_memory(1);
        let db = builder("data", env.clone()).open().unwrap();
        write(&db, 0..600);
        db.flush_before(2 * HOURS + 1).unwrap();
        let all = dump(&db);
        mark(&env, &db, hint);
        drop(db);
        let db = builder("data", env.clone()).open().unwrap();
        assert_eq!(dump(&db), all, "{hint}");
        assert_eq!(db.stats().unwrap().min_time, Some(wanted), "{hint}");
    }
}

#[test]
fn blocks_of_some_series_are_merged_among_themselves() {
    let env = Env::in_memory(1);
    let open = || {
        builder("data", env.clone())
            .configure(|options| options.max_block_range = 6 * HOURS)
            .open()
            .unwrap()
    };
    let db = open();
    write(&db, 0..1500);
    db.flush_before(4 * HOURS).unwrap();
    mark(&env, &db, "from-stale-series");
    drop(db);
    let db = open();
    write(&db, 1500..4000);
    let wanted = dump(&db);
    db.maintain().unwrap();
    let is_partial = |block: &headwater_tsdb::BlockMeta| block.has_hint("from-stale-series");
    let (partial, whole): (Vec<_>, Vec<_>) = db.blocks().into_iter().partition(is_partial);
    assert!(!partial.is_empty() && !whole.is_empty());
    assert!(whole.iter().all(|block| block.compaction.hints.is_empty()));
    assert_eq!(dump(&db), wanted);
    drop(db);
    assert_eq!(dump(&open()), wanted);
}
