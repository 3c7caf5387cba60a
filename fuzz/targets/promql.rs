//! Queries: what parses prints, and what was printed parses to what prints the same.
#![no_main]

use headwater_promql::{ParseOptions, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| {
    let Ok(expr) = parse(query, ParseOptions::all()) else { return };
    let printed = expr.to_string();
    let again = parse(&printed, ParseOptions::all()).unwrap_or_else(|error| panic!("{printed}: {error}"));
    assert_eq!(again.to_string(), printed);
});
