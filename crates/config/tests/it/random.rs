//! No text makes reading panic or go on for ever.

use std::path::Path;

use headwater_config::{Config, Options, RuleChecks, RuleFile};
use proptest::prelude::*;

const WORDS: [&str; 28] = [
    "global",
    "scrape_configs",
    "job_name",
    "scrape_interval",
    "static_configs",
    "targets",
    "labels",
    "relabel_configs",
    "regex",
    "action",
    "file_sd_configs",
    "files",
    "remote_write",
    "url",
    "basic_auth",
    "alerting",
    "alertmanagers",
    "storage",
    "groups",
    "rules",
    "expr",
    "alert",
    "external_labels",
    "5m",
    "http://a",
    "${A}",
    "(",
    "*",
];

/// YAML that is nearly well formed: known words in random nesting.
fn nearly_settings() -> impl Strategy<Value = String> {
    let line = (
        0usize..5,
        any::<bool>(),
        0..WORDS.len(),
        prop_oneof![Just(""), Just(": "), Just(":"), Just(": [")],
        0..WORDS.len(),
    )
        .prop_map(|(depth, item, key, colon, value)| {
            let dash = if item { "- " } else { "" };
            let value = if colon == ": " { WORDS[value] } else { "" };
            format!("{}{dash}{}{colon}{value}", "  ".repeat(depth), WORDS[key])
        });
    prop::collection::vec(line, 0..20).prop_map(|lines| lines.join("\n"))
}

fn cases() -> u32 {
    std::env::var("HEADWATER_PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(256)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn reading_never_panics(text in prop_oneof![nearly_settings(), any::<String>(), "[-a-z:&*\\[\\]{}!<|> \n]{0,200}"]) {
        match Config::parse(&text, Path::new("/nowhere"), &Options::default()) {
            Err(error) => prop_assert!(!error.to_string().is_empty()),
            Ok(config) => {
                let printed = config.to_yaml().unwrap();
                let again = Config::parse(&printed, Path::new("/nowhere"), &Options::default());
                prop_assert_eq!(again.unwrap().to_yaml().unwrap(), printed);
            }
        }
        if let Err(errors) = RuleFile::parse(&text, &RuleChecks::default()) {
            prop_assert!(!errors.is_empty());
        }
    }
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
    ] {
        assert!(Config::parse(&text, Path::new("."), &Options::default()).is_err());
    }
}

#[test]
fn anchors_do_not_multiply_without_end() {
    let mut text = "a0: &a0 [x]\n".to_owned();
    for n in 1..40 {
        let before = n - 1;
        text += &format!("a{n}: &a{n} [*a{before}, *a{before}, *a{before}, *a{before}]\n");
    }
    let text = format!("{text}rule_files: *a39\n");
    assert!(Config::parse(&text, Path::new("."), &Options::default()).is_err());
    let text = text.replace("a0: &a0 [x]", "global: {external_labels: {a: &a0 x}}");
    assert!(Config::parse(&text, Path::new("."), &Options::default()).is_err());
}
