//! What every store must do, as a suite that any store can run against itself.
//!
//! ```
//! use headwater_storage::{MemoryStore, conformance};
//! for (name, case) in conformance::CASES {
//!     println!("{name}");
//!     case(&MemoryStore::new());
//! }
//! ```
//!
//! Each case gets an empty store and panics where a contract is broken.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use headwater_blockfmt::decode;
use headwater_model::{
    Exemplar, FloatHistogram, Histogram, HistogramRef, Labels, MatchOp, Matcher, Metadata,
    MetricType, SeriesColumns, Span, TimeRange, histogram::CUSTOM_BUCKETS_SCHEMA, stale_nan,
};

use crate::{
    Append, AppendError, AppendOptions, Appender, BoxFuture, ChunkCursor, Delete, ExemplarSeries,
    LabelAnswer, LabelQueries, LabelRequest, MetadataEntry, MetadataStore, Result, SampleValue,
    Select, SelectChunks, SelectExemplars, SelectRequest, SeriesCursor, Ticket, block_on,
};

/// Everything that the suite asks of a store.
pub trait Store:
    Append + Select + SelectChunks + LabelQueries + SelectExemplars + MetadataStore + Delete
{
}

impl<S: Append + Select + SelectChunks + LabelQueries + SelectExemplars + MetadataStore + Delete>
    Store for S
{
}

/// A case: gets an empty store, panics where a contract is broken.
pub type Case = fn(&dyn Store);

/// The cases by name.
pub const CASES: &[(&str, Case)] = &[
    ("floats_come_back_bit_by_bit", floats_come_back_bit_by_bit),
    (
        "histograms_of_every_kind_come_back",
        histograms_of_every_kind_come_back,
    ),
    ("a_series_may_change_kind", a_series_may_change_kind),
    (
        "order_and_duplicates_are_checked",
        order_and_duplicates_are_checked,
    ),
    (
        "a_refused_sample_leaves_the_batch_alone",
        a_refused_sample_leaves_the_batch_alone,
    ),
    (
        "batches_are_seen_whole_or_not_at_all",
        batches_are_seen_whole_or_not_at_all,
    ),
    (
        "unknown_references_and_bad_input_are_refused",
        unknown_references_and_bad_input_are_refused,
    ),
    (
        "matchers_find_the_right_series",
        matchers_find_the_right_series,
    ),
    (
        "ranges_are_closed_on_both_sides",
        ranges_are_closed_on_both_sides,
    ),
    ("sorted_cursors_are_sorted", sorted_cursors_are_sorted),
    (
        "split_cursors_cover_every_series_once",
        split_cursors_cover_every_series_once,
    ),
    ("a_cursor_is_a_snapshot", a_cursor_is_a_snapshot),
    ("chunks_hold_the_same_samples", chunks_hold_the_same_samples),
    ("label_questions_are_answered", label_questions_are_answered),
    ("exemplars_come_back", exemplars_come_back),
    ("metadata_comes_back", metadata_comes_back),
    ("deleted_samples_are_gone", deleted_samples_are_gone),
];

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

fn matcher(op: MatchOp, name: &str, value: &str) -> Matcher {
    Matcher::new(op, name, value).expect("the suite's matchers are valid")
}

fn named(name: &str) -> Vec<Matcher> {
    vec![Matcher::equal("__name__", name)]
}

fn batch(store: &dyn Store) -> Box<dyn Appender + '_> {
    store
        .appender(AppendOptions::default())
        .expect("an empty store takes a batch")
}

fn commit(batch: Box<dyn Appender + '_>) {
    batch
        .commit()
        .and_then(Ticket::wait)
        .expect("a sound batch is committed");
}

fn write_floats(store: &dyn Store, series: &Labels, samples: &[(i64, f64)]) {
    let mut batch = batch(store);
    let series = batch.series(series).expect("a sound series is taken");
    for (time, value) in samples {
        batch
            .append_float(series, *time, *value)
            .expect("a sound sample is taken");
    }
    commit(batch);
}

