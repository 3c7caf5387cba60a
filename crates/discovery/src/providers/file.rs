//! Targets in files, read again when they change.
//!
//! Folders are watched, not files: editors and Kubernetes replace files instead of writing them. And
//! because watching can fail (network disks, limits of the system), files are also read every so
//! often. A file that cannot be read or understood leaves its targets as they were; a file that is
//! gone takes its targets with it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use headwater_model::TargetGroup;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::config::FileSdConfig;
use crate::groups::{from_json, from_yaml, removed, with_label};
use crate::metrics::{FileMetrics, Metrics};
use crate::provider::{Provider, Running, Updates};

/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Reads files and watches their folders.
#[derive(Debug)]
pub struct FileProvider {
    patterns: Vec<String>,
    every: Duration,
    metrics: FileMetrics,
    /// How many groups each file had when it was last understood.
    counts: BTreeMap<PathBuf, usize>,
}

impl FileProvider {
    /// A provider of what these files hold.
    #[must_use]
    pub fn new(config: &FileSdConfig, metrics: &Metrics) -> Self {
        Self {
            patterns: config.files.clone(),
            every: config
                .refresh_interval
                .to_std()
                .max(Duration::from_millis(1)),
            metrics: metrics.file.clone(),
            counts: BTreeMap::new(),
        }
    }

    /// Reads all files; what is found, and what is gone.
    fn scan(&mut self) -> Vec<TargetGroup> {
        let began = Instant::now();
        let paths: BTreeSet<_> = self
            .patterns
            .iter()
            .flat_map(|pattern| matching(pattern))
            .collect();
        let mut groups = Vec::new();
        for path in &paths {
            match self.read(path) {
                Ok(found) => groups.extend(found),
                Err(error) => {
                    self.metrics.read_errors.inc();
                    tracing::error!(discovery = "file", path = %path.display(), error, "Error reading file");
                }
            }
        }
        let gone: Vec<_> = self
            .counts
            .keys()
            .filter(|path| !paths.contains(*path))
            .cloned()
            .collect();
        for path in gone {
            let source = path.to_string_lossy();
            self.metrics.modified.remove(&[&source]);
            let count = self.counts.remove(&path).unwrap_or(0);
            groups.extend(removed(&source, 0, count));
        }
        self.metrics
            .scan_duration
            .observe(began.elapsed().as_secs_f64());
        groups
    }

    fn read(&mut self, path: &Path) -> Result<Vec<TargetGroup>, String> {
        let source = path.to_string_lossy();
        let meta = std::fs::metadata(path).map_err(|error| error.to_string())?;
        if meta.len() > MAX_FILE_BYTES {
            return Err(format!(
                "is {} bytes long, the limit is {MAX_FILE_BYTES}",
                meta.len()
            ));
        }
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let found = match path.extension().and_then(OsStr::to_str) {
            Some(ending) if ending.eq_ignore_ascii_case("json") => {
                from_json(text.as_bytes(), &source)?
            }
            _ => from_yaml(&text, &source)?,
        };
        if let Some(age) = meta
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        {
            self.metrics
                .modified
                .with(&[&source])
                .set(age.as_secs_f64());
        }
        let now = found.len();
        let before = self.counts.insert(path.to_owned(), now).unwrap_or(0);
        let found = found
            .into_iter()
            .map(|group| with_label(group, "__meta_filepath", &source));
        Ok(found.chain(removed(&source, now, before)).collect())
    }

    /// Pokes `poke` when something in a folder of ours changes.
    fn watch(&self, poke: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
        let failed = |error: &notify::Error| {
            self.metrics.watcher_errors.inc();
            tracing::warn!(discovery = "file", %error, "Cannot watch for changes, reading every so often");
        };
        let errors = self.metrics.watcher_errors.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            match event {
                Ok(event) if event.kind.is_access() => return,
                Ok(_) => {}
                Err(_) => errors.inc(),
            }
            // One poke that waits is as good as many.
            let _ = poke.try_send(());
        });
        let mut watcher = watcher.inspect_err(failed).ok()?;
        let folders: BTreeSet<_> = self
            .patterns
            .iter()
            .map(|pattern| parts(pattern).0)
            .collect();
        for folder in folders {
            if let Err(error) = watcher.watch(Path::new(folder), RecursiveMode::NonRecursive) {
                failed(&error);
            }
        }
        Some(watcher)
    }
}

impl Provider for FileProvider {
    fn run(mut self: Box<Self>, out: Updates) -> Running {
        Box::pin(async move {
            let (poke, mut poked) = mpsc::channel(1);
            // Watching begins before reading, so that a change in between is seen.
            let watcher = self.watch(poke);
            let mut ticks = tokio::time::interval(self.every);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut first = true;
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    Some(()) = poked.recv() => {}
                }
                let scan = tokio::task::spawn_blocking(move || {
                    let groups = self.scan();
                    (self, groups)
                });
                let Ok((this, groups)) = scan.await else {
                    break;
                };
                self = this;
                // The first time also nothing is told, so that nobody waits for it.
                if !groups.is_empty() || std::mem::take(&mut first) {
                    out.send(groups).await;
                }
            }
            drop(watcher);
        })
    }
}

