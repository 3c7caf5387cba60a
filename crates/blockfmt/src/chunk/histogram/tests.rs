//! What goes into histogram chunks comes out of them.

use headwater_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use headwater_model::{
    FloatHistogram, Histogram, HistogramColumn, HistogramRef, ResetHint, Span, TimeRange,
    Timestamp, is_stale_nan, stale_nan,
};
use proptest::prelude::*;

use super::kind::{Float, Integer, Kind};
use super::read::decode;
use super::{Appender, Cut, layout};

fn spans(spans: &[(i32, u32)]) -> Vec<Span> {
    spans
        .iter()
        .map(|&(offset, length)| Span { offset, length })
        .collect()
}

fn small() -> Histogram {
    Histogram {
        schema: 1,
        zero_threshold: 2f64.powi(-128),
        zero_count: 1,
        count: 6,
        sum: 12.5,
        positive_spans: spans(&[(0, 2)]),
        positive_deltas: vec![2, 1],
        ..Histogram::default()
    }
}

fn stale() -> Histogram {
    Histogram {
        sum: stale_nan(),
        ..Histogram::default()
    }
}

fn column<K: Kind>(appender: &Appender<K>) -> HistogramColumn {
    let mut column = HistogramColumn::default();
    let with_starts = appender.encoding() == K::WITH_STARTS;
    decode::<K>(appender.bytes(), with_starts, TimeRange::ALL, &mut column).unwrap();
    column
}

fn integers(appender: &Appender<Integer>) -> Vec<Histogram> {
    let column = column(appender);
    let get = |at| match column.get(at) {
        HistogramRef::Integer(histogram) => histogram.clone(),
        HistogramRef::Float(_) => panic!("an integer chunk has integer histograms"),
    };
    (0..column.len()).map(get).collect()
}

/// By hand, from the table in the module's documentation.
#[test]
fn bytes_are_as_the_format_says() {
    let mut appender = Appender::<Integer>::after(Cut {
        reset: ResetHint::Reset,
    });
    let histogram = Histogram {
        count: 3,
        positive_deltas: vec![3],
        positive_spans: spans(&[(0, 1)]),
        ..Histogram::default()
    };
    appender.append(1, &histogram).unwrap();
    let mut expected = vec![0, 1, 0x80, 0];
    // schema 0: `0`; one span: `10 001`, length `10 001`, offset `0`; no negative span: `0`;
    // time `10 001`; count `10 011`; zero count `0`; sum, 64 zeros; bucket `10 011`.
    let bits = format!(
        "0{}{}00{}{}0{:064b}{}",
        "10001", "10001", "10001", "10011", 0, "10011"
    );
    let bits = format!("{bits:0<width$}", width = bits.len().next_multiple_of(8));
    for byte in bits.as_bytes().chunks(8) {
        expected.push(u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap());
    }
    assert_eq!(appender.bytes(), expected);
}

#[test]
fn new_buckets_make_the_chunk_wider() {
    let mut appender = Appender::<Integer>::new();
    appender.append(1, &small()).unwrap();
    let mut wider = small();
    wider.count = 9;
    wider.positive_spans = spans(&[(0, 2), (3, 1)]);
    wider.positive_deltas = vec![2, 1, 0];
    appender.append(2, &wider).unwrap();
    appender.append(3, &stale()).unwrap();
    let read = integers(&appender);
    assert_eq!(read[0].positive_spans, wider.positive_spans);
    assert_eq!(read[0].positive_deltas, [2, 1, -3]);
    assert_eq!(
        read[1],
        Histogram {
            reset_hint: ResetHint::NotReset,
            ..wider
        }
    );
    assert!(is_stale_nan(read[2].sum) && read[2].positive_deltas.is_empty());
}

#[test]
fn unused_buckets_may_go_missing() {
    let mut appender = Appender::<Integer>::new();
    let mut first = small();
    first.positive_spans = spans(&[(0, 3)]);
    first.positive_deltas = vec![2, 1, -3];
    appender.append(1, &first).unwrap();
    appender.append(2, &small()).unwrap();
    assert_eq!(
        integers(&appender)[1].positive_deltas,
        first.positive_deltas
    );
}

