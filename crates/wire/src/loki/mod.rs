//! Loki's gRPC services and their messages, and the health protocol of gRPC.
//!
//! Written by a generator from the `.proto` files in the crate's folder `proto`; see `xtask/protos`.
//! Names, paths and field numbers are Loki's. The bodies of HTTP pushes are not read with these types:
//! a decoder that borrows from the body is several times as fast.

#[expect(
    missing_docs,
    clippy::allow_attributes_without_reason,
    reason = "what a generator writes"
)]
#[rustfmt::skip]
pub mod logproto;

#[expect(
    missing_docs,
    clippy::allow_attributes_without_reason,
    reason = "what a generator writes"
)]
#[rustfmt::skip]
pub mod health;

pub use prost_types::Timestamp;

/// Nanoseconds since the epoch as a protobuf timestamp.
pub const fn timestamp(nanos: i64) -> Timestamp {
    Timestamp {
        seconds: nanos.div_euclid(1_000_000_000),
        nanos: nanos.rem_euclid(1_000_000_000) as i32,
    }
}

/// A protobuf timestamp as nanoseconds since the epoch; the nearest there is where it lies too far away.
pub fn nanos(timestamp: &Timestamp) -> i64 {
    let whole = i128::from(timestamp.seconds) * 1_000_000_000 + i128::from(timestamp.nanos);
    whole.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::logproto::{EntryAdapter, LabelPairAdapter, PushRequest, StreamAdapter};
    use super::*;

    #[test]
    fn moments_come_back() {
        for time in [0, 1, -1, 1_794_996_000_123_456_789, i64::MIN, i64::MAX] {
            assert_eq!(nanos(&timestamp(time)), time);
        }
        let far = Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        };
        assert_eq!(nanos(&far), i64::MAX);
    }

    /// Field numbers as Loki writes them.
    #[test]
    fn a_push_has_lokis_bytes() {
        let request = PushRequest {
            streams: vec![StreamAdapter {
                labels: "{a=\"b\"}".into(),
                entries: vec![EntryAdapter {
                    timestamp: Some(timestamp(1_000_000_002)),
                    line: "x".into(),
                    structured_metadata: vec![LabelPairAdapter {
                        name: "k".into(),
                        value: "v".into(),
                    }],
                    parsed: Vec::new(),
                }],
                hash: 0,
            }],
        };
        let wanted = b"\x0a\x1c\x0a\x07{a=\"b\"}\x12\x11\x0a\x04\x08\x01\x10\x02\x12\x01x\x1a\x06\x0a\x01k\x12\x01v";
        assert_eq!(request.encode_to_vec(), wanted);
    }
}
