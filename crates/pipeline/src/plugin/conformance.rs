//! Checks of the contracts, for authors of plugins: call them from tests.
//!
//! ```
//! use headwater_pipeline::plugin::conformance;
//! use headwater_pipeline::plugins::splitters::TokenSplitter;
//!
//! let lines = || TokenSplitter::new(b'\n', 1);
//! conformance::splitter(lines, b"one\ntwo\nthr", &[1, 3], 100)?;
//! # Ok::<(), String>(())
//! ```

use crate::event::Event;

use super::cut::cut;
use super::decoder::{Decoder, Decoding, Incoming};
use super::encoder::Encoder;
use super::splitter::{Found, Splitter};

/// The records of a stream, and how many bytes are left at its end.
type Records = (Vec<Vec<u8>>, usize);

/// Checks that a splitter finds the same records whether `input` comes whole
/// or in pieces of these sizes, over and over, and that what it finds lies
/// within what it was shown.
///
/// # Errors
///
/// Which part of the contract is broken, with what was found.
pub fn splitter<S: Splitter>(
    make: impl Fn() -> S,
    input: &[u8],
    pieces: &[usize],
    record_max: usize,
) -> Result<(), String> {
    let window = &input[..input.len().min(record_max)];
    bounds(make().find(window, true), window.len())?;
    let whole = records(make(), input, &[input.len().max(1)], record_max);
    let parts = records(make(), input, pieces, record_max);
    if whole == parts {
        return Ok(());
    }
    Err(format!(
        "records depend on reads: {whole:?} of the whole, {parts:?} of pieces"
    ))
}

fn bounds(found: Found, shown: usize) -> Result<(), String> {
    let within = match found {
        Found::More { discard } => discard <= shown,
        Found::Record { start, end, next } => start <= end && end <= shown && next <= shown,
    };
    if within {
        return Ok(());
    }
    Err(format!("{found:?} lies outside the {shown} bytes shown"))
}

fn records<S: Splitter>(
    mut splitter: S,
    input: &[u8],
    pieces: &[usize],
    record_max: usize,
) -> Records {
    let (mut records, mut buffer, mut found) = (Vec::new(), Vec::new(), Vec::new());
    let mut pass = |buffer: &mut Vec<u8>, end| {
        found.clear();
        let cut = cut(&mut splitter, buffer, end, record_max, true, &mut found);
        let record = |&(start, stop): &(usize, usize)| buffer[start..stop].to_vec();
        records.extend(found.iter().map(record));
        buffer.drain(..cut.used);
    };
    let mut rest = input;
    let mut sizes = pieces.iter().copied().cycle();
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(1).clamp(1, rest.len());
        buffer.extend_from_slice(&rest[..size]);
        rest = &rest[size..];
        pass(&mut buffer, false);
    }
    pass(&mut buffer, true);
    (records, buffer.len())
}

/// Checks that a decoder leaves what is in `out` alone, and appends nothing
/// when it does not decode.
///
/// # Errors
///
/// Which part of the contract is broken.
pub fn decoder(decoder: &mut dyn Decoder, incoming: Incoming) -> Result<(), String> {
    let before = Event::from(crate::message::Message::default());
    let mut out = vec![before.clone()];
    let decoding = decoder.decode(incoming, &mut out);
    if out.first().map(Event::to_message) != Some(before.to_message()) {
        return Err("the decoder changed what was there before".to_owned());
    }
    match decoding {
        Decoding::Skipped(_) | Decoding::Failed(..) if out.len() > 1 => {
            Err("the decoder appended a message and says it did not decode".to_owned())
        }
        _ => Ok(()),
    }
}

/// Checks that an encoder appends, and leaves the buffer alone when it fails.
///
/// # Errors
///
/// Which part of the contract is broken.
pub fn encoder(encoder: &mut dyn Encoder, event: &Event) -> Result<(), String> {
    const BEFORE: &[u8] = b"before";
    let mut out = BEFORE.to_vec();
    let encoded = encoder.encode(event, &mut out);
    if !out.starts_with(BEFORE) {
        return Err("the encoder changed what was there before".to_owned());
    }
    if encoded.is_err() && out != BEFORE {
        return Err("the encoder failed and left something behind".to_owned());
    }
    Ok(())
}
