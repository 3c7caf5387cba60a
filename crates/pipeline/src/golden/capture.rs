//! A pipeline of one stream whose messages are kept.

use std::sync::Arc;

use bytes::Bytes;

use crate::config::{Config, Plan};
use crate::event::Event;
use crate::flow::{Pop, Queue, Route, Router, WhenFull};
use crate::matcher::Matcher;
use crate::message::Message;
use crate::plugin::{BuildContext, Emitter, Session, SessionOptions, Stats};

/// Builds a plan from text, with an output-free registry of everything.
pub(super) fn plan(config: &str) -> Result<Plan, String> {
    let config = Config::from_text("golden", config).map_err(|error| error.to_string())?;
    Plan::new(&config, &crate::plugins::registry()).map_err(|error| error.to_string())
}

/// What a stream with these parts makes of `input`.
pub(super) fn decoded(
    plan: &Plan,
    splitter: &str,
    decoder: &str,
    input: &[u8],
) -> Result<Vec<Message>, String> {
    let router = Arc::new(Router::new());
    let queue = Arc::new(Queue::new(64 << 20, WhenFull::Block));
    let route = Route {
        name: "all".into(),
        matcher: Matcher::parse("TRUE").map_err(|error| error.to_string())?,
        signer: None,
        queue: queue.clone(),
    };
    router.change(|routes| routes.push(route));
    let cx = BuildContext::new("golden", &plan.globals, &plan.services, &plan.parts, None);
    let part = plan.parts.splitters.get(splitter).ok_or("no splitter")?;
    let mut options = SessionOptions::new(plan.globals.record_max());
    options.send_decode_failures = true;
    options.log_decode_failures = false;
    let template = Message {
        kind: Some("in".into()),
        logger: Some("in".into()),
        severity: Some(7),
        hostname: Some("<remote>".into()),
        ..Message::default()
    };
    let mut session = Session::new(
        "golden",
        (part.make)(&cx).map_err(|error| error.to_string())?,
        Some(cx.decoder(decoder).map_err(|error| error.to_string())?),
        options,
        template,
        Emitter::new(router, Stats::default()),
    );
    session.push(input).map_err(|error| error.to_string())?;
    session.finish().map_err(|error| error.to_string())?;
    Ok(taken(&queue).iter().map(Event::to_message).collect())
}

/// Empties a queue.
pub(super) fn taken(queue: &Queue) -> Vec<Event> {
    queue.close();
    let mut events = Vec::new();
    while let Pop::Delivery(delivery) = queue.pop(None) {
        events.extend(delivery.events().cloned());
        delivery.done();
    }
    events
}

/// Text that stands for any value.
pub(super) fn is_any(text: &Option<Bytes>) -> bool {
    matches!(text.as_deref(), Some(b"<any>" | b"<now>" | b"<remote>"))
}
