//! Runs scripts in Loki's LogQL test language: streams that are loaded,
//! queries, and what they must answer.
//!
//! ```text
//! load
//!   {app="a"} "line {{.i}}" @ 20s [repeat every 20s for 4] [metadata k="v"]
//!
//! eval instant at 60s count_over_time({app="a"}[1m])
//!   {app="a"} 3
//! eval range from 40s to 80s step 20s count_over_time({app="a"}[1m])
//!   {app="a"} 2 3 3
//! eval instant at 60s nonsense
//!   expect fail msg: syntax error
//! ```

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_model::Labels;
use headwater_model::label::LabelsBuilder;
use headwater_query::{Point, Value};
use headwater_regexp::Regex;
use headwater_storage::MemoryLogs;

use crate::exec::{Engine, EngineLimits, LogQuery, LogValue};
use crate::lex::unquote;
use crate::units::parse_query_duration;

/// How many queries answered as they must.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Right answers.
    pub passed: usize,
    /// Wrong ones.
    pub failed: usize,
}

/// Numbers may differ by so much of their size, as in the original's harness.
const TOLERANCE: f64 = 1e-6;

/// Runs every `*.logqltest` file of a folder in the order of their names.
/// Writes one line for every wrong answer and ends with
/// `logqltest: P passed, F failed, of N`.
///
/// # Errors
/// The folder or a file cannot be read, or `out` cannot be written.
pub fn run_folder(folder: &Path, out: &mut dyn Write) -> io::Result<Summary> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|e| e == "logqltest"));
    files.sort();
    let mut summary = Summary::default();
    for path in files {
        let text = std::fs::read_to_string(&path)?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
        run_script(&name.unwrap_or_default(), &text, &mut summary, out)?;
    }
    let Summary { passed, failed } = summary;
    let total = passed + failed;
    writeln!(
        out,
        "logqltest: {passed} passed, {failed} failed, of {total}"
    )?;
    Ok(summary)
}

/// Runs one script.
///
/// # Errors
/// `out` cannot be written.
pub fn run_script(
    name: &str,
    text: &str,
    summary: &mut Summary,
    out: &mut dyn Write,
) -> io::Result<()> {
    let store = MemoryLogs::new();
    let limits = EngineLimits::default().with_max_series(0);
    let engine = Engine::new(Arc::new(store.clone()), limits);
    let lines: Vec<(usize, String)> = text
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, without_comment(line)))
        .filter(|(_, line)| !line.trim().is_empty())
        .collect();
    let mut at = 0;
    while at < lines.len() {
        let (number, command) = &lines[at];
        let block = lines[at + 1..]
            .iter()
            .take_while(|(_, l)| l.starts_with([' ', '\t']));
        let block: Vec<&str> = block.map(|(_, line)| line.trim()).collect();
        at += 1 + block.len();
        let outcome = match command.split_whitespace().next() {
            Some("clear") => {
                store.clear();
                continue;
            }
            Some("load") => match block.iter().try_for_each(|line| load(&store, line)) {
                Ok(()) => continue,
                Err(e) => Err(e),
            },
            Some("eval") => evaluate(&engine, command, &block),
            _ => Err("unknown command".to_owned()),
        };
        match outcome {
            Ok(()) => summary.passed += 1,
            Err(why) => {
                summary.failed += 1;
                let why = why.replace('\n', " ");
                writeln!(out, "{name}:{number}: {}: {why}", command.trim())?;
            }
        }
    }
    Ok(())
}

/// The line up to a `#` that is not within quotes.
fn without_comment(line: &str) -> String {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some('"'), '\\') => escaped = true,
            (Some(mark), c) if mark == c => quote = None,
            (None, '"' | '`') => quote = Some(c),
            (None, '#') => return line[..at].to_owned(),
            _ => {}
        }
    }
    line.to_owned()
}

/// A quoted text at the start of `text`, and what follows.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let text = text.trim_start();
    let mark = text.chars().next().filter(|c| matches!(c, '"' | '`'));
    let mark = mark.ok_or_else(|| format!("a quoted text is missing at: {text}"))?;
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if mark == '"' => escaped = true,
            c if c == mark => {
                let inner = &text[1..at];
                let value = match mark {
                    '`' => Some(inner.to_owned()),
                    _ => unquote(inner),
                };
                return value
                    .map(|value| (value, &text[at + 1..]))
                    .ok_or_else(|| format!("bad text: {inner}"));
            }
            _ => {}
        }
    }
    Err(format!("a quote is not closed: {text}"))
}

/// Pairs such as `a="b", c="d"` up to `end`, and what follows it.
fn pairs(text: &str, end: char) -> Result<(Labels, &str), String> {
    let mut found = LabelsBuilder::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(rest) = rest.strip_prefix(end) {
            return Ok((found.build_with_empty(), rest));
        }
        let (name, after) = rest
            .split_once('=')
            .ok_or_else(|| format!("bad labels: {text}"))?;
        let (value, after) = quoted(after)?;
        found.push(name.trim(), &value);
        rest = after;
    }
}

