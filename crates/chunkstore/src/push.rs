//! What is pushed, and its form in the write-ahead log.
//!
//! A record is one push: tenant (uvarint length, bytes), number of streams (uvarint), and for each
//! its labels as in a part's footer, number of entries (uvarint), and for each entry its time
//! (varint), line (uvarint length, bytes) and metadata labels.

use headwater_model::Labels;

use crate::part::PartError;
use crate::part::bytes::{Input, put_bytes, put_uvarint, put_varint};
use crate::part::metadata::{put_labels, take_labels};

/// One entry to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct PushEntry {
    /// Nanoseconds since the epoch.
    pub time: i64,
    /// The line; any bytes.
    pub line: Vec<u8>,
    /// Structured metadata.
    pub metadata: Labels,
}

/// Entries of one stream, in the order in which they should be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct PushStream {
    /// The stream.
    pub labels: Labels,
    /// Its entries.
    pub entries: Vec<PushEntry>,
}

/// Writes a record in the place of what `out` has.
pub(crate) fn encode(tenant: &str, streams: &[PushStream], out: &mut Vec<u8>) {
    out.clear();
    put_bytes(out, tenant.as_bytes());
    put_uvarint(out, streams.len() as u64);
    for stream in streams {
        put_labels(out, &stream.labels);
        put_uvarint(out, stream.entries.len() as u64);
        for entry in &stream.entries {
            put_varint(out, entry.time);
            put_bytes(out, &entry.line);
            put_labels(out, &entry.metadata);
        }
    }
}

pub(crate) fn decode(record: &[u8]) -> Result<(String, Vec<PushStream>), PartError> {
    let mut input = Input::new(record, "record of the log");
    let tenant = input.text()?.to_owned();
    let count = input.count(2)?;
    let streams = (0..count)
        .map(|_| take_stream(&mut input))
        .collect::<Result<_, _>>()?;
    if input.rest().is_empty() {
        Ok((tenant, streams))
    } else {
        Err(input.damaged())
    }
}

fn take_stream(input: &mut Input<'_>) -> Result<PushStream, PartError> {
    let labels = take_labels(input)?;
    let count = input.count(3)?;
    let entries = (0..count)
        .map(|_| take_entry(input))
        .collect::<Result<_, _>>()?;
    Ok(PushStream { labels, entries })
}

fn take_entry(input: &mut Input<'_>) -> Result<PushEntry, PartError> {
    Ok(PushEntry {
        time: input.varint()?,
        line: input.bytes()?.to_vec(),
        metadata: take_labels(input)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_come_back(lines in proptest::collection::vec((any::<i64>(), ".{0,20}", "[a-z]{0,3}"), 0..10)) {
            let entry = |(time, line, id): (i64, String, String)| PushEntry {
                time,
                line: line.into_bytes(),
                metadata: Labels::from_pairs([("id", id)]),
            };
            let entries: Vec<_> = lines.into_iter().map(entry).collect();
            let streams = vec![PushStream { labels: Labels::from_pairs([("a", "b")]), entries }];
            let mut record = b"what was here".to_vec();
            encode("tenant", &streams, &mut record);
            prop_assert_eq!(decode(&record).unwrap(), ("tenant".to_owned(), streams));
        }

        #[test]
        fn damage_is_no_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
