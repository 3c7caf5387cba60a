//! Regular expressions: a pattern and a text, divided by a line feed.
#![no_main]

use headwater_regexp::Regex;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let (pattern, text) = data.split_once('\n').unwrap_or((data, ""));
    if let Ok(regex) = Regex::anchored(pattern) {
        let matched = regex.is_match(text);
        // The fast paths must agree with the engine.
        if let Some(set) = regex.literal_set() {
            assert_eq!(matched, set.iter().any(|literal| literal == text), "{pattern:?} on {text:?}");
        }
    }
    if let Ok(regex) = Regex::new(pattern) {
        let _ = regex.is_match(text);
    }
});
