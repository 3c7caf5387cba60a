//! Scripts as commands.

use headwater_model::{Labels, Timestamp};
use headwater_regexp::Regex;

use super::values::{SequenceValue, parse_series, parse_starts, parse_values, split_series};

/// One command.
#[derive(Debug)]
pub(super) enum Command {
    Clear,
    Load(Load),
    Eval(Box<Eval>),
}

/// Series to store.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Milliseconds from sample to sample, the first one at 0.
    pub(super) step: i64,
    /// Classic histograms are stored as native ones with custom bounds too.
    pub(super) nhcb: bool,
    pub(super) series: Vec<LoadedSeries>,
}

#[derive(Debug)]
pub(super) struct LoadedSeries {
    pub(super) labels: Labels,
    pub(super) values: Vec<SequenceValue>,
    /// Start timestamps relative to the samples.
    pub(super) starts: Vec<Option<i64>>,
}

/// A query with what it should give.
#[derive(Debug, Default)]
pub(super) struct Eval {
    pub(super) line: usize,
    pub(super) query: String,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    /// 0 for instant queries.
    pub(super) step: i64,
    pub(super) expect: Expect,
}

/// What is expected.
#[derive(Debug, Default)]
pub(super) struct Expect {
    pub(super) ordered: bool,
    pub(super) fail: Option<Pattern>,
    pub(super) warn: Vec<Pattern>,
    pub(super) info: Vec<Pattern>,
    pub(super) no_warn: bool,
    pub(super) no_info: bool,
    pub(super) scalar: Option<f64>,
    pub(super) text: Option<String>,
    pub(super) series: Vec<(Labels, Vec<SequenceValue>)>,
    /// Start, end and step of the samples of a range vector.
    pub(super) range_vector: Option<(Timestamp, Timestamp, i64)>,
}

/// A message to look for.
#[derive(Debug)]
pub(super) enum Pattern {
    Any,
    Message(String),
    Regex(Box<Regex>),
}

impl Pattern {
    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Message(message) => message == text,
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Cuts a script into commands; a line that is not understood is given with its number.
pub(super) fn parse(text: &str) -> Result<Vec<Command>, (usize, String)> {
    let lines: Vec<&str> = text
        .lines()
        .map(|line| {
            if line.trim().starts_with('#') {
                ""
            } else {
                line.trim()
            }
        })
        .collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let word = line
            .split_whitespace()
            .next()
            .unwrap_or("")
            .to_ascii_lowercase();
        let body_end = lines[at + 1..]
            .iter()
            .position(|line| line.is_empty())
            .map_or(lines.len(), |len| at + 1 + len);
        let numbered = |message: String| (at + 1, message);
        match word.as_str() {
            "" => {}
            "clear" => commands.push(Command::Clear),
            word if word.starts_with("load") => {
                commands.push(Command::Load(
                    load(line, &lines[at + 1..body_end]).map_err(numbered)?,
                ));
                at = body_end;
                continue;
            }
            word if word.starts_with("eval") => {
                let mut eval = eval_head(line).map_err(numbered)?;
                eval.line = at + 1;
                for (offset, line) in lines[at + 1..body_end].iter().enumerate() {
                    eval_line(&mut eval, line).map_err(|message| (at + 2 + offset, message))?;
                }
                commands.push(Command::Eval(Box::new(eval)));
                at = body_end;
                continue;
            }
            _ => return Err((at + 1, format!("invalid command {line:?}"))),
        }
        at += 1;
    }
    Ok(commands)
}

fn duration(text: &str) -> Result<i64, String> {
    headwater_model::duration::parse_duration(text).or_else(|error| {
        // Plain numbers are seconds.
        let seconds: f64 = text.parse().map_err(|_| error.to_string())?;
        Ok((seconds * 1000.0) as i64)
    })
}

fn load(head: &str, lines: &[&str]) -> Result<Load, String> {
    let mut words = head.split_whitespace();
    let nhcb = words.next() == Some("load_with_nhcb");
    let step = duration(words.next().ok_or("load needs a step")?)?;
    let mut load = Load {
        step,
        nhcb,
        series: Vec::new(),
    };
    let mut starts: Option<(Labels, Vec<Option<i64>>)> = None;
    for line in lines {
        let (labels, is_starts, rest) = split_series(line)?;
        if is_starts {
            starts = Some((labels, parse_starts(rest)?));
            continue;
        }
        let starts = starts
            .take()
            .filter(|(of, _)| *of == labels)
            .map(|(_, starts)| starts)
            .unwrap_or_default();
        // Of several lines for one series the last one counts.
        load.series
            .retain(|known: &LoadedSeries| known.labels != labels);
        load.series.push(LoadedSeries {
            labels,
            values: parse_values(rest)?,
            starts,
        });
    }
    Ok(load)
}

