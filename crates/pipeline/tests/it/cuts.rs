//! Records do not depend on how a stream is cut into reads.

use headwater_pipeline::config::{Config, Plan};
use headwater_pipeline::message::{Verifier, put_frame};
use headwater_pipeline::plugin::{Splitter, cut};
use headwater_pipeline::plugins;
use headwater_pipeline::plugins::splitters::HekaFramingSplitter;
use proptest::prelude::*;

const RECORD_MAX: usize = 200;

/// Records, and how many bytes are left at the end.
fn records(splitter: &mut dyn Splitter, input: &[u8], reads: &[usize]) -> (Vec<Vec<u8>>, usize) {
    let mut records = Vec::new();
    let mut buffer: Vec<u8> = Vec::new();
    let mut found = Vec::new();
    let mut pass = |buffer: &mut Vec<u8>, end| {
        found.clear();
        let cut = cut(splitter, buffer, end, RECORD_MAX, true, &mut found);
        records.extend(
            found
                .iter()
                .map(|&(start, stop)| buffer[start..stop].to_vec()),
        );
        buffer.drain(..cut.used);
    };
    let mut rest = input;
    let mut sizes = reads.iter().cycle();
    while !rest.is_empty() {
        let size = (*sizes.next().unwrap_or(&1)).min(rest.len());
        buffer.extend_from_slice(&rest[..size]);
        rest = &rest[size..];
        pass(&mut buffer, false);
    }
    pass(&mut buffer, true);
    (records, buffer.len())
}

fn built(settings: &str) -> Box<dyn Splitter> {
    let config = Config::from_text("test", &format!("[S]\n{settings}")).unwrap();
    let plan = Plan::new(&config, &plugins::registry()).unwrap();
    plan.splitter("S").unwrap()
}

/// Lines, separators, spaces for groups, and odd bytes.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\n".to_vec()),
        Just(b"--".to_vec()),
        Just(b" at x\n".to_vec()),
        Just(b"12:34 ".to_vec()),
        Just(b"END".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..12),
        "[a-z]{0,40}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn frames() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..150).prop_map(|body| {
            let mut frame = Vec::new();
            put_frame(&mut frame, &body, None, 1000).unwrap();
            frame
        }),
        proptest::collection::vec(any::<u8>(), 0..10),
    ];
    proptest::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

const SPLITTERS: [&str; 7] = [
    "type = 'TokenSplitter'",
    "type = 'TokenSplitter'\ncount = 3",
    "type = 'RegexSplitter'\ndelimiter = '--'",
    "type = 'RegexSplitter'\ndelimiter = '-+'",
    "type = 'RegexSplitter'\ndelimiter = '\\n(\\d+:\\d+ )'\ndelimiter_eol = false",
    "type = 'RegexSplitter'\ndelimiter = '(END)\\n?'",
    "type = 'PatternGroupingSplitter'\ngrouping = '^ '\nmax_lines = 4",
];

proptest! {
    #[test]
    fn of_text(input in text(), reads in proptest::collection::vec(1usize..50, 1..10)) {
        for settings in SPLITTERS {
            let whole = records(&mut *built(settings), &input, &[input.len().max(1)]);
            let pieces = records(&mut *built(settings), &input, &reads);
            prop_assert_eq!(&whole, &pieces, "{}", settings);
        }
    }

    #[test]
    fn of_frames(input in frames(), reads in proptest::collection::vec(1usize..50, 1..10)) {
        let splitter = || HekaFramingSplitter::new(Verifier::default(), 140);
        let whole = records(&mut splitter(), &input, &[input.len().max(1)]);
        let pieces = records(&mut splitter(), &input, &reads);
        prop_assert_eq!(whole, pieces);
    }
}
