//! The memory budget.

use headwater_env::Env;
use headwater_model::{Exemplar, Labels};
use headwater_storage::{AppendError, Appender};
use headwater_tsdb::{Builder, Db};

use crate::support::{batch, builder, commit, labels};

const STEP: i64 = 15_000;

fn name(n: u64) -> Labels {
    let (pod, code) = (format!("web-{:08x}-{}", n / 40, n % 40), n % 5);
    Labels::from_pairs([
        ("__name__", format!("http_requests_{}_total", n % 100)),
        ("code", (200 + code).to_string()),
        (
            "instance",
            format!("10.0.{}.{}:9100", n / 250 % 250, n % 250),
        ),
        ("job", "web".to_owned()),
        ("pod", pod),
    ])
}

fn open(budget: u64) -> Builder {
    builder("data", Env::in_memory(1)).configure(|options| options.memory_budget = budget)
}

/// Appends a sample to each of the first series; says how many were refused.
fn append(db: &Db, series: u64, time: i64) -> Result<(), (u64, String)> {
    let mut batch: Box<dyn Appender> = batch(db);
    let mut refused = (0, String::new());
    for n in 0..series {
        match batch.series(&name(n)) {
            Ok(series) => batch
                .append_float(series, time, (n as f64 + time as f64).sqrt())
                .unwrap(),
            Err(AppendError::SeriesLimit(why)) => refused = (refused.0 + 1, why),
            Err(error) => panic!("{error}"),
        }
    }
    commit(batch);
    match refused.0 {
        0 => Ok(()),
        _ => Err(refused),
    }
}

#[test]
fn new_series_are_refused_and_known_ones_go_on() {
    let db = open(2 << 20).open().unwrap();
    let (refused, why) = append(&db, 12_000, 0).unwrap_err();
    assert!(why.contains("of the 2 MiB that are allowed"), "{why}");
    let stats = db.stats().unwrap();
    let held = 12_000 - refused;
    assert_eq!(stats.series, held);
    assert_eq!(stats.series_refused_for_memory, refused);
    assert!(stats.memory_bytes <= stats.memory_budget, "{stats:?}");
    assert!(
        stats.memory_bytes > stats.memory_budget * 3 / 4,
        "{stats:?}"
    );
    // More samples for the series that are there, far beyond the budget.
    for round in 1..60 {
        append(&db, held, round * STEP).unwrap();
    }
    let stats = db.stats().unwrap();
    assert_eq!(stats.floats_appended, held * 60);
    let series = batch(&db).series(&labels(&[("n", "new")]));
    assert!(matches!(series, Err(AppendError::SeriesLimit(_))));
}

#[test]
fn there_is_room_again_when_series_have_gone() {
    let db = open(2 << 20).open().unwrap();
    let (refused, _) = append(&db, 12_000, 0).unwrap_err();
    // All series end; a few go on for five hours, which makes a block of the rest.
    for round in 0..1200 {
        append(&db, 10, round * STEP).unwrap();
    }
    db.maintain().unwrap();
    assert_eq!(db.stats().unwrap().series, 10);
    // Their slots are used again after the next commit.
    append(&db, 10, 1200 * STEP).unwrap();
    let (refused_again, _) = append(&db, 12_000, 1201 * STEP).unwrap_err();
    let less = refused.abs_diff(refused_again);
    assert!(less < 300, "{refused} and {refused_again}");
}

#[test]
fn a_log_with_more_series_than_fit_is_read_whole() {
    let env = Env::in_memory(1);
    let open = |budget: u64| {
        builder("data", env.clone())
            .configure(|options| options.memory_budget = budget)
            .open()
            .unwrap()
    };
    append(&open(0), 5_000, 0).unwrap();
    let db = open(300 << 10);
    assert_eq!(db.stats().unwrap().series, 5_000);
    append(&db, 5_000, STEP).unwrap();
    let series = batch(&db).series(&labels(&[("n", "new")]));
    assert!(matches!(series, Err(AppendError::SeriesLimit(_))));
}

/// Set in the child process.
const CHILD: &str = "HEADWATER_MEMORY_CHILD";

/// Bytes of memory of this process that are in use.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix_page_size())
}

fn rustix_page_size() -> u64 {
    4096
}

/// In a process of its own: how much memory grows, and what the store says.
fn child() {
    let dir = tempfile::tempdir().unwrap();
    let db = builder(dir.path(), Env::real()).open().unwrap();
    append(&db, 10, 0).unwrap();
    let before = resident().unwrap();
    for round in 0..8 {
        append(&db, 30_000, round * STEP).unwrap();
    }
    let mut with_exemplars = batch(&db);
    for n in 0..3_000 {
        let series = with_exemplars.series(&name(n)).unwrap();
        let exemplar = Exemplar {
            labels: labels(&[("trace_id", &format!("{n:032x}"))]),
            value: 1.0,
            time: Some(7),
        };
        with_exemplars.exemplar(series, &exemplar).unwrap();
    }
    commit(with_exemplars);
    let grown = resident().unwrap() - before;
    let said = db.stats().unwrap().memory_bytes;
    println!("grown {grown} said {said}");
}

#[test]
fn the_estimate_is_near_the_memory_that_the_process_takes() {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    if resident().is_none() {
        eprintln!("skipped: no /proc/self/statm");
        return;
    }
    let test = "memory::the_estimate_is_near_the_memory_that_the_process_takes";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.split_once("grown "));
    let (_, numbers) = line.unwrap_or_else(|| panic!("{text}"));
    let mut numbers = numbers.split(" said ");
    let mut number = || numbers.next().unwrap().trim().parse::<f64>().unwrap();
    let (grown, said) = (number(), number());
    let ratio = said / grown;
    assert!(
        (0.7..1.4).contains(&ratio),
        "the process has grown by {grown} bytes, the store says {said}"
    );
}
