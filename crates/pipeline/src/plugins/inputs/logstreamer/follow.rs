//! Reads one stream: file after file, and then what is appended.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use crate::plugin::{InputContext, Session};

use super::journal::{Journal, Position, Tail};
use super::open::{Reader, open_at};
use super::scan::{LogFile, Pattern};

/// Looks at a file that is done for this many times before it is left: who
/// wrote it may write a last line.
const LAST_LOOKS: u32 = 2;

/// After this long without data a record that is whole as it stands is not
/// held back any longer.
const QUIET: Duration = Duration::from_millis(500);

/// How a stream is followed.
#[derive(Debug, Clone)]
pub(super) struct Timing {
    pub(super) rescan: Duration,
    pub(super) check: Duration,
}

/// Up to where the file's records were handed over, shared with what makes
/// finalizers.
#[derive(Debug, Default)]
struct Place {
    path: PathBuf,
    seek: u64,
    /// The last bytes before.
    tail: Tail,
}

/// A stream being read.
pub(super) struct Follower<'a> {
    name: String,
    pattern: &'a Pattern,
    timing: Timing,
    cx: &'a InputContext,
    session: Session,
    place: Arc<Mutex<Place>>,
    journal: Arc<Journal>,
    files: Vec<LogFile>,
    current: Option<Open>,
    scanned: Instant,
    /// When data came last.
    grown: Instant,
}

struct Open {
    reader: Reader,
    identity: (u64, u64),
    modified: SystemTime,
    looks: u32,
}

