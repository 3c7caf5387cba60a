//! `/ring`: who keeps which entries.

use std::fmt::Write;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use headwater_ring::{Desc, Instance, Ring, RingConfig};
use serde_json::{Value, json};

use crate::form::Form;
use crate::state::Api;
use crate::time::{SECOND, rfc3339};

/// How Go writes a time that was never set.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// As a page, or as JSON for those who ask for it.
pub(crate) async fn show(State(api): State<Api>, headers: HeaderMap, form: Form) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let view = View {
        desc: api.parts.status.ring(),
        now: api.now(),
        timeout: api.parts.settings.heartbeat_timeout_seconds,
    };
    let (kind, body) = match accept.is_some_and(|accept| accept.contains("json")) {
        true => ("application/json", view.json().to_string()),
        false => ("text/html", view.page(form.first("tokens") == "true")),
    };
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Forgets a member that does not come back.
pub(crate) async fn forget(State(api): State<Api>, form: Form) -> Response {
    if let Some(member) = form.given("forget") {
        api.parts.status.forget(member);
    }
    (StatusCode::FOUND, [(header::LOCATION, "/ring")]).into_response()
}

/// The ring at one moment.
struct View {
    desc: Desc,
    /// Nanoseconds.
    now: i64,
    timeout: i64,
}

fn time(seconds: i64) -> String {
    match seconds {
        0 => NEVER.to_owned(),
        seconds => rfc3339(seconds.saturating_mul(SECOND)),
    }
}

impl View {
    fn state(&self, one: &Instance) -> &'static str {
        one.shown_state(self.now / SECOND, self.timeout)
    }

    fn json(&self) -> Value {
        let shard = |(id, one): (&String, &Instance)| {
            json!({
                "id": id,
                "state": self.state(one),
                "address": one.address,
                "timestamp": time(one.heartbeat),
                "registered_timestamp": time(one.registered),
                "read_only": one.read_only,
                "read_only_updated_timestamp": NEVER,
                "zone": one.zone,
                "tokens": one.tokens,
            })
        };
        let shards: Vec<_> = self.desc.instances.iter().map(shard).collect();
        json!({ "shards": shards, "now": rfc3339(self.now) })
    }

    fn page(&self, tokens: bool) -> String {
        let owned = Ring::new(&self.desc, RingConfig::default()).ownership();
        let mut out = format!(
            "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"UTF-8\">\n<title>Ring Status</title>\n</head>\n<body>\n<h1>Ring Status</h1>\n<p>Current time: {}</p>\n<form action=\"\" method=\"POST\">\n<table width=\"100%\" border=\"1\">\n<thead>\n<tr>",
            rfc3339(self.now)
        );
        for column in [
            "Instance ID",
            "Availability Zone",
            "State",
            "Address",
            "Registered At",
            "Read-Only",
            "Last Heartbeat",
            "Tokens",
            "Ownership",
            "Actions",
        ] {
            let _ = write!(out, "<th>{column}</th>");
        }
        out.push_str("</tr>\n</thead>\n<tbody>\n");
        for ((id, one), share) in self.desc.instances.iter().zip(owned) {
            self.row(&mut out, id, one, share);
        }
        out.push_str("</tbody>\n</table>\n<br>\n");
        let (label, link) = match tokens {
            true => ("Hide Tokens", "?tokens=false"),
            false => ("Show Tokens", "?tokens=true"),
        };
        let _ = writeln!(
            out,
            "<input type=\"button\" value=\"{label}\" onclick=\"window.location.href = '{link}'\"/>"
        );
        if tokens {
            for (id, one) in &self.desc.instances {
                let texts: Vec<String> = one.tokens.iter().map(u32::to_string).collect();
                let _ = writeln!(
                    out,
                    "<h2>Instance: {}</h2>\n<p>Tokens:<br>{}</p>",
                    escaped(id),
                    texts.join(" ")
                );
            }
        }
        out.push_str("</form>\n</body>\n</html>\n");
        out
    }

    fn row(&self, out: &mut String, id: &str, one: &Instance, share: f64) {
        let id = escaped(id);
        let ago = self.now / SECOND - one.heartbeat;
        let cells = [
            id.clone(),
            escaped(&one.zone),
            self.state(one).to_owned(),
            escaped(&one.address),
            time(one.registered),
            one.read_only.to_string(),
            format!("{ago}s ago ({})", time(one.heartbeat)),
            one.tokens.len().to_string(),
            format!("{}%", (share * 10_000.0).round() / 100.0),
            format!("<button name=\"forget\" value=\"{id}\" type=\"submit\">Forget</button>"),
        ];
        out.push_str("<tr>");
        for cell in cells {
            let _ = write!(out, "<td>{cell}</td>");
        }
        out.push_str("</tr>\n");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        let mut desc = Desc::new();
        for (id, heartbeat, tokens) in [("a<b", 1000, vec![1 << 30]), ("c", 1, vec![3 << 30])] {
            let one = Instance {
                address: "127.0.0.1:9095".to_owned(),
                heartbeat,
                tokens,
                ..Instance::default()
            };
            desc.instances.insert(id.to_owned(), one);
        }
        View {
            desc,
            now: 1005 * SECOND,
            timeout: 60,
        }
    }

    #[test]
    fn members_are_told_with_their_states() {
        let json = view().json();
        assert_eq!(json["shards"][0]["state"], "ACTIVE");
        assert_eq!(json["shards"][0]["registered_timestamp"], NEVER);
        assert_eq!(json["shards"][1]["state"], "UNHEALTHY");
        assert_eq!(json["shards"][1]["tokens"], json!([3_221_225_472u32]));
    }

    #[test]
    fn the_page_escapes_and_shows_tokens_if_asked() {
        let page = view().page(false);
        assert!(page.contains("<td>a&lt;b</td>") && page.contains("value=\"a&lt;b\""));
        assert!(page.contains("5s ago (") && page.contains("<td>50%</td>"));
        assert!(!page.contains("3221225472"));
        assert!(view().page(true).contains("3221225472"));
    }
}
