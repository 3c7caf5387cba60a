//! What must hold for any query over any data.
//!
//! `HEADWATER_CASES` sets the number of cases.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_model::Labels;
use headwater_promql::{Engine, EngineOptions, ParseOptions, parse};
use headwater_query::{EvalRequest, Evaluate, Point, QueryError, Value};
use headwater_storage::{MemoryStore, block_on};

use crate::random::{INTERVAL, Numbers, SAMPLES, store, vector};

const STEPS: i64 = 7;
const STEP: i64 = 70_000;
const START: i64 = 30 * INTERVAL;

fn cases() -> u64 {
    let cases = std::env::var("HEADWATER_CASES").ok();
    cases.and_then(|text| text.parse().ok()).unwrap_or(400)
}

fn engine(store: &Arc<MemoryStore>, threads: usize) -> Engine {
    let mut options = EngineOptions::default();
    options.parse = ParseOptions::all();
    options.threads = threads;
    Engine::new(store.clone(), options).unwrap()
}

/// Values by time and series.
type Found = BTreeMap<i64, BTreeMap<Labels, f64>>;

fn put(found: &mut Found, labels: &Labels, time: i64, value: f64) {
    found.entry(time).or_default().insert(labels.clone(), value);
}

fn over_range(engine: &Engine, query: &str) -> Result<Found, QueryError> {
    let request = EvalRequest::range(query, START, START + STEP * (STEPS - 1), STEP);
    let mut found = Found::new();
    let Value::Matrix(matrix) = block_on(engine.evaluate(request))?.value else {
        panic!("{query} gave no matrix");
    };
    for series in matrix {
        let floats = &series.columns.floats;
        for (time, value) in floats.times.iter().zip(&floats.values) {
            put(&mut found, &series.labels, *time, *value);
        }
    }
    Ok(found)
}

fn step_by_step(engine: &Engine, query: &str) -> Result<Found, QueryError> {
    let mut found = Found::new();
    for step in 0..STEPS {
        let time = START + step * STEP;
        let request = EvalRequest::instant(query, time);
        let Value::Vector(vector) = block_on(engine.evaluate(request))?.value else {
            panic!("{query} gave no vector");
        };
        for sample in vector {
            let Point::Float(value) = sample.point else {
                panic!("{query} gave a histogram");
            };
            put(&mut found, &sample.labels, time, value);
        }
    }
    Ok(found)
}

fn close(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-3)
}

fn same(a: &Found, b: &Found) -> bool {
    let all = |a: &BTreeMap<Labels, f64>, b: &BTreeMap<Labels, f64>| {
        a.len() == b.len()
            && a.iter()
                .zip(b)
                .all(|((one, x), (other, y))| one == other && close(*x, *y))
    };
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|((time, a), (other, b))| time == other && all(a, b))
}

fn each_case(check: impl Fn(&mut Numbers, &Arc<MemoryStore>, &str)) {
    let mut data = store(&mut Numbers::new(0));
    for seed in 0..cases() {
        let mut numbers = Numbers::new(seed + 1);
        if seed % 50 == 0 {
            data = store(&mut numbers);
        }
        let depth = 1 + numbers.below(3) as u32;
        let query = vector(&mut numbers, depth);
        check(&mut numbers, &data, &query);
    }
}

#[test]
fn a_range_is_its_instants() {
    const { assert!(START + STEP * STEPS < SAMPLES * INTERVAL) };
    each_case(|_, data, query| {
        // What is chosen comes out in order of choice, which for a range is not that of each step;
        // a second choice prefers what comes first.
        let choices = ["topk", "bottomk", "limitk"].map(|name| query.matches(name).count());
        if choices.iter().sum::<usize>() > 1 {
            return;
        }
        let engine = engine(data, 1);
        // Where a step fails, the range fails; where only the range fails, two series of different
        // steps became one.
        match (over_range(&engine, query), step_by_step(&engine, query)) {
            (Ok(range), Ok(steps)) => {
                assert!(same(&range, &steps), "{query}:\n{range:?}\n{steps:?}");
            }
            (Ok(_), Err(error)) => panic!("{query}: only a step fails: {error}"),
            (Err(_), _) => {}
        }
    });
}

