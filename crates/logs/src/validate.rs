//! What a distributor checks before it lets entries pass.

use headwater_chunkstore::PushEntry;
use headwater_model::Labels;

use crate::error::Reason;
use crate::limits::Limits;
use crate::service_name::SERVICE_NAME;

/// A refused entry or stream: counted under the reason, told with the words.
pub(crate) type Refusal = (Reason, String);

/// Checks the labels of a stream; `shown` is how the stream is named in messages.
pub(crate) fn check_labels(
    labels: &Labels,
    shown: &str,
    tenant: &str,
    limits: &Limits,
) -> Result<(), Refusal> {
    if labels.is_empty() {
        return Err((
            Reason::MissingLabels,
            "error at least one label pair is required per stream".into(),
        ));
    }
    let count = labels
        .iter()
        .filter(|(name, _)| *name != SERVICE_NAME)
        .count();
    let limit = limits.max_label_names_per_series;
    if count > limit {
        return Err((
            Reason::MaxLabelNamesPerSeries,
            format!("entry for stream '{shown}' has {count} label names; limit {limit}"),
        ));
    }
    for (name, value) in labels {
        if name.len() > limits.max_label_name_length {
            return Err((
                Reason::LabelNameTooLong,
                format!("stream '{shown}' has label name too long: '{name}'"),
            ));
        }
        // The service's name was copied from another label, which is checked itself.
        if value.len() > limits.max_label_value_length {
            return Err((
                Reason::LabelValueTooLong,
                format!("stream '{shown}' has label value too long: '{value}'"),
            ));
        }
    }
    let missing: Vec<&str> = limits
        .enforced_labels
        .iter()
        .map(String::as_str)
        .filter(|name| !labels.has(name))
        .collect();
    if !missing.is_empty() {
        let missing = missing.join(",");
        let text = format!(
            "missing required labels '{missing}' for user '{tenant}' for stream '{shown}' (policy: '')"
        );
        return Err((Reason::MissingEnforcedLabels, text));
    }
    Ok(())
}

/// Checks one entry; `now` in nanoseconds.
pub(crate) fn check_entry(
    entry: &PushEntry,
    shown: &str,
    limits: &Limits,
    now: i64,
) -> Result<(), Refusal> {
    check_time(entry.time, shown, limits, now)?;
    let (size, limit) = (entry.line.len() as u64, limits.max_line_size.bytes());
    if limit > 0 && size > limit && !limits.max_line_size_truncate {
        let text = format!(
            "max entry size '{limit}' bytes exceeded for stream '{shown}' while adding an entry with length '{size}' bytes"
        );
        return Err((Reason::LineTooLong, text));
    }
    check_metadata(&entry.metadata, shown, limits)
}

fn check_time(time: i64, shown: &str, limits: &Limits, now: i64) -> Result<(), Refusal> {
    let oldest = now.saturating_sub(
        limits
            .reject_old_samples_max_age
            .millis()
            .saturating_mul(1_000_000),
    );
    if limits.reject_old_samples && time < oldest {
        let (time, oldest) = (rfc3339(time), rfc3339(oldest));
        let text = format!(
            "entry for stream '{shown}' has timestamp too old: {time}, oldest acceptable timestamp is: {oldest}"
        );
        return Err((Reason::GreaterThanMaxSampleAge, text));
    }
    if time
        > now.saturating_add(
            limits
                .creation_grace_period
                .millis()
                .saturating_mul(1_000_000),
        )
    {
        return Err((
            Reason::TooFarInFuture,
            format!(
                "entry for stream '{shown}' has timestamp too new: {}",
                rfc3339(time)
            ),
        ));
    }
    Ok(())
}

fn check_metadata(metadata: &Labels, shown: &str, limits: &Limits) -> Result<(), Refusal> {
    if metadata.is_empty() {
        return Ok(());
    }
    let advice = |key: &str, ask: &str| {
        format!("Please see `limits_config.{key}` or contact your Loki administrator to {ask} it")
    };
    if !limits.allow_structured_metadata {
        let advice = advice("allow_structured_metadata", "enable");
        let text = format!(
            "stream '{shown}' includes structured metadata, but this feature is disallowed. {advice}"
        );
        return Err((Reason::DisallowedStructuredMetadata, text));
    }
    let size: usize = metadata
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let limit = limits.max_structured_metadata_size.bytes();
    if limit > 0 && size as u64 > limit {
        let advice = advice("max_structured_metadata_size", "increase");
        let text = format!(
            "stream '{shown}' has structured metadata too large: '{size}' bytes, limit: '{limit}' bytes. {advice}"
        );
        return Err((Reason::StructuredMetadataTooLarge, text));
    }
    let (count, limit) = (metadata.len(), limits.max_structured_metadata_entries_count);
    if limit > 0 && count > limit {
        let advice = advice("max_structured_metadata_entries_count", "increase");
        let text = format!(
            "stream '{shown}' has too many structured metadata labels: '{count}', limit: '{limit}'. {advice}"
        );
        return Err((Reason::StructuredMetadataTooMany, text));
    }
    Ok(())
}

/// Cuts a line that is too long, where the tenant wants that.
pub(crate) fn truncate(line: &mut Vec<u8>, limits: &Limits) {
    let limit = usize::try_from(limits.max_line_size.bytes()).unwrap_or(usize::MAX);
    if limits.max_line_size_truncate && limit > 0 && line.len() > limit {
        let mark = limits.max_line_size_truncate_identifier.as_bytes();
        line.truncate(limit.saturating_sub(mark.len()));
        line.extend_from_slice(&mark[..mark.len().min(limit)]);
    }
}

/// Nanoseconds as RFC 3339 with whole seconds, in UTC, as Go prints them.
pub(crate) fn rfc3339(nanos: i64) -> String {
    match jiff::Timestamp::from_second(nanos.div_euclid(1_000_000_000)) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => nanos.to_string(),
    }
}
