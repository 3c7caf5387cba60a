//! Loki's JSON, read without building a tree. What follows the request is not looked at, as in Loki.
//!
//! A stream is `{"stream": {..}, "values": [["<ns>", "line", {..}]]}` or, in the first dialect,
//! `{"labels": "{..}", "entries": [{"ts": "<RFC 3339>", "line": ".."}]}`. Both are read wherever JSON
//! is: Loki takes a stream of the other dialect for an empty one, and what was sent is lost.

use std::borrow::Cow;
use std::fmt;

use headwater_chunkstore::{PushEntry, PushStream};
use headwater_model::Labels;
use headwater_model::label::LabelsBuilder;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::bad;
use super::labels::{from_pairs, parse_labels};
use super::names::{normalized, room};
use crate::error::PushError;

pub(super) fn decode(body: &[u8]) -> Result<Vec<PushStream>, PushError> {
    // Go replaces bytes that are no UTF-8; so do we.
    let text = String::from_utf8_lossy(body);
    let mut from = serde_json::Deserializer::from_str(&text);
    let streams = Request
        .deserialize(&mut from)
        .map_err(|error| bad(error.to_string()))?;
    streams.into_iter().map(Raw::finish).collect()
}

/// A stream as sent. Labels are looked at last, so that a push is refused whole before any of it counts.
#[derive(Default)]
struct Raw {
    pairs: Vec<(String, String)>,
    text: Option<String>,
    entries: Vec<PushEntry>,
}

impl Raw {
    fn finish(self) -> Result<PushStream, PushError> {
        let labels = match self.text {
            Some(text) => parse_labels(text.as_bytes())?,
            None => from_pairs(self.pairs)?,
        };
        Ok(PushStream {
            labels,
            entries: self.entries,
        })
    }
}

/// `{"streams": [..]}`; null stands for none.
struct Request;

impl<'de> DeserializeSeed<'de> for Request {
    type Value = Vec<Raw>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Vec<Raw>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Request {
    type Value = Vec<Raw>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"streams\"")
    }

    fn visit_unit<E: Error>(self) -> Result<Vec<Raw>, E> {
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Raw>, A::Error> {
        let mut streams = Vec::new();
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "streams" => streams = map.next_value_seed(List(StreamOf))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(streams)
    }
}

/// A list of what a seed reads; null stands for none.
struct List<S>(S);

impl<'de, S: DeserializeSeed<'de> + Copy> DeserializeSeed<'de> for List<S> {
    type Value = Vec<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, S: DeserializeSeed<'de> + Copy> Visitor<'de> for List<S> {
    type Value = Vec<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = seq.next_element_seed(self.0)? {
            all.push(one);
        }
        Ok(all)
    }
}

#[derive(Clone, Copy)]
struct StreamOf;

impl<'de> DeserializeSeed<'de> for StreamOf {
    type Value = Raw;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Raw, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for StreamOf {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stream, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut raw = Raw::default();
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "stream" => raw.pairs = map.next_value::<StreamLabels>()?.0,
                "values" => raw.entries = map.next_value_seed(List(Values))?,
                "labels" => raw.text = Some(map.next_value()?),
                "entries" => {
                    raw.entries = map.next_value_seed(List(LegacyEntry))?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(raw)
    }
}

/// Names and values; what is no text becomes one, and the last of several equal names counts.
struct StreamLabels(Vec<(String, String)>);

impl<'de> Deserialize<'de> for StreamLabels {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = StreamLabels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels, which are an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StreamLabels, A::Error> {
                let mut pairs: Vec<(String, String)> = Vec::new();
                while let Some((name, Loose(value))) = map.next_entry::<String, Loose>()? {
                    room(pairs.len()).map_err(A::Error::custom)?;
                    match pairs.iter_mut().find(|(known, _)| *known == name) {
                        Some(pair) => pair.1 = value,
                        None => pairs.push((name, value)),
                    }
                }
                Ok(StreamLabels(pairs))
            }
        }
        from.deserialize_map(Pairs)
    }
}

