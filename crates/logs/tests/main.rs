//! Pushes and the answers they get; the words are those that users of Loki search for.

use std::sync::Arc;

use headwater_chunkstore::{ChunkStore, Config, PushEntry, PushStream};
use headwater_env::{Clock, Env, ManualClock, MemoryFiles};
use headwater_logs::{Distributor, Ingester, IngesterConfig, Limits};
use headwater_model::Labels;

/// 2026-11-18T10:00:00Z.
const NOW: i64 = 1_794_996_000;
const SECOND: i64 = 1_000_000_000;

struct House {
    distributor: Distributor,
    store: Arc<ChunkStore>,
    clock: Arc<ManualClock>,
}

fn house() -> House {
    let clock = Arc::new(ManualClock::new(NOW * 1000));
    let env = Env {
        clock: clock.clone(),
        files: Arc::new(MemoryFiles::new()),
        ..Env::in_memory(1)
    };
    let store = Arc::new(ChunkStore::open(env, Config::new("logs")).unwrap());
    let ingester = Arc::new(Ingester::new(
        store.clone(),
        clock.clone(),
        IngesterConfig::default(),
    ));
    House {
        distributor: Distributor::new(ingester, clock.clone()),
        store,
        clock,
    }
}

fn stream(app: &str, lines: &[(i64, &str)]) -> PushStream {
    let entry = |(time, line): &(i64, &str)| PushEntry {
        time: time * SECOND,
        line: line.as_bytes().to_vec(),
        metadata: Labels::empty(),
    };
    PushStream {
        labels: Labels::from_pairs([("app", app)]),
        entries: lines.iter().map(entry).collect(),
    }
}

impl House {
    fn push(&self, streams: Vec<PushStream>, limits: &Limits) -> (u16, String) {
        match self.distributor.push("t", streams, limits) {
            Ok(()) => (204, String::new()),
            Err(error) => (error.status, error.message),
        }
    }
}

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

