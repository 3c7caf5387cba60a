//! Settings files of every kind. What is read prints, and what is printed reads to the same.
#![no_main]

use std::path::Path;

use headwater_config::{Config, Options, RuleChecks, RuleFile, WebConfig};
use libfuzzer_sys::fuzz_target;

fn read(text: &str) -> Option<Config> {
    let options = Options { environment: &|_| None, agent: false };
    Config::parse(text, Path::new("/nowhere"), &options).ok()
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(RuleFile::parse(text, &RuleChecks::default()));
    drop(headwater_yaml::from_str::<WebConfig>(text));
    // A dollar in an external label would be expanded once more.
    let config = read(text).filter(|_| !text.contains('$'));
    if let Some(printed) = config.map(|config| config.to_yaml().unwrap()) {
        let again = read(&printed).expect("what is printed can be read");
        assert_eq!(again.to_yaml().unwrap(), printed);
    }
});