/// A text, or a number, truth or null written as one.
struct Loose(String);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Loose;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a label's value, which is a text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Loose, E> {
                Ok(Loose(text.to_owned()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Loose, E> {
                Ok(Loose(number.to_string()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Loose, E> {
                Ok(Loose(number.to_string()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Loose, E> {
                Ok(Loose(number.to_string()))
            }

            fn visit_bool<E: Error>(self, truth: bool) -> Result<Loose, E> {
                Ok(Loose(truth.to_string()))
            }

            fn visit_unit<E: Error>(self) -> Result<Loose, E> {
                Ok(Loose("null".to_owned()))
            }
        }
        from.deserialize_any(Any)
    }
}

/// A text that is borrowed where it can be.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Borrowed)
    }
}

/// `["<ns>", "line", {"name": "value"}]`. Loki takes fewer and more elements, and so do we.
#[derive(Clone, Copy)]
struct Values;

impl<'de> DeserializeSeed<'de> for Values {
    type Value = PushEntry;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<PushEntry, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Values {
    type Value = PushEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry, which is [\"<nanoseconds>\", \"line\"]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<PushEntry, A::Error> {
        let Some(Text(time)) = seq.next_element()? else {
            return Err(A::Error::invalid_length(0, &self));
        };
        let time = time.parse().map_err(|_| {
            A::Error::custom(format_args!(
                "the time {time:?} is not a whole number of nanoseconds"
            ))
        })?;
        let line = seq.next_element::<String>()?.unwrap_or_default();
        let metadata = seq
            .next_element::<Metadata>()?
            .map_or_else(Labels::empty, |metadata| metadata.0);
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(PushEntry {
            time,
            line: line.into_bytes(),
            metadata,
        })
    }
}

/// An object of texts.
struct Metadata(Labels);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("structured metadata, which is an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                let mut builder = LabelsBuilder::new();
                while let Some((Text(name), Text(value))) = map.next_entry()? {
                    room(builder.len()).map_err(A::Error::custom)?;
                    if !name.is_empty() {
                        let name = normalized(&name).map_err(A::Error::custom)?;
                        builder.set(&name, &value);
                    }
                }
                Ok(Metadata(builder.build()))
            }
        }
        from.deserialize_map(Pairs)
    }
}

/// `{"ts": "<RFC 3339>", "line": ".."}`.
#[derive(Clone, Copy)]
struct LegacyEntry;

impl<'de> DeserializeSeed<'de> for LegacyEntry {
    type Value = PushEntry;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<PushEntry, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for LegacyEntry {
    type Value = PushEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry, which is {\"ts\": .., \"line\": ..}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PushEntry, A::Error> {
        let (mut time, mut line) = (None, String::new());
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "ts" | "timestamp" => {
                    let Text(text) = map.next_value()?;
                    time = Some(rfc3339(&text).map_err(A::Error::custom)?);
                }
                "line" => line = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let time = time.ok_or_else(|| A::Error::missing_field("ts"))?;
        Ok(PushEntry {
            time,
            line: line.into_bytes(),
            metadata: Labels::empty(),
        })
    }
}

fn rfc3339(text: &str) -> Result<i64, String> {
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|error| format!("the time {text:?} is not RFC 3339: {error}"))?;
    i64::try_from(time.as_nanosecond())
        .map_err(|_| format!("the time {text:?} is beyond the year 2262"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v1(body: &str) -> Result<Vec<PushStream>, PushError> {
        decode(body.as_bytes())
    }

    #[test]
    fn reads_streams() {
        let body = r#"{"x":[1],"streams":[{"stream":{"app":"a","n":5,"z":null},"values":[
            ["17","one"],["18","t\u00e9\n",{"trace.id":"x","empty":""}]]}]} what follows"#;
        let streams = v1(body).unwrap();
        let wanted = Labels::from_pairs([("app", "a"), ("n", "5"), ("z", "null")]);
        assert_eq!(streams[0].labels, wanted);
        let [one, two] = &streams[0].entries[..] else {
            panic!("two entries")
        };
        assert_eq!((one.time, &one.line[..]), (17, &b"one"[..]));
        assert_eq!(two.line, "té\n".as_bytes());
        assert_eq!(two.metadata, Labels::from_pairs([("trace_id", "x")]));
    }

    #[test]
    fn reads_the_first_dialect() {
        let body = r#"{"streams":[{"labels":"{app=\"a\"}","entries":[{"ts":"2026-11-18T12:00:01+02:00","line":"x"}]}]}"#;
        let streams = v1(body).unwrap();
        assert_eq!(streams[0].labels, Labels::from_pairs([("app", "a")]));
        assert_eq!(streams[0].entries[0].time, 1_794_996_001_000_000_000);
    }

    #[test]
    fn nothing_is_nothing() {
        for body in ["{}", "null", r#"{"streams":null}"#, r#"{"streams":[]}"#] {
            assert_eq!(v1(body).unwrap(), [], "{body}");
        }
    }

    #[test]
    fn wrong_shapes_are_refused() {
        for values in [
            r#"[17,"x"]"#,
            r#"["17.5","x"]"#,
            r#"["17",5]"#,
            r#"["17","x",{"n":5}]"#,
            r#"["17","x","y"]"#,
            "[]",
        ] {
            let body = format!(r#"{{"streams":[{{"stream":{{}},"values":[{values}]}}]}}"#);
            assert_eq!(v1(&body).unwrap_err().status, 400, "{values}");
        }
        for body in ["", "[]", "hello", r#"{"streams":"#] {
            assert_eq!(v1(body).unwrap_err().status, 400, "{body}");
        }
        let deep = format!(r#"{{"x":{}"#, "[".repeat(100_000));
        assert_eq!(v1(&deep).unwrap_err().status, 400);
    }
}
