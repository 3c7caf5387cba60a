//! From the labels in a body to the labels in the store.

use headwater_model::label::METRIC_NAME;
use headwater_model::{Labels, LabelsBuilder};

use crate::config::{JobConfig, ScrapeLimits};
use crate::error::ScrapeError;

/// Adds a target's labels to those of a sample and applies the job's rules. `None`: dropped.
///
/// # Errors
/// The result cannot be a series, or exceeds a limit.
pub(crate) fn finish(
    labels: &mut LabelsBuilder,
    target: &Labels,
    job: &JobConfig,
) -> Result<Option<Labels>, ScrapeError> {
    if let Some(name) = labels.duplicate() {
        return Err(ScrapeError::Labels(format!(
            "label name {name:?} is not unique: invalid sample"
        )));
    }
    match job.honor_labels {
        true => add_missing(labels, target),
        false => add_all(labels, target),
    }
    if !job.metric_relabel.apply(labels) {
        return Ok(None);
    }
    let labels = labels.build();
    if labels.is_empty() {
        return Ok(None);
    }
    check_names(&labels, job)?;
    check_limits(&labels, &job.limits)?;
    Ok(Some(labels))
}

/// The body is right. A label that it gives an empty value counts as given: so a body can
/// take a target's label away.
fn add_missing(labels: &mut LabelsBuilder, target: &Labels) {
    for (name, value) in target {
        if labels.get(name).is_none() {
            labels.push(name, value);
        }
    }
}

/// The target is right; what the body says becomes `exported_NAME`, with as many prefixes as
/// it takes not to collide.
fn add_all(labels: &mut LabelsBuilder, target: &Labels) {
    let mut displaced: Vec<(String, String)> = Vec::new();
    for (name, value) in target {
        if let Some(old) = labels.get(name).filter(|old| !old.is_empty()) {
            displaced.push((name.to_owned(), old.to_owned()));
        }
        labels.set(name, value);
    }
    // Shorter names first, so that the result does not depend on the order of labels.
    displaced.sort_by_key(|(name, _)| name.len());
    for (mut name, value) in displaced {
        while labels.get(&name).is_some_and(|taken| !taken.is_empty()) {
            name.insert_str(0, "exported_");
        }
        labels.set(&name, &value);
    }
}

/// The labels of a series that reports about a scrape.
pub(crate) fn report_labels(name: &str, target: &Labels) -> Labels {
    let mut labels = target.to_builder();
    // A target may have the label __name__ only through strange rules; the report is right.
    labels.set(METRIC_NAME, name);
    labels.build()
}

fn check_names(labels: &Labels, job: &JobConfig) -> Result<(), ScrapeError> {
    let name = labels.metric_name().ok_or(ScrapeError::NameMissing)?;
    let scheme = job.name_scheme;
    let valid = scheme.is_metric_name(name)
        && labels
            .iter()
            .all(|(name, _)| name == METRIC_NAME || scheme.is_label_name(name));
    match valid {
        true => Ok(()),
        false => Err(ScrapeError::Labels(format!(
            "invalid metric name or label names: {labels}"
        ))),
    }
}

fn check_limits(labels: &Labels, limits: &ScrapeLimits) -> Result<(), ScrapeError> {
    let exceeded = |text: String| Err(ScrapeError::LabelLimit(text));
    let metric = labels.metric_name().unwrap_or_default();
    let count = if limits.labels > 0 { labels.len() } else { 0 };
    if count > limits.labels {
        let limit = limits.labels;
        return exceeded(format!(
            "label_limit exceeded (metric: {metric:.50}, number of labels: {count}, limit: {limit})"
        ));
    }
    if limits.label_name_bytes == 0 && limits.label_value_bytes == 0 {
        return Ok(());
    }
    for (name, value) in labels {
        let (length, limit) = (name.len(), limits.label_name_bytes);
        if limit > 0 && length > limit {
            return exceeded(format!(
                "label_name_length_limit exceeded (metric: {metric:.50}, label name: {name:.50}, length: {length}, limit: {limit})"
            ));
        }
        let (length, limit) = (value.len(), limits.label_value_bytes);
        if limit > 0 && length > limit {
            let value: String = value.chars().take(50).collect();
            return exceeded(format!(
                "label_value_length_limit exceeded (metric: {metric:.50}, label name: {name:.50}, value: {value:?}, length: {length}, limit: {limit})"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    fn finished(body: &[(&str, &str)], honor_labels: bool) -> Labels {
        let target = labels(&[("a", "target"), ("instance", "i")]);
        let mut job = JobConfig::new("j");
        job.honor_labels = honor_labels;
        let mut builder = LabelsBuilder::new();
        builder.push(METRIC_NAME, "m");
        body.iter()
            .for_each(|(name, value)| builder.push(name, value));
        let mut result = finish(&mut builder, &target, &job)
            .expect("valid")
            .expect("kept")
            .to_builder();
        result.remove(METRIC_NAME);
        result.build()
    }

    #[test]
    fn the_target_is_right_and_the_body_is_exported() {
        assert_eq!(
            finished(&[("a", "body"), ("b", "x")], false),
            labels(&[
                ("a", "target"),
                ("b", "x"),
                ("exported_a", "body"),
                ("instance", "i")
            ])
        );
        assert_eq!(
            finished(
                &[("a", "body"), ("exported_a", "other"), ("instance", "")],
                false
            ),
            labels(&[
                ("a", "target"),
                ("exported_a", "other"),
                ("exported_exported_a", "body"),
                ("instance", "i")
            ])
        );
    }

    #[test]
    fn honoured_labels_stay_and_can_be_taken_away() {
        assert_eq!(
            finished(&[("a", "body")], true),
            labels(&[("a", "body"), ("instance", "i")])
        );
        assert_eq!(
            finished(&[("instance", "")], true),
            labels(&[("a", "target")])
        );
    }

    #[test]
    fn limits_say_what_exceeds_them() {
        let set = labels(&[("__name__", "m"), ("name", "value")]);
        let message = |change: fn(&mut ScrapeLimits)| {
            let mut limits = ScrapeLimits::default();
            change(&mut limits);
            check_limits(&set, &limits)
                .expect_err("exceeded")
                .to_string()
        };
        assert!(check_limits(&set, &ScrapeLimits::default()).is_ok());
        assert_eq!(
            message(|limits| limits.labels = 1),
            "label_limit exceeded (metric: m, number of labels: 2, limit: 1)"
        );
        assert_eq!(
            message(|limits| limits.label_name_bytes = 7),
            "label_name_length_limit exceeded (metric: m, label name: __name__, length: 8, limit: 7)"
        );
        assert_eq!(
            message(|limits| limits.label_value_bytes = 4),
            "label_value_length_limit exceeded (metric: m, label name: name, value: \"value\", length: 5, limit: 4)"
        );
    }

    #[test]
    fn names_are_checked() {
        let job = JobConfig::new("j");
        let mut twice = LabelsBuilder::new();
        twice.push("a", "1");
        twice.push("a", "2");
        let error = finish(&mut twice, &Labels::empty(), &job).expect_err("twice");
        assert_eq!(
            error.to_string(),
            "label name \"a\" is not unique: invalid sample"
        );
        let mut nameless = labels(&[("a", "1")]).to_builder();
        let error = finish(&mut nameless, &Labels::empty(), &job).expect_err("nameless");
        assert_eq!(error.to_string(), "missing metric name (__name__ label)");
    }
}
