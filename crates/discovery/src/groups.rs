//! Lists of target groups as files and servers write them.

use std::collections::BTreeMap;

use headwater_model::{Labels, TargetGroup};
use serde::Deserialize;

use crate::config::{ADDRESS, StaticConfig};

/// Reads a list of groups from JSON; sources are `SOURCE:0`, `SOURCE:1` and so on.
///
/// # Errors
/// JSON that is broken or is not a list of groups, with its place.
pub(crate) fn from_json(bytes: &[u8], source: &str) -> Result<Vec<TargetGroup>, String> {
    let groups: Option<Vec<Option<JsonGroup>>> =
        serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let groups = groups.unwrap_or_default().into_iter();
    named(
        groups.map(|group| group.map(|group| (group.targets, group.labels))),
        source,
    )
}

/// Reads a list of groups from YAML.
///
/// # Errors
/// As [`from_json`].
#[cfg(feature = "file")]
pub(crate) fn from_yaml(text: &str, source: &str) -> Result<Vec<TargetGroup>, String> {
    let groups: Vec<Option<StaticConfig>> =
        headwater_yaml::from_str(text).map_err(|error| error.to_string())?;
    let groups = groups.into_iter();
    named(
        groups.map(|group| group.map(|group| (group.targets, group.labels))),
        source,
    )
}

type Parts = (Vec<String>, BTreeMap<String, String>);

fn named(
    groups: impl Iterator<Item = Option<Parts>>,
    source: &str,
) -> Result<Vec<TargetGroup>, String> {
    let whole = groups.enumerate().map(|(index, group)| {
        let (targets, labels) =
            group.ok_or_else(|| format!("nil target group item found (index {index})"))?;
        let address = |target: &String| Labels::from_pairs([(ADDRESS, target)]);
        Ok(TargetGroup {
            source: format!("{source}:{index}"),
            labels: Labels::from_pairs(&labels),
            targets: targets.iter().map(address).collect(),
        })
    });
    whole.collect()
}

/// Groups that there are no more: those of `source` behind the first `now` of `before`.
pub(crate) fn removed(
    source: &str,
    now: usize,
    before: usize,
) -> impl Iterator<Item = TargetGroup> {
    (now..before).map(move |index| TargetGroup {
        source: format!("{source}:{index}"),
        ..TargetGroup::default()
    })
}

/// Adds a label to a group.
pub(crate) fn with_label(mut group: TargetGroup, name: &str, value: &str) -> TargetGroup {
    group.labels = group.labels.to_builder().set(name, value).build();
    group
}

/// JSON has texts only where texts belong, and no keys besides these.
struct JsonGroup {
    targets: Vec<String>,
    labels: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for JsonGroup {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let group: StaticConfig = headwater_yaml::deserialize(from)?;
        Ok(Self {
            targets: group.targets,
            labels: group.labels,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_named_by_place() {
        let groups = from_json(
            br#"[{"targets":["a:1","b:2"],"labels":{"x":"y"}},{"targets":[]}]"#,
            "s",
        )
        .unwrap();
        assert_eq!(groups[0].source, "s:0");
        assert_eq!(groups[0].targets[1].get("__address__"), Some("b:2"));
        assert_eq!(groups[0].labels.get("x"), Some("y"));
        assert!(groups[1].targets.is_empty());
        assert_eq!(from_json(b"null", "s"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_not_a_list_of_groups_is_refused() {
        for (text, words) in [
            (r#"{"targets":["a"]}"#, "expected a sequence"),
            (r#"[{"target":["a"]}]"#, "did you mean \"targets\"?"),
            (r#"[{"targets":[1]}]"#, "expected a string"),
            (r"[null]", "nil target group item found (index 0)"),
            ("[", "EOF"),
        ] {
            let error = from_json(text.as_bytes(), "s").unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
