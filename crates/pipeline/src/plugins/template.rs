//! Setting headers and fields of a message from settings, with `%Group%` in
//! them replaced by what a decoder found.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;

use crate::message::{Field, Message, Uuid};

/// One entry of `message_fields`, read once.
#[derive(Debug, Clone)]
struct Entry {
    target: Target,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Target {
    Kind,
    Logger,
    Payload,
    Hostname,
    Severity,
    Pid,
    Uuid,
    Field { name: Bytes, representation: String },
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Group(String),
}

/// What `message_fields` say.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    entries: Vec<Entry>,
}

impl Template {
    /// `interpolate` tells whether `%Group%` means something.
    pub(crate) fn new(fields: &BTreeMap<String, String>, interpolate: bool) -> Template {
        let entry = |(key, value): (&String, &String)| Entry {
            target: target(key),
            pieces: if interpolate {
                pieces(value)
            } else {
                vec![Piece::Text(value.clone())]
            },
        };
        Template {
            entries: fields.iter().map(entry).collect(),
        }
    }

    /// Whether it leaves messages as they are.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sets what the entries say. `groups` knows what was found; unknown
    /// groups become `<name>`, as in heka.
    ///
    /// # Errors
    ///
    /// A severity, process or identity that is none, in Go's words. The
    /// message is then half changed.
    pub(crate) fn apply<'a>(
        &self,
        message: &mut Message,
        groups: &dyn Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<(), String> {
        for entry in &self.entries {
            let value = fill(&entry.pieces, groups);
            match &entry.target {
                Target::Kind => message.kind = Some(value.into()),
                Target::Logger => message.logger = Some(value.into()),
                Target::Payload => message.payload = Some(value.into()),
                Target::Hostname => message.hostname = Some(value.into()),
                Target::Severity => message.severity = Some(integer(&value)?),
                Target::Pid => message.pid = Some(integer(&value)?),
                Target::Uuid => message.uuid = Some(uuid(&value)?),
                Target::Field {
                    name,
                    representation,
                } => {
                    let field = Field::string(name.clone(), value, representation);
                    message.fields.push(field);
                }
            }
        }
        Ok(())
    }
}

fn target(key: &str) -> Target {
    match key {
        "Type" => Target::Kind,
        "Logger" => Target::Logger,
        "Payload" => Target::Payload,
        "Hostname" => Target::Hostname,
        "Severity" => Target::Severity,
        "Pid" => Target::Pid,
        "Uuid" => Target::Uuid,
        _ => {
            let (name, representation) = key.split_once('|').unwrap_or((key, ""));
            Target::Field {
                name: Bytes::copy_from_slice(name.as_bytes()),
                representation: representation.to_owned(),
            }
        }
    }
}

fn pieces(value: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        let name = &rest[at + 1..];
        let len = name
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(name.len());
        text.push_str(&rest[..at]);
        if len > 0 && name[len..].starts_with('%') {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(Piece::Group(name[..len].to_owned()));
            rest = &name[len + 1..];
        } else {
            text.push('%');
            rest = name;
        }
    }
    text.push_str(rest);
    pieces.push(Piece::Text(text));
    pieces.retain(|piece| *piece != Piece::Text(String::new()));
    pieces
}

fn fill<'a>(pieces: &[Piece], groups: &dyn Fn(&str) -> Option<&'a [u8]>) -> Vec<u8> {
    let mut value = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => value.extend_from_slice(text.as_bytes()),
            Piece::Group(name) => match groups(name) {
                Some(text) => value.extend_from_slice(text),
                None => value.extend_from_slice(format!("<{name}>").as_bytes()),
            },
        }
    }
    value
}

pub(crate) fn integer(text: &[u8]) -> Result<i32, String> {
    let text: Cow<'_, str> = String::from_utf8_lossy(text);
    text.parse()
        .map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
}

fn uuid(text: &[u8]) -> Result<Uuid, String> {
    let text = String::from_utf8_lossy(text);
    Uuid::parse(&text).ok_or_else(|| format!("invalid UUID {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(value: &str) -> String {
        let groups = |name: &str| (name == "A").then_some(&b"1"[..]);
        String::from_utf8(fill(&pieces(value), &groups)).unwrap()
    }

    #[test]
    fn groups_are_replaced_and_other_percent_signs_stay() {
        assert_eq!(filled("%A%+%A%%A%"), "1+11");
        assert_eq!(filled("100% %A"), "100% %A");
        assert_eq!(filled("%%"), "%%");
        assert_eq!(filled("-%No%-"), "-<No>-");
    }
}
