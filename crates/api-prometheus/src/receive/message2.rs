//! `io.prometheus.write.v2.Request`.

use std::hash::{DefaultHasher, Hash, Hasher};

use headwater_model::{Exemplar, LabelsBuilder, Metadata};
use headwater_wire::write2::{self, Exemplar as WireExemplar, Part, Request, Series, pairs};
use headwater_wire::{WireError, histogram};

use super::cache::SeriesCache;
use super::gather::{
    Entry, Gathered, LabelFault, Messages as Asked, Rare, exemplar_labels, push_pair,
};
use super::{MAX_LABELS_PER_SERIES, MAX_SYMBOLS_PER_WRITE};

/// References of one series that are looked at: one pair more than a series may have, so that it is
/// refused.
const MAX_REFERENCES: usize = 2 * (MAX_LABELS_PER_SERIES + 1);

/// The body and its symbols.
pub(super) struct Messages<'a> {
    body: &'a [u8],
    symbols: Vec<&'a [u8]>,
}

impl<'a> Messages<'a> {
    pub(super) fn new(body: &'a [u8]) -> Result<Self, WireError> {
        let mut symbols = Vec::new();
        write2::symbols(body, MAX_SYMBOLS_PER_WRITE, &mut symbols)?;
        Ok(Self { body, symbols })
    }

    /// Walks over the body. Symbols have other numbers in each request, so the key of a series is
    /// made from the hashes of its symbols.
    pub(super) fn gather(&self, cache: &SeriesCache, into: &mut Gathered) -> Result<(), WireError> {
        let hashes: Vec<[u8; 12]> = self
            .symbols
            .iter()
            .map(|symbol| cache.key(symbol).bytes())
            .collect();
        let (view, mut request) = (cache.view(), Request::new(self.body));
        let (mut text, mut walk) = (Vec::new(), Walk::default());
        while let Some(series) = request.next_series()? {
            text.clear();
            for reference in series.references().take(MAX_REFERENCES) {
                // A symbol that was not sent is found when the labels are asked for; such a series
                // never gets into the cache.
                match hashes.get(reference? as usize) {
                    Some(hash) => text.extend_from_slice(hash),
                    None => text.push(0),
                }
            }
            into.begin(self.body, series.message(), cache.key(&text), &view)?;
            self.parts(&series, into, &mut walk)?;
        }
        Ok(())
    }

    fn parts(
        &self,
        series: &Series<'_>,
        into: &mut Gathered,
        walk: &mut Walk,
    ) -> Result<(), WireError> {
        into.last().flags.starts = walk.starts;
        let mut parts = series.parts();
        while let Some(part) = parts.next_part()? {
            match part {
                Part::Sample(sample) if sample.start == 0 && !into.last().flags.starts => {
                    into.sample(sample.time, sample.value)?;
                }
                Part::Metadata(metadata) => {
                    into.last().metadata = self.metadata_hash(metadata, walk)
                }
                other => rare(other, into)?,
            }
        }
        walk.starts = into.last().flags.starts;
        if walk.starts {
            into.withdraw_samples();
        }
        Ok(())
    }

