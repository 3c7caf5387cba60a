use std::path::Path;
use std::sync::Arc;

use headwater_env::{FaultyFiles, FileErrorKind, Files, MemoryFiles};
use headwater_wal::{
    Compression, Config, DamagePolicy, Framing, SyncPolicy, Wal, WalError, repair,
};
use proptest::prelude::*;

use crate::support::{DIR, record, records, shared};

const FRAMINGS: [Framing; 3] = [
    Framing::Frames,
    Framing::Pages(Compression::None),
    Framing::Pages(Compression::Snappy),
];

fn config(framing: Framing, sync: SyncPolicy) -> Config {
    Config::default()
        .framing(framing)
        .segment_bytes(32 << 10)
        .sync(sync)
}

/// Appends numbered batches of three until something fails; says how many
/// batches were acknowledged.
fn append_until_failure(disk: &FaultyFiles, config: Config, batches: usize) -> usize {
    let Ok(log) = Wal::open(shared(disk), Path::new(DIR), config) else {
        return 0;
    };
    for batch in 0..batches {
        let three: Vec<Vec<u8>> = (0..3).map(|i| record(batch * 3 + i)).collect();
        if log.append(&three).is_err() {
            return batch;
        }
    }
    batches
}

#[test]
fn acknowledged_batches_survive_a_power_cut_at_any_operation() {
    for framing in FRAMINGS {
        let clean = FaultyFiles::new(0);
        let config = config(framing, SyncPolicy::EveryCommit);
        append_until_failure(&clean, config.clone(), 25);
        for cut in 0..clean.operations() {
            let disk = FaultyFiles::new(cut);
            disk.cut_power_after(cut);
            let acknowledged = append_until_failure(&disk, config.clone(), 25);
            disk.crash();
            repair(&shared(&disk), Path::new(DIR), framing, DamagePolicy::Skip).unwrap();
            let left = records(&disk, framing);
            assert!(left.len() >= acknowledged * 3, "{framing:?} cut {cut}");
            for (i, found) in left.iter().take(acknowledged * 3).enumerate() {
                assert_eq!(*found, record(i), "{framing:?} cut {cut}");
            }
            for found in &left {
                assert!((0..80).any(|i| record(i) == *found), "invented a record");
            }
        }
    }
}

#[test]
fn waiting_on_a_ticket_makes_it_durable() {
    let disk = FaultyFiles::new(3);
    let config = config(Framing::Frames, SyncPolicy::Never);
    let log = Wal::open(shared(&disk), Path::new(DIR), config).unwrap();
    let ticket = log.append(&[record(0)]).unwrap();
    assert!(!ticket.is_durable());
    ticket.wait().unwrap();
    assert!(ticket.is_durable());
    assert_eq!(log.durable(), ticket.position());
    disk.crash();
    assert_eq!(records(&disk, Framing::Frames), [record(0)]);
}

#[test]
fn a_full_disk_loses_the_batch_and_nothing_else() {
    for framing in FRAMINGS {
        let disk = FaultyFiles::new(3);
        let config = config(framing, SyncPolicy::EveryCommit);
        let log = Wal::open(shared(&disk), Path::new(DIR), config).unwrap();
        log.append(&[record(1)]).unwrap();
        disk.limit_space(20);
        let err = log.append(&[record(2)]).unwrap_err();
        assert!(
            matches!(&err, WalError::File(e) if e.kind() == FileErrorKind::NoSpace),
            "{err}"
        );
        disk.free_up_space();
        log.append(&[record(3)]).unwrap();
        assert_eq!(records(&disk, framing), [record(1), record(3)]);
    }
}

#[test]
fn a_failed_sync_is_reported_and_later_batches_are_safe() {
    let disk = FaultyFiles::new(3);
    let config = config(Framing::Frames, SyncPolicy::Never);
    let log = Wal::open(shared(&disk), Path::new(DIR), config).unwrap();
    let doubtful = log.append(&[record(1)]).unwrap();
    disk.fail_syncs(true);
    let err = doubtful.wait().unwrap_err();
    assert!(matches!(err, WalError::NotDurable { .. }), "{err}");
    disk.fail_syncs(false);
    assert!(doubtful.wait().is_err(), "a later sync cannot vouch for it");
    let safe = log.append(&[record(2)]).unwrap();
    safe.wait().unwrap();
    disk.crash();
    assert!(records(&disk, Framing::Frames).contains(&record(2)));
}

