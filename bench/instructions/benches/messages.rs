//! The path of heka's messages: splitting, indexing and matching 1000 frames of 400 bytes.

#![expect(missing_docs, reason = "the macros of the harness make public items")]

use gungraun::prelude::*;
use headwater_instructions::at_most;
use headwater_pipeline::Event;
use headwater_pipeline::matcher::{Matcher, MatcherSet};
use headwater_pipeline::message::{Field, Message, Verifier, put_frame, record_max};
use headwater_pipeline::plugin::{Decoder, Incoming, cut};
use headwater_pipeline::plugins::decoders::ProtobufDecoder;
use headwater_pipeline::plugins::splitters::HekaFramingSplitter;

fn message(number: i64) -> Message {
    Message {
        timestamp: Some(1_416_840_893_000_000_000 + number),
        kind: Some("nginx.access".into()),
        logger: Some("web-01".into()),
        severity: Some(6),
        payload: Some(format!("127.0.0.1 - - \"GET /a/b/c?x={number} HTTP/1.1\" 200 2326 \"http://www.example.com/start.html\" \"Mozilla/4.08 [en] (Win98; I ;Nav)\"").into()),
        hostname: Some("web-01.example".into()),
        fields: vec![
            Field::integer("status", 200, ""),
            Field::string("uri", "/a/b/c", ""),
            Field::double("request_time", 0.25, "s"),
        ],
        ..Message::default()
    }
}

fn frames() -> bytes::Bytes {
    let mut out = Vec::new();
    for number in 0..1000 {
        put_frame(&mut out, &message(number).to_bytes(), None, 65536).expect("a frame");
    }
    out.into()
}

fn events(frames: &bytes::Bytes) -> Vec<Event> {
    let mut framing = HekaFramingSplitter::new(Verifier::default(), 65536);
    let mut found = Vec::new();
    cut(
        &mut framing,
        frames,
        false,
        record_max(65536),
        false,
        &mut found,
    );
    let mut events = Vec::with_capacity(found.len());
    for (start, end) in found {
        let bytes = frames.slice(start..end);
        let start = 3 + usize::from(bytes[1]);
        let incoming = Incoming::Encoded {
            bytes,
            start,
            signer: None,
        };
        ProtobufDecoder.decode(incoming, &mut events);
    }
    events
}

// Frames found in a stream and their messages indexed.
#[library_benchmark(config = at_most(1_730_000))]
#[bench::frames(frames())]
fn split_and_index(frames: bytes::Bytes) -> Vec<Event> {
    events(&frames)
}

// Messages decoded into owned values.
#[library_benchmark(config = at_most(5_050_000))]
#[bench::bodies((0..1000).map(|n| message(n).to_bytes().into()).collect())]
fn decode(bodies: Vec<bytes::Bytes>) -> usize {
    let decoded = bodies.iter().map(Message::decode);
    decoded
        .map(|message| message.expect("a message").fields.len())
        .sum()
}

fn table() -> (Vec<Event>, MatcherSet) {
    let never = (0..16).map(|n| format!("Type == 'never{n}' && Severity < 3"));
    let set = MatcherSet::new(never.map(|text| (Matcher::parse(&text).expect("a matcher"), None)));
    (events(&frames()), set)
}

// A table of 16 routes that never match.
#[library_benchmark(config = at_most(126_000))]
#[bench::never(table())]
fn match_16(table: (Vec<Event>, MatcherSet)) -> (Vec<Event>, MatcherSet) {
    let (events, set) = table;
    let mut hits = Default::default();
    for event in &events {
        set.matches(event, &mut hits);
    }
    (events, set)
}

library_benchmark_group!(
    name = messages,
    benchmarks = [split_and_index, decode, match_16]
);
main!(library_benchmark_groups = messages);
