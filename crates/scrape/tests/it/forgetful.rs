//! A store that forgets series between scrapes, as one does that compacts its head.

use headwater_exposition::Format;
use headwater_model::{Exemplar, Labels, Metadata, Timestamp, is_stale_nan};
use headwater_scrape::{Bodies, JobConfig, discovered_labels, resolve};
use headwater_storage::{AppendError, Appender, SampleValue, SeriesRef, Ticket};

/// References are good for one epoch.
#[derive(Default)]
struct Forgetful {
    epoch: u64,
    given: u64,
    /// Reference and value, `stale` for markers.
    taken: Vec<(u64, String)>,
}

const EPOCH: u64 = 1000;

impl Appender for Forgetful {
    fn series(&mut self, _: &Labels) -> Result<SeriesRef, AppendError> {
        self.given += 1;
        Ok(SeriesRef(self.epoch * EPOCH + self.given))
    }

    fn append(
        &mut self,
        series: SeriesRef,
        _: Timestamp,
        _: Timestamp,
        value: SampleValue<'_>,
    ) -> Result<(), AppendError> {
        if series.0 / EPOCH != self.epoch {
            return Err(AppendError::UnknownSeries);
        }
        let value = match value {
            SampleValue::Float(value) if is_stale_nan(value) => "stale".to_owned(),
            SampleValue::Float(value) => value.to_string(),
            _ => "histogram".to_owned(),
        };
        self.taken.push((series.0, value));
        Ok(())
    }

    fn exemplar(&mut self, _: SeriesRef, _: &Exemplar) -> Result<(), AppendError> {
        Ok(())
    }

    fn metadata(&mut self, _: SeriesRef, _: &Metadata) -> Result<(), AppendError> {
        Ok(())
    }

    fn commit(self: Box<Self>) -> headwater_storage::Result<Ticket> {
        Ok(Ticket::ready())
    }

    fn rollback(self: Box<Self>) {}
}

fn bodies(change: impl FnOnce(&mut JobConfig)) -> Bodies {
    let mut job = JobConfig::new("j");
    change(&mut job);
    let own = Labels::from_pairs([("__address__", "a")]);
    let target = resolve(&discovered_labels(&Labels::empty(), &own, &job), &job)
        .expect("valid")
        .expect("kept");
    Bodies::new(job, target)
}

#[test]
fn forgotten_series_are_asked_for_again() {
    let (mut bodies, mut store) = (bodies(|_| {}), Forgetful::default());
    let mut scrape = |store: &mut Forgetful, body: &str, time| {
        let (counts, result) = bodies.append(body.as_bytes(), Format::Text, time, store);
        result.expect("well formed");
        (counts.new_series, std::mem::take(&mut store.taken))
    };
    let taken = |pairs: &[(u64, &str)]| -> Vec<(u64, String)> {
        pairs
            .iter()
            .map(|(reference, value)| (*reference, (*value).to_owned()))
            .collect()
    };
    assert_eq!(
        scrape(&mut store, "a 1\nb 2\n", 1),
        (2, taken(&[(1, "1"), (2, "2")]))
    );
    store.epoch = 1;
    assert_eq!(
        scrape(&mut store, "a 3\nb 4\n", 2),
        (0, taken(&[(1003, "3"), (1004, "4")]))
    );
    // The marker finds the new reference.
    assert_eq!(
        scrape(&mut store, "b 5\n", 3),
        (0, taken(&[(1004, "5"), (1003, "stale")]))
    );
    // A marker for a series that is forgotten is not needed.
    store.epoch = 2;
    assert_eq!(scrape(&mut store, "", 4), (0, taken(&[])));
}

#[test]
fn a_histogram_half_told_is_not_remembered() {
    let mut bodies = bodies(|job| job.convert_classic_histograms_to_nhcb = true);
    let mut store = Forgetful::default();
    let head = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\n";
    let (_, result) = bodies.append(
        format!("{head}h_count x\n").as_bytes(),
        Format::Text,
        1,
        &mut store,
    );
    assert!(result.is_err());
    let body = format!("{head}h_count 1\nh_sum 1\n");
    let (counts, result) = bodies.append(body.as_bytes(), Format::Text, 2, &mut store);
    result.expect("well formed");
    assert_eq!((counts.kept, store.taken.len()), (1, 1));
}
