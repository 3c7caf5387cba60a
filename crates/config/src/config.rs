//! The whole file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use headwater_yaml::{Error, Fields, Placed, resolve, settings};

use crate::environment::expand_variables;
use crate::paths::{expand, is_pattern};
use crate::sections::Sections;
use crate::{
    AlertingConfig, GlobalConfig, OtlpConfig, RemoteReadConfig, RemoteWriteConfig, RuntimeConfig,
    ScrapeConfig, StorageConfig, TracingConfig,
};

settings! {
    /// All settings of a server, checked, with every default filled in.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Config {
        /// What holds unless a job says otherwise.
        pub global: GlobalConfig = default_global(),
        /// What concerns the process itself.
        pub runtime: RuntimeConfig,
        /// Who is told of alerts.
        pub alerting: AlertingConfig,
        /// Files of rules; a `*` in the last part stands for any text.
        pub rule_files: Vec<String>,
        /// Files of more jobs; a `*` in the last part stands for any text.
        pub scrape_config_files: Vec<String>,
        /// The jobs of this file.
        pub scrape_configs: Sections<Placed<ScrapeConfig>>,
        /// What the database keeps.
        pub storage: StorageConfig,
        /// Where our own spans go.
        pub tracing: Option<TracingConfig>,
        /// Where samples are sent.
        pub remote_write: Sections<RemoteWriteConfig>,
        /// Where samples are fetched from.
        pub remote_read: Sections<RemoteReadConfig>,
        /// How OpenTelemetry's metrics become ours.
        pub otlp: OtlpConfig,
    }
}

settings! {
    /// A file of jobs, as `scrape_config_files` names them.
    #[derive(Clone, Debug, PartialEq)]
    struct ScrapeConfigFile {
        scrape_configs: Sections<Placed<ScrapeConfig>>,
    }
}

fn default_global() -> GlobalConfig {
    let mut global = GlobalConfig::default();
    // Defaults do not contradict each other.
    let _ = global.check();
    global
}

