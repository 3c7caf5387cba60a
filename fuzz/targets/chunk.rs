//! Chunks of every encoding: the first byte chooses one. What can be read can be written
//! again, gone on with, and read once more, and gives the same samples.
#![no_main]

use headwater_blockfmt::chunk::Xor2Appender;
use headwater_blockfmt::{Encoding, FloatHistogramAppender, HistogramAppender, XorAppender, decode, encode_columns};
use headwater_model::{SeriesColumns, TimeRange};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, chunk)) = data.split_first() else { return };
    let Ok(encoding) = Encoding::from_number(choice % 7) else { return };
    match encoding {
        Encoding::Xor => drop(XorAppender::resume(chunk)),
        Encoding::Xor2 => drop(Xor2Appender::resume(chunk)),
        Encoding::Histogram | Encoding::HistogramSt => drop(HistogramAppender::resume(encoding, chunk)),
        _ => drop(FloatHistogramAppender::resume(encoding, chunk)),
    }
    let mut columns = SeriesColumns::default();
    if decode(encoding, chunk, TimeRange::ALL, &mut columns).is_err() {
        assert!(columns.is_empty());
        return;
    }
    let mut again = SeriesColumns::default();
    for chunk in encode_columns(&columns) {
        decode(chunk.encoding, &chunk.data, TimeRange::ALL, &mut again).unwrap();
    }
    // Start timestamps are not encoded here, and hints depend on where chunks are cut.
    assert_eq!(again.floats.times, columns.floats.times);
    assert_eq!(again.histograms.times(), columns.histograms.times());
    let bits = |columns: &SeriesColumns| columns.floats.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&again), bits(&columns));
    for at in 0..columns.histograms.len() {
        let (was, is) = (columns.histograms.get(at).sum(), again.histograms.get(at).sum());
        assert_eq!(was.to_bits(), is.to_bits());
    }
});
