//! What is appended before the log is read.
//!
//! Batches are kept in memory and in a log of their own, `early_wal`, whose
//! records are those of any log; its numbers of series are its own. Once the
//! store is there, they are committed to it, and the directory is removed when
//! the store's log is durable. A crash in between leaves both: samples that
//! come twice are taken once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;
use headwater_blockfmt::Record;
use headwater_blockfmt::record::LabelPairs;
use headwater_env::{Env, Files};
use headwater_model::{Exemplar, HistogramRef, Labels, Metadata, Timestamp};
use headwater_storage::{
    Append, AppendError, Appender, Error, ErrorKind, Result, SampleValue, Ticket,
};
use headwater_wal::{Compression, Config, Framing, SegmentReader, SyncPolicy, Wal, list_segments};
use parking_lot::Mutex;

use crate::db::Db;
use crate::head::contents::{Contents, Section};
use crate::options::{Durability, Options};
use crate::{error, log, log_records};

/// What a series takes beside its labels.
const SERIES_BYTES: usize = 64;
/// Bytes of series and samples that may wait for the store. More are refused: whoever
/// sends them has to come back later.
const MOST_BYTES: usize = 256 << 20;

/// Where early batches are logged.
fn dir(data: &Path) -> PathBuf {
    data.join("early_wal")
}

/// Batches that wait for the store.
pub(super) struct Early {
    files: Arc<dyn Files>,
    dir: PathBuf,
    wal: Wal,
    sync_each: bool,
    /// Whether start timestamps are kept.
    pub(super) starts: bool,
    pub(super) state: Mutex<State>,
}

/// What waits.
#[derive(Default)]
pub(super) struct State {
    batches: Vec<Contents>,
    bytes: usize,
    /// Numbers of series by their labels.
    pub(super) by_labels: HashMap<Labels, u64>,
    pub(super) series: Vec<EarlySeries>,
    /// Where batches go from now on.
    pub(super) store: Option<Db>,
}

/// A series as far as early batches know it; its number is its place.
#[derive(Clone, Debug)]
pub(super) struct EarlySeries {
    pub(super) labels: Labels,
    logged: bool,
}

impl Early {
    /// Makes the log. Batches that an earlier process has left there wait
    /// like those that come now.
    pub(super) fn open(env: &Env, data: &Path, options: &Options) -> Result<Early> {
        let dir = dir(data);
        let left = read(&env.files, &dir)?;
        let sync = match options.durability {
            Durability::Interval(every) => SyncPolicy::Interval(every),
            Durability::OnCommit | Durability::System => SyncPolicy::Never,
        };
        let config = Config::default()
            .framing(log::framing(options))
            .segment_bytes(options.segment_bytes)
            .sync(sync);
        let wal = Wal::open(Arc::clone(&env.files), &dir, config).map_err(error::log)?;
        Ok(Early {
            files: Arc::clone(&env.files),
            dir,
            wal,
            sync_each: options.durability == Durability::OnCommit,
            starts: options.start_timestamps,
            state: Mutex::new(left),
        })
    }

    /// Logs a batch and keeps it. If the store is there by now, it goes there.
    pub(super) fn commit(&self, mut contents: Contents, bytes: usize) -> Result<Ticket> {
        let mut state = self.state.lock();
        if let Some(db) = state.store.clone() {
            let labels = |number: u64| state.labels(number).cloned();
            contents.new_series = named(&contents)
                .into_iter()
                .filter_map(|number| Some((number, labels(number)?)))
                .collect();
            drop(state);
            return commit_to(&db, &contents, &mut HashMap::new());
        }
        if state.bytes + bytes > MOST_BYTES {
            let what = "too many samples wait until the log is read: try again";
            return Err(Error::new(ErrorKind::NotReady, what));
        }
        for number in named(&contents) {
            if let Some(series) = state.series.get_mut(number as usize)
                && !series.logged
            {
                let labels = series.labels.clone();
                contents.new_series.push((number, labels));
            }
        }
        let mut records = log_records::encode(&contents);
        log_records::encode_section(&contents.late, &mut records);
        if !records.is_empty() {
            self.wal.append(&records).map_err(error::log)?;
        }
        for (number, _) in &contents.new_series {
            state.series[*number as usize].logged = true;
        }
        state.bytes += bytes;
        state.batches.push(contents);
        drop(state);
        if self.sync_each {
            self.wal.sync().map_err(error::log)?;
        }
        Ok(Ticket::ready())
    }

