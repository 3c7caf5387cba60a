//! Giving a gathered request to the store, in one batch.

use headwater_model::{Labels, LabelsBuilder};
use headwater_storage::{AppendError, AppendOptions, Appender, SampleValue, SeriesRef};
use headwater_wire::histogram::AnyHistogram;

use super::cache::Known;
use super::fault::{Cause, Fault, Faults, MAX_TOLD};
use super::gather::{Entry, Gathered, Messages, Rare, checked};
use super::{Receiver, Refusal, Written};

/// A batch and what came of it so far.
struct Work<'w, M: Messages> {
    messages: &'w M,
    batch: Box<dyn Appender + 'w>,
    gathered: &'w mut Gathered,
    builder: LabelsBuilder,
    faults: Faults,
    /// The first sample that a protocol without parts cannot have taken.
    fatal: Option<Fault>,
    samples: usize,
    histograms: usize,
    exemplars: usize,
    /// Samples with invalid labels; samples without metadata.
    invalid: usize,
    plain: usize,
}

impl Receiver {
    /// Appends what was gathered and remembers the series.
    pub(super) fn append<M: Messages>(
        &self,
        messages: &M,
        gathered: &mut Gathered,
    ) -> Result<Written, Refusal> {
        let mut work = Work {
            messages,
            batch: self.store.appender(AppendOptions::default())?,
            gathered,
            builder: LabelsBuilder::new(),
            faults: Faults::default(),
            fatal: None,
            samples: 0,
            histograms: 0,
            exemplars: 0,
            invalid: 0,
            plain: 0,
        };
        let done = work.run();
        self.invalid.add(work.invalid as f64);
        done?;
        if let Some(fault) = work.fatal {
            // Dropping the batch takes back all of it.
            return Err(Refusal::Sample(fault));
        }
        let ticket = work.batch.commit()?;
        self.without_metadata.add(work.plain as f64);
        let new = work.gathered.entries.iter().filter_map(known);
        if new.clone().next().is_some() {
            self.cache.remember(new);
        }
        Ok(Written {
            samples: work.samples,
            histograms: work.histograms,
            exemplars: work.exemplars,
            faults: work.faults,
            ticket,
        })
    }
}

/// What the cache should learn of a series.
fn known(entry: &Entry) -> Option<Known> {
    let flags = entry.flags;
    let learn = flags.remember && !flags.scattered && !flags.skipped;
    learn.then_some(Known {
        key: entry.key,
        metadata: entry.known_metadata,
        series: entry.series?,
    })
}

