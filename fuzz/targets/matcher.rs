//! The message matcher's language.
#![no_main]

use headwater_pipeline::matcher::Matcher;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = Matcher::parse(text);
});
