//! Both text formats; they differ in floats, times, exemplars, types and the end.

use headwater_model::name::{is_legacy_label_name, is_legacy_metric_name};
use headwater_model::{Exemplar, MetricType};

use crate::escape::Escaping;
use crate::family::{Bucket, Metric, MetricFamily, MetricValue};
use crate::float::{push_float_openmetrics, push_float_text};

pub(super) fn write(families: &[MetricFamily], openmetrics: bool, escaping: Escaping) -> String {
    let mut writer = Writer {
        out: String::with_capacity(4096),
        openmetrics,
        escaping,
    };
    families.iter().for_each(|family| writer.family(family));
    if openmetrics {
        writer.out.push_str("# EOF\n");
    }
    writer.out
}

struct Writer {
    out: String,
    openmetrics: bool,
    escaping: Escaping,
}

impl Writer {
    fn family(&mut self, family: &MetricFamily) {
        if family.metrics.is_empty() {
            return;
        }
        let name = self.escaping.metric_name(&family.name).into_owned();
        // OpenMetrics names a counter without the suffix that its samples have.
        let (declared, suffix) = match (
            self.openmetrics,
            family.metric_type,
            name.strip_suffix("_total"),
        ) {
            (true, MetricType::Counter, Some(stem)) => (stem, "_total"),
            (true, MetricType::Counter, None) => (name.as_str(), "_total"),
            _ => (name.as_str(), ""),
        };
        self.declare(
            "HELP",
            declared,
            |writer| writer.push_help(&family.help),
            family.help.is_empty(),
        );
        let word = self.type_word(family.metric_type);
        self.declare("TYPE", declared, |writer| writer.out.push_str(word), false);
        if self.openmetrics && !family.unit.is_empty() {
            self.declare(
                "UNIT",
                declared,
                |writer| writer.out.push_str(&family.unit),
                false,
            );
        }
        for metric in &family.metrics {
            self.metric(declared, suffix, metric);
        }
    }

    fn declare(&mut self, word: &str, name: &str, text: impl FnOnce(&mut Self), absent: bool) {
        if absent {
            return;
        }
        self.out.push_str("# ");
        self.out.push_str(word);
        self.out.push(' ');
        if is_legacy_metric_name(name) {
            self.out.push_str(name);
        } else {
            self.quoted(name);
        }
        self.out.push(' ');
        text(self);
        self.out.push('\n');
    }

    /// Only OpenMetrics escapes quotes in a help text.
    fn push_help(&mut self, help: &str) {
        for c in help.chars() {
            match c {
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '"' if self.openmetrics => self.out.push_str("\\\""),
                c => self.out.push(c),
            }
        }
    }

    fn type_word(&self, metric_type: MetricType) -> &'static str {
        match metric_type {
            _ if self.openmetrics => metric_type.as_str(),
            MetricType::Unknown | MetricType::Info | MetricType::StateSet => "untyped",
            MetricType::GaugeHistogram => "histogram",
            known => known.as_str(),
        }
    }

    fn metric(&mut self, name: &str, suffix: &str, metric: &Metric) {
        match &metric.value {
            MetricValue::Number(value) => self.sample(name, suffix, metric, None, *value, None),
            MetricValue::Summary {
                count,
                sum,
                quantiles,
            } => {
                for (quantile, value) in quantiles {
                    self.sample(
                        name,
                        "",
                        metric,
                        Some(("quantile", *quantile)),
                        *value,
                        None,
                    );
                }
                self.sample(name, "_sum", metric, None, *sum, None);
                self.sample(name, "_count", metric, None, *count as f64, None);
            }
            MetricValue::Buckets {
                count,
                sum,
                buckets,
            } => self.buckets(name, metric, *count, *sum, buckets),
            MetricValue::Histogram(_) | MetricValue::FloatHistogram(_) => {}
        }
    }

    fn buckets(&mut self, name: &str, metric: &Metric, count: u64, sum: f64, buckets: &[Bucket]) {
        for bucket in buckets {
            let bound = Some(("le", bucket.upper_bound));
            let exemplar = bucket.exemplar.as_ref();
            self.sample(
                name,
                "_bucket",
                metric,
                bound,
                bucket.cumulative_count as f64,
                exemplar,
            );
        }
        if buckets
            .last()
            .is_none_or(|last| last.upper_bound != f64::INFINITY)
        {
            self.sample(
                name,
                "_bucket",
                metric,
                Some(("le", f64::INFINITY)),
                count as f64,
                None,
            );
        }
        self.sample(name, "_sum", metric, None, sum, None);
        self.sample(name, "_count", metric, None, count as f64, None);
    }

    fn sample(
        &mut self,
        name: &str,
        suffix: &str,
        metric: &Metric,
        bound: Option<(&str, f64)>,
        value: f64,
        exemplar: Option<&Exemplar>,
    ) {
        self.series(name, suffix, metric, bound);
        self.out.push(' ');
        self.float(value);
        if let Some(time) = metric.time {
            self.out.push(' ');
            match self.openmetrics {
                true => self.seconds(time),
                false => self.out.push_str(&time.to_string()),
            }
        }
        if let Some(exemplar) = exemplar.filter(|_| self.openmetrics) {
            self.exemplar(exemplar);
        }
        self.out.push('\n');
    }

    /// `name{a="b"}`, or `{"na.me",a="b"}` where the name has to be quoted.
    fn series(&mut self, name: &str, suffix: &str, metric: &Metric, bound: Option<(&str, f64)>) {
        let legacy = is_legacy_metric_name(name);
        let mut separator = '{';
        if legacy {
            self.out.push_str(name);
            self.out.push_str(suffix);
        } else {
            self.out.push('{');
            self.quoted(&format!("{name}{suffix}"));
            separator = ',';
        }
        for (name, value) in &metric.labels {
            self.out.push(separator);
            separator = ',';
            self.label(name, value);
        }
        if let Some((name, bound)) = bound {
            self.out.push(separator);
            separator = ',';
            self.out.push_str(name);
            self.out.push_str("=\"");
            self.float(bound);
            self.out.push('"');
        }
        if separator == ',' {
            self.out.push('}');
        }
    }

    fn label(&mut self, name: &str, value: &str) {
        let name = self.escaping.label_name(name);
        if is_legacy_label_name(&name) {
            self.out.push_str(&name);
        } else {
            self.quoted(&name);
        }
        self.out.push('=');
        self.quoted(value);
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        self.out.push_str(" # ");
        let mut separator = '{';
        for (name, value) in &exemplar.labels {
            self.out.push(separator);
            separator = ',';
            self.label(name, value);
        }
        self.out
            .push_str(if separator == '{' { "{} " } else { "} " });
        self.float(exemplar.value);
        if let Some(time) = exemplar.time {
            self.out.push(' ');
            self.seconds(time);
        }
    }

    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '"' => self.out.push_str("\\\""),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn float(&mut self, value: f64) {
        match self.openmetrics {
            true => push_float_openmetrics(&mut self.out, value),
            false => push_float_text(&mut self.out, value),
        }
    }

    /// Milliseconds as seconds with three decimals, exactly.
    fn seconds(&mut self, time: i64) {
        let sign = if time < 0 { "-" } else { "" };
        let time = time.unsigned_abs();
        self.out
            .push_str(&format!("{sign}{}.{:03}", time / 1000, time % 1000));
    }
}
