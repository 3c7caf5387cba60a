//! Blocks of a text in OpenMetrics format.

use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use headwater_exposition::{Event, Format, Options, Parser, Value};
use headwater_model::{Labels, LabelsBuilder, Timestamp};
use headwater_storage::{Error, ErrorKind, Result};
use parking_lot::Mutex;

use super::{Backfill, Progress, on_threads};

/// What ends a text; without it, some of it may be missing.
const END: &[u8] = b"# EOF";
/// The text is read in parts of about this many bytes, several at a time.
const PART: usize = 4 << 20;

/// Some series with their samples.
type Found = Vec<(Labels, Vec<Timestamp>, Vec<f64>)>;

impl Backfill {
    /// Adds every sample of a text in OpenMetrics format. Exemplars, types and so on have no place
    /// in blocks and are left out. `progress` is told of bytes.
    ///
    /// # Errors
    /// The text breaks the grammar (the error names the line), does not end with `# EOF`, has a
    /// sample without a time, or a block could not be written.
    pub fn add_openmetrics(&mut self, text: &[u8], progress: Progress<'_>) -> Result<()> {
        let body = text.trim_ascii_end();
        let body = body
            .strip_suffix(END)
            .filter(|b| b.is_empty() || b.ends_with(b"\n"));
        let body = body.ok_or_else(|| invalid("the text does not end with # EOF"))?;
        let parts = parts(body);
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let threads = self.threads;
        let shared = Mutex::new(self);
        let work = || {
            while let Some((start, part)) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                let found = read(part).map_err(|(line, message)| {
                    let before = memchr_count(&body[..*start]);
                    invalid(&format!("line {}: {message}", before + line))
                })?;
                let mut backfill = shared.lock();
                for (labels, times, values) in &found {
                    backfill.add_floats(labels, times, values)?;
                }
                drop(backfill);
                let done = done.fetch_add(part.len(), Ordering::Relaxed) + part.len();
                progress(done as u64, body.len() as u64);
            }
            Ok(())
        };
        on_threads(threads.min(parts.len()), work)
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

fn memchr_count(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

/// Whole lines, with where they begin.
fn parts(text: &[u8]) -> Vec<(usize, &[u8])> {
    let mut out = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let rest = &text[start..];
        let around = PART.min(rest.len());
        let line_end = rest[around..].iter().position(|byte| *byte == b'\n');
        let len = line_end.map_or(rest.len(), |at| around + at + 1);
        out.push((start, &rest[..len]));
        start += len;
    }
    out
}

/// The samples of some lines, or in which of them something is wrong.
fn read(lines: &[u8]) -> std::result::Result<Found, (usize, String)> {
    // A part has to end as a whole text does.
    let text = [lines, END, b"\n"].concat();
    let told = |error: headwater_exposition::ParseError| (error.line(), error.message().to_owned());
    let mut parser = Parser::new(&text, Format::OpenMetrics, Options::default()).map_err(told)?;
    let mut known: HashMap<&[u8], usize> = HashMap::new();
    let mut found = Found::new();
    while let Some(event) = parser.next_event().map_err(told)? {
        let Event::Sample(sample) = event else {
            continue;
        };
        let line = || 1 + memchr_count(&text[..offset_of(&text, sample.series)]);
        let Some(time) = sample.time else {
            let series = String::from_utf8_lossy(sample.series);
            return Err((line(), format!("{series} has no timestamp")));
        };
        let Value::Float(value) = sample.value else {
            continue;
        };
        let key = &text[offset_of(&text, sample.series)..][..sample.series.len()];
        let at = match known.get(key) {
            Some(at) => *at,
            None => {
                let mut builder = LabelsBuilder::new();
                sample.labels(&mut builder).map_err(told)?;
                found.push((builder.build(), Vec::new(), Vec::new()));
                known.insert(key, found.len() - 1);
                found.len() - 1
            }
        };
        found[at].1.push(time);
        found[at].2.push(value);
    }
    Ok(found)
}

/// Where a part of a text begins in it.
fn offset_of(text: &[u8], part: &[u8]) -> usize {
    let offset = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    offset.min(text.len() - part.len().min(text.len()))
}

#[cfg(test)]
mod tests {
    use headwater_env::Env;

    use super::*;

    fn backfill() -> Backfill {
        Backfill::new(Env::in_memory(1), "data")
    }

    #[test]
    fn samples_of_a_text_become_blocks() {
        let mut text = String::from("# TYPE m counter\n");
        for at in 0..500 {
            text += &format!(
                "m_total{{n=\"{}\"}} {at} {}\n",
                at % 5,
                1_600_000_000 + at * 60
            );
        }
        text += "# EOF\n";
        let mut backfill = backfill();
        backfill
            .add_openmetrics(text.as_bytes(), &|_, _| {})
            .unwrap();
        let blocks = backfill.finish(&|_, _| {}).unwrap();
        let samples: u64 = blocks.iter().map(|meta| meta.stats.num_samples).sum();
        assert_eq!(samples, 500);
        assert!(blocks.iter().all(|meta| meta.stats.num_series == 5));
        assert!(blocks.len() > 3, "{blocks:?}");
    }

    #[test]
    fn series_keep_their_own_labels() {
        let text = b"m{a=\"1\"} 1 1\nn 2 2\no{b=\"x\"} 3 3\nm{a=\"1\"} 4 4\n";
        let found = read(text).unwrap();
        let names: Vec<String> = found
            .iter()
            .map(|(labels, ..)| labels.to_string())
            .collect();
        let wanted = [
            "{__name__=\"m\", a=\"1\"}",
            "{__name__=\"n\"}",
            "{__name__=\"o\", b=\"x\"}",
        ];
        assert_eq!(names, wanted);
        assert_eq!(found[0].1, [1000, 4000]);
    }

    #[test]
    fn mistakes_name_their_line() {
        let cases = [
            ("m 1 1\n", "does not end with # EOF"),
            ("m 1\n# EOF\n", "line 1: m has no timestamp"),
            ("m 1 1\nm{ 1 2\n# EOF\n", "line 2: "),
            ("m 1 1\nn 2 2\nk 1\n# EOF", "line 3: k has no timestamp"),
        ];
        for (text, wanted) in cases {
            let error = backfill()
                .add_openmetrics(text.as_bytes(), &|_, _| {})
                .unwrap_err();
            assert!(error.to_string().contains(wanted), "{text:?}: {error}");
        }
        let mut twice = backfill();
        twice
            .add_openmetrics(b"m 1 1\nm 2 1\n# EOF\n", &|_, _| {})
            .unwrap();
        let error = twice.finish(&|_, _| {}).unwrap_err();
        assert!(error.to_string().contains("two values at 1000"), "{error}");
        let mut same = backfill();
        same.add_openmetrics(b"m 1 1\nm 1 1\n# EOF\n", &|_, _| {})
            .unwrap();
        assert_eq!(same.finish(&|_, _| {}).unwrap()[0].stats.num_samples, 1);
        let mut nothing = backfill();
        nothing.add_openmetrics(b"# EOF\n", &|_, _| {}).unwrap();
        assert!(nothing.finish(&|_, _| {}).unwrap().is_empty());
    }

    #[test]
    fn parts_are_whole_lines() {
        let line = "m{n=\"1\"} 1 1\n".repeat(PART / 10);
        let parts = parts(line.as_bytes());
        assert!(parts.len() > 1);
        assert!(parts.iter().all(|(_, part)| part.ends_with(b"\n")));
        assert_eq!(
            parts.iter().map(|(_, part)| part.len()).sum::<usize>(),
            line.len()
        );
    }
}
