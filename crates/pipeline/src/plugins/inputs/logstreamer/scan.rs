//! Which files there are, which stream each belongs to, and in which order
//! they are read.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use headwater_regexp::{Groups, Regex, quote_meta};

use crate::timefmt::{MONTHS, WEEKDAYS};

/// Directories may nest this deep below the log directory.
const DEPTH_MAX: usize = 64;

/// By group, by text, the number to sort by.
pub(super) type Translation = BTreeMap<String, BTreeMap<String, i64>>;

/// What to look for.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) directory: PathBuf,
    regex: Regex,
    priority: Vec<(String, bool)>,
    differentiator: Vec<String>,
    translation: Translation,
    oldest: Duration,
}

/// A file that is part of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    /// Device and inode: what stays when a file is renamed.
    pub(super) identity: (u64, u64),
    pub(super) modified: SystemTime,
    keys: Vec<i64>,
}

/// Files by stream, oldest first.
pub(super) type Streams = BTreeMap<String, Vec<LogFile>>;

impl Pattern {
    /// `file_match` is matched against the whole path below the directory.
    pub(super) fn new(
        directory: &Path,
        file_match: &str,
        priority: &[String],
        differentiator: &[String],
        translation: &Translation,
        oldest: Duration,
    ) -> Result<Pattern, String> {
        let directory =
            fs::canonicalize(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
        let prefix = quote_meta(&directory.to_string_lossy());
        let regex =
            Regex::new(&format!("^{prefix}/{file_match}$")).map_err(|error| error.to_string())?;
        let key = |name: &String| match name.strip_prefix('^') {
            Some(name) => (name.to_owned(), true),
            None => (name.clone(), false),
        };
        let mut translation = translation.clone();
        // Weeks begin on Monday here, as in heka.
        let days = WEEKDAYS.iter().cycle().skip(1).take(7);
        for (number, name) in (1..).zip(&MONTHS) {
            name_number(&mut translation, "MonthName", name, number);
        }
        for (number, name) in (1..).zip(days) {
            name_number(&mut translation, "DayName", name, number);
        }
        Ok(Pattern {
            directory,
            regex,
            priority: priority.iter().map(key).collect(),
            differentiator: differentiator.to_vec(),
            translation,
            oldest,
        })
    }

    /// All streams as they are now.
    ///
    /// # Errors
    ///
    /// A stream with several files and nothing to sort them by, or a
    /// directory that cannot be read.
    pub(super) fn scan(&self) -> Result<Streams, String> {
        let mut streams = Streams::new();
        let mut groups = self.regex.groups();
        self.walk(&self.directory, 0, &mut groups, &mut streams)
            .map_err(|error| format!("{}: {error}", self.directory.display()))?;
        for (name, files) in &mut streams {
            if files.len() > 1 && self.priority.is_empty() {
                let paths: Vec<_> = files.iter().map(|f| f.path.display().to_string()).collect();
                return Err(format!(
                    "found multiple logfiles without priority to sort on for {name}: {}",
                    paths.join(" ")
                ));
            }
            files.sort_by(|a, b| self.order(a, b));
        }
        Ok(streams)
    }

    fn walk(
        &self,
        directory: &Path,
        depth: usize,
        groups: &mut Groups,
        streams: &mut Streams,
    ) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            // A file may vanish between listing and looking.
            let Ok(metadata) = fs::metadata(&path) else {
                continue;
            };
            if metadata.is_dir() {
                if depth < DEPTH_MAX
                    && let Err(error) = self.walk(&path, depth + 1, groups, streams)
                {
                    tracing::debug!("{}: {error}", path.display());
                }
            } else if self
                .regex
                .match_groups(path.as_os_str().as_encoded_bytes(), groups)
            {
                self.add(path, &metadata, groups, streams);
            }
        }
        Ok(())
    }

    fn add(&self, path: PathBuf, metadata: &Metadata, groups: &Groups, streams: &mut Streams) {
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let age = SystemTime::now()
            .duration_since(modified)
            .unwrap_or_default();
        if age > self.oldest {
            return;
        }
        let text = path.to_string_lossy().into_owned();
        let group = |name: &str| {
            let mut names = self.regex.group_names();
            let number = names.position(|known| known == Some(name))?;
            text.get(groups.range(number)?)
        };
        let part = |part: &String| group(part).unwrap_or(part).to_owned();
        let stream: String = self.differentiator.iter().map(part).collect();
        let keys = self
            .priority
            .iter()
            .map(|(name, _)| self.key(name, group(name)));
        let keys = keys.collect();
        streams.entry(stream).or_default().push(LogFile {
            path,
            identity: (metadata.dev(), metadata.ino()),
            modified,
            keys,
        });
    }

    /// The number by which a group's text sorts: its translation, else
    /// itself, else -1.
    fn key(&self, group: &str, text: Option<&str>) -> i64 {
        let known = self.translation.get(group);
        let lookup = |text: &str| known.and_then(|known| known.get(text)).copied();
        match text {
            None | Some("") => lookup("missing").unwrap_or(-1),
            Some(text) => lookup(text)
                .or_else(|| lookup(&text.to_lowercase()))
                .or_else(|| text.parse().ok())
                .unwrap_or(-1),
        }
    }

    fn order(&self, a: &LogFile, b: &LogFile) -> Ordering {
        for (place, (_, descending)) in self.priority.iter().enumerate() {
            let order = a.keys[place].cmp(&b.keys[place]);
            let order = if *descending { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        a.path.cmp(&b.path)
    }
}

/// Lets a group be sorted by a name: in full, or its first three letters.
fn name_number(translation: &mut Translation, group: &str, name: &str, number: i64) {
    let known = translation.entry(group.to_owned()).or_default();
    let name = name.to_ascii_lowercase();
    known.insert(name[..3].to_owned(), number);
    known.insert(name, number);
}
