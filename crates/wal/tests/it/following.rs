use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use headwater_env::{FaultyFiles, Files, MemoryFiles};
use headwater_wal::{Compression, Config, DamageReason, Framing, Position, Wal, WalError};

use crate::support::{DIR, record, shared};

fn open(files: &Arc<dyn Files>, framing: Framing) -> Wal {
    let config = Config::default().framing(framing).segment_bytes(64 << 10);
    Wal::open(Arc::clone(files), Path::new(DIR), config).unwrap()
}

#[test]
fn a_follower_sees_every_record_while_others_append() {
    for framing in [Framing::Frames, Framing::Pages(Compression::Snappy)] {
        let files: Arc<dyn Files> = Arc::new(MemoryFiles::new());
        let log = open(&files, framing);
        let mut reader = log.follow_all().unwrap();
        let writer = std::thread::spawn({
            let log = log.clone();
            move || {
                for i in 0..300 {
                    log.append(&[record(i)]).unwrap();
                }
                log.close().unwrap();
            }
        });
        let mut seen = 0;
        loop {
            while let Some(found) = reader.try_next().unwrap() {
                assert_eq!(found.bytes, record(seen));
                seen += 1;
            }
            if !reader.wait(None) {
                break;
            }
        }
        writer.join().unwrap();
        assert_eq!(seen, 300);
        assert!(reader.take_damage().is_empty());
    }
}

#[test]
fn a_cursor_survives_reopening_and_truncation() {
    let files: Arc<dyn Files> = Arc::new(MemoryFiles::new());
    let log = open(&files, Framing::Frames);
    for i in 0..100 {
        log.append(&[record(i)]).unwrap();
    }
    let mut reader = log.follow_all().unwrap();
    let mut cursor = Position::default();
    for _ in 0..60 {
        cursor = reader.try_next().unwrap().unwrap().end;
    }
    drop((log, reader));

    let log = open(&files, Framing::Frames);
    log.truncate_before(cursor.segment).unwrap();
    let mut reader = log.follow(cursor);
    for i in 60..100 {
        assert_eq!(reader.try_next().unwrap().unwrap().bytes, record(i));
    }
    assert!(reader.try_next().unwrap().is_none());
    log.append(&[record(100)]).unwrap();
    assert_eq!(reader.try_next().unwrap().unwrap().bytes, record(100));

    let gone = log.follow(Position::default()).try_next().unwrap_err();
    assert!(matches!(gone, WalError::Gone { segment: 0, .. }), "{gone}");
}

#[test]
fn a_record_larger_than_any_buffer_is_read_whole() {
    for framing in [Framing::Frames, Framing::Pages(Compression::None)] {
        let files: Arc<dyn Files> = Arc::new(MemoryFiles::new());
        let log = open(&files, framing);
        let big = vec![7u8; 3 << 20];
        log.append(&[&b"before"[..], &big, b"after"]).unwrap();
        let mut reader = log.follow_all().unwrap();
        for expected in [&b"before"[..], &big, b"after"] {
            assert!(reader.try_next().unwrap().unwrap().bytes == expected);
        }
    }
}

#[test]
fn damage_is_skipped_and_reported() {
    let disk = FaultyFiles::new(1);
    let files = shared(&disk);
    let log = open(&files, Framing::Frames);
    for i in 0..3 {
        log.append(&[record(i)]).unwrap();
    }
    let second = record(0).len() as u64 + 12;
    disk.flip_bit(&Path::new(DIR).join("00000000"), second + 12, 0)
        .unwrap();
    let mut reader = log.follow_all().unwrap();
    assert_eq!(reader.try_next().unwrap().unwrap().bytes, record(0));
    assert_eq!(reader.try_next().unwrap().unwrap().bytes, record(2));
    let damage = reader.take_damage();
    assert_eq!(damage.len(), 1);
    assert_eq!(damage[0].reason, DamageReason::Checksum);
    assert_eq!(damage[0].offset, second);
    assert_eq!(damage[0].lost_bytes, record(1).len() as u64 + 12);
}

#[test]
fn listeners_hear_of_appends() {
    let files: Arc<dyn Files> = Arc::new(MemoryFiles::new());
    let log = open(&files, Framing::Frames);
    let heard = Arc::new(AtomicUsize::new(0));
    log.on_append({
        let heard = Arc::clone(&heard);
        move || {
            heard.fetch_add(1, Ordering::SeqCst);
        }
    });
    log.append(&[record(0), record(1)]).unwrap();
    log.append(&[record(2)]).unwrap();
    assert_eq!(heard.load(Ordering::SeqCst), 2);
}