fn drain(mut cursor: Box<dyn SeriesCursor>) -> Vec<(Labels, SeriesColumns)> {
    let mut out = Vec::new();
    while let Some(labels) = cursor.advance().expect("the cursor advances") {
        let mut columns = SeriesColumns::default();
        cursor.read(&mut columns).expect("the series is read");
        if !columns.is_empty() {
            out.push((labels, columns));
        }
    }
    assert!(cursor.advance().expect("the end stays the end").is_none());
    out
}

fn select(
    store: &dyn Store,
    matchers: Vec<Matcher>,
    range: TimeRange,
) -> Vec<(Labels, SeriesColumns)> {
    let mut found = drain(
        block_on(store.select(SelectRequest::new(matchers, range))).expect("the select opens"),
    );
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn one(store: &dyn Store, name: &str) -> SeriesColumns {
    let mut found = select(store, named(name), TimeRange::ALL);
    assert_eq!(found.len(), 1, "one series of name {name}");
    found.remove(0).1
}

fn floats_come_back_bit_by_bit(store: &dyn Store) {
    let odd = [
        0.0,
        -0.0,
        1.5,
        f64::MIN_POSITIVE / 8.0,
        f64::MAX,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        stale_nan(),
        -1e-300,
    ];
    // More than one chunk of any size, at uneven distances.
    let samples: Vec<(i64, f64)> = (0..500i64)
        .map(|at| (at * 15_000 + at % 7, odd[at as usize % odd.len()]))
        .collect();
    write_floats(store, &labels(&[("__name__", "f")]), &samples);
    let columns = one(store, "f");
    assert_eq!(
        columns.floats.times,
        samples.iter().map(|(time, _)| *time).collect::<Vec<_>>()
    );
    let bits = |values: &mut dyn Iterator<Item = f64>| values.map(f64::to_bits).collect::<Vec<_>>();
    assert_eq!(
        bits(&mut columns.floats.values.into_iter()),
        bits(&mut samples.iter().map(|(_, value)| *value))
    );
}

fn integer(at: i64) -> Histogram {
    Histogram {
        schema: 1,
        zero_threshold: 0.001,
        zero_count: at as u64,
        count: (at + 5 + 2 * at + 3) as u64,
        sum: 1.5 * at as f64,
        positive_spans: vec![
            Span {
                offset: -2,
                length: 1,
            },
            Span {
                offset: 3,
                length: 1,
            },
        ],
        positive_deltas: vec![5, at - 5 + 2],
        negative_spans: vec![Span {
            offset: 1,
            length: 1,
        }],
        negative_deltas: vec![at + 1],
        ..Histogram::default()
    }
}

fn custom(at: i64) -> Histogram {
    Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 3 * at as u64,
        sum: at as f64,
        positive_spans: vec![Span {
            offset: 0,
            length: 2,
        }],
        positive_deltas: vec![at, at],
        custom_values: [0.5, 1.0, 2.5].into(),
        ..Histogram::default()
    }
}

fn histograms_of_every_kind_come_back(store: &dyn Store) {
    let mut batch = batch(store);
    let kinds = ["integer", "float", "custom", "custom_float"];
    let refs = kinds.map(|kind| {
        batch
            .series(&labels(&[("__name__", kind)]))
            .expect("the series is taken")
    });
    for at in 1..40i64 {
        let time = at * 15_000;
        let (whole, bounds) = (integer(at), custom(at));
        let (whole_float, bounds_float) = (whole.to_float(), bounds.to_float());
        let mut append = |series, value| {
            batch
                .append(series, time, 0, value)
                .expect("the histogram is taken")
        };
        append(refs[0], SampleValue::Histogram(&whole));
        append(refs[1], SampleValue::FloatHistogram(&whole_float));
        append(refs[2], SampleValue::Histogram(&bounds));
        append(refs[3], SampleValue::FloatHistogram(&bounds_float));
    }
    commit(batch);
    for (kind, make) in kinds
        .iter()
        .zip([integer as fn(i64) -> Histogram, integer, custom, custom])
    {
        let columns = one(store, kind).histograms;
        assert_eq!(columns.len(), 39, "{kind}");
        for at in 0..columns.len() {
            let wanted = make(at as i64 + 1).to_float();
            assert_same_observations(&columns.get(at).to_float(), &wanted);
            assert_eq!(
                matches!(columns.get(at), HistogramRef::Float(_)),
                kind.contains("float"),
                "{kind}"
            );
        }
    }
}