#[test]
fn refusals_have_the_words_of_the_original() {
    type Case = (Limits, PushStream, u16, &'static str);
    let cases: Vec<Case> = vec![
        (
            Limits::default(),
            stream("t", &[(NOW - 8 * 86_400, "x")]),
            400,
            "entry for stream '{app=\"t\", service_name=\"t\"}' has timestamp too old: 2026-11-10T10:00:00Z, oldest acceptable timestamp is: 2026-11-11T10:00:00Z",
        ),
        (
            Limits::default(),
            stream("t", &[(NOW + 3600, "x")]),
            400,
            "entry for stream '{app=\"t\", service_name=\"t\"}' has timestamp too new: 2026-11-18T11:00:00Z",
        ),
        (
            limits(|l| l.max_line_size = "3B".parse().unwrap()),
            stream("t", &[(NOW, "four")]),
            400,
            "max entry size '3' bytes exceeded for stream '{app=\"t\", service_name=\"t\"}' while adding an entry with length '4' bytes",
        ),
        (
            limits(|l| l.max_label_names_per_series = 0),
            stream("t", &[(NOW, "x")]),
            400,
            "entry for stream '{app=\"t\", service_name=\"t\"}' has 1 label names; limit 0",
        ),
        (
            limits(|l| l.max_label_name_length = 2),
            stream("t", &[(NOW, "x")]),
            400,
            "stream '{app=\"t\", service_name=\"t\"}' has label name too long: 'app'",
        ),
        (
            limits(|l| l.enforced_labels = vec!["env".into()]),
            stream("t", &[(NOW, "x")]),
            400,
            "missing required labels 'env' for user 't' for stream '{app=\"t\", service_name=\"t\"}' (policy: '')",
        ),
        (
            limits(|l| l.ingestion_rate_mb = 0.0),
            stream("t", &[(NOW, "x")]),
            204,
            "",
        ),
        (
            limits(|l| (l.ingestion_rate_mb, l.ingestion_burst_size_mb) = (0.0, 0.0)),
            stream("t", &[(NOW, "x")]),
            429,
            "ingestion rate limit exceeded for user t (limit: 0 bytes/sec) while attempting to ingest '1' lines totaling '1' bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased",
        ),
        (
            limits(|l| l.block_ingestion_until = Some("2099-01-01T00:00:00Z".into())),
            stream("t", &[(NOW, "x")]),
            260,
            "ingestion blocked for user 't' until '2099-01-01T00:00:00Z' with status code '260'",
        ),
        (
            limits(|l| l.discover_service_name.clear()),
            PushStream {
                labels: Labels::empty(),
                ..stream("t", &[(NOW, "x")])
            },
            400,
            "error at least one label pair is required per stream",
        ),
    ];
    for (limits, stream, status, words) in cases {
        assert_eq!(
            house().push(vec![stream], &limits),
            (status, words.to_owned())
        );
    }
    assert_eq!(house().push(Vec::new(), &Limits::default()).0, 422);
}

#[test]
fn what_is_valid_of_a_push_is_stored() {
    let house = house();
    let limits = limits(|l| l.max_line_size = "3B".parse().unwrap());
    let (status, words) = house.push(
        vec![stream(
            "t",
            &[(NOW, "ok"), (NOW, "too long"), (NOW, "longer still")],
        )],
        &limits,
    );
    assert_eq!(status, 400);
    assert!(
        words.starts_with("1 errors like: max entry size '3' bytes")
            && words.contains("; 1 errors like: "),
        "{words}"
    );
    assert_eq!(house.store.streams("t").len(), 1);
    let counts = &house.distributor.counts()["t"];
    assert_eq!((counts.lines, counts.discarded["line_too_long"].0), (1, 2));
}

#[test]
fn entries_too_far_behind_are_listed() {
    let house = house();
    let (status, words) = house.push(
        vec![stream(
            "t",
            &[(NOW, "new"), (NOW - 1800, "late"), (NOW - 7200, "too late")],
        )],
        &Limits::default(),
    );
    assert_eq!(status, 400);
    assert_eq!(
        words,
        "entry with timestamp 2026-11-18 08:00:00 +0000 UTC ignored, reason: 'entry too far behind, entry timestamp is: 2026-11-18T08:00:00Z, oldest acceptable timestamp is: 2026-11-18T09:00:00Z',\nuser 't', total ignored: 1 out of 3 for stream: {app=\"t\", service_name=\"t\"}"
    );
}

#[test]
fn streams_are_limited_and_idle_ones_make_room() {
    let house = house();
    let limits = limits(|l| l.max_global_streams_per_user = 1);
    assert_eq!(house.push(vec![stream("a", &[(NOW, "x")])], &limits).0, 204);
    let (status, words) = house.push(vec![stream("b", &[(NOW, "x")])], &limits);
    assert_eq!(status, 429);
    assert!(words.starts_with("maximum active stream limit exceeded when trying to create stream {app=\"b\", service_name=\"b\"}, "), "{words}");
    assert_eq!(
        house.push(vec![stream("a", &[(NOW + 1, "y")])], &limits).0,
        204,
        "streams that are there go on"
    );
}

#[test]
fn a_stream_that_gets_too_much_is_held_back() {
    let house = house();
    let limits = limits(|l| {
        l.per_stream_rate_limit = "1KB".parse().unwrap();
        l.per_stream_rate_limit_burst = "2KB".parse().unwrap();
    });
    let line = "x".repeat(1500);
    let (status, words) = house.push(
        vec![stream("t", &[(NOW, &line), (NOW + 1, &line)])],
        &limits,
    );
    assert_eq!(status, 429);
    assert!(
        words.contains("Per stream rate limit exceeded (limit: 1KB/sec)")
            && words.contains("total ignored: 1 out of 2"),
        "{words}"
    );
    house.clock.advance(std::time::Duration::from_secs(5));
    assert_eq!(
        house
            .push(vec![stream("t", &[(NOW + 2, &line)])], &limits)
            .0,
        204
    );
}

#[test]
fn time_that_passes_sweeps_and_flushes() {
    let clock: Arc<ManualClock> = Arc::new(ManualClock::new(NOW * 1000));
    let env = Env {
        clock: clock.clone(),
        files: Arc::new(MemoryFiles::new()),
        ..Env::in_memory(1)
    };
    let store = Arc::new(ChunkStore::open(env, Config::new("logs")).unwrap());
    let ingester = Arc::new(Ingester::new(
        store.clone(),
        clock.clone(),
        IngesterConfig::default(),
    ));
    let distributor = Distributor::new(ingester.clone(), clock.clone());
    let limits = limits(|l| l.max_global_streams_per_user = 1);
    distributor
        .push("t", vec![stream("a", &[(NOW, "x")])], &limits)
        .unwrap();
    assert_eq!(ingester.sweep().unwrap(), None);
    clock.advance(std::time::Duration::from_secs(31 * 60));
    assert_eq!(
        ingester.sweep().unwrap().map(|reason| reason.as_str()),
        Some("idle")
    );
    assert_eq!(store.head_bytes(), 0);
    distributor
        .push("t", vec![stream("b", &[(NOW, "x")])], &limits)
        .unwrap();
    assert!(clock.unix_millis() > NOW * 1000);
}
