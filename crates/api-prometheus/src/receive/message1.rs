//! `prometheus.WriteRequest`.

use headwater_model::{Exemplar, LabelsBuilder, Metadata};
use headwater_wire::write1::{Exemplar as WireExemplar, Part, Request, Series};
use headwater_wire::{WireError, histogram};

use super::cache::SeriesCache;
use super::gather::{
    Entry, Gathered, LabelFault, Messages as Asked, Rare, exemplar_labels, push_pair,
};

/// Walks over the body.
pub(super) fn gather(
    body: &[u8],
    cache: &SeriesCache,
    into: &mut Gathered,
) -> Result<(), WireError> {
    let (view, mut request) = (cache.view(), Request::new(body));
    while let Some(series) = request.next_series()? {
        let key = cache.key(series.label_bytes());
        into.begin(body, series.message(), key, &view)?;
        let mut parts = series.parts();
        while let Some(part) = parts.next_part()? {
            match part {
                Part::Sample(sample) => into.sample(sample.time, sample.value)?,
                other => rare(other, into)?,
            }
        }
    }
    Ok(())
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
        // The key is that of the labels in front: it does not stand for the series.
        Part::Label(..) => {
            let entry = into.last();
            (entry.series, entry.flags.scattered) = (None, true);
            Ok(())
        }
        Part::Sample(_) => Ok(()),
    }
}

/// The body, to be asked again.
pub(super) struct Messages<'a> {
    pub(super) body: &'a [u8],
}

impl Messages<'_> {
    fn series(&self, entry: &Entry) -> Result<Series<'_>, WireError> {
        let (at, len) = (entry.at as usize, entry.len as usize);
        Series::new(self.body.get(at..at + len).unwrap_or_default())
    }
}

fn unreadable(error: WireError) -> LabelFault {
    LabelFault::Unreadable(error.to_string())
}

impl Asked for Messages<'_> {
    fn labels(&self, entry: &Entry, into: &mut LabelsBuilder) -> Result<(), LabelFault> {
        let series = self.series(entry).map_err(unreadable)?;
        for pair in series.labels() {
            let (name, value) = pair.map_err(unreadable)?;
            push_pair(into, name, value)?;
        }
        let mut parts = series.parts();
        if !entry.flags.scattered {
            return Ok(());
        }
        loop {
            match parts.next_part().map_err(unreadable)? {
                Some(Part::Label(name, value)) => push_pair(into, name, value)?,
                Some(_) => {}
                None => return Ok(()),
            }
        }
    }

    fn rare(&self, entry: &Entry, take: &mut dyn FnMut(Rare)) -> Result<(), WireError> {
        let mut parts = self.series(entry)?.parts();
        while let Some(part) = parts.next_part()? {
            match part {
                Part::Histogram(message) => take(Rare::Histogram(histogram::decode(message)?)),
                Part::Exemplar(message) => take(exemplar(message)?),
                Part::Sample(_) | Part::Label(..) => {}
            }
        }
        Ok(())
    }

    /// Metadata comes for families, not for series, and the original leaves it aside.
    fn metadata(&self, _: &Entry) -> Result<Option<Metadata>, WireError> {
        Ok(None)
    }

    const PARTIAL: bool = false;
}

fn exemplar(message: &[u8]) -> Result<Rare, WireError> {
    let exemplar = WireExemplar::decode(message)?;
    Ok(match exemplar_labels(exemplar.labels()) {
        Ok(labels) => Rare::Exemplar(Exemplar {
            labels,
            value: exemplar.value,
            time: Some(exemplar.time),
        }),
        Err(text) => Rare::Broken(text),
    })
}