/// A store may change the hint and add empty buckets, never counts.
fn assert_same_observations(got: &FloatHistogram, wanted: &FloatHistogram) {
    let head = |h: &FloatHistogram| {
        (
            h.schema,
            h.zero_threshold,
            h.zero_count,
            h.count,
            h.sum,
            h.custom_values.clone(),
        )
    };
    assert_eq!(head(got), head(wanted));
    let buckets = |spans: &[Span], counts: &[f64]| -> Vec<(i32, f64)> {
        headwater_model::histogram::spans_indexes(spans)
            .zip(counts.iter().copied())
            .filter(|(_, count)| *count != 0.0)
            .collect()
    };
    assert_eq!(
        buckets(&got.positive_spans, &got.positive_buckets),
        buckets(&wanted.positive_spans, &wanted.positive_buckets)
    );
    assert_eq!(
        buckets(&got.negative_spans, &got.negative_buckets),
        buckets(&wanted.negative_spans, &wanted.negative_buckets)
    );
}

fn a_series_may_change_kind(store: &dyn Store) {
    let mut batch = batch(store);
    let series = batch.series(&labels(&[("__name__", "mixed")])).unwrap();
    for at in 1..=9i64 {
        let value = integer(at);
        let value = if at % 2 == 0 {
            SampleValue::Histogram(&value)
        } else {
            SampleValue::Float(at as f64)
        };
        batch.append(series, at * 1000, 0, value).unwrap();
    }
    commit(batch);
    let columns = one(store, "mixed");
    assert_eq!(columns.floats.times, [1000, 3000, 5000, 7000, 9000]);
    assert_eq!(columns.histograms.times(), [2000, 4000, 6000, 8000]);
}

fn order_and_duplicates_are_checked(store: &dyn Store) {
    let mut first = batch(store);
    let series = first.series(&labels(&[("__name__", "o")])).unwrap();
    first.append_float(series, 2000, 1.0).unwrap();
    first
        .append_float(series, 2000, 1.0)
        .expect("the same again is silently accepted");
    assert!(matches!(
        first.append_float(series, 2000, 2.0),
        Err(AppendError::DuplicateTimestamp)
    ));
    assert!(
        first.append_float(series, 1000, 1.0).is_err(),
        "older than the newest of the batch"
    );
    commit(first);
    let mut second = batch(store);
    let series = second.series(&labels(&[("__name__", "o")])).unwrap();
    second
        .append_float(series, 2000, 1.0)
        .expect("the same again is silently accepted");
    assert!(matches!(
        second.append_float(series, 2000, 3.0),
        Err(AppendError::DuplicateTimestamp)
    ));
    assert!(
        second.append_float(series, 1999, 1.0).is_err(),
        "older than the newest of the store"
    );
    second.append_float(series, 3000, 4.0).unwrap();
    commit(second);
    assert_eq!(one(store, "o").floats.values, [1.0, 4.0]);
}

fn a_refused_sample_leaves_the_batch_alone(store: &dyn Store) {
    let mut batch = batch(store);
    let series = batch.series(&labels(&[("__name__", "r")])).unwrap();
    batch.append_float(series, 1000, 1.0).unwrap();
    let mut damaged = integer(1);
    damaged.positive_deltas.push(1);
    let refused = batch.append(series, 2000, 0, SampleValue::Histogram(&damaged));
    assert!(matches!(refused, Err(AppendError::InvalidHistogram(_))));
    batch.append_float(series, 2000, 2.0).unwrap();
    commit(batch);
    assert_eq!(one(store, "r").floats.values, [1.0, 2.0]);
}

