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
    (
        "splitters/regex_leading_delimiter_no_capture",
        "a delimiter at the start does not swallow the stream; heka does this too with small reads",
    ),
    (
        "splitters/grouping_group_word",
        "the last line of a read joins a group only if it matches; heka does this too with small reads",
    ),
    (
        "decoders/regex_ts_bad_value",
        "a time that cannot be read leaves the message's own time, not the year 1",
    ),
    (
        "decoders/regex_ts_epoch_bad",
        "a time that cannot be read leaves the message's own time, not the year 1",
    ),
    (
        "encoders/eslogstash_type_name",
        "an empty @type is written empty, not as the setting's own text",
    ),
];
