//! Which queries run right now, in a file, so that after a crash one can read what ran.
//!
//! The file is Prometheus's `queries.active`: an opening bracket, then 1000 bytes for each query
//! that may run at once. A query takes a free place with `{"query":…,"timestamp_sec":…}`, cut to fit,
//! zeros, and a comma as the last byte; when it ends, its place is filled with zeros. Nothing is
//! synced: the file has to survive the process, not the machine.

use std::path::Path;
use std::sync::Arc;

use headwater_env::{Clock, Env, File, FilesExt, OpenMode, Result};
use parking_lot::Mutex;

/// The name of the file in its directory.
pub const ACTIVE_QUERIES_FILE: &str = "queries.active";

/// Bytes for one query.
const PLACE: usize = 1000;

/// The queries that run.
#[derive(Debug)]
pub struct ActiveQueries {
    file: Box<dyn File>,
    clock: Arc<dyn Clock>,
    free: Mutex<Vec<usize>>,
}

impl ActiveQueries {
    /// Opens the file in `dir` with places for `most` queries, and returns what an earlier process left
    /// in it: the queries that it did not finish, as a JSON array; `None` if it finished all.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(env: &Env, dir: &Path, most: usize) -> Result<(Arc<Self>, Option<String>)> {
        let path = dir.join(ACTIVE_QUERIES_FILE);
        env.files.create_dir_all(dir)?;
        let left = match env.files.file_len(&path)? {
            Some(_) => unfinished(&env.files.read(&path)?),
            None => None,
        };
        let file = env.files.open(&path, OpenMode::Truncate)?;
        file.write_at(0, b"[")?;
        file.set_len((1 + most * PLACE) as u64)?;
        let active = Self {
            file,
            clock: env.clock.clone(),
            free: Mutex::new((0..most).rev().collect()),
        };
        Ok((Arc::new(active), left))
    }

    /// Notes a query until the guard is dropped. That a file could not be written keeps nobody from an
    /// answer; neither does a query beyond the number of places.
    pub fn enter(self: &Arc<Self>, query: &str) -> ActiveQuery {
        let place = self.free.lock().pop();
        if let Some(place) = place {
            let seconds = self.clock.unix_millis() / 1000;
            let _ = self.file.write_at(offset(place), &entry(query, seconds));
        }
        ActiveQuery {
            queries: self.clone(),
            place,
        }
    }
}

/// A query that runs.
#[derive(Debug)]
pub struct ActiveQuery {
    queries: Arc<ActiveQueries>,
    place: Option<usize>,
}

impl Drop for ActiveQuery {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let _ = self.queries.file.write_at(offset(place), &[0; PLACE]);
            self.queries.free.lock().push(place);
        }
    }
}

const fn offset(place: usize) -> u64 {
    (1 + place * PLACE) as u64
}

/// The bytes of a place that is taken.
fn entry(query: &str, seconds: i64) -> Vec<u8> {
    let tail = format!("\",\"timestamp_sec\":{seconds}}}");
    let mut out = String::from("{\"query\":\"");
    let room = PLACE - 1 - tail.len();
    for character in query.chars() {
        let before = out.len();
        push_escaped(&mut out, character);
        if out.len() > room {
            out.truncate(before);
            break;
        }
    }
    out += &tail;
    let mut bytes = out.into_bytes();
    bytes.resize(PLACE - 1, 0);
    bytes.push(b',');
    bytes
}

/// As Go writes strings in JSON, where what means something in HTML is escaped too.
fn push_escaped(out: &mut String, character: char) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '<' | '>' | '&' | '\0'..'\u{20}' | '\u{2028}' | '\u{2029}' => {
            out.push_str(&format!("\\u{:04x}", u32::from(character)));
        }
        other => out.push(other),
    }
}

/// What stands in a file that was left behind.
fn unfinished(bytes: &[u8]) -> Option<String> {
    let kept: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    let mut text = String::from_utf8_lossy(&kept).into_owned();
    if text.len() <= 1 {
        return None;
    }
    text.pop();
    text.push(']');
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_leaves_what_ran() {
        let env = Env::in_memory(1);
        let dir = Path::new("/data");
        let (queries, left) = ActiveQueries::open(&env, dir, 2).unwrap();
        assert_eq!(left, None);
        let first = queries.enter("up");
        let second = queries.enter("rate(\"x\n<y>\"[5m])");
        let beyond = queries.enter("too many");
        drop((first, beyond));
        let third = queries.enter(&"é".repeat(2000));
        drop(third);
        let path = dir.join(ACTIVE_QUERIES_FILE);
        let bytes = env.files.read(&path).unwrap();
        assert_eq!((bytes.len(), bytes[0], bytes[2000]), (2001, b'[', b','));
        // The process ends here without running the guard's end.
        std::mem::forget(second);
        let (_, left) = ActiveQueries::open(&env, dir, 2).unwrap();
        assert_eq!(
            left.unwrap(),
            "[{\"query\":\"rate(\\\"x\\n\\u003cy\\u003e\\\"[5m])\",\"timestamp_sec\":0}]"
        );
        let (_, left) = ActiveQueries::open(&env, dir, 2).unwrap();
        assert_eq!(left, None, "told once");
    }

    #[test]
    fn long_queries_are_cut_between_characters() {
        let bytes = entry(&"ü".repeat(2000), 1_700_000_000);
        assert_eq!(bytes.len(), PLACE);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("ü\",\"timestamp_sec\":1700000000}"));
    }
}