fn batches_are_seen_whole_or_not_at_all(store: &dyn Store) {
    let mut open = batch(store);
    let series = open.series(&labels(&[("__name__", "b")])).unwrap();
    open.append_float(series, 1000, 1.0).unwrap();
    assert!(
        select(store, named("b"), TimeRange::ALL).is_empty(),
        "an open batch is not seen"
    );
    open.rollback();
    assert!(
        select(store, named("b"), TimeRange::ALL).is_empty(),
        "a batch that was rolled back is not seen"
    );
    let mut dropped = batch(store);
    let series = dropped.series(&labels(&[("__name__", "b")])).unwrap();
    dropped.append_float(series, 1000, 2.0).unwrap();
    drop(dropped);
    assert!(
        select(store, named("b"), TimeRange::ALL).is_empty(),
        "a batch that was dropped is not seen"
    );
    write_floats(store, &labels(&[("__name__", "b")]), &[(1000, 3.0)]);
    assert_eq!(one(store, "b").floats.values, [3.0]);
}

fn unknown_references_and_bad_input_are_refused(store: &dyn Store) {
    let mut batch = batch(store);
    let nowhere = crate::SeriesRef(u64::MAX / 2);
    assert!(matches!(
        batch.append_float(nowhere, 1, 1.0),
        Err(AppendError::UnknownSeries)
    ));
    assert!(matches!(
        batch.series(&Labels::empty()),
        Err(AppendError::InvalidLabels(_))
    ));
    let exemplar = Exemplar {
        labels: Labels::empty(),
        value: 1.0,
        time: Some(1),
    };
    assert!(batch.exemplar(nowhere, &exemplar).is_err());
    let series = batch.series(&labels(&[("__name__", "u")])).unwrap();
    let long = Exemplar {
        labels: labels(&[("trace_id", &"x".repeat(200))]),
        ..exemplar
    };
    assert!(matches!(
        batch.exemplar(series, &long),
        Err(AppendError::ExemplarTooLong { .. })
    ));
}

fn fill_matrix(store: &dyn Store) {
    for job in ["api", "db", ""] {
        for instance in ["a", "b"] {
            write_floats(
                store,
                &labels(&[("__name__", "m"), ("job", job), ("instance", instance)]),
                &[(1000, 1.0)],
            );
        }
    }
}

fn matchers_find_the_right_series(store: &dyn Store) {
    fill_matrix(store);
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    type Condition = (MatchOp, &'static str, &'static str);
    let cases: &[(&[Condition], usize)] = &[
        (&[(Equal, "job", "api")], 2),
        (&[(Equal, "job", "")], 2),
        (&[(NotEqual, "job", "")], 4),
        (&[(NotEqual, "job", "api")], 4),
        (&[(Regex, "job", "api|db")], 4),
        (&[(Regex, "job", "a.*")], 2),
        (&[(Regex, "job", ".*")], 6),
        (&[(Regex, "job", ".+")], 4),
        (&[(Regex, "job", "|db")], 4),
        (&[(NotRegex, "job", "a.*")], 4),
        (&[(NotRegex, "job", "")], 4),
        (&[(Regex, "job", "(?i)API")], 2),
        (&[(Equal, "job", "db"), (Equal, "instance", "b")], 1),
        (&[(Equal, "job", "db"), (NotEqual, "instance", "b")], 1),
        (&[(Equal, "absent", "")], 6),
        (&[(NotEqual, "absent", "")], 0),
        (&[(Equal, "absent", "x")], 0),
    ];
    for (conditions, wanted) in cases {
        let mut matchers = named("m");
        matchers.extend(
            conditions
                .iter()
                .map(|(op, name, value)| matcher(*op, name, value)),
        );
        let found = select(store, matchers.clone(), TimeRange::ALL);
        assert_eq!(found.len(), *wanted, "{matchers:?}");
    }
}

