//! heka's configuration: TOML with its own bare keys and variables. Only plugins that touch
//! nothing outside are known.
#![no_main]

use headwater_pipeline::config::{Config, Plan};
use headwater_pipeline::plugin::Registry;
use headwater_pipeline::plugins::{decoders, encoders, splitters};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut registry = Registry::new();
    registry
        .decoder::<decoders::MultiDecoder>()
        .decoder::<decoders::PayloadRegexDecoder>()
        .decoder::<decoders::ScribbleDecoder>()
        .encoder::<encoders::ESJsonEncoder>()
        .encoder::<encoders::PayloadEncoder>()
        .splitter::<splitters::RegexSplitter>()
        .splitter::<splitters::TokenSplitter>();
    if let Ok(config) = Config::from_text("fuzz", text) {
        let _ = Plan::new(&config, &registry);
    }
});
