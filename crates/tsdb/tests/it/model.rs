//! Random lives of a store, beside a model that is nothing but a map.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_env::{Env, FaultyFiles, Files};
use headwater_model::{Matcher, TimeRange};
use headwater_storage::{Append, Delete, Ticket, block_on};
use headwater_tsdb::{Builder, Db, Durability};
use proptest::prelude::*;

use crate::support::{Dump, builder, dump, dump_range, labels};

const MINUTE: i64 = 60_000;

#[derive(Clone, Debug)]
enum Step {
    /// Samples of a series: minutes from the newest of the store on, or back.
    Append {
        series: u8,
        minutes: Vec<i16>,
    },
    /// A range of one series, in minutes back from the newest.
    Delete {
        series: u8,
        from: u8,
        len: u8,
    },
    Maintain,
    Reopen,
    Crash,
    Ask {
        from: u8,
        len: u8,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let minutes = proptest::collection::vec(
        prop_oneof![8 => 0i16..4, 1 => 4i16..60, 1 => -70i16..0],
        1..25,
    );
    let step = prop_oneof![
        12 => (0u8..4, minutes).prop_map(|(series, minutes)| Step::Append { series, minutes }),
        1 => (0u8..4, 0u8..200, 0u8..60).prop_map(|(series, from, len)| Step::Delete {
            series,
            from,
            len
        }),
        2 => Just(Step::Maintain),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
        2 => (0u8..250, 0u8..100).prop_map(|(from, len)| Step::Ask { from, len }),
    ];
    proptest::collection::vec(step, 1..40)
}

/// The store under test, on a disk that can lose power.
struct Life {
    disk: FaultyFiles,
    lives: u64,
    db: Option<Db>,
    model: BTreeMap<u8, BTreeMap<i64, f64>>,
    newest: i64,
    /// Deleted ranges: what comes late into one stays deleted, so the model
    /// does not try it.
    deleted: Vec<(u8, TimeRange)>,
    count: f64,
}

/// Complains about what is missing and what is too much, and no more.
fn same(found: &Dump, wanted: &Dump, step: &Step) {
    let lines = |dump: &Dump| -> Vec<String> {
        let line = |series: &String, (time, value): &(i64, String)| {
            let value = f64::from_bits(u64::from_str_radix(value, 16).unwrap());
            format!(
                "{series} minute {} value {value}",
                time / MINUTE - 1_000_000
            )
        };
        dump.iter()
            .flat_map(|(series, samples)| samples.iter().map(move |s| line(series, s)))
            .collect()
    };
    let (found, wanted) = (lines(found), lines(wanted));
    let missing: Vec<_> = wanted.iter().filter(|l| !found.contains(l)).collect();
    let more: Vec<_> = found.iter().filter(|l| !wanted.contains(l)).collect();
    assert!(
        missing.is_empty() && more.is_empty() && found.len() == wanted.len(),
        "after {step:?}: missing {missing:?}, not expected {more:?}"
    );
}

fn name(series: u8) -> headwater_model::Labels {
    labels(&[("__name__", "m"), ("series", &series.to_string())])
}

impl Life {
    fn new(seed: u64) -> Life {
        let mut life = Life {
            disk: FaultyFiles::new(seed),
            lives: seed,
            db: None,
            model: BTreeMap::new(),
            newest: 1_000_000 * MINUTE,
            deleted: Vec::new(),
            count: 0.0,
        };
        life.open();
        life
    }

    fn builder(&mut self) -> Builder {
        self.lives += 1;
        let files: Arc<dyn Files> = Arc::new(self.disk.clone());
        let env = Env {
            files,
            ..Env::in_memory(self.lives)
        };
        builder("data", env).configure(|options| {
            options.durability = Durability::OnCommit;
            options.segment_bytes = 1;
            options.block_range = 30 * MINUTE;
            options.max_block_range = 270 * MINUTE;
            options.retention = Duration::ZERO;
            options.out_of_order_window = Duration::from_secs(3600);
        })
    }

    fn open(&mut self) {
        self.db = None;
        let db = self.builder().open().unwrap();
        assert!(db.damage().is_empty(), "{:?}", db.damage());
        self.db = Some(db);
    }

    fn db(&self) -> &Db {
        self.db.as_ref().unwrap()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Append { series, minutes } => self.append(*series, minutes),
            Step::Delete { series, from, len } => self.delete(*series, *from, *len),
            Step::Maintain => {
                self.db().maintain().unwrap();
            }
            Step::Reopen => self.open(),
            Step::Crash => {
                self.disk.crash();
                self.open();
            }
            Step::Ask { from, len } => {
                let start = self.newest - i64::from(*from) * MINUTE;
                let range = TimeRange::new(start, start + i64::from(*len) * MINUTE);
                same(&dump_range(self.db(), range), &self.wanted(range), step);
                return;
            }
        }
        same(&dump(self.db()), &self.wanted(TimeRange::ALL), step);
    }

    fn append(&mut self, series: u8, minutes: &[i16]) {
        let db = self.db.take().unwrap();
        let mut batch = db.appender(Default::default()).unwrap();
        let reference = batch.series(&name(series)).unwrap();
        for minutes in minutes {
            let time = self.newest + i64::from(*minutes) * MINUTE;
            let inside = |(s, range): &(u8, TimeRange)| *s == series && range.contains(time);
            if self.deleted.iter().any(inside) {
                continue;
            }
            self.count += 1.0;
            if batch.append_float(reference, time, self.count).is_ok() {
                let samples = self.model.entry(series).or_default();
                samples.entry(time).or_insert(self.count);
                self.newest = self.newest.max(time);
            }
        }
        batch.commit().and_then(Ticket::wait).unwrap();
        self.db = Some(db);
    }

    fn delete(&mut self, series: u8, from: u8, len: u8) {
        let start = self.newest - i64::from(from) * MINUTE;
        let range = TimeRange::new(start, start + i64::from(len) * MINUTE);
        let matcher = vec![Matcher::equal("series", series.to_string())];
        block_on(self.db().delete(matcher, range)).unwrap();
        self.deleted.push((series, range));
        if let Some(samples) = self.model.get_mut(&series) {
            samples.retain(|time, _| !range.contains(*time));
        }
    }

    fn wanted(&self, range: TimeRange) -> Dump {
        let mut out = Dump::new();
        for (series, samples) in &self.model {
            let samples: Vec<(i64, String)> = samples
                .iter()
                .filter(|(time, _)| range.contains(**time))
                .map(|(time, value)| (*time, format!("{:016x}", value.to_bits())))
                .collect();
            if !samples.is_empty() {
                out.insert(name(*series).to_string(), samples);
            }
        }
        out
    }
}

fn cases() -> u32 {
    let cases = std::env::var("HEADWATER_PROPTEST_CASES").ok();
    cases.and_then(|n| n.parse().ok()).unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn a_store_is_a_map_that_lasts(seed: u16, steps in steps()) {
        let mut life = Life::new(u64::from(seed) << 16);
        for step in &steps {
            life.step(step);
        }
    }
}