impl<'a> Follower<'a> {
    /// A follower that goes on where the journal says.
    pub(super) fn new(
        name: String,
        files: Vec<LogFile>,
        pattern: &'a Pattern,
        timing: Timing,
        cx: &'a InputContext,
        journal_path: PathBuf,
        tail: bool,
    ) -> Result<Follower<'a>, String> {
        let mut session = cx.session(&name).map_err(|error| error.to_string())?;
        let position = Journal::load(&journal_path)
            .map_err(|error| format!("{}: {error}", journal_path.display()))?;
        let journal = Arc::new(Journal::new(journal_path));
        let kept = journal.clone();
        let place: Arc<Mutex<Place>> = Arc::default();
        let shared = place.clone();
        session.confirm_with(move |consumed, bytes| {
            let mut place = shared.lock();
            place.advance(consumed, bytes);
            Some(journal.expect(place.position()))
        });
        let mut follower = Follower {
            name,
            pattern,
            timing,
            cx,
            session,
            place,
            journal: kept,
            files,
            current: None,
            scanned: Instant::now(),
            grown: Instant::now(),
        };
        match position {
            Some(position) => follower.resume(&position),
            None if tail => follower.start_at_end(),
            None => {}
        }
        Ok(follower)
    }

    pub(super) fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Finds the file that was being read: under its name, or by its
    /// content under another.
    fn resume(&mut self, position: &Position) {
        let named = self
            .files
            .iter()
            .position(|file| file.path == position.file_name);
        let others = 0..self.files.len();
        for index in named.into_iter().chain(others) {
            let path = self.files[index].path.clone();
            if let Some((reader, before)) = open_at(&path, position) {
                self.take(index, reader, position.seek, &before);
                return;
            }
        }
        if !self.files.is_empty() {
            tracing::warn!(stream = %self.name, "the file read last is gone; reading what there is from the start");
        }
    }

    /// Begins behind what the newest file holds.
    fn start_at_end(&mut self) {
        let Some(index) = self.files.len().checked_sub(1) else {
            return;
        };
        let path = self.files[index].path.clone();
        let length = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let opened = Reader::open(&path).and_then(|mut reader| {
            let before = reader.seek_to(length)?;
            Ok((reader, before.unwrap_or_default()))
        });
        match opened {
            Ok((reader, before)) => {
                self.take(index, reader, length, &before);
                let position = self.place.lock().position();
                if let Err(error) = self.journal.set(&position) {
                    tracing::warn!(stream = %self.name, "cannot write the journal: {error}");
                }
            }
            Err(error) => tracing::warn!(stream = %self.name, "{}: {error}", path.display()),
        }
    }

    /// Goes on with the file at `index`.
    fn take(&mut self, index: usize, reader: Reader, at: u64, before: &[u8]) {
        let file = &self.files[index];
        let mut place = self.place.lock();
        place.path.clone_from(&file.path);
        place.seek = at;
        place.tail.clear();
        place.tail.push(before);
        drop(place);
        self.session.reset(at);
        self.current = Some(Open {
            reader,
            identity: file.identity,
            modified: file.modified,
            looks: 0,
        });
    }

    /// Reads until told to stop.
    pub(super) fn run(&mut self) -> Result<(), String> {
        while !self.cx.stop().is_raised() {
            match self.read() {
                Ok(0) => self.at_end()?,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // A damaged compressed file will not get better.
                    tracing::warn!(stream = %self.name, "{}: {error}", self.place.lock().path.display());
                    self.next_file();
                    self.cx.stop().wait(self.timing.check);
                }
            }
        }
        Ok(())
    }

    fn read(&mut self) -> io::Result<usize> {
        let Some(open) = &mut self.current else {
            return Ok(0);
        };
        let read = self.session.read_from(&mut open.reader)?;
        if read > 0 {
            open.looks = 0;
            self.grown = Instant::now();
        }
        Ok(read)
    }

    /// There is no more for now: was the file cut short, is there another
    /// one, or is it time to wait?
    fn at_end(&mut self) -> Result<(), String> {
        if self.current.is_none() {
            self.rescan();
            if self.open_index(0) {
                return Ok(());
            }
            self.cx.stop().wait(self.timing.check);
            return Ok(());
        }
        if self.was_cut() {
            self.restart();
            return Ok(());
        }
        if self.grown.elapsed() >= QUIET {
            self.session.pause().map_err(|error| error.to_string())?;
        }
        if let Some(next) = self.successor() {
            if next + 1 < self.files.len() || self.looked_enough() {
                // The last line of a file that is done is a line, with or
                // without its end.
                self.session
                    .finish_with_rest()
                    .map_err(|error| error.to_string())?;
                self.next_file();
                return Ok(());
            }
        } else if self.is_renamed() || self.scanned.elapsed() >= self.timing.rescan {
            self.rescan();
            if self.successor().is_some() {
                return Ok(());
            }
        }
        self.cx.stop().wait(self.timing.check);
        Ok(())
    }

    /// Whether the file before the newest is done for. One that was written
    /// to a moment ago is looked at again.
    fn looked_enough(&mut self) -> bool {
        let Some(open) = &mut self.current else {
            return true;
        };
        let age = SystemTime::now()
            .duration_since(open.modified)
            .unwrap_or_default();
        open.looks += 1;
        if open.looks > LAST_LOOKS || age > Duration::from_secs(60) {
            return true;
        }
        self.cx.stop().wait(self.timing.check);
        false
    }

    /// Whether the file is shorter than what was read of it.
    fn was_cut(&self) -> bool {
        let Some(open) = &self.current else {
            return false;
        };
        let read = self.session.consumed() + self.session.pending() as u64;
        matches!(open.reader.state(), Ok((_, Some(length))) if length < read)
    }

    fn restart(&mut self) {
        tracing::info!(stream = %self.name, "the file was cut short; reading it from its start");
        let path = self.place.lock().path.clone();
        let index = self.files.iter().position(|file| file.path == path);
        match (index, Reader::open(&path)) {
            (Some(index), Ok(reader)) => self.take(index, reader, 0, &[]),
            _ => self.current = None,
        }
    }

    /// Whether another file has the name of the one being read.
    fn is_renamed(&self) -> bool {
        let Some(open) = &self.current else {
            return false;
        };
        use std::os::unix::fs::MetadataExt;
        match std::fs::metadata(&self.place.lock().path) {
            Ok(metadata) => (metadata.dev(), metadata.ino()) != open.identity,
            Err(_) => true,
        }
    }

    fn rescan(&mut self) {
        self.scanned = Instant::now();
        match self.pattern.scan() {
            Ok(mut streams) => self.files = streams.remove(&self.name).unwrap_or_default(),
            Err(reason) => tracing::warn!(stream = %self.name, "{reason}"),
        }
    }

    /// The place of the file to read after this one.
    fn successor(&self) -> Option<usize> {
        let open = self.current.as_ref()?;
        let here = self
            .files
            .iter()
            .position(|file| file.identity == open.identity);
        if let Some(here) = here {
            return Some(here + 1).filter(|next| *next < self.files.len());
        }
        // Renamed and compressed, or removed. Its copy is found by content.
        let position = self.place.lock().position();
        let is_copy = |file: &LogFile| {
            let packed = file
                .path
                .extension()
                .is_some_and(|extension| extension == "gz");
            packed && open_at(&file.path, &position).is_some()
        };
        if let Some(copy) = self.files.iter().position(is_copy) {
            return Some(copy + 1).filter(|next| *next < self.files.len());
        }
        self.files
            .iter()
            .position(|file| file.modified >= open.modified)
    }

    fn next_file(&mut self) {
        match self.successor() {
            Some(next) if self.open_index(next) => {}
            _ => self.current = None,
        }
    }

    fn open_index(&mut self, index: usize) -> bool {
        let Some(file) = self.files.get(index) else {
            return false;
        };
        match Reader::open(&file.path) {
            Ok(reader) => {
                self.take(index, reader, 0, &[]);
                true
            }
            Err(error) => {
                tracing::warn!(stream = %self.name, "{}: {error}", file.path.display());
                false
            }
        }
    }
}

impl Place {
    /// Moves on over the bytes before `consumed` that were handed over last.
    fn advance(&mut self, consumed: u64, bytes: &[u8]) {
        self.seek = consumed;
        self.tail.push(bytes);
    }

    fn position(&self) -> Position {
        Position {
            seek: self.seek,
            file_name: self.path.clone(),
            last_hash: self.tail.hash(),
        }
    }
}