fn ranges_are_closed_on_both_sides(store: &dyn Store) {
    let samples: Vec<(i64, f64)> = (0..300).map(|at| (at * 1000, at as f64)).collect();
    write_floats(store, &labels(&[("__name__", "t")]), &samples);
    for (start, end, wanted) in [
        (0, 0, 1),
        (5000, 7000, 3),
        (5001, 6999, 1),
        (-10, -1, 0),
        (299_000, 400_000, 1),
        (150_500, 150_600, 0),
    ] {
        let found = select(store, named("t"), TimeRange::new(start, end));
        let count: usize = found.iter().map(|(_, columns)| columns.len()).sum();
        assert_eq!(count, wanted, "{start} to {end}");
        assert!(found.iter().all(|(_, columns)| {
            columns
                .floats
                .times
                .iter()
                .all(|time| (start..=end).contains(time))
        }));
    }
}

fn sorted_cursors_are_sorted(store: &dyn Store) {
    for name in ["m", "c", "z", "a"] {
        write_floats(
            store,
            &labels(&[("__name__", "s"), ("n", name)]),
            &[(1000, 1.0)],
        );
    }
    let mut request = SelectRequest::new(named("s"), TimeRange::ALL);
    request.hints.sorted = true;
    let found = drain(block_on(store.select(request)).unwrap());
    let names: Vec<_> = found
        .iter()
        .map(|(labels, _)| labels.get("n").unwrap())
        .collect();
    assert_eq!(names, ["a", "c", "m", "z"]);
}

fn split_cursors_cover_every_series_once(store: &dyn Store) {
    for at in 0..25 {
        write_floats(
            store,
            &labels(&[("__name__", "p"), ("n", &at.to_string())]),
            &[(1000, f64::from(at))],
        );
    }
    for parts in [1, 2, 3, 7, 100] {
        let cursor =
            block_on(store.select(SelectRequest::new(named("p"), TimeRange::ALL))).unwrap();
        let split = cursor.split(parts);
        assert!(
            split.len() <= parts,
            "{} cursors for {parts} parts",
            split.len()
        );
        let mut values: Vec<f64> = split
            .into_iter()
            .flat_map(drain)
            .flat_map(|(_, columns)| columns.floats.values)
            .collect();
        values.sort_by(f64::total_cmp);
        assert_eq!(
            values,
            (0..25).map(f64::from).collect::<Vec<_>>(),
            "{parts} parts"
        );
    }
}

fn a_cursor_is_a_snapshot(store: &dyn Store) {
    let series = labels(&[("__name__", "snap")]);
    write_floats(store, &series, &[(1000, 1.0)]);
    let cursor = block_on(store.select(SelectRequest::new(named("snap"), TimeRange::ALL))).unwrap();
    let mut open = batch(store);
    let reference = open.series(&series).unwrap();
    open.append_float(reference, 2000, 2.0).unwrap();
    let found = drain(cursor);
    assert_eq!(
        found[0].1.floats.values,
        [1.0],
        "a sample that was never committed is never seen"
    );
    commit(open);
    assert_eq!(one(store, "snap").floats.values, [1.0, 2.0]);
}