/// The folder and the last part of a pattern.
fn parts(pattern: &str) -> (&str, &str) {
    match pattern.rsplit_once('/') {
        Some(("", last)) => ("/", last),
        Some((folder, last)) => (folder, last),
        None => (".", pattern),
    }
}

/// The files that a pattern stands for now.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let (folder, last) = parts(pattern);
    let Some((begin, end)) = last.split_once('*') else {
        let path = PathBuf::from(pattern);
        return if path.exists() {
            vec![path]
        } else {
            Vec::new()
        };
    };
    let fits = |name: &OsStr| {
        let name = name.to_string_lossy();
        name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end)
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries
        .map(|entry| entry.file_name())
        .filter(|name| fits(name));
    match pattern.contains('/') {
        true => names.map(|name| Path::new(folder).join(name)).collect(),
        false => names.map(PathBuf::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_exposition::registry::Registry;
    use headwater_yaml::Duration as Every;

    struct Folder {
        dir: tempfile::TempDir,
        metrics: Metrics,
    }

    impl Folder {
        fn new() -> Self {
            Self {
                dir: tempfile::tempdir().unwrap(),
                metrics: Metrics::new(&Registry::new()),
            }
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.dir.path().join(name), text).unwrap();
        }

        fn path(&self, name: &str) -> String {
            self.dir.path().join(name).to_string_lossy().into_owned()
        }

        fn provider(&self, pattern: &str) -> FileProvider {
            let config = FileSdConfig {
                files: vec![self.path(pattern)],
                // Long enough that only watching can be why a test sees a change.
                refresh_interval: Every::from_secs(3600),
            };
            FileProvider::new(&config, &self.metrics)
        }
    }

    fn shape(groups: &[TargetGroup]) -> Vec<(String, usize)> {
        let file = |group: &TargetGroup| group.source.rsplit('/').next().unwrap().to_owned();
        groups
            .iter()
            .map(|group| (file(group), group.targets.len()))
            .collect()
    }

    fn shaped(of: &[(&str, usize)]) -> Vec<(String, usize)> {
        of.iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    }

    #[test]
    fn files_hold_groups_and_lose_them() {
        let folder = Folder::new();
        folder.write(
            "a.json",
            r#"[{"targets":["h:1","h:2"]},{"targets":["h:3"],"labels":{"x":"y"}}]"#,
        );
        folder.write("b.yml", "- targets: [h:4]\n");
        let mut json = folder.provider("*.json");
        let groups = json.scan();
        assert_eq!(shape(&groups), shaped(&[("a.json:0", 2), ("a.json:1", 1)]));
        assert_eq!(
            groups[1].labels.get("__meta_filepath"),
            Some(folder.path("a.json").as_str())
        );
        assert_eq!(groups[1].labels.get("x"), Some("y"));

        folder.write("a.json", r#"[{"targets":["h:1"]}]"#);
        assert_eq!(
            shape(&json.scan()),
            shaped(&[("a.json:0", 1), ("a.json:1", 0)])
        );

        std::fs::remove_file(folder.path("a.json")).unwrap();
        assert_eq!(shape(&json.scan()), shaped(&[("a.json:0", 0)]));
        assert!(json.scan().is_empty());
    }

    #[test]
    fn a_broken_file_leaves_targets_as_they_were() {
        let folder = Folder::new();
        folder.write("a.yml", "- targets: [h:1]\n- targets: [h:2]\n");
        let mut provider = folder.provider("a.yml");
        assert_eq!(provider.scan().len(), 2);
        for broken in ["- targets: [", "- null", "- target: [h:1]"] {
            folder.write("a.yml", broken);
            assert!(provider.scan().is_empty(), "{broken}");
        }
        assert!((folder.metrics.file.read_errors.get() - 3.0).abs() < f64::EPSILON);
        folder.write("a.yml", "[]");
        assert_eq!(
            shape(&provider.scan()),
            shaped(&[("a.yml:0", 0), ("a.yml:1", 0)])
        );
    }

    #[tokio::test]
    async fn a_change_is_seen_by_watching() {
        let folder = Folder::new();
        folder.write("a.yml", "- targets: [h:1]\n");
        let (out, mut found) = Updates::pair();
        let running = tokio::spawn(Box::new(folder.provider("*.yml")).run(out));
        assert_eq!(found.recv().await.unwrap().1.len(), 1);
        // As editors and Kubernetes do it: a new file takes the place of the old one.
        folder.write("a.new", "- targets: [h:1, h:2, h:3]\n");
        std::fs::rename(folder.path("a.new"), folder.path("a.yml")).unwrap();
        while found.recv().await.unwrap().1[0].targets.len() != 3 {}
        std::fs::remove_file(folder.path("a.yml")).unwrap();
        while !found.recv().await.unwrap().1[0].targets.is_empty() {}
        running.abort();
    }
}
