//! The page at `/` of a [`MetricsOutput`](super::MetricsOutput): what came by,
//! and what every plugin counts.

use std::fmt::Write;

use crate::topology::Report;

/// Messages of one type and logger.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Messages since the start.
    pub count: u64,
    /// Payload of the last one.
    pub payload: String,
}

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
<meta name=viewport content='width=device-width'><meta http-equiv=refresh content=2><title>hekad</title><style>\
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}body{margin:1rem auto;max-width:70rem;padding:0 1rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.2rem .6rem;\
border-bottom:1px solid light-dark(#ddd,#444)}td.n{text-align:right;font-variant-numeric:tabular-nums}\
pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}small{opacity:.7}</style><h1>hekad</h1>";

/// The whole page.
pub(super) fn page<'a>(
    sources: impl Iterator<Item = (&'a str, &'a str, &'a Source)>,
    report: Option<&Report>,
) -> String {
    let mut out = String::from(HEAD);
    // Writing to a String cannot fail.
    if let Some(report) = report {
        let _ = write!(out, "<p>{} messages routed. ", report.routed);
    }
    out.push_str("<a href=/metrics>metrics</a> <a href=/report.json>report</a><h2>Messages</h2>");
    messages(&mut out, sources);
    if let Some(report) = report {
        plugins(&mut out, report);
    }
    out
}

fn messages<'a>(out: &mut String, sources: impl Iterator<Item = (&'a str, &'a str, &'a Source)>) {
    let mut sources = sources.peekable();
    if sources.peek().is_none() {
        out.push_str("<p>None yet.");
        return;
    }
    out.push_str("<table><tr><th>type<th>logger<th>messages<th>last payload");
    for (kind, logger, source) in sources {
        let (kind, logger, payload) = (html(kind), html(logger), html(&source.payload));
        let count = source.count;
        let _ = write!(
            out,
            "<tr><td>{kind}<td>{logger}<td class=n>{count}<td><pre>{payload}</pre>"
        );
    }
    out.push_str("</table>");
}

/// One row a plugin, with the numbers that are not zero.
fn plugins(out: &mut String, report: &Report) {
    out.push_str("<h2>Plugins</h2><table><tr><th>plugin<th>kind<th>numbers");
    for plugin in &report.plugins {
        let (name, kind) = (html(&plugin.name), plugin.kind.trim_end_matches('s'));
        let _ = write!(out, "<tr><td>{name}<td>{kind}<td>");
        for (name, value) in plugin.stats.iter().filter(|(_, value)| *value > 0) {
            let _ = write!(out, "<small>{}</small> {value} ", html(name));
        }
    }
    out.push_str("</table>");
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::PluginReport;

    #[test]
    fn counts_payloads_and_plugins_are_shown_and_markup_in_them_is_not() {
        let source = Source {
            count: 3,
            payload: "<b>last</b>".to_owned(),
        };
        let report = Report {
            routed: 41,
            plugins: vec![PluginReport {
                kind: "inputs",
                name: "syslog".into(),
                stats: vec![("Lines".to_owned(), 17), ("Failures".to_owned(), 0)],
            }],
        };
        let page = page([("logfile", "a&b", &source)].into_iter(), Some(&report));
        for expected in [
            "41 messages routed",
            "<td>a&amp;b<td class=n>3<td><pre>&lt;b>last",
            "<td>syslog<td>input<td><small>Lines</small> 17",
        ] {
            assert!(page.contains(expected), "{expected} in {page}");
        }
        assert!(!page.contains("Failures"), "{page}");
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert!(page(std::iter::empty(), None).contains("None yet."));
    }
}