fn labels(text: &str) -> Result<(Labels, &str), String> {
    let inner = text.trim_start().strip_prefix('{');
    pairs(
        inner.ok_or_else(|| format!("labels are missing: {text}"))?,
        '}',
    )
}

/// The labels of a stream, which has none without a value.
fn stream_labels(text: &str) -> Result<(Labels, &str), String> {
    let (labels, rest) = labels(text)?;
    Ok((Labels::from_pairs(&labels), rest))
}

fn nanos(text: &str) -> Result<i64, String> {
    let (negative, text) = match text.trim().strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text.trim()),
    };
    parse_query_duration(text).map(|n| if negative { -n } else { n })
}

/// Carries out one line of a `load`.
fn load(store: &MemoryLogs, text: &str) -> Result<(), String> {
    let (stream, rest) = stream_labels(text)?;
    let (line, rest) = quoted(rest)?;
    let rest = rest
        .trim_start()
        .strip_prefix('@')
        .ok_or("a time is missing")?;
    let end = rest.find('[').unwrap_or(rest.len());
    let start = nanos(&rest[..end])?;
    let mut rest = rest[end..].trim();
    let (mut every, mut count) = (0, 1);
    let mut metadata = Labels::empty();
    while let Some(option) = rest.strip_prefix('[') {
        if let Some(option) = option.strip_prefix("metadata") {
            (metadata, rest) = pairs(option, ']')?;
        } else {
            let (option, after) = option.split_once(']').ok_or("a bracket is not closed")?;
            let words: Vec<&str> = option.split_whitespace().collect();
            let ["repeat", "every", step, "for", times] = words[..] else {
                return Err(format!("unknown option: {option}"));
            };
            every = nanos(step)?;
            count = times.parse().map_err(|_| format!("bad count: {times}"))?;
            rest = after;
        }
        rest = rest.trim_start();
    }
    for index in 0..count {
        let line = line.replace("{{.i}}", &index.to_string());
        store.push(&stream, start + every * index, line, &metadata);
    }
    Ok(())
}

/// Labels, and a value for every step that has one.
type ExpectedSeries = (Labels, Vec<Option<f64>>);

/// What a query must answer.
#[derive(Debug, Default)]
struct Expected {
    series: Vec<ExpectedSeries>,
    scalar: Option<f64>,
    failure: Option<Failure>,
    ordered: bool,
}

#[derive(Debug)]
enum Failure {
    Any,
    Text(String),
    Regex(Regex),
}

fn expected(block: &[&str]) -> Result<Expected, String> {
    let mut all = Expected::default();
    for line in block {
        if let Some(rest) = line.strip_prefix("expect fail") {
            let rest = rest.trim();
            all.failure = Some(match rest.split_once(':') {
                Some(("msg", text)) => Failure::Text(text.trim().to_owned()),
                Some(("regex", text)) => {
                    Failure::Regex(Regex::new(text.trim()).map_err(|e| e.to_string())?)
                }
                _ => Failure::Any,
            });
        } else if *line == "expect ordered" {
            all.ordered = true;
        } else if line.starts_with('{') {
            let (labels, rest) = labels(line)?;
            let mut values = Vec::new();
            for word in rest.split_whitespace() {
                points(word, &mut values)?;
            }
            all.series.push((labels, values));
        } else if !line.starts_with("expect ") && !line.starts_with("skip ") {
            all.scalar = Some(number(line)?);
        }
    }
    Ok(all)
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("bad number: {text}"))
}

/// `3`, `_`, `_x4`, `1x3` (four times), `1+2x3`.
fn points(word: &str, values: &mut Vec<Option<f64>>) -> Result<(), String> {
    let (first, times) = match word.rsplit_once('x') {
        Some((first, times)) => (
            first,
            times
                .parse::<usize>()
                .map_err(|_| format!("bad points: {word}"))?,
        ),
        None => (word, 0),
    };
    if first == "_" {
        values.extend(std::iter::repeat_n(None, times.max(1)));
        return Ok(());
    }
    let sign = first
        .get(1..)
        .and_then(|t| t.find(['+', '-']))
        .map(|at| at + 1);
    let sign = sign.filter(|at| times > 0 && !first[..*at].ends_with(['e', 'E']));
    let (start, step) = match sign {
        Some(at) => (
            number(&first[..at])?,
            number(first[at..].trim_start_matches('+'))?,
        ),
        None => (number(first)?, 0.0),
    };
    values.extend((0..=times).map(|i| Some(start + step * i as f64)));
    Ok(())
}