/// What a file is read with.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The environment, for `external_labels`.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// Refuse what an agent cannot do: rules, alerts, remote reads.
    pub agent: bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            environment: &|name| std::env::var(name).ok(),
            agent: false,
        }
    }
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Reads and checks a file, and the files of jobs that it names.
    ///
    /// Relative paths become relative to the file's own folder. Files that settings only point at
    /// (rules, certificates, passwords) are not looked at.
    ///
    /// # Errors
    /// The first thing that is wrong, with file, line and column.
    pub fn load(path: &Path, options: &Options<'_>) -> Result<Self, Error> {
        let config: Self = headwater_yaml::from_file(path)?;
        let dir = path
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        config
            .finish(dir, options)
            .map_err(|error| error.in_file(path))
    }

    /// Reads and checks a text as [`Config::load`] does a file in the folder `dir`.
    ///
    /// # Errors
    /// The first thing that is wrong, with line and column.
    pub fn parse(text: &str, dir: &Path, options: &Options<'_>) -> Result<Self, Error> {
        headwater_yaml::from_str::<Self>(text)?.finish(dir, options)
    }

    fn finish(mut self, dir: &Path, options: &Options<'_>) -> Result<Self, Error> {
        for value in self.global.external_labels.values_mut() {
            *value = expand_variables(value, options.environment);
        }
        self.check_patterns()?;
        self.resolve_files(dir);
        let Self {
            global,
            scrape_configs,
            ..
        } = &mut self;
        for job in scrape_configs.iter_mut() {
            let outcome = job.inherit(global);
            outcome.map_err(|message| job.error(message))?;
        }
        let validation = self
            .global
            .metric_name_validation_scheme
            .unwrap_or_default();
        self.otlp.fits(validation).map_err(Error::new)?;
        self.check_names()?;
        self.all_scrape_configs()?;
        if options.agent {
            self.check_agent()
        } else {
            Ok(())
        }
        .map_err(Error::new)?;
        Ok(self)
    }

    fn check_patterns(&self) -> Result<(), Error> {
        let files = [
            ("rule", &self.rule_files),
            ("scrape config", &self.scrape_config_files),
        ];
        for (what, paths) in files {
            if let Some(path) = paths.iter().find(|path| !is_pattern(path)) {
                return Err(Error::new(format!(
                    "invalid {what} file path {path:?}: '*' may stand once, in the last part"
                )));
            }
        }
        Ok(())
    }

    fn resolve_files(&mut self, dir: &Path) {
        self.rule_files
            .iter_mut()
            .chain(&mut self.scrape_config_files)
            .for_each(|path| resolve(dir, path));
        resolve(dir, &mut self.global.query_log_file);
        resolve(dir, &mut self.global.scrape_failure_log_file);
        self.scrape_configs
            .iter_mut()
            .for_each(|job| job.resolve_files(dir));
        self.alerting.resolve_files(dir);
        self.tracing
            .iter_mut()
            .for_each(|tracing| tracing.resolve_files(dir));
        self.remote_write
            .iter_mut()
            .for_each(|remote| remote.resolve_files(dir));
        self.remote_read
            .iter_mut()
            .for_each(|remote| remote.http.resolve_files(dir));
    }

    fn check_names(&self) -> Result<(), Error> {
        let writes = self.remote_write.iter().map(|remote| &remote.name);
        let reads = self.remote_read.iter().map(|remote| &remote.name);
        repeated(writes, "remote write")?;
        repeated(reads, "remote read")
    }

    fn check_agent(&self) -> Result<(), String> {
        let forbidden = [
            (self.alerting != AlertingConfig::default(), "field alerting"),
            (!self.rule_files.is_empty(), "field rule_files"),
            (!self.remote_read.is_empty(), "field remote_read"),
        ];
        match forbidden.iter().find(|(set, _)| *set) {
            Some((_, field)) => Err(format!("{field} is not allowed in agent mode")),
            None if self.remote_write.is_empty() => {
                Err("at least one remote_write target must be specified in agent mode".into())
            }
            None => Ok(()),
        }
    }

    /// All jobs: those of this file, then those of the files it names, each name once.
    ///
    /// The files are read anew by every call.
    ///
    /// # Errors
    /// A file that cannot be read or is wrong, and a job whose name another one has.
    pub fn all_scrape_configs(&self) -> Result<Vec<ScrapeConfig>, Error> {
        let mut taken = BTreeMap::new();
        let mut jobs = Vec::new();
        for job in self.scrape_configs.iter() {
            if taken.insert(job.job_name.clone(), None).is_some() {
                return Err(job.error(format!(
                    "found multiple scrape configs with job name {:?}",
                    job.job_name
                )));
            }
            jobs.push(ScrapeConfig::clone(job));
        }
        for path in self.scrape_config_paths()? {
            self.read_jobs(&path, &mut taken, &mut jobs)
                .map_err(|error| error.in_file(&path))?;
        }
        Ok(jobs)
    }

    fn read_jobs(
        &self,
        path: &Path,
        taken: &mut BTreeMap<String, Option<PathBuf>>,
        jobs: &mut Vec<ScrapeConfig>,
    ) -> Result<(), Error> {
        let file: ScrapeConfigFile = headwater_yaml::from_file(path)?;
        let dir = path.parent().unwrap_or(Path::new("."));
        for mut job in file.scrape_configs.iter().cloned() {
            job.resolve_files(dir);
            let outcome = job.inherit(&self.global);
            outcome.map_err(|message| job.error(message))?;
            if let Some(other) = taken.insert(job.job_name.clone(), Some(path.to_owned())) {
                let place = other.map_or_else(
                    || "the main file".to_owned(),
                    |other| other.display().to_string(),
                );
                let name = &job.job_name;
                return Err(job.error(format!(
                    "found multiple scrape configs with job name {name:?}, first in {place}"
                )));
            }
            jobs.push(job.into_inner());
        }
        Ok(())
    }

    /// The files of jobs that there are now.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn scrape_config_paths(&self) -> Result<Vec<PathBuf>, Error> {
        expanded(&self.scrape_config_files)
    }

    /// The files of rules that there are now, sorted, each once.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn rule_paths(&self) -> Result<Vec<PathBuf>, Error> {
        let paths: BTreeSet<_> = expanded(&self.rule_files)?.into_iter().collect();
        Ok(paths.into_iter().collect())
    }

    /// The settings as YAML, with what was filled in; secrets are not shown.
    ///
    /// # Errors
    /// Only on a defect of a type.
    pub fn to_yaml(&self) -> Result<String, Error> {
        headwater_yaml::to_string(self)
    }
}

fn expanded(patterns: &[String]) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for pattern in patterns {
        paths
            .extend(expand(pattern).map_err(|error| Error::unreadable(Path::new(pattern), error))?);
    }
    Ok(paths)
}

fn repeated<'a>(names: impl Iterator<Item = &'a String>, what: &str) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for name in names.filter(|name| !name.is_empty()) {
        if !seen.insert(name) {
            return Err(Error::new(format!(
                "found multiple {what} configs with job name {name:?}"
            )));
        }
    }
    Ok(())
}
