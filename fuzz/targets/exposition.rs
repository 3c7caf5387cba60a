//! Scraped bodies: the first byte chooses the format. Labels of every sample are read.
#![no_main]

use headwater_exposition::{Event, Format, Options, Parser};
use headwater_model::LabelsBuilder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    let format = [Format::Text, Format::OpenMetrics, Format::Protobuf][usize::from(choice % 3)];
    let Ok(mut parser) = Parser::new(body, format, Options::default()) else { return };
    let mut labels = LabelsBuilder::new();
    while let Ok(Some(event)) = parser.next_event() {
        if let Event::Sample(sample) = event {
            labels.clear();
            let _ = sample.labels(&mut labels);
        }
    }
});
