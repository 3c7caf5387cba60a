//! LogQL queries: what parses prints, and what was printed parses to what prints the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| {
    let Ok(expr) = headwater_logql::parse(query) else { return };
    let printed = expr.to_string();
    let again = headwater_logql::parse(&printed).unwrap_or_else(|error| panic!("{printed}: {error}"));
    assert_eq!(again.to_string(), printed);
});