#[test]
fn threads_change_nothing() {
    each_case(|_, data, query| {
        let (one, many) = (engine(data, 1), engine(data, 4));
        match (over_range(&one, query), over_range(&many, query)) {
            (Ok(one), Ok(many)) => assert!(same(&one, &many), "{query}:\n{one:?}\n{many:?}"),
            (one, many) => assert_eq!(
                one.map_err(|error| error.kind()).err(),
                many.map_err(|error| error.kind()).err(),
                "{query}"
            ),
        }
    });
}

/// A query that answers at some steps only.
fn at_times(numbers: &mut Numbers, query: &str) -> String {
    let compared = ["> ", "<= ", "== ", "> 600 < "][numbers.below(4) as usize];
    let time = numbers.below(40) * 60;
    let times = format!("(vector(time()) {compared} {time})");
    match numbers.below(4) {
        0 => format!("({query}) and {times}"),
        1 => format!("({query}) unless on () {times}"),
        2 => format!("{times} and on () ({query})"),
        _ => format!("({query}) and on () {times}"),
    }
}

#[test]
fn optimising_changes_nothing() {
    each_case(|numbers, data, query| {
        let (optimised, mut options) = (engine(data, 2), EngineOptions::default());
        options.parse = ParseOptions::all();
        options.optimise = false;
        let plain = Engine::new(data.clone(), options).unwrap();
        let operator = ["and", "*", "unless", "or", "/ on (job) group_left ()"];
        let operator = operator[numbers.below(operator.len() as u64) as usize];
        // The same twice is evaluated once; two that differ hand their matchers over.
        let other = match numbers.below(2) {
            0 => query.to_owned(),
            _ => vector(numbers, 1),
        };
        let query = match numbers.below(3) {
            0 => at_times(numbers, query),
            _ => format!("{query} {operator} (-({other}))"),
        };
        match (over_range(&optimised, &query), over_range(&plain, &query)) {
            (Ok(one), Ok(other)) => assert!(same(&one, &other), "{query}:\n{one:?}\n{other:?}"),
            (one, other) => assert_eq!(
                one.map_err(|error| error.to_string()).err(),
                other.map_err(|error| error.to_string()).err(),
                "{query}"
            ),
        }
    });
}

#[test]
fn what_is_printed_parses_to_the_same() {
    for seed in 0..cases() * 5 {
        let mut numbers = Numbers::new(seed);
        let query = vector(&mut numbers, 4);
        let printed = parse(&query, ParseOptions::all()).unwrap().to_string();
        let again = parse(&printed, ParseOptions::all()).unwrap().to_string();
        assert_eq!(printed, again, "{query}");
    }
}

/// Damages a query: drops, doubles and swaps characters.
fn damage(numbers: &mut Numbers, query: &str) -> String {
    let mut chars: Vec<char> = query.chars().collect();
    for _ in 0..=numbers.below(3) {
        if chars.is_empty() {
            break;
        }
        let (at, other) = (
            numbers.below(chars.len() as u64) as usize,
            numbers.below(chars.len() as u64) as usize,
        );
        match numbers.below(4) {
            0 => drop(chars.remove(at)),
            1 => chars.insert(at, chars[other]),
            2 => chars.swap(at, other),
            _ => chars[at] = ['@', '"', '\\', 'é', '\u{0}', '#', '[', '9'][other % 8],
        }
    }
    chars.into_iter().collect()
}

#[test]
fn whatever_is_asked_there_is_an_answer_or_an_error() {
    each_case(|numbers, data, query| {
        let query = damage(numbers, query);
        let engine = engine(data, 1);
        let request = EvalRequest::range(query.clone(), START, START + STEP, STEP);
        if let Err(error) = block_on(engine.evaluate(request)) {
            assert!(!error.to_string().is_empty(), "{query}");
        }
    });
    let deep = format!("{}x{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(parse(&deep, ParseOptions::all()).is_err());
    let long = vec!["x"; 20_000].join(" + ");
    drop(parse(&long, ParseOptions::all()));
}
