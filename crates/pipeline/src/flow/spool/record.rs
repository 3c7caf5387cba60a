//! How messages lie in a disk queue: one record of the log holds the
//! messages of one delivery.
//!
//! ```text
//! version, 1 byte: 1
//! per message, numbers little endian:
//!   injections, 2 bytes | signer length, 2 bytes | message length, 4 bytes
//!   signer | message
//! ```
//!
//! The log's frames carry a checksum, so what is read here is what was
//! written; a record of another version or form is refused whole.

use std::sync::Arc;

use bytes::Bytes;

use crate::event::Event;
use crate::flow::Spares;
use crate::message::RawMessage;

const VERSION: u8 = 1;
const HEADER: usize = 8;

/// Appends the record of these events to `out`.
pub(super) fn encode<'a>(events: impl Iterator<Item = &'a Event>, out: &mut Vec<u8>) {
    out.push(VERSION);
    for event in events {
        let signer = event.signer().unwrap_or_default().as_bytes();
        let signer = &signer[..signer.len().min(usize::from(u16::MAX))];
        out.extend_from_slice(&event.loops().to_le_bytes());
        out.extend_from_slice(&(signer.len() as u16).to_le_bytes());
        let length = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(signer);
        let start = out.len();
        event.encode(out);
        let bytes = (out.len() - start) as u32;
        out[length..length + 4].copy_from_slice(&bytes.to_le_bytes());
    }
}

/// The events of a record, or why it is none. They share a buffer of `spares`.
pub(super) fn decode(record: &[u8], spares: &Spares) -> Result<Vec<Event>, String> {
    let shared: Bytes = spares.copy(record);
    if shared.first() != Some(&VERSION) {
        return Err("a record of another version".to_owned());
    }
    let mut events = Vec::new();
    let mut at = 1;
    while at < shared.len() {
        let header = shared.get(at..at + HEADER).ok_or("a record is cut short")?;
        let loops = u16::from_le_bytes([header[0], header[1]]);
        let signer = usize::from(u16::from_le_bytes([header[2], header[3]]));
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let start = at + HEADER + signer;
        let end = start + length;
        let name = shared
            .get(at + HEADER..start)
            .ok_or("a record is cut short")?;
        let name = (signer > 0).then(|| Arc::from(String::from_utf8_lossy(name).as_ref()));
        if end > shared.len() {
            return Err("a record is cut short".to_owned());
        }
        let raw = RawMessage::new(shared.slice(start..end)).map_err(|error| error.to_string())?;
        events.push(Event::from(raw).signed_by(name).with_loops(loops));
        at = end;
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    #[test]
    fn events_survive() {
        let message = |pid| Message {
            pid: Some(pid),
            ..Message::default()
        };
        let events = [
            Event::from(message(1)).signed_by(Some("ops".into())),
            Event::from(message(2)).with_loops(3),
        ];
        let mut record = Vec::new();
        encode(events.iter(), &mut record);
        let spares = Spares::default();
        let read = decode(&record, &spares).unwrap();
        assert_eq!(read.iter().map(Event::pid).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(read[0].signer(), Some("ops"));
        assert_eq!(read[1].loops(), 3);
        for cut in 2..record.len() {
            // A cut at the end of a message leaves a whole record behind.
            if let Ok(events) = decode(&record[..cut], &spares) {
                assert_eq!(events.len(), 1);
            }
        }
    }
}