fn evaluate(engine: &Engine, command: &str, block: &[&str]) -> Result<(), String> {
    let expected = expected(block)?;
    let (query, steps) = query(command)?;
    let answer = engine.query_blocking(query);
    let value = match (&expected.failure, answer) {
        (None, Ok(answer)) => answer.value,
        (None, Err(e)) => return Err(format!("failed: {e}")),
        (Some(_), Ok(answer)) => return Err(format!("did not fail: {:?}", answer.value)),
        (Some(failure), Err(e)) => {
            let text = e.to_string();
            let met = match failure {
                Failure::Any => true,
                Failure::Text(part) => text.contains(part.as_str()),
                Failure::Regex(regex) => regex.is_match(&text),
            };
            return if met {
                Ok(())
            } else {
                Err(format!("failed otherwise: {text}"))
            };
        }
    };
    let LogValue::Metric(value) = value else {
        return Err("lines instead of numbers".to_owned());
    };
    compare(value, &expected, &steps)
}

/// The query of an `eval`, and its steps in milliseconds.
fn query(command: &str) -> Result<(LogQuery, Vec<i64>), String> {
    let words = |text: &str, count: usize| -> Option<(Vec<String>, String)> {
        let mut rest = text.trim_start();
        let mut words = Vec::new();
        for _ in 0..count {
            let (word, after) = rest.split_once(char::is_whitespace)?;
            words.push(word.to_owned());
            rest = after.trim_start();
        }
        Some((words, rest.trim_end().to_owned()))
    };
    let bad = || format!("bad eval: {command}");
    if command.starts_with("eval instant at") {
        let (words, text) = words(command, 4).ok_or_else(bad)?;
        let time = nanos(&words[3])?;
        return Ok((LogQuery::instant(text, time), vec![time / 1_000_000]));
    }
    let (words, text) = words(command, 8).ok_or_else(bad)?;
    let [_, "range", "from", start, "to", end, "step", step] =
        words.iter().map(String::as_str).collect::<Vec<_>>()[..]
    else {
        return Err(bad());
    };
    let (start, end, step) = (nanos(start)?, nanos(end)?, nanos(step)?);
    let count = (end - start) / step.max(1) + 1;
    let steps = (0..count).map(|i| (start + step * i) / 1_000_000).collect();
    Ok((LogQuery::range(text, start, end, step), steps))
}

fn near(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() || a.is_infinite() || b.is_infinite() {
        return a == b || (a.is_nan() && b.is_nan());
    }
    (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

fn compare(value: Value, expected: &Expected, steps: &[i64]) -> Result<(), String> {
    let rows = match value {
        Value::Scalar { value, .. } => {
            return match expected.scalar {
                Some(want) if near(value, want) => Ok(()),
                want => Err(format!("got scalar {value}, want {want:?}")),
            };
        }
        Value::String { value, .. } => return Err(format!("got text {value}")),
        Value::Vector(samples) => samples
            .into_iter()
            .map(|s| match s.point {
                Point::Float(value) => (s.labels, vec![Some(value)]),
                Point::Histogram(_) => (s.labels, vec![None]),
            })
            .collect::<Vec<_>>(),
        Value::Matrix(series) => series
            .into_iter()
            .map(|s| {
                let times = &s.columns.floats.times;
                let at = |step: &i64| times.binary_search(step).ok();
                let value = |step| at(step).map(|i| s.columns.floats.values[i]);
                (s.labels, steps.iter().map(value).collect())
            })
            .collect(),
    };
    let mut want = expected.series.clone();
    let mut got = rows;
    if !expected.ordered {
        want.sort_by(|a, b| a.0.cmp(&b.0));
        got.sort_by(|a, b| a.0.cmp(&b.0));
    }
    let same = |(a, b): (&ExpectedSeries, &ExpectedSeries)| {
        let points = a.1.iter().zip(&b.1);
        a.0 == b.0
            && a.1.len() == b.1.len()
            && points.into_iter().all(|pair| match pair {
                (Some(a), Some(b)) => near(*a, *b),
                (a, b) => a.is_none() && b.is_none(),
            })
    };
    match got.len() == want.len() && got.iter().zip(&want).all(same) {
        true => Ok(()),
        false => Err(format!("got {got:?}, want {want:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_and_wrong_answers() {
        let script = r#"
clear
load
  {app="a"} "n={{.i}}" @ 20s [repeat every 20s for 4] [metadata k="v"]  # four
eval instant at 60s count_over_time({app="a"}[1m])
  {app="a", k="v"} 3
eval range from 40s to 80s step 20s sum(sum_over_time({app="a"} | logfmt | unwrap n [1m]))
  {} 1+2x1 6
eval instant at 60s 1+1
  2
eval instant at 60s {
  expect fail msg: syntax error
eval instant at 60s count_over_time({app="b"}[1m])
  expect empty
eval instant at 60s vector(1)
  {} 2
"#;
        let mut summary = Summary::default();
        let mut out = Vec::new();
        run_script("own", script, &mut summary, &mut out).expect("a vector takes every write");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(
            text,
            "own:15: eval instant at 60s vector(1): got [({}, [Some(1.0)])], want [({}, [Some(2.0)])]\n"
        );
        assert_eq!(
            summary,
            Summary {
                passed: 5,
                failed: 1
            }
        );
    }
}
