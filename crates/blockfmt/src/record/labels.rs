//! Labels inside records: a number of pairs, then names and values behind their lengths.

use headwater_model::Labels;

use crate::error::DecodeError;
use crate::input::{Input, put_text, put_uvarint};

/// The pairs of one label set, borrowed from a record. Meant to be reused from entry to entry.
pub type LabelPairs<'a> = Vec<(&'a str, &'a str)>;

/// Reads a label set in place of what `pairs` holds.
pub(crate) fn read_labels<'a>(
    input: &mut Input<'a>,
    pairs: &mut LabelPairs<'a>,
) -> Result<(), DecodeError> {
    pairs.clear();
    // A pair has two lengths.
    let count = input.count(2)?;
    for _ in 0..count {
        pairs.push((input.text()?, input.text()?));
    }
    Ok(())
}

pub(crate) fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    put_uvarint(out, labels.len() as u64);
    for (name, value) in labels {
        put_text(out, name);
        put_text(out, value);
    }
}