#[test]
fn interval_syncs_come_by_themselves() {
    let disk = FaultyFiles::new(3);
    let every = std::time::Duration::from_millis(1);
    let config = config(Framing::Frames, SyncPolicy::Interval(every));
    let log = Wal::open(shared(&disk), Path::new(DIR), config).unwrap();
    let ticket = log.append(&[record(1)]).unwrap();
    while !ticket.is_durable() {
        std::thread::yield_now();
    }
    drop(log);
    disk.crash();
    assert_eq!(records(&disk, Framing::Frames), [record(1)]);
}

#[test]
fn many_threads_share_one_log() {
    let files: Arc<dyn Files> = Arc::new(MemoryFiles::new());
    let config = config(Framing::Pages(Compression::Snappy), SyncPolicy::EveryCommit);
    let log = Wal::open(Arc::clone(&files), Path::new(DIR), config).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = log.clone();
            scope.spawn(move || {
                for i in 0..50 {
                    log.append(&[record(thread * 50 + i)]).unwrap();
                }
            });
        }
    });
    let mut left = records(files.as_ref(), Framing::Pages(Compression::None));
    let mut all: Vec<Vec<u8>> = (0..200).map(record).collect();
    left.sort();
    all.sort();
    assert!(left == all);
    log.close().unwrap();
    assert!(matches!(log.append(&[b"x"]), Err(WalError::Closed)));
}

#[test]
fn repair_truncates_or_skips() {
    for (policy, kept) in [(DamagePolicy::Skip, 9), (DamagePolicy::Truncate, 4)] {
        let disk = FaultyFiles::new(1);
        let config = config(Framing::Frames, SyncPolicy::Never).segment_bytes(1);
        let log = Wal::open(shared(&disk), Path::new(DIR), config).unwrap();
        for i in 0..10 {
            log.append(&[record(i)]).unwrap();
        }
        log.cut().unwrap();
        drop(log);
        let third = Path::new(DIR).join("00000000");
        let at: usize = (0..4).map(|i| record(i).len() + 12).sum();
        disk.flip_bit(&third, at as u64 + 20, 1).unwrap();
        let damage = repair(&shared(&disk), Path::new(DIR), Framing::Frames, policy).unwrap();
        assert_eq!(damage.len(), 1, "{damage:?}");
        assert_eq!(damage[0].offset, at as u64);
        assert_eq!(records(&disk, Framing::Frames).len(), kept);
        let again = repair(&shared(&disk), Path::new(DIR), Framing::Frames, policy).unwrap();
        assert!(again.is_empty());
    }
}

/// Whether `read` is record `i`. The checksum of Prometheus's pages does not cover the type of a
/// fragment, so a flipped bit there can hide that the record is compressed: then its compressed
/// bytes come out, which no decoder of records takes for one.
fn could_be(read: &[u8], i: usize, framing: Framing) -> bool {
    let record = record(i);
    let packed = || snap::raw::Encoder::new().compress_vec(&record).unwrap();
    read == record || (framing == Framing::Pages(Compression::Snappy) && read == packed())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A bit flipped anywhere damages records but never invents one.
    #[test]
    fn flipped_bits_are_found(which in 0usize..3, at in 0u64..40_000, bit in 0u8..8) {
        let framing = FRAMINGS[which];
        let disk = FaultyFiles::new(1);
        append_until_failure(&disk, config(framing, SyncPolicy::Never), 10);
        if disk.flip_bit(&Path::new(DIR).join("00000000"), at, bit).is_ok() {
            let left = records(&disk, framing);
            prop_assert!(left.iter().all(|r| (0..30).any(|i| could_be(r, i, framing))));
        }
    }
}
