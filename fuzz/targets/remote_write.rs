//! Bodies of remote write, compressed and plain, of both messages.
#![no_main]

use headwater_wire::{histogram, snappy, write1, write2};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut plain = Vec::new();
    if snappy::decompress(data, 1 << 20, &mut plain).is_ok() {
        v1(&plain);
        v2(&plain);
    }
    v1(data);
    v2(data);
});

fn v1(body: &[u8]) {
    let mut request = write1::Request::new(body);
    while let Ok(Some(series)) = request.next_series() {
        let _ = series.labels().count();
        let mut parts = series.parts();
        while let Ok(Some(part)) = parts.next_part() {
            match part {
                write1::Part::Histogram(message) => drop(histogram::decode(message)),
                write1::Part::Exemplar(message) => {
                    if let Ok(exemplar) = write1::Exemplar::decode(message) {
                        let _ = exemplar.labels().count();
                    }
                }
                write1::Part::Sample(_) | write1::Part::Label(..) => {}
            }
        }
    }
}

fn v2(body: &[u8]) {
    let mut symbols = Vec::new();
    let _ = write2::symbols(body, 1 << 16, &mut symbols);
    let mut request = write2::Request::new(body);
    while let Ok(Some(series)) = request.next_series() {
        let references: Vec<u32> = series.references().map_while(Result::ok).collect();
        if let Ok(pairs) = write2::pairs(&references, &symbols) {
            let _ = pairs.count();
        }
        let mut parts = series.parts();
        while let Ok(Some(part)) = parts.next_part() {
            match part {
                write2::Part::Histogram(message) => drop(histogram::decode(message)),
                write2::Part::Exemplar(message) => drop(write2::Exemplar::decode(message)),
                _ => {}
            }
        }
    }
}
