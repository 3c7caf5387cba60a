//! `matcher.json`: verdicts of expressions over eight messages.

use std::path::Path;

use bytes::Bytes;
use serde_json::Value;

use crate::event::Event;
use crate::matcher::{Dialect, Matcher, MatcherError};
use crate::message::RawMessage;

use super::json::{self, cases, text};
use super::{Report, same};

pub(super) fn run(file: &Value, _dir: &Path, report: &mut Report) {
    let events: Vec<Event> = cases(file, "messages").map(event).collect();
    for case in cases(file, "cases") {
        let name = format!("matcher/{}/{}", text(case, "group"), text(case, "expr"));
        report.judge(name, check(case, &events));
    }
}

fn event(json: &Value) -> Event {
    let frame = Bytes::from(json::decode64(text(json, "frame_base64")));
    let body = 3 + usize::from(frame[1]);
    let raw = RawMessage::within(frame, body).expect("recorded frames are valid");
    Event::from(raw)
}

fn check(case: &Value, events: &[Event]) -> Result<(), String> {
    let parsed = Matcher::with_dialect(text(case, "expr"), Dialect::Heka);
    match (text(case, "result"), parsed) {
        ("ok", Ok(matcher)) => {
            let wanted: Vec<u64> = cases(case, "matches").filter_map(Value::as_u64).collect();
            let raw: Vec<u64> = hits(&matcher, events.iter());
            same("matches", &raw, &wanted)?;
            let owned: Vec<Event> = events.iter().map(|e| e.to_message().into()).collect();
            same(
                "matches of decoded messages",
                &hits(&matcher, owned.iter()),
                &wanted,
            )
        }
        ("syntax_error", Err(error)) => same("error", &place(&error), &text(case, "error").into()),
        (_, Ok(_)) => Err("accepted an expression that has an error".to_owned()),
        (_, Err(error)) => Err(format!("refused: {error}")),
    }
}

fn hits<'a>(matcher: &Matcher, events: impl Iterator<Item = &'a Event>) -> Vec<u64> {
    let numbered = events.enumerate();
    numbered
        .filter(|(_, event)| matcher.matches(event))
        .map(|(index, _)| index as u64)
        .collect()
}

fn place(error: &MatcherError) -> String {
    format!(
        "syntax error: last token: {} pos: {}",
        error.last_token, error.pos
    )
}
