//! Go's meaning of patterns, as tables, and agreement of the fast paths with the automaton.

use headwater_regexp::{ErrorKind, Limits, Regex};
use proptest::prelude::*;

/// Pattern, texts that match as a whole, texts that do not.
#[test]
fn anchored_patterns() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("", &[""], &["a", "\n"]),
        (".*", &["", "a", "a\nb"], &[]),
        (".+", &["a", "\n", "é"], &[""]),
        ("foo.*", &["foo", "foobar", "foo\n"], &["fo", "xfoo"]),
        (".*foo", &["foo", "xfoo"], &["foox"]),
        (".*foo.*", &["foo", "xfoox"], &["fo"]),
        (".+foo.+", &["xfoox", "éfooé"], &["foox", "xfoo", "foo"]),
        ("a.*b.*c", &["abc", "axbxc"], &["acb", "ac"]),
        ("aa.*aa", &["aaaa", "aabaa"], &["aaa"]),
        ("(?-s:.*)", &["ab"], &["a\nb"]),
        ("foo|bar", &["foo", "bar"], &["foobar", ""]),
        ("[[a]", &["[", "a"], &["b"]),
        ("[a&&b]", &["a", "b", "&"], &["c"]),
        ("[a~~b]", &["a", "b", "~"], &["c"]),
        ("[+--]", &["+", ",", "-"], &["*"]),
        ("[]a]", &["]", "a"], &["b"]),
        ("[^]a]", &["b"], &["]", "a"]),
        ("[a-]", &["a", "-"], &["b"]),
        ("[[:alpha:][:^digit:]]", &["a", "-", "é"], &["1"]),
        (r"\d", &["7"], &["٣"]),
        (r"\w", &["_"], &["é"]),
        (r"\s", &[" ", "\t"], &["\u{b}", "\u{a0}"]),
        (r"[\S\s]", &["é"], &[""]),
        (r"é\b", &[], &["é"]),
        (r"\Qa.b\E+", &["a.b", "a.bb"], &["axb"]),
        ("[[:word]", &["[", ":", "w"], &["a"]),
        ("{", &["{"], &[""]),
        ("a{,2}", &["a{,2}"], &["aa"]),
        ("a{2}", &["aa"], &["a"]),
        (r"\<a\>", &["<a>"], &["a"]),
        ("(?i)k", &["k", "K", "\u{212a}"], &["x"]),
        ("(?i)[^k]", &["x"], &["k", "K", "\u{212a}"]),
        ("a(?i)b|c", &["ab", "aB", "c", "C"], &["Ab"]),
        ("(?i:a)b", &["ab", "Ab"], &["aB"]),
        (r"\pL", &["a", "é"], &["1"]),
        (r"\p{Greek}", &["λ"], &["a"]),
        (r"\P{^Greek}", &["λ"], &["a"]),
        (r"\x41\x{42}\103", &["ABC"], &[]),
        (r"\x{D800}?", &[""], &["a"]),
        ("(?m)^a$\n^b$", &["a\nb"], &["ab"]),
        (r"\Aa\z", &["a"], &["ba"]),
        ("a|", &["a", ""], &["b"]),
        ("(?P<n>a)(?<n>b)", &["ab"], &["a"]),
        ("(ab|cd)x.*", &["abx", "cdxy"], &["ab"]),
        (".*(foo|bar).*", &["foo", "xbarx"], &["baz"]),
        (".*[0-9]", &["a1"], &["1a"]),
        ("[0-9].*", &["1a"], &["a1"]),
    ];
    for (pattern, matching, other) in cases {
        let regex = Regex::anchored(pattern).unwrap_or_else(|error| panic!("{error}"));
        for text in *matching {
            assert!(regex.is_match(text), "{pattern:?} has to match {text:?}");
            assert!(
                regex.captures(text).is_some(),
                "{pattern:?} has to find groups in {text:?}"
            );
        }
        for text in *other {
            assert!(!regex.is_match(text), "{pattern:?} must not match {text:?}");
            assert!(
                regex.captures(text).is_none(),
                "{pattern:?} must not find groups in {text:?}"
            );
        }
        assert_eq!(regex.matches_empty(), regex.is_match(""));
    }
}

#[test]
fn unanchored_patterns_search() {
    let regex = Regex::new("b.").expect("valid");
    assert!(regex.is_match("abc"));
    assert!(
        !regex.is_match("ab\n"),
        "without (?s) a dot stops at a line feed"
    );
    assert_eq!(regex.find("abc"), Some(1..3));
    assert!(Regex::new("x.*y").expect("valid").is_match("__x-y__"));
    assert!(Regex::new(".*y$").expect("valid").is_match("\ny"));
}