/// `eval instant at 5m query` or `eval range from 0 to 5m step 1m query`, with the old suffixes.
fn eval_head(line: &str) -> Result<Eval, String> {
    let mut eval = Eval::default();
    let (command, rest) = word(line);
    match command.strip_prefix("eval").unwrap_or("") {
        "" => {}
        "_ordered" => eval.expect.ordered = true,
        "_fail" => eval.expect.fail = Some(Pattern::Any),
        "_warn" => eval.expect.warn.push(Pattern::Any),
        "_info" => eval.expect.info.push(Pattern::Any),
        other => return Err(format!("invalid evaluation command eval{other}")),
    }
    let (kind, mut rest) = word(rest);
    let mut take = |keyword: &str| -> Result<Option<i64>, String> {
        let (found, after) = word(rest);
        if found != keyword {
            return Ok(None);
        }
        let (value, after) = word(after);
        rest = after;
        duration(value).map(Some)
    };
    if kind == "instant" {
        eval.start = take("at")?.unwrap_or(0);
        eval.end = eval.start;
    } else {
        let missing = || "expected from, to and step".to_owned();
        eval.start = take("from")?.ok_or_else(missing)?;
        eval.end = take("to")?.ok_or_else(missing)?;
        eval.step = take("step")?.ok_or_else(missing)?;
    }
    eval.query = rest.to_owned();
    Ok(eval)
}

/// The first word and what follows.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

fn eval_line(eval: &mut Eval, line: &str) -> Result<(), String> {
    let expect = &mut eval.expect;
    let (first, rest) = word(line);
    match first {
        "expect" => return expectation(expect, rest),
        "expected_fail_message" => {
            expect.fail = Some(Pattern::Message(rest.to_owned()));
            return Ok(());
        }
        "expected_fail_regexp" => {
            expect.fail = Some(regex(rest)?);
            return Ok(());
        }
        _ => {}
    }
    if let Some(value) = crate::syntax::parse::signed_number(line) {
        expect.scalar = Some(value);
        return Ok(());
    }
    expect.series.push(parse_series(line)?);
    Ok(())
}

fn regex(text: &str) -> Result<Pattern, String> {
    Regex::new(text)
        .map(|regex| Pattern::Regex(Box::new(regex)))
        .map_err(|error| error.to_string())
}

fn expectation(expect: &mut Expect, text: &str) -> Result<(), String> {
    let (mode, rest) = word(text);
    let pattern = match (rest.strip_prefix("msg:"), rest.strip_prefix("regex:")) {
        (Some(message), _) => Pattern::Message(message.trim().to_owned()),
        (_, Some(pattern)) => regex(pattern.trim())?,
        _ => Pattern::Any,
    };
    match mode {
        "ordered" => expect.ordered = true,
        "fail" => expect.fail = Some(pattern),
        "warn" => expect.warn.push(pattern),
        "info" => expect.info.push(pattern),
        "no_warn" => expect.no_warn = true,
        "no_info" => expect.no_info = true,
        "string" => expect.text = Some(crate::syntax::parse::unquote_literal(rest)),
        "range" => {
            let numbers: Vec<&str> = rest.split_whitespace().collect();
            let [_, _, start, _, end, _, step] = numbers[..] else {
                return Err(format!("bad range vector {rest:?}"));
            };
            expect.range_vector = Some((duration(start)?, duration(end)?, duration(step)?));
        }
        _ => return Err(format!("invalid expected error/annotation type {mode}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_end_at_empty_lines() {
        let script = "load 5m\n  a 1 2\n\n# said\neval range from 0 to 5m step 5m a\n  expect no_warn\n  {} 1 2\n\nclear\n";
        let commands = parse(script).unwrap();
        let [Command::Load(load), Command::Eval(eval), Command::Clear] = &commands[..] else {
            panic!("{commands:?}")
        };
        assert_eq!((load.step, load.series.len()), (300_000, 1));
        assert_eq!(
            (eval.line, eval.query.as_str(), eval.end, eval.step),
            (5, "a", 300_000, 300_000)
        );
        assert!(eval.expect.no_warn && eval.expect.series.len() == 1);
    }
}
