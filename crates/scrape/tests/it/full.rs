//! A store that takes no new series.

use headwater_exposition::Format;
use headwater_model::{Exemplar, Labels, Metadata, Timestamp};
use headwater_scrape::{Bodies, JobConfig, discovered_labels, resolve};
use headwater_storage::{AppendError, Appender, SampleValue, SeriesRef, Ticket};

/// Takes so many series and no more.
struct Full {
    series: Vec<Labels>,
    room: usize,
    taken: Vec<(u64, f64)>,
}

impl Appender for Full {
    fn series(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        let known = self.series.iter().position(|known| known == labels);
        match known {
            Some(at) => Ok(SeriesRef(at as u64)),
            None if self.series.len() == self.room => {
                Err(AppendError::SeriesLimit("no memory left".to_owned()))
            }
            None => {
                self.series.push(labels.clone());
                Ok(SeriesRef(self.series.len() as u64 - 1))
            }
        }
    }

    fn append(
        &mut self,
        series: SeriesRef,
        _: Timestamp,
        _: Timestamp,
        value: SampleValue<'_>,
    ) -> Result<(), AppendError> {
        if let SampleValue::Float(value) = value {
            self.taken.push((series.0, value));
        }
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

#[test]
fn known_series_go_on_where_new_ones_are_refused() {
    let job = JobConfig::new("j");
    let own = Labels::from_pairs([("__address__", "a")]);
    let target = resolve(&discovered_labels(&Labels::empty(), &own, &job), &job)
        .expect("valid")
        .expect("kept");
    let mut bodies = Bodies::new(job, target);
    let mut store = Full {
        series: Vec::new(),
        room: 2,
        taken: Vec::new(),
    };
    let mut scrape = |store: &mut Full, body: &str, time| {
        let (counts, result) = bodies.append(body.as_bytes(), Format::Text, time, store);
        result.expect("a full store fails no scrape");
        (counts.new_series, std::mem::take(&mut store.taken))
    };
    let taken = scrape(&mut store, "a 1\nb 2\nc 3\n", 1000);
    assert_eq!(taken, (2, vec![(0, 1.0), (1, 2.0)]));
    let taken = scrape(&mut store, "a 4\nb 5\nc 6\n", 2000);
    assert_eq!(taken, (0, vec![(0, 4.0), (1, 5.0)]));
    // There is room again.
    store.room = 3;
    let taken = scrape(&mut store, "a 7\nb 8\nc 9\n", 3000);
    assert_eq!(taken, (1, vec![(0, 7.0), (1, 8.0), (2, 9.0)]));
}
