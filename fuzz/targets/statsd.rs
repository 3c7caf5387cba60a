//! Lines of statsd.
#![no_main]

use headwater_pipeline::stat::parse_line;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    if let Some(stat) = parse_line(line) {
        assert!(stat.value.is_finite() && stat.rate > 0.0);
    }
});
