//! Why a message cannot be read.

/// The message is not what it should be: the sender must be mended, sending it again is of no use.
///
/// The words are those of Prometheus's decoders, because senders log them and users search for them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The message ends within a field.
    #[error("unexpected EOF")]
    Truncated,
    /// A number has more than 64 bits.
    #[error("proto: integer overflow")]
    Overflow,
    /// No field can have this number.
    #[error("proto: illegal tag {0}")]
    Tag(u64),
    /// There is no such kind of field, or only in messages older than these.
    #[error("proto: illegal wireType {0}")]
    WireType(u8),
    /// A field has another type than the protocol gives it.
    #[error("proto: wrong wireType for field {0}")]
    FieldType(&'static str),
    /// A reference to a symbol that was not sent.
    #[error("labelRefs {name} (name) = {value} (value) outside of symbols table (size {size})")]
    SymbolPair {
        /// The reference to the name.
        name: u32,
        /// The reference to the value.
        value: u32,
        /// How many symbols there are.
        size: usize,
    },
    /// A reference to a symbol that was not sent, in metadata.
    #[error("symbol reference {reference} outside of symbols table (size {size})")]
    Symbol {
        /// The reference.
        reference: u32,
        /// How many symbols there are.
        size: usize,
    },
    /// References to labels do not come in pairs.
    #[error("invalid labelRefs length {0}")]
    OddReferences(usize),
    /// The compressed bytes are damaged.
    #[error("snappy: corrupt input")]
    Snappy,
    /// The message would be larger than the bound, in bytes.
    #[error("snappy: decoded block is too large: {size} bytes, at most {limit} are accepted")]
    TooLarge {
        /// What the message says of itself.
        size: usize,
        /// The bound.
        limit: usize,
    },
    /// More than the named bound.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// A regular expression, or another part of a query, that the text tells of.
    #[error("{0}")]
    Query(String),
}