fn chunks_hold_the_same_samples(store: &dyn Store) {
    let samples: Vec<(i64, f64)> = (0..400).map(|at| (at * 15_000, at as f64 * 0.5)).collect();
    write_floats(
        store,
        &labels(&[("__name__", "k"), ("kind", "float")]),
        &samples,
    );
    let mut open = batch(store);
    let series = open
        .series(&labels(&[("__name__", "k"), ("kind", "histogram")]))
        .unwrap();
    for at in 1..50 {
        // Not far behind the floats: a store may refuse what is an hour late.
        open.append(
            series,
            (at + 300) * 15_000,
            0,
            SampleValue::Histogram(&integer(at)),
        )
        .unwrap();
    }
    commit(open);
    let wanted = select(store, named("k"), TimeRange::ALL);
    let mut cursor =
        block_on(store.select_chunks(SelectRequest::new(named("k"), TimeRange::ALL))).unwrap();
    let mut chunks = Vec::new();
    for (labels, columns) in &wanted {
        assert_eq!(cursor.advance().unwrap().as_ref(), Some(labels));
        cursor.read(&mut chunks).unwrap();
        assert!(
            chunks
                .windows(2)
                .all(|pair| pair[0].min_time <= pair[1].min_time)
        );
        let mut decoded = SeriesColumns::default();
        for chunk in &chunks {
            decode(chunk.encoding, &chunk.data, TimeRange::ALL, &mut decoded).unwrap();
        }
        assert_eq!(decoded.floats, columns.floats);
        assert_eq!(decoded.histograms.times(), columns.histograms.times());
    }
    assert!(cursor.advance().unwrap().is_none());

    let narrow = SelectRequest::new(named("k"), TimeRange::new(0, 15_000));
    let mut cursor = block_on(store.select_chunks(narrow)).unwrap();
    while cursor.advance().unwrap().is_some() {
        cursor.read(&mut chunks).unwrap();
        assert!(
            chunks.iter().all(|chunk| chunk.min_time <= 15_000),
            "chunks outside the range stay away"
        );
    }
}

fn label_questions_are_answered(store: &dyn Store) {
    fill_matrix(store);
    let all = || LabelRequest::all(TimeRange::ALL);
    assert_eq!(
        block_on(store.label_names(all())).unwrap().values,
        ["__name__", "instance", "job"]
    );
    assert_eq!(
        block_on(store.label_values("job", all())).unwrap().values,
        ["api", "db"]
    );
    assert_eq!(block_on(store.series(all())).unwrap().values.len(), 6);
    let one_of = LabelRequest {
        matcher_sets: vec![
            vec![Matcher::equal("job", "api")],
            vec![Matcher::equal("instance", "a")],
        ],
        ..all()
    };
    assert_eq!(
        block_on(store.series(one_of.clone())).unwrap().values.len(),
        4
    );
    assert_eq!(
        block_on(store.label_values("job", one_of)).unwrap().values,
        ["api", "db"]
    );
    let limited = block_on(store.label_values("job", LabelRequest { limit: 1, ..all() })).unwrap();
    assert_eq!(
        (limited.values, limited.truncated),
        (vec!["api".to_owned()], true)
    );
    assert!(
        block_on(store.label_values("absent", all()))
            .unwrap()
            .values
            .is_empty()
    );
}

fn exemplars_come_back(store: &dyn Store) {
    let series = labels(&[("__name__", "e")]);
    let mut open = batch(store);
    let reference = open.series(&series).unwrap();
    open.append_float(reference, 1000, 1.0).unwrap();
    let exemplar = |time, id: &str| Exemplar {
        labels: labels(&[("trace_id", id)]),
        value: 0.5,
        time: Some(time),
    };
    open.exemplar(reference, &exemplar(1000, "x")).unwrap();
    open.exemplar(reference, &exemplar(2000, "y")).unwrap();
    commit(open);
    let mut open = batch(store);
    let reference = open.series(&series).unwrap();
    assert!(
        open.exemplar(reference, &exemplar(500, "w")).is_err(),
        "older than the newest"
    );
    open.rollback();
    let found = block_on(store.exemplars(vec![named("e")], TimeRange::new(0, 1500))).unwrap();
    assert_eq!(
        found,
        [ExemplarSeries {
            labels: series,
            exemplars: vec![exemplar(1000, "x")]
        }]
    );
    assert!(
        block_on(store.exemplars(vec![named("other")], TimeRange::ALL))
            .unwrap()
            .is_empty()
    );
}

