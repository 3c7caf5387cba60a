//! Columns to chunks, cut as Prometheus cuts them.

use headwater_model::SeriesColumns;

use super::{EncodedChunk, Encoding, XorAppender};

/// Samples of a float chunk. Source: Prometheus, `tsdb/head.go`.
pub(super) const FLOATS_PER_CHUNK: usize = 120;

/// Encodes all samples of a series, in the order of their times, without start timestamps.
pub fn encode_columns(columns: &SeriesColumns) -> Vec<EncodedChunk> {
    let floats = columns.floats.times.iter().zip(&columns.floats.values);
    let mut chunks = Vec::with_capacity(columns.floats.len().div_ceil(FLOATS_PER_CHUNK));
    let mut appender = XorAppender::new();
    let mut min_time = 0;
    for (&time, &value) in floats {
        if appender.count() == FLOATS_PER_CHUNK {
            chunks.push(finish(&appender, min_time));
            appender = XorAppender::new();
        }
        if appender.count() == 0 {
            min_time = time;
        }
        appender.append(time, value);
    }
    if appender.count() > 0 {
        chunks.push(finish(&appender, min_time));
    }
    chunks
}

fn finish(appender: &XorAppender, min_time: i64) -> EncodedChunk {
    EncodedChunk {
        encoding: Encoding::Xor,
        min_time,
        max_time: appender.last_time(),
        data: appender.to_bytes(),
    }
}
