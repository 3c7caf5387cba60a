//! Targets written into the settings.

use headwater_model::TargetGroup;

use crate::config::StaticConfig;
use crate::provider::{Provider, Running, Updates};

/// Sends its groups once.
#[derive(Clone, Debug)]
pub struct StaticProvider {
    groups: Vec<TargetGroup>,
}

impl StaticProvider {
    /// A provider of these groups.
    #[must_use]
    pub fn new(groups: &[StaticConfig]) -> Self {
        let groups = groups.iter().enumerate();
        Self {
            groups: groups
                .map(|(index, group)| group.to_group(index.to_string()))
                .collect(),
        }
    }
}

impl Provider for StaticProvider {
    fn run(self: Box<Self>, out: Updates) -> Running {
        Box::pin(async move { out.send(self.groups).await })
    }
}