    /// Commits everything to the store and says so to `publish` when nothing
    /// can come any more; then forgets the log.
    pub(super) fn hand_over(&self, db: &Db, publish: impl FnOnce(Db)) -> Result<()> {
        let mut labels = HashMap::new();
        loop {
            let mut state = self.state.lock();
            let batches = std::mem::take(&mut state.batches);
            if batches.is_empty() {
                state.store = Some(db.clone());
                publish(db.clone());
                break;
            }
            drop(state);
            for batch in batches {
                commit_to(db, &batch, &mut labels)?.wait()?;
            }
        }
        db.sync()?;
        self.wal.close().map_err(error::log)?;
        forget(self.files.as_ref(), &self.dir)
    }

    /// Makes everything durable for the next start.
    pub(super) fn close(&self) -> Result<()> {
        self.wal
            .sync()
            .and_then(|()| self.wal.close())
            .map_err(error::log)
    }
}

impl State {
    pub(super) fn labels(&self, number: u64) -> Option<&Labels> {
        let series = self.series.get(usize::try_from(number).ok()?)?;
        Some(&series.labels)
    }

    /// The number of a series, new or known.
    pub(super) fn number_of(&mut self, labels: &Labels) -> std::result::Result<u64, AppendError> {
        if let Some(number) = self.by_labels.get(labels) {
            return Ok(*number);
        }
        self.bytes += SERIES_BYTES + labels.packed_len();
        if self.bytes > MOST_BYTES {
            let what = "too much waits until the log is read";
            return Err(AppendError::SeriesLimit(what.to_owned()));
        }
        let number = self.series.len() as u64;
        self.introduce(number, labels.clone(), false);
        Ok(number)
    }

    fn introduce(&mut self, number: u64, labels: Labels, logged: bool) {
        debug_assert_eq!(number, self.series.len() as u64, "numbers have no gaps");
        self.by_labels.insert(labels.clone(), number);
        self.series.push(EarlySeries { labels, logged });
    }
}

/// Commits what an earlier process took before it had read its log.
pub(crate) fn take_over(db: &Db) -> Result<()> {
    let files = &db.inner.env.files;
    let dir = dir(db.dir());
    if !files.is_dir(&dir) {
        return Ok(());
    }
    let left = read(files, &dir)?;
    let mut labels = HashMap::new();
    for batch in &left.batches {
        commit_to(db, batch, &mut labels)?.wait()?;
    }
    db.sync()?;
    forget(files.as_ref(), &dir)
}

fn forget(files: &dyn Files, dir: &Path) -> Result<()> {
    files.remove_dir_all(dir).map_err(error::file)?;
    let parent = dir.parent().unwrap_or(Path::new(""));
    files.sync_dir(parent).map_err(error::file)
}

/// Numbers of the series of a batch, each once.
fn named(contents: &Contents) -> Vec<u64> {
    let mut numbers: Vec<u64> = Vec::new();
    for section in contents.sections.iter().chain([&contents.late]) {
        numbers.extend(section.floats.iter().map(|e| e.log_ref));
        numbers.extend(section.integers.iter().map(|e| e.log_ref));
        numbers.extend(section.float_histograms.iter().map(|e| e.log_ref));
    }
    numbers.extend(contents.exemplars.iter().map(|e| e.log_ref));
    numbers.extend(contents.metadata.iter().map(|e| e.log_ref));
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Commits a batch to the store; `known` are the labels of earlier ones.
fn commit_to(db: &Db, contents: &Contents, known: &mut HashMap<u64, Labels>) -> Result<Ticket> {
    known.extend(contents.new_series.iter().cloned());
    let mut batch = db.appender(Default::default())?;
    let mut left_out = 0u64;
    for section in &contents.sections {
        left_out += append_section(batch.as_mut(), section, known)?;
    }
    for entry in &contents.metadata {
        if let Some(labels) = known.get(&entry.log_ref) {
            let done = batch.series(labels);
            let done = done.and_then(|series| batch.metadata(series, &entry.value));
            left_out += refused(done)?;
        }
    }
    for entry in &contents.exemplars {
        if let Some(labels) = known.get(&entry.log_ref) {
            let done = batch.series(labels);
            let done = done.and_then(|series| batch.exemplar(series, &entry.value.1));
            // Exporters show the same exemplar for long.
            refused(done)?;
        }
    }
    if left_out > 0 {
        tracing::warn!(
            left_out,
            "samples that came before the log was read are not newer than what is in it"
        );
    }
    batch.commit()
}

fn append_section(
    batch: &mut dyn Appender,
    section: &Section,
    known: &HashMap<u64, Labels>,
) -> Result<u64> {
    let mut left_out = 0;
    let mut append = |number, time, start, value: SampleValue<'_>| -> Result<()> {
        let Some(labels) = known.get(&number) else {
            return Ok(());
        };
        let done = batch.series(labels);
        let done = done.and_then(|series| batch.append(series, time, start, value));
        left_out += refused(done)?;
        Ok(())
    };
    for (at, e) in section.floats.iter().enumerate() {
        let start = section.float_starts.at(at);
        append(e.log_ref, e.time, start, SampleValue::Float(e.value))?;
    }
    for (at, e) in section.integers.iter().enumerate() {
        let start = section.integer_starts.at(at);
        append(e.log_ref, e.time, start, SampleValue::Histogram(&e.value))?;
    }
    for (at, e) in section.float_histograms.iter().enumerate() {
        let (start, value) = (section.float_histogram_starts.at(at), &e.value);
        append(e.log_ref, e.time, start, SampleValue::FloatHistogram(value))?;
    }
    Ok(left_out)
}