    fn series(&self, entry: &Entry) -> Result<Series<'_>, WireError> {
        let (at, len) = (entry.at as usize, entry.len as usize);
        Series::new(self.body.get(at..at + len).unwrap_or_default())
    }

    /// All references to labels, also where they are scattered.
    fn references(&self, entry: &Entry) -> Result<Vec<u32>, WireError> {
        let series = self.series(entry)?;
        let mut references = series
            .references()
            .take(MAX_REFERENCES)
            .collect::<Result<Vec<_>, _>>()?;
        let mut parts = series.parts();
        if !entry.flags.scattered {
            return Ok(references);
        }
        while references.len() < MAX_REFERENCES {
            match parts.next_part()? {
                Some(Part::Reference(reference)) => references.push(reference),
                Some(Part::References(packed)) => {
                    for reference in Part::references(packed).take(MAX_REFERENCES) {
                        references.push(reference?);
                    }
                }
                Some(_) => {}
                None => break,
            }
        }
        Ok(references)
    }

    fn symbol(&self, reference: u32) -> Result<&'a [u8], WireError> {
        let size = self.symbols.len();
        let symbol = self.symbols.get(reference as usize);
        symbol.copied().ok_or(WireError::Symbol { reference, size })
    }

    /// Metadata of neighbours is mostly the same.
    fn metadata_hash(&self, metadata: write2::Metadata, walk: &mut Walk) -> u32 {
        match walk.metadata {
            Some((same, hash)) if same == metadata => hash,
            _ => {
                let mut hasher = DefaultHasher::new();
                metadata.metric_type.hash(&mut hasher);
                self.symbol(metadata.help).ok().hash(&mut hasher);
                self.symbol(metadata.unit).ok().hash(&mut hasher);
                let hash = hasher.finish() as u32 | 1;
                walk.metadata = Some((metadata, hash));
                hash
            }
        }
    }

    fn exemplar(&self, message: &[u8]) -> Result<Rare, WireError> {
        let exemplar = WireExemplar::decode(message)?;
        let labels = match pairs(&exemplar.references, &self.symbols) {
            Ok(pairs) => exemplar_labels(pairs.map(Ok)),
            Err(error) => Err(error.to_string()),
        };
        Ok(match labels {
            Ok(labels) => Rare::Exemplar(Exemplar {
                labels,
                value: exemplar.value,
                time: Some(exemplar.time),
            }),
            Err(text) => Rare::Broken(text),
        })
    }
}

/// What the walk remembers from series to series.
#[derive(Default)]
struct Walk {
    /// A sample had a start timestamp: those behind it go the same way, so that a series which comes
    /// twice is appended in its order.
    starts: bool,
    metadata: Option<(write2::Metadata, u32)>,
}

/// Damage is found now, so that nothing has been appended when it is.
fn rare(part: Part<'_>, into: &mut Gathered) -> Result<(), WireError> {
    match part {
        Part::Histogram(message) => {
            histogram::decode(message)?;
            into.histogram()
        }
        Part::Exemplar(message) => {
            WireExemplar::decode(message)?;
            into.exemplar()
        }
        Part::Sample(_) => {
            into.last().count += 1;
            into.last().flags.starts = true;
            into.weigh(1)
        }
        // The key is that of the references in front: it does not stand for the series.
        Part::Reference(_) | Part::References(_) => {
            let entry = into.last();
            (entry.series, entry.flags.scattered) = (None, true);
            Ok(())
        }
        Part::Metadata(_) => Ok(()),
    }
}

impl Asked for Messages<'_> {
    fn labels(&self, entry: &Entry, into: &mut LabelsBuilder) -> Result<(), LabelFault> {
        let unreadable = |error: WireError| LabelFault::Unreadable(error.to_string());
        let references = self.references(entry).map_err(unreadable)?;
        let pairs = pairs(&references, &self.symbols).map_err(|error| {
            // As Go prints a list.
            let shown: Vec<String> = references.iter().take(100).map(u32::to_string).collect();
            let shown = shown.join(" ");
            LabelFault::Unreadable(format!("parsing labels for series [{shown}]: {error}"))
        })?;
        for (name, value) in pairs {
            push_pair(into, name, value)?;
        }
        Ok(())
    }

    fn rare(&self, entry: &Entry, take: &mut dyn FnMut(Rare)) -> Result<(), WireError> {
        let mut parts = self.series(entry)?.parts();
        while let Some(part) = parts.next_part()? {
            match part {
                Part::Sample(sample) if entry.flags.starts => {
                    take(Rare::Sample(sample.time, sample.start, sample.value));
                }
                Part::Histogram(message) => take(Rare::Histogram(histogram::decode(message)?)),
                Part::Exemplar(message) => take(self.exemplar(message)?),
                _ => {}
            }
        }
        Ok(())
    }

    fn metadata(&self, entry: &Entry) -> Result<Option<Metadata>, WireError> {
        let mut parts = self.series(entry)?.parts();
        let mut found = None;
        while let Some(part) = parts.next_part()? {
            if let Part::Metadata(metadata) = part {
                found = Some(metadata);
            }
        }
        let text = |reference| {
            let symbol = self.symbol(reference)?;
            Ok(String::from_utf8_lossy(symbol).into_owned())
        };
        found
            .map(|metadata| {
                Ok(Metadata {
                    metric_type: metadata.metric_type,
                    help: text(metadata.help)?,
                    unit: text(metadata.unit)?,
                })
            })
            .transpose()
    }

    const PARTIAL: bool = true;
}
