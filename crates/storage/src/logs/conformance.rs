//! What every store of log entries must do, as checks that any of them can run.

use headwater_model::{Labels, MatchOp, Matcher};

use super::{Direction, LogBlock, LogCursor, LogRequest, NanoRange, SelectLogs};
use crate::block_on;

type Line = (i64, String, Labels);
type Stream = (Labels, Vec<Line>);

/// Runs all checks. `make` makes an empty store and a function that pushes
/// one entry into it: stream, nanoseconds, line, structured metadata.
///
/// # Panics
/// The store does not do what [`LogCursor`] asks of it.
pub fn check<S: SelectLogs, P: FnMut(&Labels, i64, &str, &Labels)>(
    mut make: impl FnMut() -> (S, P),
) {
    let (store, mut push) = make();
    fill(&mut push);
    everything_comes_once_and_in_order(&store);
    ranges_are_half_open(&store);
    matchers_choose_streams(&store);
    parts_cover_everything(&store);
    stopping_early_loses_nothing_wanted(&store);
    assert!(walk(&make().0, Direction::Forward, NanoRange::ALL, vec![]).is_empty());
}

fn stream(name: &str) -> Labels {
    Labels::from_pairs([("app", name), ("env", "test")])
}

fn set(value: &str) -> Labels {
    Labels::from_pairs([("trace", value)])
}

/// Two streams: one with entries of one time, metadata, a repetition and
/// entries out of order, one long enough for several blocks.
fn fill(push: &mut impl FnMut(&Labels, i64, &str, &Labels)) {
    let none = Labels::empty();
    let short = stream("short");
    push(&short, 30, "c", &none);
    push(&short, 10, "a", &set("1"));
    push(&short, 20, "b1", &none);
    push(&short, 20, "b2", &none);
    push(&short, 20, "b1", &none);
    push(&short, 20, "b1", &set("2"));
    for time in 0..10_000 {
        push(&stream("long"), time, &format!("line {time}"), &none);
    }
}

fn expected_short() -> Vec<Line> {
    let none = Labels::empty();
    [
        (10, "a", set("1")),
        (20, "b1", none.clone()),
        (20, "b2", none.clone()),
        (20, "b1", set("2")),
        (30, "c", none),
    ]
    .map(|(time, line, set)| (time, line.to_owned(), set))
    .into()
}

fn walk(
    store: &impl SelectLogs,
    direction: Direction,
    range: NanoRange,
    matchers: Vec<Matcher>,
) -> Vec<Stream> {
    let request = LogRequest::new(matchers, range, direction);
    let cursor = block_on(store.select_logs(request)).expect("the select opens");
    let mut streams = drain(cursor);
    assert!(
        streams.is_sorted_by_key(|(labels, _)| labels.clone()),
        "ascending labels"
    );
    streams.retain(|(_, entries)| !entries.is_empty());
    streams
}

fn drain(mut cursor: Box<dyn LogCursor>) -> Vec<Stream> {
    let mut streams = Vec::new();
    let mut block = LogBlock::default();
    while let Some(labels) = cursor.advance().expect("the next stream") {
        let mut entries = Vec::new();
        while cursor.read(&mut block).expect("the next block") {
            entries.extend((0..block.len()).map(|i| {
                let line = String::from_utf8_lossy(block.line(i)).into_owned();
                assert_eq!(line.len(), block.lengths()[i] as usize);
                (block.times()[i], line, block.metadata(i).clone())
            }));
        }
        streams.push((labels, entries));
    }
    streams
}

fn everything_comes_once_and_in_order(store: &impl SelectLogs) {
    let forward = walk(store, Direction::Forward, NanoRange::ALL, vec![]);
    assert_eq!(forward.len(), 2, "two streams");
    assert_eq!(forward[0].0, stream("long"));
    assert_eq!(forward[0].1.len(), 10_000);
    assert!(forward[0].1.is_sorted_by_key(|(time, _, _)| *time));
    assert_eq!(forward[1].1, expected_short());
    let mut backward = walk(store, Direction::Backward, NanoRange::ALL, vec![]);
    backward
        .iter_mut()
        .for_each(|(_, entries)| entries.reverse());
    assert_eq!(forward, backward, "backward is forward reversed");
}

fn ranges_are_half_open(store: &impl SelectLogs) {
    for direction in [Direction::Forward, Direction::Backward] {
        let found = walk(store, direction, NanoRange::new(10, 20), vec![]);
        let counts: Vec<usize> = found.iter().map(|(_, entries)| entries.len()).collect();
        assert_eq!(counts, [10, 1]);
        assert!(walk(store, direction, NanoRange::new(20, 20), vec![]).is_empty());
    }
}

fn matchers_choose_streams(store: &impl SelectLogs) {
    let regex = |op, value| Matcher::new(op, "app", value).expect("a valid matcher");
    for (matcher, want) in [
        (Matcher::equal("app", "short"), vec![stream("short")]),
        (regex(MatchOp::Regex, "sh.*"), vec![stream("short")]),
        (regex(MatchOp::NotEqual, "short"), vec![stream("long")]),
        (
            Matcher::equal("none", ""),
            vec![stream("long"), stream("short")],
        ),
        (Matcher::equal("app", "nosuch"), vec![]),
    ] {
        let found = walk(store, Direction::Forward, NanoRange::ALL, vec![matcher]);
        let labels: Vec<Labels> = found.into_iter().map(|(labels, _)| labels).collect();
        assert_eq!(labels, want);
    }
}

fn parts_cover_everything(store: &impl SelectLogs) {
    let request = LogRequest::new(vec![], NanoRange::ALL, Direction::Forward);
    let whole = walk(store, Direction::Forward, NanoRange::ALL, vec![]);
    let cursor = block_on(store.select_logs(request)).expect("the select opens");
    let parts = cursor.split(3);
    assert!(parts.len() <= 3);
    let mut streams: Vec<Stream> = parts.into_iter().flat_map(drain).collect();
    streams.retain(|(_, entries)| !entries.is_empty());
    streams.sort();
    assert_eq!(streams, whole);
}

fn stopping_early_loses_nothing_wanted(store: &impl SelectLogs) {
    for (direction, stop) in [(Direction::Forward, 100), (Direction::Backward, 9_900)] {
        let request = LogRequest::new(
            vec![Matcher::equal("app", "long")],
            NanoRange::ALL,
            direction,
        );
        let mut cursor = block_on(store.select_logs(request)).expect("the select opens");
        cursor.stop_at(stop);
        let entries = drain(cursor).pop().map(|(_, entries)| entries);
        let times = entries.unwrap_or_default();
        let wanted = times.iter().filter(|(time, _, _)| match direction {
            Direction::Forward => *time <= stop,
            Direction::Backward => *time >= stop,
        });
        assert!(wanted.count() >= 100, "{direction:?}");
    }
}
