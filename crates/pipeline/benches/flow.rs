//! What a message costs on its way from the bytes of a stream to a consumer's
//! queue and out of it, on one thread: splitting, decoding, matching, queueing.
//!
//! Data: frames of about 400 bytes with six fields, and log lines of 206
//! bytes; 1000 of either a pass, so microseconds a pass are nanoseconds a
//! message.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use headwater_pipeline::Event;
use headwater_pipeline::flow::{Batch, Pop, Queue, Route, Router, Scratch, WhenFull};
use headwater_pipeline::matcher::{Matcher, MatcherSet};
use headwater_pipeline::message::{Field, Message, RawMessage, Verifier, put_frame, record_max};
use headwater_pipeline::plugin::{Decoder, Incoming, Splitter, cut};
use headwater_pipeline::plugins::decoders::ProtobufDecoder;
use headwater_pipeline::plugins::splitters::{HekaFramingSplitter, TokenSplitter};

const COUNT: i64 = 1000;

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
            Field::string("remote_addr", "127.0.0.1", "ipv4"),
            Field::integer("bytes", 2326, "B"),
            Field::string("ua", "Mozilla/4.08", ""),
        ],
        ..Message::default()
    }
}

fn frames() -> bytes::Bytes {
    let mut out = Vec::new();
    for number in 0..COUNT {
        put_frame(&mut out, &message(number).to_bytes(), None, 65536).unwrap();
    }
    out.into()
}

fn splitting(c: &mut Criterion) {
    let frames = frames();
    let lines: Vec<u8> = (0..COUNT)
        .flat_map(|n| format!("{n:0205}\n").into_bytes())
        .collect();
    let mut found = Vec::new();
    let mut all = |splitter: &mut dyn Splitter, bytes: &[u8]| {
        found.clear();
        cut(splitter, bytes, false, record_max(65536), false, &mut found).used
    };
    let mut framing = HekaFramingSplitter::new(Verifier::default(), 65536);
    c.bench_function("split frames", |b| {
        b.iter(|| all(&mut framing, black_box(&frames)))
    });
    let mut token = TokenSplitter::new(b'\n', 1);
    c.bench_function("split lines", |b| {
        b.iter(|| all(&mut token, black_box(&lines)))
    });
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

fn decoding(c: &mut Criterion) {
    let frames = frames();
    c.bench_function("split and index frames", |b| {
        b.iter(|| events(black_box(&frames)))
    });
    let bodies: Vec<bytes::Bytes> = (0..COUNT).map(|n| message(n).to_bytes().into()).collect();
    c.bench_function("decode into owned messages", |b| {
        b.iter(|| {
            bodies
                .iter()
                .map(|body| Message::decode(body).unwrap().fields.len())
                .sum::<usize>()
        });
    });
    c.bench_function("index messages", |b| {
        b.iter(|| {
            bodies
                .iter()
                .map(|body| RawMessage::new(body.clone()).unwrap().len())
                .sum::<usize>()
        });
    });
}

fn matching(c: &mut Criterion) {
    let events = events(&frames());
    for text in [
        "Type == 'nginx.access' && Severity == 6",
        "Fields[status] >= 500",
        "Payload =~ /^127/",
    ] {
        let matcher = Matcher::parse(text).unwrap();
        c.bench_function(&format!("match {text}"), |b| {
            b.iter(|| events.iter().filter(|event| matcher.matches(event)).count());
        });
    }
    let never = (0..16).map(|n| format!("Type == 'never{n}' && Severity < 3"));
    let set = MatcherSet::new(never.map(|text| (Matcher::parse(&text).unwrap(), None)));
    let mut hits = Default::default();
    c.bench_function("match 16 that never match", |b| {
        b.iter(|| {
            for event in &events {
                set.matches(event, &mut hits);
            }
        });
    });
}

fn routing(c: &mut Criterion) {
    let frames = frames();
    let router = Router::new();
    let queue = Arc::new(Queue::new(1 << 30, WhenFull::Block));
    let route = Route {
        name: "all".into(),
        matcher: Matcher::parse("Type != 'heka.counter-output'").unwrap(),
        signer: None,
        queue: queue.clone(),
    };
    router.change(|routes| routes.push(route));
    let mut scratch = Scratch::default();
    c.bench_function("frames to a counter, all on one thread", |b| {
        b.iter(|| {
            let batch = Batch::new(events(black_box(&frames)), None);
            router.send(batch, &mut scratch).unwrap();
            match queue.pop(None) {
                Pop::Delivery(delivery) => {
                    let count = delivery.len();
                    delivery.done();
                    count
                }
                _ => 0,
            }
        });
    });
}

criterion_group!(benches, splitting, decoding, matching, routing);
criterion_main!(benches);