impl<M: Messages> Work<'_, M> {
    fn run(&mut self) -> Result<(), Refusal> {
        self.find_series()?;
        self.refuse_early();
        self.append_samples()?;
        for at in 0..self.gathered.entries.len() {
            let entry = self.gathered.entries[at];
            if entry.flags.skipped {
                continue;
            }
            if entry.flags.rare || entry.flags.starts {
                self.append_rare(at)?;
            }
            self.describe(at);
        }
        Ok(())
    }

    /// Asks the store for the series that the cache does not know.
    fn find_series(&mut self) -> Result<(), Refusal> {
        let mut skipped = false;
        for at in 0..self.gathered.entries.len() {
            let entry = self.gathered.entries[at];
            if entry.series.is_none() {
                skipped |= !self.find(at)?;
            } else if M::PARTIAL && entry.count == 0 {
                skipped |= !self.has_samples(at);
            }
        }
        if skipped {
            self.gathered.drop_skipped();
        }
        Ok(())
    }

    /// Finds or creates the series of an entry; `false` if it is left out.
    fn find(&mut self, at: usize) -> Result<bool, Refusal> {
        let entry = self.gathered.entries[at];
        let labels = match self.labels(&entry) {
            Ok(labels) => labels,
            Err(cause) => {
                self.invalid += entry.count as usize;
                if M::PARTIAL {
                    self.fault(cause, Labels::empty);
                }
                self.gathered.entries[at].flags.skipped = true;
                return Ok(false);
            }
        };
        if M::PARTIAL && !self.has_samples(at) {
            return Ok(false);
        }
        match self.batch.series(&labels) {
            Ok(series) => {
                self.gathered.resolve(at, series);
                let entry = &mut self.gathered.entries[at];
                entry.known_metadata = 0;
                entry.flags.remember = true;
                Ok(true)
            }
            Err(AppendError::Store(error)) => Err(Refusal::Store(error)),
            Err(error) => {
                self.fault(Cause::Store(error), || labels);
                self.gathered.entries[at].flags.skipped = true;
                Ok(false)
            }
        }
    }

    /// Remote write 2.0 wants every series to have something.
    fn has_samples(&mut self, at: usize) -> bool {
        let entry = self.gathered.entries[at];
        if entry.count == 0 {
            let labels = self.labels(&entry).unwrap_or_default();
            self.fault(Cause::NoSamples, || labels);
            self.gathered.entries[at].flags.skipped = true;
        }
        entry.count > 0
    }

    fn labels(&mut self, entry: &Entry) -> Result<Labels, Cause> {
        self.builder.clear();
        self.messages.labels(entry, &mut self.builder)?;
        Ok(checked(&mut self.builder)?)
    }

    fn fault(&mut self, cause: Cause, series: impl FnOnce() -> Labels) {
        self.faults.note(|| Fault {
            cause,
            series: series(),
        });
    }

    /// Notes a sample that was not taken: a fault of the request, or the end of it.
    fn sample_fault(&mut self, at: usize, cause: Cause) {
        if !M::PARTIAL && self.fatal.is_some() {
            return;
        }
        let entry = self.gathered.entries[at];
        let series = self.labels(&entry).unwrap_or_default();
        if M::PARTIAL {
            self.fault(cause, || series);
        } else {
            self.fatal = Some(Fault { cause, series });
        }
    }

    fn refuse_early(&mut self) {
        for (entry, _) in std::mem::take(&mut self.gathered.ahead) {
            self.sample_fault(entry as usize, Cause::Ahead);
        }
    }

    fn append_samples(&mut self) -> Result<(), Refusal> {
        let (mut unknown, mut refused) = (Vec::new(), Vec::new());
        let (mut more, mut store_failed) = (0, None);
        self.batch
            .append_floats(&self.gathered.samples, &mut |at, error| match error {
                AppendError::UnknownSeries => unknown.push(at),
                AppendError::Store(error) => store_failed = Some(error),
                other if refused.len() < MAX_TOLD => refused.push((at, other)),
                _ => more += 1,
            });
        if let Some(error) = store_failed {
            return Err(Refusal::Store(error));
        }
        self.samples += self.gathered.samples.len() - unknown.len() - refused.len() - more;
        for (at, error) in refused {
            self.refused(at, error);
        }
        self.faults.more += more;
        for at in unknown {
            self.append_again(at)?;
        }
        Ok(())
    }

    fn refused(&mut self, at: usize, error: AppendError) {
        let sample = self.gathered.samples[at];
        let cause = Cause::of_sample(error, sample.time, sample.value);
        self.sample_fault(self.gathered.entry_of(at), cause);
    }

    /// The store has forgotten a series that the cache still knew.
    fn append_again(&mut self, at: usize) -> Result<(), Refusal> {
        let entry = self.gathered.entry_of(at);
        if !self.find(entry)? {
            return Ok(());
        }
        let sample = self.gathered.samples[at];
        match self
            .batch
            .append_float(sample.series, sample.time, sample.value)
        {
            Ok(()) => self.samples += 1,
            Err(AppendError::Store(error)) => return Err(Refusal::Store(error)),
            Err(error) => self.refused(at, error),
        }
        Ok(())
    }

    /// Histograms, exemplars, and samples with start timestamps.
    fn append_rare(&mut self, at: usize) -> Result<(), Refusal> {
        let (messages, entry) = (self.messages, self.gathered.entries[at]);
        let Some(mut series) = entry.series else {
            return Ok(());
        };
        let mut outcome = Ok(());
        messages.rare(&entry, &mut |rare| {
            if outcome.is_ok() {
                outcome = self.append_one(at, &mut series, &rare);
            }
        })?;
        outcome
    }

    fn append_one(
        &mut self,
        at: usize,
        series: &mut SeriesRef,
        rare: &Rare,
    ) -> Result<(), Refusal> {
        let mut taken = self.try_one(*series, rare);
        if matches!(taken, Err(Cause::Store(AppendError::UnknownSeries))) {
            if !self.find(at)? {
                return Ok(());
            }
            *series = self.gathered.entries[at].series.unwrap_or(*series);
            taken = self.try_one(*series, rare);
        }
        match (taken, rare) {
            (Ok(()), Rare::Sample(..)) => self.samples += 1,
            (Ok(()), Rare::Histogram(_)) => self.histograms += 1,
            (Ok(()), Rare::Exemplar(_)) => self.exemplars += 1,
            (Ok(()), Rare::Broken(_)) => {}
            (Err(Cause::Store(AppendError::Store(error))), _) => return Err(Refusal::Store(error)),
            (Err(cause), Rare::Exemplar(_) | Rare::Broken(_)) => self.exemplar_fault(at, cause),
            (Err(cause), _) => self.sample_fault(at, cause),
        }
        Ok(())
    }

    fn try_one(&mut self, series: SeriesRef, rare: &Rare) -> Result<(), Cause> {
        match rare {
            Rare::Sample(time, ..) if self.gathered.is_ahead(*time) => Err(Cause::Ahead),
            Rare::Sample(time, start, value) => self
                .batch
                .append(series, *time, *start, SampleValue::Float(*value))
                .map_err(|error| Cause::of_sample(error, *time, *value)),
            Rare::Histogram(sample) if self.gathered.is_ahead(sample.time) => Err(Cause::Ahead),
            Rare::Histogram(sample) => {
                let value = match &sample.histogram {
                    AnyHistogram::Integer(histogram) => SampleValue::Histogram(histogram),
                    AnyHistogram::Float(histogram) => SampleValue::FloatHistogram(histogram),
                };
                self.batch
                    .append(series, sample.time, sample.start, value)
                    .map_err(Cause::Store)
            }
            Rare::Exemplar(exemplar) if self.gathered.is_ahead(exemplar.time.unwrap_or(0)) => {
                Err(Cause::Ahead)
            }
            Rare::Exemplar(exemplar) => self.batch.exemplar(series, exemplar).map_err(Cause::Store),
            Rare::Broken(text) => Err(Cause::Labels(text.clone())),
        }
    }

    /// Exemplars are kept on a best effort; senders of 2.0 learn of those that come out of order.
    fn exemplar_fault(&mut self, at: usize, cause: Cause) {
        let told = matches!(
            cause,
            Cause::Store(AppendError::ExemplarOutOfOrder) | Cause::Labels(_)
        );
        if M::PARTIAL && told {
            self.sample_fault(at, cause);
        }
    }

    /// Gives the metadata of a series to the store if it is new.
    fn describe(&mut self, at: usize) {
        let entry = self.gathered.entries[at];
        if entry.metadata == 0 {
            self.plain += entry.count as usize;
            return;
        }
        if entry.metadata == entry.known_metadata {
            return;
        }
        let metadata = self.messages.metadata(&entry).ok().flatten();
        let (Some(metadata), Some(series)) = (metadata, entry.series) else {
            self.plain += entry.count as usize;
            return;
        };
        match self.batch.metadata(series, &metadata) {
            Ok(()) => {
                let entry = &mut self.gathered.entries[at];
                entry.known_metadata = entry.metadata;
                entry.flags.remember = true;
            }
            Err(_) => self.plain += entry.count as usize,
        }
    }
}
