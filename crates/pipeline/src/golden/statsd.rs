//! `statsd.json`: datagrams to numbers.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::config::HekadSettings;
use crate::event::Event;
use crate::message::Message;
use crate::plugin::{BuildContext, Globals, Parts, Plugin, Services};
use crate::plugins::inputs::{
    StatAccumInput, StatAccumInputSettings, StatsdInputSettings, take_datagram,
};

use super::json::{self, cases, plain_field, text};
use super::{Report, same};

pub(super) fn run(file: &Value, _dir: &Path, report: &mut Report) {
    for case in cases(file, "cases") {
        report.judge(format!("statsd/{}", text(case, "name")), check(case));
    }
}

fn check(case: &Value) -> Result<(), String> {
    let mut settings = case["stat_accum_settings"].clone();
    let interval = settings["ticker_interval"].as_u64().unwrap_or(10);
    if let Some(map) = settings.as_object_mut() {
        map.remove("ticker_interval");
    }
    let settings: StatAccumInputSettings =
        serde_json::from_value(settings).map_err(|error| error.to_string())?;
    let statsd: StatsdInputSettings =
        serde_json::from_value(case["statsd_settings"].clone()).map_err(|e| e.to_string())?;
    let globals = Arc::new(Globals::new(&HekadSettings::default()));
    let (services, parts) = (Arc::<Services>::default(), Arc::<Parts>::default());
    let ticker = Some(Duration::from_secs(interval));
    let cx = BuildContext::new("StatAccumInput", &globals, &services, &parts, ticker);
    let mut input = StatAccumInput::build(&settings, &cx).map_err(|error| error.to_string())?;
    let sink = services.stats("StatAccumInput").ok_or("no accumulator")?;
    let send = |key: &str, input: &mut StatAccumInput| {
        for datagram in cases(case, key).filter_map(json::bytes) {
            let len = datagram.len().min(statsd.max_msg_size);
            take_datagram(&datagram[..len], &sink);
        }
        input.take_waiting();
    };
    send("datagrams", &mut input);
    for (index, wanted) in cases(case, "flushes").enumerate() {
        if index == 2 {
            send("datagrams_before_third_flush", &mut input);
        }
        let event = input.flush(Message::default());
        flush(&event, wanted).map_err(|why| format!("flush {}: {why}", index + 1))?;
    }
    Ok(())
}

fn flush(event: &Event, wanted: &Value) -> Result<(), String> {
    let seconds = (event.timestamp() / 1_000_000_000).to_string();
    same(
        "type",
        &String::from_utf8_lossy(event.kind()).as_ref(),
        &text(wanted, "type"),
    )?;
    let payload = String::from_utf8_lossy(event.payload());
    let lines: BTreeSet<String> = payload.lines().map(str::to_owned).collect();
    let now = |line: &Value| line.as_str().unwrap_or_default().replace("<now>", &seconds);
    let wanted_lines: BTreeSet<String> = cases(wanted, "payload_lines").map(now).collect();
    same("lines", &lines, &wanted_lines)?;
    let fields: BTreeSet<_> = event.fields().map(plain_field).collect();
    let mut recorded = wanted.clone();
    if let Some(first) = recorded["fields"].get_mut(0)
        && first["name"] == "timestamp"
    {
        first["values"] = serde_json::json!([seconds.parse::<i64>().unwrap_or(0)]);
    }
    let recorded = Event::from(json::message(&recorded));
    same(
        "fields",
        &fields,
        &recorded.fields().map(plain_field).collect(),
    )
}
