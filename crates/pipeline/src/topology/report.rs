//! What the pipeline says about itself.

use std::fmt::Write;
use std::sync::Arc;

/// Numbers of one plugin.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PluginReport {
    /// `inputs`, `filters` or `outputs`.
    pub kind: &'static str,
    /// Name of the section.
    pub name: Arc<str>,
    /// Names and values, in the words of heka's reports.
    pub stats: Vec<(String, u64)>,
}

/// Numbers of the whole pipeline at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// Messages routed since the start.
    pub routed: u64,
    /// All plugins.
    pub plugins: Vec<PluginReport>,
}

impl Report {
    /// The form of heka's `heka.all-report`: one list a kind, one object a
    /// plugin, each number with its value and representation.
    pub fn to_json(&self) -> String {
        let mut out = format!(
            "{{\"globals\":[{{\"Name\":\"Router\",\"ProcessMessageCount\":{}}}]",
            number("ProcessMessageCount", self.routed)
        );
        for kind in ["inputs", "filters", "outputs"] {
            let _ = write!(out, ",\"{kind}\":[");
            let plugins = self.plugins.iter().filter(|plugin| plugin.kind == kind);
            for (index, plugin) in plugins.enumerate() {
                let comma = if index > 0 { "," } else { "" };
                let _ = write!(out, "{comma}{{\"Name\":\"{}\"", escape(&plugin.name));
                for (name, value) in &plugin.stats {
                    let _ = write!(out, ",\"{}\":{}", escape(name), number(name, *value));
                }
                out.push('}');
            }
            out.push(']');
        }
        out.push('}');
        out
    }

    /// Lines for people, as heka writes them on SIGUSR1.
    pub fn to_text(&self) -> String {
        let mut out = String::from("========[heka.all-report]========\n====Globals====\nRouter:\n");
        let _ = writeln!(out, "    ProcessMessageCount: {}", self.routed);
        for (kind, title) in [
            ("inputs", "Inputs"),
            ("filters", "Filters"),
            ("outputs", "Outputs"),
        ] {
            let _ = writeln!(out, "===={title}====");
            for plugin in self.plugins.iter().filter(|plugin| plugin.kind == kind) {
                let _ = writeln!(out, "{}:", plugin.name);
                for (name, value) in &plugin.stats {
                    let _ = writeln!(out, "    {name}: {value}");
                }
            }
        }
        out.push_str("========\n");
        out
    }

    /// The text form of Prometheus.
    pub fn to_metrics(&self) -> String {
        let mut out = String::from(
            "# HELP hekad_messages_routed_total Messages routed.\n\
             # TYPE hekad_messages_routed_total counter\n",
        );
        let _ = writeln!(out, "hekad_messages_routed_total {}", self.routed);
        out.push_str(
            "# HELP hekad_plugin_stat Numbers that plugins keep, by heka's names.\n\
             # TYPE hekad_plugin_stat gauge\n",
        );
        for plugin in &self.plugins {
            for (name, value) in &plugin.stats {
                let _ = writeln!(
                    out,
                    "hekad_plugin_stat{{kind=\"{}\",plugin=\"{}\",stat=\"{}\"}} {value}",
                    plugin.kind,
                    escape(&plugin.name),
                    escape(name)
                );
            }
        }
        out
    }
}

fn number(name: &str, value: u64) -> String {
    let representation = representation(name);
    format!("{{\"value\":{value},\"representation\":\"{representation}\"}}")
}

/// The unit of a number, which its name ends with.
fn representation(name: &str) -> &'static str {
    if name.contains("Bytes") {
        "B"
    } else if name.ends_with("Millis") {
        "ms"
    } else {
        "count"
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for ch in text.chars() {
        match ch {
            '"' | '\\' => {
                out.push('\\');
                out.push(ch);
            }
            '\n' => out.push_str("\\n"),
            _ if ch.is_control() => {
                let _ = write!(out, "\\u{:04x}", ch as u32);
            }
            _ => out.push(ch),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            routed: 7,
            plugins: vec![PluginReport {
                kind: "inputs",
                name: "a\"b".into(),
                stats: vec![("ProcessMessageCount".to_owned(), 3)],
            }],
        }
    }

    #[test]
    fn units_follow_names() {
        assert_eq!(representation("HeldBytes"), "B");
        assert_eq!(representation("QueueBytesOnDisk"), "B");
        assert_eq!(representation("HeldOldestMillis"), "ms");
        assert_eq!(representation("DropMessageCount"), "count");
    }

    #[test]
    fn the_three_forms_carry_the_same_numbers() {
        assert_eq!(
            report().to_json(),
            "{\"globals\":[{\"Name\":\"Router\",\"ProcessMessageCount\":{\"value\":7,\
             \"representation\":\"count\"}}],\"inputs\":[{\"Name\":\"a\\\"b\",\
             \"ProcessMessageCount\":{\"value\":3,\"representation\":\"count\"}}],\
             \"filters\":[],\"outputs\":[]}"
        );
        assert!(
            report()
                .to_text()
                .contains("a\"b:\n    ProcessMessageCount: 3\n")
        );
        let line =
            "hekad_plugin_stat{kind=\"inputs\",plugin=\"a\\\"b\",stat=\"ProcessMessageCount\"} 3\n";
        assert!(report().to_metrics().contains(line));
    }
}
