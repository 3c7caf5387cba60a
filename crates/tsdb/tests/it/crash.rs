//! What is left after the power fails.

use std::sync::Arc;

use headwater_env::{Env, FaultyFiles, SeededRng};
use headwater_storage::{Append, Result};
use headwater_tsdb::{Builder, Db, Durability};

use crate::support::{builder, dump, labels};

const BATCHES: i64 = 12;
const SERIES: i64 = 5;

fn on(disk: &FaultyFiles, durability: Durability) -> Builder {
    let env = Env {
        files: Arc::new(disk.clone()),
        rng: Arc::new(SeededRng::new(7)),
        ..Env::in_memory(7)
    };
    builder("data", env).configure(|options| {
        options.durability = durability;
        options.segment_bytes = 1;
    })
}

fn write(db: &Db, at: i64) -> Result<()> {
    let mut batch = db.appender(Default::default())?;
    for n in 0..SERIES {
        // Every other batch brings a new set of series.
        let name = labels(&[("n", &n.to_string()), ("age", &(at / 2).to_string())]);
        let series = batch.series(&name).expect("the series is taken");
        batch
            .append_float(series, at * 1000, at as f64)
            .expect("the sample is taken");
    }
    batch.commit()?.wait()
}

/// Writes batches until something fails; says how many were acknowledged.
fn run(disk: &FaultyFiles, durability: Durability) -> i64 {
    let Ok(db) = on(disk, durability).open() else {
        return 0;
    };
    (0..BATCHES)
        .find(|at| write(&db, *at).is_err())
        .unwrap_or(BATCHES)
}

/// How many batches are there; each must be there whole, and no later one
/// without those before it.
fn whole_batches(disk: &FaultyFiles, durability: Durability, context: &str) -> i64 {
    let db = on(disk, durability)
        .open()
        .unwrap_or_else(|e| panic!("{context}: {e}"));
    let mut counts = [0; BATCHES as usize];
    for (series, samples) in dump(&db) {
        for (time, value) in samples {
            let at = time / 1000;
            assert_eq!(
                value,
                format!("{:016x}", (at as f64).to_bits()),
                "{context}: {series}"
            );
            counts[at as usize] += 1;
        }
    }
    let whole = counts.iter().take_while(|c| **c == SERIES).count();
    let rest = counts[whole..].iter().sum::<i64>();
    assert_eq!(rest, 0, "{context}: parts of batches {counts:?}");
    // The store goes on.
    write(&db, BATCHES).unwrap_or_else(|e| panic!("{context}: {e}"));
    whole as i64
}

#[test]
fn acknowledged_batches_survive_a_power_cut_at_any_operation() {
    let clean = FaultyFiles::new(0);
    assert_eq!(run(&clean, Durability::OnCommit), BATCHES);
    let operations = clean.operations();
    for cut in 0..operations {
        for seed in 0..3 {
            let disk = FaultyFiles::new(seed * 1000 + cut);
            disk.cut_power_after(cut);
            let acknowledged = run(&disk, Durability::OnCommit);
            disk.crash();
            let context = format!("cut {cut} of {operations}, seed {seed}");
            let left = whole_batches(&disk, Durability::OnCommit, &context);
            assert!(
                left >= acknowledged,
                "{context}: {left} of {acknowledged} left"
            );
        }
    }
}

#[test]
fn a_killed_process_loses_nothing_that_was_committed() {
    let disk = FaultyFiles::new(1);
    let acknowledged = run(&disk, Durability::System);
    // The files are as the kernel has them: no crash of the machine.
    assert_eq!(
        whole_batches(&disk, Durability::System, "killed"),
        acknowledged
    );
}

#[test]
fn without_syncs_a_power_cut_leaves_a_beginning_or_reports_damage() {
    for seed in 0..200 {
        let disk = FaultyFiles::new(seed);
        let db = on(&disk, Durability::System).open().unwrap();
        for at in 0..BATCHES {
            write(&db, at).unwrap();
        }
        disk.crash();
        drop(db);
        let db = on(&disk, Durability::System).open().unwrap();
        for (series, samples) in dump(&db) {
            for (time, value) in samples {
                let wanted = format!("{:016x}", ((time / 1000) as f64).to_bits());
                assert_eq!(value, wanted, "seed {seed}: {series}: invented");
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_the_log_is_found_and_reported() {
    let clean = FaultyFiles::new(0);
    run(&clean, Durability::System);
    let len = 900;
    for at in (0..len).step_by(7) {
        let disk = FaultyFiles::new(0);
        let all = run(&disk, Durability::System);
        let path = std::path::Path::new("data/wal/00000000");
        if disk.flip_bit(path, at, (at % 8) as u8).is_err() {
            continue;
        }
        let db = on(&disk, Durability::System).open().unwrap();
        let found: usize = dump(&db).values().map(Vec::len).sum();
        let lost = found < (all * SERIES) as usize;
        assert!(
            !lost || !db.damage().is_empty(),
            "byte {at}: lost in silence"
        );
        for samples in dump(&db).values() {
            for (time, value) in samples {
                assert_eq!(*value, format!("{:016x}", ((time / 1000) as f64).to_bits()));
            }
        }
        drop(db);
        let again = on(&disk, Durability::System).open().unwrap();
        let left: usize = dump(&again).values().map(Vec::len).sum();
        assert_eq!(
            left, found,
            "byte {at}: the repair has changed what is there"
        );
    }
}
