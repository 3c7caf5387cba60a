//! LogQL queries: what parses prints, and what was printed parses to what prints the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| {
    let Ok(expr) = headwater_logql::parse(query) else { return };
    let printed = expr.to_string();
    // A character that means nothing, or a wide one, is a name to Loki's lexer, and is printed in quotes, which
    // the grammar has no place for.
    let means_something = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "_{}()[],.:=~!|+-*/%^<>\"`\\".contains(c);
    if !query.chars().all(means_something) {
        return;
    }
    // Arithmetic on literals is done by the parser, as in Loki, and the language has no way to
    // write what a division by zero gives.
    if ["NaN", "Inf"].iter().any(|number| printed.contains(number)) {
        return;
    }
    let again = headwater_logql::parse(&printed).unwrap_or_else(|error| panic!("{printed}: {error}"));
    assert_eq!(again.to_string(), printed);
});
