//! Records do not depend on how a stream is cut into reads.

use std::sync::LazyLock;

use headwater_pipeline::config::{Config, Plan};
use headwater_pipeline::message::{Verifier, put_frame};
use headwater_pipeline::plugin::conformance;
use headwater_pipeline::plugins;
use headwater_pipeline::plugins::splitters::HekaFramingSplitter;
use proptest::prelude::*;

const RECORD_MAX: usize = 200;

/// One plan for all splitters, since patterns take their time to compile.
static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let section = |(number, settings): (usize, &&str)| format!("[S{number}]\n{settings}\n");
    let text: String = SPLITTERS.iter().enumerate().map(section).collect();
    let config = Config::from_text("test", &text).unwrap();
    Plan::new(&config, &plugins::registry()).unwrap()
});

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
        for (number, settings) in SPLITTERS.iter().enumerate() {
            let make = || PLAN.splitter(&format!("S{number}")).unwrap();
            let checked = conformance::splitter(make, &input, &reads, RECORD_MAX);
            prop_assert!(checked.is_ok(), "{}: {:?}", settings, checked);
        }
    }

    #[test]
    fn of_frames(input in frames(), reads in proptest::collection::vec(1usize..50, 1..10)) {
        let make = || HekaFramingSplitter::new(Verifier::default(), 140);
        prop_assert_eq!(conformance::splitter(make, &input, &reads, RECORD_MAX), Ok(()));
    }
}
