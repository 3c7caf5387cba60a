//! Where this crate differs from heka on purpose.

/// Case and reason.
pub const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "frames/encodings/varint_too_long",
        "a varint of more than ten bytes is refused, not cut",
    ),
    (
        "frames/streams/header_unparsable_but_length_set",
        "a damaged header is not trusted for the length read before the damage",
    ),
    (
        "frames/streams/signer_name_without_hmac_long",
        "a signer's name without a signature proves nothing",
    ),
];
