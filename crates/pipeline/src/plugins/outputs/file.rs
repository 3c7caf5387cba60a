//! Files, rotated by time if so configured.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::flow::{Delivery, Receipt};
use crate::plugin::{
    BuildContext, BuildError, Defaults, Output, OutputContext, Plugin, Undelivered, now_nanos,
};
use crate::timefmt::StrfTime;

/// What is written at once at most, in bytes, give or take a delivery.
const WRITE_BYTES: usize = 256 * 1024;
const HOUR_NANOS: i64 = 3_600_000_000_000;

/// How the two flush conditions go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum FlushOperator {
    /// Both must hold.
    #[default]
    And,
    /// One is enough.
    Or,
}

/// Settings of [`FileOutput`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FileOutputSettings {
    /// The file; with rotation a pattern for strftime.
    pub path: String,
    /// Octal permissions of the file.
    pub perm: String,
    /// Octal permissions of folders that are made.
    pub folder_perm: String,
    /// Milliseconds between flushes.
    pub flush_interval: u32,
    /// Messages between flushes.
    pub flush_count: u32,
    /// Whether one condition or both must hold.
    pub flush_operator: FlushOperator,
    /// Hours between new files: 0 (never), 1, 4, 12 or 24.
    pub rotation_interval: u32,
}

impl Default for FileOutputSettings {
    fn default() -> FileOutputSettings {
        FileOutputSettings {
            path: String::new(),
            perm: "644".to_owned(),
            folder_perm: "700".to_owned(),
            flush_interval: 1000,
            flush_count: 1,
            flush_operator: FlushOperator::And,
            rotation_interval: 0,
        }
    }
}

/// Appends encoded messages to a file. A flush writes and syncs; only then
/// do messages count as arrived.
#[derive(Debug)]
pub struct FileOutput {
    settings: FileOutputSettings,
    perm: u32,
    folder_perm: u32,
    pattern: Option<StrfTime>,
    file: Option<File>,
    /// Encoded and not written. The first `written` bytes are.
    buffer: Vec<u8>,
    written: usize,
    /// Messages written and not yet synced.
    unsynced: u64,
    receipts: Vec<Receipt>,
    last_flush: Instant,
    /// When the file is changed, in nanoseconds since 1970.
    rotate_at: Option<i64>,
}

impl Plugin for FileOutput {
    const TYPE: &'static str = "FileOutput";
    type Settings = FileOutputSettings;

    fn build(
        settings: &FileOutputSettings,
        _: &BuildContext<'_>,
    ) -> Result<FileOutput, BuildError> {
        if settings.path.is_empty() {
            return Err(BuildError::new("path is required"));
        }
        if !matches!(settings.rotation_interval, 0 | 1 | 4 | 12 | 24) {
            return Err(BuildError::new(
                "rotation_interval must be one of: 0, 1, 4, 12, 24",
            ));
        }
        if settings.flush_interval == 0 && settings.flush_count == 0 {
            return Err(BuildError::new("flush_count must be 1 or more"));
        }
        let octal = |name: &str, text: &str| {
            u32::from_str_radix(text, 8)
                .map_err(|_| BuildError::new(format!("{name} {text:?} is not an octal number")))
        };
        let rotates = settings.rotation_interval > 0;
        Ok(FileOutput {
            perm: octal("perm", &settings.perm)?,
            folder_perm: octal("folder_perm", &settings.folder_perm)?,
            pattern: rotates.then(|| StrfTime::new(&settings.path)),
            settings: settings.clone(),
            file: None,
            buffer: Vec::new(),
            written: 0,
            unsynced: 0,
            receipts: Vec::new(),
            last_flush: Instant::now(),
            rotate_at: None,
        })
    }

    fn defaults() -> Defaults {
        Defaults {
            needs_encoder: true,
            ..Defaults::default()
        }
    }
}

impl FileOutput {
    fn path(&self) -> PathBuf {
        match &self.pattern {
            Some(pattern) => PathBuf::from(pattern.format(now_nanos())),
            None => PathBuf::from(&self.settings.path),
        }
    }