#[test]
fn replacement_is_gos() {
    for (pattern, template, text, replaced) in [
        ("a", "x", "banana", "bxnxnx"),
        ("", "-", "ab", "-a-b-"),
        ("b*", "-", "abc", "-a-c-"),
        ("(a)(b)?", "[$1$2]", "aab", "[a][ab]"),
        ("(?P<x>a)", "$x$x", "a", "aa"),
        ("(?P<x>a)|(?P<x>b)", "<$x>", "ab", "<a><b>"),
        ("a", "$$1", "a", "$1"),
        ("z", "x", "é", "é"),
        ("", "-", "é", "-é-"),
    ] {
        let regex = Regex::new(pattern).expect("valid");
        assert_eq!(
            regex.replace_all(text, template),
            replaced,
            "{pattern} {template} {text}"
        );
    }
    assert_eq!(
        Regex::new("a")
            .expect("valid")
            .replace_all_literal("a", "$1"),
        "$1"
    );
}

#[test]
fn bytes_that_are_not_text_count_as_replacement_characters() {
    let matches = |pattern: &str, bytes: &[u8]| {
        Regex::anchored(pattern)
            .expect("valid")
            .is_match_bytes(bytes)
    };
    assert!(matches("a.b", b"a\xffb"));
    assert!(matches("a..b", b"a\xe2\x82b"), "one for each byte");
    assert!(matches("a\u{fffd}b", b"a\xffb"));
    assert!(!matches("ab", b"a\xffb"));
    assert_eq!(
        Regex::from_bytes(b"a\xff").expect_err("not text").kind(),
        ErrorKind::InvalidUtf8
    );
}

#[test]
fn size_is_bounded() {
    let huge = r"\pL".repeat(27_000);
    assert_eq!(
        Regex::new(&huge).expect_err("huge").kind(),
        ErrorKind::TooLarge
    );
    let limits = Limits::default().with_program_bytes(1000);
    let error = Regex::with_limits(r"\pL{100}", false, limits).expect_err("beyond the limit");
    assert!(
        error
            .to_string()
            .starts_with("error parsing regexp: expression too large: `")
    );
}

#[test]
fn deep_patterns_compile() {
    let deep = format!("{}a{}", "(a|".repeat(450), ")".repeat(450));
    let regex = Regex::new(&deep).expect("within the bound");
    assert!(regex.is_match("a"));
}

#[test]
fn sets_and_prefixes_help_stores() {
    let many = (0..3000)
        .map(|i| format!("pod-{i}"))
        .collect::<Vec<_>>()
        .join("|");
    let regex = Regex::anchored(&many).expect("valid");
    assert_eq!(regex.literal_set().map(<[_]>::len), Some(3000));
    assert!(regex.is_match("pod-2999") && !regex.is_match("pod-3000"));
    assert_eq!(
        Regex::anchored("pod-[a-z]+").expect("valid").prefix(),
        "pod-"
    );
    assert!(Regex::anchored(".*").expect("valid").matches_everything());
    assert!(!Regex::anchored(".+").expect("valid").matches_everything());
    assert_eq!(
        Regex::new("a|b").expect("valid").literal_set(),
        None,
        "a search has no set"
    );
}

proptest! {
    /// The decision without an automaton is the automaton's.
    #[test]
    fn fast_paths_agree_with_the_automaton(
        pieces in prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "é", ".*", ".+", "(.*)", "(a|b)", "[ab]", "a?", "(?-s:.*)"]), 0..6),
        text in "[abé\n]{0,8}",
    ) {
        let pattern = pieces.concat();
        let anchored = Regex::anchored(&pattern).expect("valid");
        prop_assert_eq!(anchored.is_match(&text), anchored.captures(&text).is_some(), "^{}$ on {:?}", pattern, text);
        let search = Regex::new(&pattern).expect("valid");
        prop_assert_eq!(search.is_match(&text), search.captures(&text).is_some(), "{} on {:?}", pattern, text);
    }

    /// No pattern makes the parser or the compiler panic.
    #[test]
    fn any_pattern_is_answered(pattern in r"[ab\\\[\](){}*+?|^$.\-:,0-9QEpPxdwisPU<>=é]{0,24}") {
        if let Ok(regex) = Regex::new(&pattern) {
            regex.is_match("ab");
            regex.replace_all("ab", "$0");
        }
    }
}