/// Counts what the store did not take; only its own failures are errors.
fn refused(done: std::result::Result<(), AppendError>) -> Result<u64> {
    match done {
        Ok(()) => Ok(0),
        Err(AppendError::Store(error)) => Err(error),
        Err(_) => Ok(1),
    }
}

/// The batches in a log of early ones, one for each record. What is damaged
/// is left out.
fn read(files: &Arc<dyn Files>, dir: &Path) -> Result<State> {
    let mut state = State::default();
    for segment in list_segments(files.as_ref(), dir).map_err(error::log)? {
        let framing = Framing::Pages(Compression::None);
        let reader = SegmentReader::open(files.as_ref(), dir, framing, segment);
        let mut reader = reader.map_err(error::log)?;
        while let Some(record) = reader.next_record().map_err(error::log)? {
            if read_record(record, &mut state).is_none() {
                tracing::warn!(dir = %dir.display(), "a record of early samples is damaged");
            }
        }
        for damage in reader.take_damage() {
            tracing::warn!(dir = %dir.display(), %damage, "early samples are lost");
        }
    }
    Ok(state)
}

fn read_record(record: &[u8], state: &mut State) -> Option<()> {
    let mut contents = Contents {
        sections: vec![Section::default()],
        ..Contents::default()
    };
    let section = &mut contents.sections[0];
    match Record::parse(record).ok()? {
        Record::Series(mut series) => {
            let mut pairs = LabelPairs::new();
            while let Some(number) = series.next_into(&mut pairs).ok()? {
                let labels = Labels::from_pairs(pairs.iter().copied());
                // One that is missing because of damage is named by nobody.
                while (state.series.len() as u64) < number && number < MOST_SERIES {
                    let number = state.series.len() as u64;
                    state.introduce(number, Labels::empty(), true);
                }
                if state.series.len() as u64 == number {
                    state.introduce(number, labels.clone(), true);
                    contents.new_series.push((number, labels));
                }
            }
        }
        Record::Samples(samples) => {
            for sample in samples {
                let sample = sample.ok()?;
                let place = (sample.reference, sample.time, sample.start);
                section.add_float(place, sample.value);
            }
        }
        Record::Histograms(histograms) => {
            for entry in histograms {
                let entry = entry.ok()?;
                let place = (entry.reference, entry.time, entry.start);
                section.add_histogram(place, HistogramRef::Integer(&entry.histogram));
            }
        }
        Record::FloatHistograms(histograms) => {
            for entry in histograms {
                let entry = entry.ok()?;
                let place = (entry.reference, entry.time, entry.start);
                section.add_histogram(place, HistogramRef::Float(&entry.histogram));
            }
        }
        Record::Exemplars(mut exemplars) => {
            let mut pairs = LabelPairs::new();
            while let Some(entry) = exemplars.next_into(&mut pairs).ok()? {
                let exemplar = Exemplar {
                    labels: Labels::from_pairs(pairs.iter().copied()),
                    value: entry.value,
                    time: Some(entry.time),
                };
                contents.add_exemplar(entry.reference, exemplar);
            }
        }
        Record::Metadata(entries) => {
            for entry in entries {
                let entry = entry.ok()?;
                let metadata = Metadata {
                    metric_type: entry.metric_type,
                    unit: entry.unit.to_owned(),
                    help: entry.help.to_owned(),
                };
                contents.add_metadata(entry.reference, metadata);
            }
        }
        _ => return None,
    }
    state.batches.push(contents);
    Some(())
}

/// More series than this are not made up for a damaged log.
const MOST_SERIES: u64 = 1 << 26;

/// A series, a time, a start timestamp.
pub(super) type EarlyPlace = (u64, Timestamp, Timestamp);
