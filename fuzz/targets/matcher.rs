//! The message matcher's language: what is understood, in either dialect, gives a verdict on a
//! message with every kind of field.
#![no_main]

use std::sync::LazyLock;

use headwater_pipeline::Event;
use headwater_pipeline::matcher::{Dialect, Hits, Matcher, MatcherSet};
use headwater_pipeline::message::{Field, Message};
use libfuzzer_sys::fuzz_target;

static EVENT: LazyLock<Event> = LazyLock::new(|| {
    Event::from(Message {
        kind: Some("web".into()),
        severity: Some(6),
        payload: Some("some text".into()),
        fields: vec![
            Field::string("a", "x", ""),
            Field::integer("n", 300, ""),
            Field::double("d", 0.5, ""),
            Field::bool("t", true, ""),
        ],
        ..Message::default()
    })
});

fuzz_target!(|text: &str| {
    for dialect in [Dialect::Heka, Dialect::Extended] {
        if let Ok(matcher) = Matcher::with_dialect(text, dialect) {
            let verdict = matcher.matches(&EVENT);
            // Alone in a set it says the same.
            let (set, mut hits) = (MatcherSet::new([(matcher, None)]), Hits::default());
            set.matches(&EVENT, &mut hits);
            assert_eq!(hits.contains(0), verdict);
        }
    }
});
