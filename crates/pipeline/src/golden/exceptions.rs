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
    (
        "statsd/counter_zero_rate",
        "a sample rate of 0 makes the line none, not the smallest integer",
    ),
    (
        "statsd/counter_large",
        "counters keep their precision; heka's pass through 32 bit floats",
    ),
    (
        "statsd/crlf",
        "lines may end with carriage return and line feed",
    ),
    (
        "logstreamer/numbered_gzip",
        "compressed files are read like the others; heka skips them at the first start",
    ),
    (
        "logstreamer/incomplete_last_line_middle_file",
        "the unfinished last line of a rotated file is a line of its own",
    ),
    (
        "logstreamer/empty_file",
        "the journal moves to a file when something of it was read",
    ),
    (
        "configs/unknown_key_output",
        "unknown keys are refused everywhere",
    ),
    (
        "configs/unknown_key_nested",
        "unknown keys are refused everywhere",
    ),
    (
        "configs/unknown_key_decoder",
        "unknown keys are refused everywhere",
    ),
    (
        "configs/negative_for_unsigned",
        "a negative interval is refused",
    ),
    (
        "configs/dir_duplicate_plugin",
        "two sections of one name are an error",
    ),
];