#[test]
fn chunks_are_cut_for_a_reason() {
    type Change = fn(&mut Histogram);
    let cases: [(Change, ResetHint); 8] = [
        (|h| h.reset_hint = ResetHint::Reset, ResetHint::Reset),
        (|h| h.reset_hint = ResetHint::Gauge, ResetHint::Gauge),
        (|h| h.count = 5, ResetHint::Reset),
        (|h| h.zero_count = 0, ResetHint::Reset),
        (|h| h.positive_deltas[0] = 1, ResetHint::Reset),
        (|h| h.schema = 2, ResetHint::Unknown),
        (|h| h.zero_threshold = 0.0, ResetHint::Unknown),
        (
            |h| {
                h.positive_spans.clear();
                h.positive_deltas.clear();
            },
            ResetHint::Reset,
        ),
    ];
    for (change, reset) in cases {
        let mut appender = Appender::<Integer>::new();
        appender.append(1, &small()).unwrap();
        let before = appender.bytes().to_vec();
        let mut histogram = small();
        change(&mut histogram);
        assert_eq!(appender.append(2, &histogram), Err(Cut { reset }));
        assert_eq!(appender.cut_before(&histogram), Cut { reset });
        assert_eq!(appender.bytes(), before);
    }
}

#[test]
fn nothing_but_stale_markers_follows_a_stale_marker() {
    let mut appender = Appender::<Integer>::new();
    appender.append(1, &stale()).unwrap();
    appender.append(2, &stale()).unwrap();
    assert!(appender.is_stale());
    assert_eq!(
        appender.append(3, &small()),
        Err(Cut {
            reset: ResetHint::Unknown
        })
    );
}

#[test]
fn custom_bounds_must_stay() {
    let mut appender = Appender::<Float>::new();
    let mut histogram = FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        custom_values: [0.1, 1.0, 2.5].into(),
        count: 1.0,
        positive_spans: spans(&[(1, 1)]),
        positive_buckets: vec![1.0],
        ..FloatHistogram::default()
    };
    appender.append(1, &histogram).unwrap();
    assert_eq!(&*appender.last().unwrap().custom_values, [0.1, 1.0, 2.5]);
    histogram.custom_values = [0.1, 1.0].into();
    assert_eq!(
        appender.append(2, &histogram),
        Err(Cut {
            reset: ResetHint::Reset
        })
    );
}

#[test]
fn gauges_may_shrink() {
    let mut appender = Appender::<Integer>::new();
    let mut gauge = Histogram {
        reset_hint: ResetHint::Gauge,
        ..small()
    };
    appender.append(1, &gauge).unwrap();
    gauge.count = 2;
    gauge.positive_spans = spans(&[(1, 1), (1, 1)]);
    gauge.positive_deltas = vec![1, -1];
    appender.append(2, &gauge).unwrap();
    let read = integers(&appender);
    assert!(read.iter().all(|it| it.reset_hint == ResetHint::Gauge));
    assert_eq!(read[1].positive_spans, spans(&[(0, 2), (1, 1)]));
    assert_eq!(read[1].positive_deltas, [0, 1, -1]);
}

#[test]
fn damage_is_refused() {
    let mut appender = Appender::<Integer>::new();
    appender.append(1, &small()).unwrap();
    appender.append(5, &small()).unwrap();
    let mut into = HistogramColumn::default();
    into.push_integer(0, small(), 0);
    for len in 0..appender.bytes().len() {
        assert!(
            decode::<Integer>(&appender.bytes()[..len], false, TimeRange::ALL, &mut into).is_err()
        );
        assert_eq!(into.len(), 1);
    }
}

/// Time, start and value.
type Sample = (Timestamp, Timestamp, FloatHistogram);

/// Spans of one side, as offset and length.
fn side() -> impl Strategy<Value = Vec<Span>> {
    proptest::collection::vec((0i32..4, 1u32..3), 0..3).prop_map(|side| spans(&side))
}

/// A histogram that is a stale marker now and then, or a gauge.
fn any_histogram() -> impl Strategy<Value = FloatHistogram> {
    let counts = proptest::collection::vec(0u16..9, 16);
    let parts = (side(), side(), 0i32..2, 0u8..8, counts);
    parts.prop_map(|(positive_spans, negative_spans, schema, what, counts)| {
        if what == 0 {
            return FloatHistogram {
                sum: stale_nan(),
                ..FloatHistogram::default()
            };
        }
        let mut counts = counts.into_iter().cycle().map(f64::from);
        let mut take = |spans: &[Span]| {
            counts
                .by_ref()
                .take(layout::buckets(spans) as usize)
                .collect::<Vec<f64>>()
        };
        let (positive_buckets, negative_buckets) = (take(&positive_spans), take(&negative_spans));
        let count = positive_buckets.iter().chain(&negative_buckets).sum();
        FloatHistogram {
            reset_hint: if what == 1 {
                ResetHint::Gauge
            } else {
                ResetHint::Unknown
            },
            schema,
            count,
            sum: count * 1.25,
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            ..FloatHistogram::default()
        }
    })
}