fn metadata_comes_back(store: &dyn Store) {
    let series = labels(&[("__name__", "d_seconds")]);
    let metadata = |help: &str| Metadata {
        metric_type: MetricType::Counter,
        unit: "seconds".into(),
        help: help.into(),
    };
    for help in ["first", "second"] {
        let mut open = batch(store);
        let reference = open.series(&series).unwrap();
        open.metadata(reference, &metadata(help)).unwrap();
        commit(open);
    }
    write_floats(store, &series, &[(1000, 1.0)]);
    let found = block_on(store.series_metadata(named("d_seconds"), 0)).unwrap();
    assert_eq!(
        found,
        [MetadataEntry {
            labels: series,
            metadata: metadata("second")
        }]
    );
}

fn deleted_samples_are_gone(store: &dyn Store) {
    let samples: Vec<(i64, f64)> = (0..10).map(|at| (at * 1000, at as f64)).collect();
    for name in ["gone", "kept"] {
        write_floats(store, &labels(&[("__name__", name)]), &samples);
    }
    block_on(store.delete(named("gone"), TimeRange::new(2000, 7000))).unwrap();
    assert_eq!(one(store, "gone").floats.values, [0.0, 1.0, 8.0, 9.0]);
    assert_eq!(one(store, "kept").floats.len(), 10);
    let mut cursor =
        block_on(store.select_chunks(SelectRequest::new(named("gone"), TimeRange::ALL))).unwrap();
    let mut chunks = Vec::new();
    let mut decoded = SeriesColumns::default();
    while cursor.advance().unwrap().is_some() {
        cursor.read(&mut chunks).unwrap();
        for chunk in &chunks {
            decode(chunk.encoding, &chunk.data, TimeRange::ALL, &mut decoded).unwrap();
        }
    }
    assert_eq!(
        decoded.floats.values,
        [0.0, 1.0, 8.0, 9.0],
        "deleted samples are in no chunk"
    );
}

/// A store whose answers take a while, as those of another machine do: every opening is polled
/// several times before it is there.
#[derive(Debug)]
pub struct Slow<S>(pub Arc<S>);

/// Answers `Pending` some times, waking itself each time.
struct Delay(u32);

impl Future for Delay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

fn delayed<'a, T: 'a>(answer: BoxFuture<'a, Result<T>>) -> BoxFuture<'a, Result<T>> {
    Box::pin(async move {
        Delay(3).await;
        answer.await
    })
}

impl<S: Append> Append for Slow<S> {
    fn appender(&self, options: AppendOptions) -> Result<Box<dyn Appender + '_>> {
        self.0.appender(options)
    }
}

impl<S: Select> Select for Slow<S> {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<Box<dyn SeriesCursor>>> {
        delayed(self.0.select(request))
    }
}

impl<S: SelectChunks> SelectChunks for Slow<S> {
    fn select_chunks(&self, request: SelectRequest) -> BoxFuture<'_, Result<Box<dyn ChunkCursor>>> {
        delayed(self.0.select_chunks(request))
    }
}

impl<S: LabelQueries> LabelQueries for Slow<S> {
    fn label_names(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
        delayed(self.0.label_names(request))
    }

    fn label_values(
        &self,
        name: &str,
        request: LabelRequest,
    ) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
        delayed(self.0.label_values(name, request))
    }

    fn series(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<Labels>>> {
        delayed(self.0.series(request))
    }
}

impl<S: SelectExemplars> SelectExemplars for Slow<S> {
    fn exemplars(
        &self,
        matcher_sets: Vec<Vec<Matcher>>,
        range: TimeRange,
    ) -> BoxFuture<'_, Result<Vec<ExemplarSeries>>> {
        delayed(self.0.exemplars(matcher_sets, range))
    }
}

impl<S: MetadataStore> MetadataStore for Slow<S> {
    fn series_metadata(
        &self,
        matchers: Vec<Matcher>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<MetadataEntry>>> {
        delayed(self.0.series_metadata(matchers, limit))
    }
}

impl<S: Delete> Delete for Slow<S> {
    fn delete(&self, matchers: Vec<Matcher>, range: TimeRange) -> BoxFuture<'_, Result<()>> {
        delayed(self.0.delete(matchers, range))
    }
}
