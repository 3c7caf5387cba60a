//! `_created` lines of OpenMetrics as start timestamps of the samples they belong to.
//!
//! The line stands behind the samples it is about, so a family is read ahead once, when its
//! type is declared.

use hashbrown::HashMap;
use headwater_model::label::METRIC_NAME;
use headwater_model::{Labels, LabelsBuilder, MetricType, Timestamp};

use super::error::Fault;
use super::labels::read_series;
use super::scan::Scanner;

/// The start timestamps of one family.
#[derive(Debug, Default)]
pub(crate) struct Created {
    /// By labels without the name and what tells the samples of one metric apart.
    starts: HashMap<Labels, Timestamp>,
    builder: LabelsBuilder,
}

impl Created {
    /// Reads ahead from behind the line that declares the family's type.
    pub(crate) fn read_ahead(
        &mut self,
        scanner: &Scanner<'_>,
        family: &str,
        metric_type: MetricType,
    ) {
        self.starts.clear();
        if !matches!(
            metric_type,
            MetricType::Counter | MetricType::Summary | MetricType::Histogram
        ) {
            return;
        }
        let mut ahead = scanner.clone();
        while ahead.eat(b'\n') {
            let rest = &ahead.text[ahead.at..];
            if rest.starts_with("# TYPE") || rest.starts_with("# EOF") {
                break;
            }
            if !rest.starts_with('#') {
                // A mistake is found, and told, when its line is read.
                let _ = self.read_line(&mut ahead, family);
            }
            ahead.line_rest();
        }
    }

    fn read_line(&mut self, scanner: &mut Scanner<'_>, family: &str) -> Result<(), Fault> {
        let mut at_series = scanner.clone();
        scanner.series()?;
        scanner.skip_blanks();
        let seconds = scanner.float("value")?;
        self.builder.clear();
        read_series(&mut at_series, MetricType::Unknown, &mut self.builder)?;
        if is_created(&self.builder, family) {
            self.starts
                .insert(key(&mut self.builder), (seconds * 1000.0) as Timestamp);
        }
        Ok(())
    }

    /// What a sample of the family is: a `_created` line (`None`), or one with or without a start.
    pub(crate) fn start_of(
        &mut self,
        scanner: &Scanner<'_>,
        series_at: usize,
        family: &str,
    ) -> Result<Option<Option<Timestamp>>, Fault> {
        if self.starts.is_empty() {
            return Ok(Some(None));
        }
        let mut scanner = Scanner {
            text: scanner.text,
            at: series_at,
        };
        self.builder.clear();
        read_series(&mut scanner, MetricType::Unknown, &mut self.builder)?;
        if is_created(&self.builder, family) {
            return Ok(None);
        }
        let labels = key(&mut self.builder);
        Ok(Some(self.starts.get(&labels).copied()))
    }
}

fn is_created(labels: &LabelsBuilder, family: &str) -> bool {
    labels
        .get(METRIC_NAME)
        .and_then(|name| name.strip_prefix(family))
        == Some("_created")
}

fn key(labels: &mut LabelsBuilder) -> Labels {
    for name in [METRIC_NAME, "le", "quantile"] {
        labels.remove(name);
    }
    labels.build()
}
