//! The nine questions, and what is known of their answers.

use serde_json::Value;

use super::batch::{SECOND, SPAN, START};
use super::lines::{ABSENT, RARE_HITS, RARE_WORD, REFUSED, REFUSED_HITS};

/// One question over the whole hour.
pub(crate) struct Question {
    pub(crate) name: &'static str,
    pub(crate) expression: String,
    /// Seconds between the steps of a metric query.
    pub(crate) step: Option<u32>,
    pub(crate) limit: usize,
    pub(crate) answer: Known,
    /// Milliseconds of wall time that we want to stay below, where there is a target.
    pub(crate) target: Option<f64>,
}

/// What is known of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known {
    /// The number of lines.
    Lines(usize),
    /// The number of lines, if there is that much to find.
    LinesAtMost(usize),
    /// The number of series.
    Series(usize),
    /// The number of series, and that all their values together count every line.
    EveryLine(usize),
}

pub(crate) fn questions() -> Vec<Question> {
    let lines = |name, expression: String, limit, answer, target| Question {
        name,
        expression,
        step: None,
        limit,
        answer,
        target,
    };
    let metric = |name, expression: &str, answer, target| Question {
        name,
        expression: expression.to_owned(),
        step: Some(60),
        limit: 100,
        answer,
        target,
    };
    vec![
        lines(
            "rare word, 20 hits",
            format!("{{app=~\".+\"}} |= \"{RARE_WORD}\""),
            1000,
            Known::Lines(RARE_HITS),
            Some(30.0),
        ),
        lines(
            "string that does not occur",
            format!("{{app=~\".+\"}} |= \"{ABSENT}\""),
            1000,
            Known::Lines(0),
            Some(30.0),
        ),
        lines(
            "regex, 22 hits",
            format!("{{app=~\".+\"}} |~ \"{REFUSED}\""),
            1000,
            Known::Lines(REFUSED_HITS),
            None,
        ),
        lines(
            "newest 100 lines of an app",
            "{app=\"checkout\"}".to_owned(),
            100,
            Known::Lines(100),
            None,
        ),
        lines(
            "json status >= 500 and duration > 1990",
            "{format=\"json\"} | json | status >= 500 and duration > 1990".to_owned(),
            100,
            Known::LinesAtMost(100),
            None,
        ),
        metric(
            "sum by (level)(rate(json [1m]))",
            "sum by (level) (rate({format=\"json\"} | json [1m]))",
            Known::Series(4),
            Some(700.0),
        ),
        metric(
            "logfmt average duration by component",
            "avg_over_time({format=\"logfmt\"} | logfmt | unwrap duration(duration) [1m]) by (component)",
            Known::Series(8),
            None,
        ),
        metric(
            "count_over_time by app",
            "sum by (app) (count_over_time({app=~\".+\"} [1m]))",
            Known::EveryLine(10),
            Some(40.0),
        ),
        metric(
            "lines with \"error\" per minute",
            "sum(count_over_time({app=~\".+\"} |= \"error\" [1m]))",
            Known::Series(1),
            None,
        ),
    ]
}

impl Question {
    /// Path and parameters of the request.
    pub(crate) fn url(&self, server: &str) -> String {
        let (start, end) = match self.step {
            // Steps look back: the first sees the first minute, the last the last.
            Some(step) => (START + i64::from(step) * SECOND, START + SPAN),
            None => (START, START + SPAN),
        };
        let step = self
            .step
            .map_or_else(String::new, |step| format!("&step={step}"));
        format!(
            "{server}/loki/api/v1/query_range?query={}&start={start}&end={end}&limit={}{step}",
            encoded(&self.expression),
            self.limit
        )
    }

    /// Whether the answer is right; `lines` is how many were pushed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self, answer: &Value, lines: usize) -> Result<(), String> {
        let result = answer["data"]["result"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let values = || {
            result
                .iter()
                .flat_map(|series| series["values"].as_array().into_iter().flatten())
        };
        let right = |wanted: usize, found: usize, what: &str| match wanted == found {
            true => Ok(()),
            false => Err(format!("{}: {found} {what} instead of {wanted}", self.name)),
        };
        match self.answer {
            Known::Lines(wanted) => right(wanted, values().count(), "lines"),
            Known::LinesAtMost(most) => right(
                1,
                usize::from((1..=most).contains(&values().count())),
                "answers with lines",
            ),
            Known::Series(wanted) => right(wanted, result.len(), "series"),
            Known::EveryLine(series) => {
                let number =
                    |pair: &Value| pair[1].as_str().and_then(|text| text.parse::<f64>().ok());
                right(series, result.len(), "series")?;
                right(
                    lines,
                    values().filter_map(number).sum::<f64>() as usize,
                    "lines counted",
                )
            }
        }
    }
}

/// Text for a query string.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
