//! A database in another program: open, append, query, delete, keep, close.
//!
//! The program plays a small house with thermometers. Run it again and it goes on where it ended;
//! kill it at any moment and nothing that it has said is lost.

use std::error::Error;
use std::time::Duration;

use headwater_env::{Clock, SystemClock};
use headwater_model::{Labels, Matcher, SeriesColumns, TimeRange, Timestamp};
use headwater_storage::{Append, AppendError, Delete, Select, SelectRequest, SeriesRef, block_on};
use headwater_tsdb::{Db, Durability};

const ROOMS: [&str; 3] = ["attic", "kitchen", "cellar"];
const MINUTE: i64 = 60_000;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os()
        .nth(1)
        .unwrap_or_else(|| "embed-data".into());
    let db = Db::builder(&dir)
        .configure(|options| {
            // Waiting for a ticket means waiting for the disk.
            options.durability = Durability::OnCommit;
            options.retention = Duration::from_secs(30 * 24 * 3600);
            // A program with labels gone wild keeps what it has instead of dying.
            options.memory_budget = 256 << 20;
            options.snapshot_on_close = true;
        })
        .open()?;
    for line in db.damage() {
        println!("damaged: {line}");
    }
    let now = SystemClock::new().unix_millis();
    let since = newest(&db)?.map_or(now - 60 * MINUTE, |time| time + MINUTE);
    append(&db, since, now)?;
    print_means(&db, now)?;
    // The cellar floods; what its thermometer said in the last ten minutes means nothing.
    let wet = TimeRange::new(now - 10 * MINUTE, now);
    block_on(db.delete(vec![Matcher::equal("room", "cellar")], wet))?;
    print_facts(&db)?;
    db.close()?;
    Ok(())
}

/// A sample a minute for each room, in batches of an hour.
fn append(db: &Db, since: Timestamp, until: Timestamp) -> Result<(), Box<dyn Error>> {
    let mut references: Vec<SeriesRef> = Vec::new();
    for hour in (since..until).step_by(60 * MINUTE as usize) {
        let mut batch = db.appender(Default::default())?;
        if references.is_empty() {
            for room in ROOMS {
                let labels = Labels::from_pairs([("__name__", "room_celsius"), ("room", room)]);
                references.push(batch.series(&labels)?);
            }
        }
        for time in (hour..until.min(hour + 60 * MINUTE)).step_by(MINUTE as usize) {
            for (warmer, series) in references.iter().enumerate() {
                let celsius = 17.0 + warmer as f64 + (time as f64 / 4e6).sin();
                match batch.append_float(*series, time, celsius) {
                    // Another process has been faster, or the clock went back.
                    Ok(()) | Err(AppendError::OutOfOrder { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        batch.commit()?.wait()?;
    }
    Ok(())
}

/// The time of the newest sample, from what is known of the head and of blocks.
fn newest(db: &Db) -> Result<Option<Timestamp>, Box<dyn Error>> {
    let in_blocks = db.blocks().iter().map(|block| block.max_time - 1).max();
    Ok(db.stats()?.max_time.max(in_blocks))
}

fn print_means(db: &Db, now: Timestamp) -> Result<(), Box<dyn Error>> {
    let last_hour = TimeRange::new(now - 60 * MINUTE, now);
    let matchers = vec![Matcher::equal("__name__", "room_celsius")];
    let mut cursor = block_on(db.select(SelectRequest::new(matchers, last_hour)))?;
    let mut columns = SeriesColumns::default();
    while let Some(labels) = cursor.advance()? {
        cursor.read(&mut columns)?;
        let values = &columns.floats.values;
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let room = labels.get("room").unwrap_or("?");
        println!("{room}: {mean:.1} °C in {} samples", values.len());
    }
    for warning in cursor.take_warnings() {
        println!("warning: {warning}");
    }
    Ok(())
}

fn print_facts(db: &Db) -> Result<(), Box<dyn Error>> {
    let stats = db.stats()?;
    println!(
        "{} series take {} bytes of memory; {} blocks in {}",
        stats.series,
        stats.memory_bytes,
        stats.blocks,
        db.dir().display()
    );
    for entry in db.cardinality(3).series_by_pair {
        println!("{} series have {}", entry.value, entry.name);
    }
    Ok(())
}