    fn open(&mut self) -> io::Result<()> {
        let path = self.path();
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            DirBuilder::new()
                .recursive(true)
                .mode(self.folder_perm)
                .create(folder)?;
        }
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(self.perm)
            .open(&path)?;
        let mut permissions = file.metadata()?.permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, self.perm);
        // The umask may have taken away what the settings ask for. A file of
        // somebody else keeps what it has.
        let _ = fs::set_permissions(&path, permissions);
        let interval = i64::from(self.settings.rotation_interval) * HOUR_NANOS;
        self.rotate_at = (interval > 0).then(|| (now_nanos() / interval + 1) * interval);
        self.file = Some(file);
        Ok(())
    }

    fn open_again(&mut self) -> Result<(), String> {
        self.flush()?;
        self.file = None;
        self.open().map_err(|error| self.described(&error))
    }

    fn described(&self, error: &io::Error) -> String {
        format!("{}: {error}", self.path().display())
    }

    /// Writes what is buffered; what was written is not written again.
    fn write_out(&mut self) -> Result<(), String> {
        if self.file.is_none() {
            self.open().map_err(|error| self.described(&error))?;
        }
        let Some(file) = &mut self.file else {
            return Err("the file is not open".to_owned());
        };
        while self.written < self.buffer.len() {
            match file.write(&self.buffer[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.described(&error)),
            }
        }
        self.buffer.clear();
        self.written = 0;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), String> {
        if self.unsynced == 0 && self.buffer.is_empty() {
            return Ok(());
        }
        self.write_out()?;
        if let Some(file) = &self.file {
            file.sync_data().map_err(|error| self.described(&error))?;
        }
        self.unsynced = 0;
        self.last_flush = Instant::now();
        for receipt in self.receipts.drain(..) {
            receipt.done();
        }
        Ok(())
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(u64::from(self.settings.flush_interval))
    }

    fn is_due(&self) -> bool {
        let counted = self.unsynced >= u64::from(self.settings.flush_count);
        let timed = self.last_flush.elapsed() >= self.interval();
        match self.settings.flush_operator {
            // A condition of zero is none.
            _ if self.settings.flush_interval == 0 => counted,
            _ if self.settings.flush_count == 0 => timed,
            FlushOperator::And => counted && timed,
            FlushOperator::Or => counted || timed,
        }
    }
}

impl Output for FileOutput {
    fn start(&mut self, _: &mut OutputContext) -> Result<(), String> {
        self.open().map_err(|error| self.described(&error))
    }

    fn deliver(&mut self, delivery: Delivery, cx: &mut OutputContext) -> Result<(), Undelivered> {
        // What could not be written before comes first.
        if self.buffer.len() >= WRITE_BYTES
            && let Err(reason) = self.write_out()
        {
            return Err(Undelivered::retry(delivery, reason));
        }
        for event in delivery.events() {
            cx.encode(event, &mut self.buffer);
        }
        self.unsynced += delivery.len() as u64;
        let receipt = delivery.into_receipt();
        if receipt.is_awaited() {
            self.receipts.push(receipt);
        }
        if self.buffer.len() >= WRITE_BYTES
            && let Err(reason) = self.write_out()
        {
            tracing::error!(output = cx.name(), "cannot write: {reason}");
        }
        if self.is_due()
            && let Err(reason) = self.flush()
        {
            tracing::error!(output = cx.name(), "cannot write: {reason}");
        }
        Ok(())
    }

    fn wake_at(&self) -> Option<Instant> {
        let waiting = self.unsynced > 0 || !self.buffer.is_empty();
        let interval = self.interval().max(Duration::from_millis(1));
        let flush = waiting.then(|| self.last_flush + interval);
        let rotate = self.rotate_at.map(|at| {
            let left = u64::try_from(at - now_nanos()).unwrap_or(0);
            Instant::now() + Duration::from_nanos(left)
        });
        [flush, rotate].into_iter().flatten().min()
    }

    fn wake(&mut self, cx: &mut OutputContext) -> Result<(), String> {
        let counted = self.unsynced >= u64::from(self.settings.flush_count);
        let due = counted || self.settings.flush_operator == FlushOperator::Or;
        if due && let Err(reason) = self.flush() {
            // The messages stay; the next flush tries again.
            tracing::error!(output = cx.name(), "cannot write: {reason}");
        }
        self.last_flush = Instant::now();
        if self.rotate_at.is_some_and(|at| at <= now_nanos()) {
            self.open_again()?;
        }
        Ok(())
    }

    fn reopen(&mut self, cx: &mut OutputContext) {
        if let Err(reason) = self.open_again() {
            tracing::error!(output = cx.name(), "cannot open anew: {reason}");
        }
    }

    fn finish(&mut self, cx: &mut OutputContext) {
        if let Err(reason) = self.flush() {
            tracing::error!(
                output = cx.name(),
                "messages not written at the end: {reason}"
            );
        }
    }
}