/// Samples of one series that may share chunks or not.
fn series() -> impl Strategy<Value = Vec<Sample>> {
    let sample = (1i64..100_000, 0i64..3, any_histogram());
    proptest::collection::vec(sample, 0..40).prop_map(|samples| {
        let mut time = -50_000;
        let add = |(step, start, histogram)| {
            time += step;
            (time, start, histogram)
        };
        samples.into_iter().map(add).collect()
    })
}

/// What must survive: counts by bucket index; empty buckets may come and go.
fn by_index(histogram: &FloatHistogram) -> [Vec<(i32, f64)>; 2] {
    let side = |spans: &[Span], buckets: &[f64]| {
        let indexes = headwater_model::histogram::spans_indexes(spans);
        indexes
            .zip(buckets.iter().copied())
            .filter(|&(_, count)| count != 0.0)
            .collect()
    };
    [
        side(&histogram.positive_spans, &histogram.positive_buckets),
        side(&histogram.negative_spans, &histogram.negative_buckets),
    ]
}

fn store<K: Kind>(
    samples: &[Sample],
    with_starts: bool,
    convert: impl Fn(&FloatHistogram) -> K::Histogram,
) -> HistogramColumn {
    let begin = |cut| {
        let appender = Appender::<K>::after(cut);
        if with_starts {
            appender.with_starts()
        } else {
            appender
        }
    };
    let mut all = HistogramColumn::default();
    let mut appender = begin(Cut {
        reset: ResetHint::Unknown,
    });
    for (at, (time, start, histogram)) in samples.iter().enumerate() {
        let histogram = convert(histogram);
        if let Err(cut) = appender.append_with_start(*time, &histogram, *start) {
            let done = column(&appender);
            (0..done.len()).for_each(|at| all.push_from(&done, at));
            appender = begin(cut);
            appender
                .append_with_start(*time, &histogram, *start)
                .unwrap();
        } else if at % 3 == 0 {
            let encoding = appender.encoding();
            appender = Appender::resume(encoding, appender.bytes()).unwrap();
        }
    }
    let done = column(&appender);
    (0..done.len()).for_each(|at| all.push_from(&done, at));
    all
}

fn check(samples: &[Sample], with_starts: bool, read: &HistogramColumn) {
    assert_eq!(read.len(), samples.len());
    for (at, (time, start, histogram)) in samples.iter().enumerate() {
        let back = read.float(at);
        assert_eq!(read.times()[at], *time);
        assert_eq!(read.start(at), if with_starts { *start } else { 0 });
        assert_eq!(back.sum.to_bits(), histogram.sum.to_bits());
        assert_eq!(
            (back.count, back.schema),
            (histogram.count, histogram.schema)
        );
        assert_eq!(by_index(&back), by_index(histogram));
        let gauge = histogram.reset_hint == ResetHint::Gauge;
        assert_eq!(back.reset_hint == ResetHint::Gauge, gauge);
    }
}

fn to_integer(histogram: &FloatHistogram) -> Histogram {
    let deltas = |buckets: &[f64]| {
        let mut before = 0;
        let delta = |count: &f64| {
            let delta = *count as i64 - before;
            before = *count as i64;
            delta
        };
        buckets.iter().map(delta).collect()
    };
    Histogram {
        reset_hint: histogram.reset_hint,
        schema: histogram.schema,
        count: histogram.count as u64,
        sum: histogram.sum,
        positive_spans: histogram.positive_spans.clone(),
        negative_spans: histogram.negative_spans.clone(),
        positive_deltas: deltas(&histogram.positive_buckets),
        negative_deltas: deltas(&histogram.negative_buckets),
        ..Histogram::default()
    }
}

proptest! {
    #[test]
    fn float_histograms_come_back(samples in series(), with_starts: bool) {
        check(&samples, with_starts, &store::<Float>(&samples, with_starts, Clone::clone));
    }

    #[test]
    fn integer_histograms_come_back(samples in series(), with_starts: bool) {
        check(&samples, with_starts, &store::<Integer>(&samples, with_starts, to_integer));
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut data in proptest::collection::vec(any::<u8>(), 0..300), count in 0u8..50) {
        for with_starts in [false, true] {
            let mut into = HistogramColumn::default();
            let _ = decode::<Integer>(&data, with_starts, TimeRange::ALL, &mut into);
            let _ = decode::<Float>(&data, with_starts, TimeRange::ALL, &mut into);
            if data.len() > 2 {
                (data[0], data[1]) = (0, count);
            }
        }
    }
}
