//! Why pushes are refused, with the statuses and words of Loki: clients and runbooks know them.

/// A push that was refused, in whole or in part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PushError {
    /// The HTTP status: 400 and 260 mean "do not try again", 429 and 5xx "try again later".
    pub status: u16,
    /// For the sender.
    pub message: String,
}

impl PushError {
    /// A refusal.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }
}

/// The word under which refused entries are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// A stream without labels.
    MissingLabels,
    /// A stream with more labels than allowed.
    MaxLabelNamesPerSeries,
    /// A label's name is too long.
    LabelNameTooLong,
    /// A label's value is too long.
    LabelValueTooLong,
    /// A label stands twice.
    DuplicateLabelNames,
    /// A label that the tenant must give is missing.
    MissingEnforcedLabels,
    /// An entry is too old.
    GreaterThanMaxSampleAge,
    /// An entry lies too far in the future.
    TooFarInFuture,
    /// A line is too long.
    LineTooLong,
    /// Structured metadata is switched off.
    DisallowedStructuredMetadata,
    /// Structured metadata is too large.
    StructuredMetadataTooLarge,
    /// Structured metadata has too many labels.
    StructuredMetadataTooMany,
    /// The tenant sends too much.
    RateLimited,
    /// The tenant has too many streams.
    StreamLimit,
    /// The stream gets too much.
    PerStreamRateLimit,
    /// An entry lies too far behind the newest of its stream.
    TooFarBehind,
    /// Pushes are blocked for a while.
    BlockedIngestion,
}

impl Reason {
    /// The value of the metric's label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingLabels => "missing_labels",
            Self::MaxLabelNamesPerSeries => "max_label_names_per_series",
            Self::LabelNameTooLong => "label_name_too_long",
            Self::LabelValueTooLong => "label_value_too_long",
            Self::DuplicateLabelNames => "duplicate_label_names",
            Self::MissingEnforcedLabels => "missing_enforced_labels",
            Self::GreaterThanMaxSampleAge => "greater_than_max_sample_age",
            Self::TooFarInFuture => "too_far_in_future",
            Self::LineTooLong => "line_too_long",
            Self::DisallowedStructuredMetadata => "disallowed_structured_metadata",
            Self::StructuredMetadataTooLarge => "structured_metadata_too_large",
            Self::StructuredMetadataTooMany => "structured_metadata_too_many",
            Self::RateLimited => "rate_limited",
            Self::StreamLimit => "stream_limit",
            Self::PerStreamRateLimit => "per_stream_rate_limit",
            Self::TooFarBehind => "too_far_behind",
            Self::BlockedIngestion => "blocked_ingestion",
        }
    }
}
