//! What is written to an index comes back, and what is damaged is found.

use std::collections::BTreeSet;

use headwater_model::Labels;
use proptest::prelude::*;

use super::{ChunkMeta, Index, IndexWriteError, IndexWriter, SERIES_ALIGN};
use crate::error::Cause;

type Series = (Labels, Vec<ChunkMeta>);

fn write(series: &[Series], take_every: usize) -> Vec<u8> {
    let texts = series
        .iter()
        .flat_map(|(labels, _)| labels.iter().flat_map(|(name, value)| [name, value]));
    let symbols: BTreeSet<&str> = texts.collect();
    let mut writer = IndexWriter::new(symbols).unwrap();
    let mut file = Vec::new();
    for (at, (labels, chunks)) in series.iter().enumerate() {
        writer.add_series(labels, chunks).unwrap();
        if at % take_every == 0 {
            file.extend(writer.take());
        }
    }
    file.extend(writer.finish().unwrap());
    file
}

fn chunk(min_time: i64, max_time: i64, reference: u64) -> ChunkMeta {
    ChunkMeta {
        min_time,
        max_time,
        reference,
    }
}

fn small() -> Vec<Series> {
    let chunks = vec![
        chunk(-10, 5, 8),
        chunk(6, 6, 1 << 32 | 8),
        chunk(90, 100, 50),
    ];
    vec![
        (
            Labels::from_pairs([("__name__", "a"), ("x", "1")]),
            chunks.clone(),
        ),
        (Labels::from_pairs([("__name__", "a"), ("x", "2")]), vec![]),
        (Labels::from_pairs([("__name__", "b")]), chunks),
    ]
}

fn check(file: &[u8], series: &[Series]) {
    let index = Index::open(file).unwrap();
    let all = index.all_postings().unwrap();
    assert_eq!(all.len(), series.len());
    let (mut labels, mut chunks) = (Vec::new(), Vec::new());
    for (reference, (expected, expected_chunks)) in all.iter().zip(series) {
        index
            .series(reference)
            .unwrap()
            .read_into(&mut labels, &mut chunks)
            .unwrap();
        assert_eq!(&Labels::from_pairs(labels.iter().copied()), expected);
        assert_eq!(&chunks, expected_chunks);
        for (name, value) in expected {
            assert!(
                index
                    .postings(name, value)
                    .unwrap()
                    .iter()
                    .any(|it| it == reference)
            );
        }
    }
    let names: BTreeSet<&str> = series
        .iter()
        .flat_map(|(labels, _)| labels.iter().map(|(name, _)| name))
        .collect();
    assert_eq!(
        index.label_names().collect::<Vec<_>>(),
        names.iter().copied().collect::<Vec<_>>()
    );
    for name in names {
        let values: BTreeSet<&str> = series
            .iter()
            .filter_map(|(labels, _)| labels.get(name))
            .collect();
        assert_eq!(index.label_values(name).collect::<BTreeSet<_>>(), values);
        assert_eq!(index.label_value_count(name), values.len());
        let mut with_postings = index.label_values(name);
        let mut total = 0;
        while let Some((_, postings)) = with_postings.next_postings() {
            total += postings.unwrap().len();
        }
        assert_eq!(
            total,
            series.iter().filter(|(labels, _)| labels.has(name)).count()
        );
    }
}

#[test]
fn an_index_comes_back() {
    let file = write(&small(), 1);
    check(&file, &small());
    let mut version_3 = file.clone();
    version_3[4] = 3;
    check(&version_3, &small());
    let index = Index::open(&file[..]).unwrap();
    assert_eq!((index.version(), index.symbol_count()), (2, 6));
    assert_eq!(
        index.symbols().collect::<Vec<_>>(),
        ["1", "2", "__name__", "a", "b", "x"]
    );
    assert_eq!(index.find_symbol("b").unwrap(), Some(4));
    assert_eq!(
        (
            index.find_symbol("c").unwrap(),
            index.find_symbol("").unwrap()
        ),
        (None, None)
    );
    assert!(index.postings("x", "3").unwrap().is_empty());
    assert!(index.postings("y", "1").unwrap().is_empty());
    assert_eq!(
        index.label_values_from("x", "11").collect::<Vec<_>>(),
        ["2"]
    );
    assert!(index.series(0).is_err() && index.series(u32::MAX).is_err());
}

#[test]
fn many_values_are_found_between_the_sampled_ones() {
    let series: Vec<Series> = (0..1000)
        .map(|at| {
            (
                Labels::from_pairs([("n", format!("{at:04}"))]),
                vec![chunk(at, at + 1, at as u64)],
            )
        })
        .collect();
    let file = write(&series, 7);
    check(&file, &series);
    let index = Index::open(&file[..]).unwrap();
    assert!(index.heap_bytes() < 2000);
    assert_eq!(index.label_values_from("n", "0990").count(), 10);
    let mut values = index.label_values("n");
    assert_eq!(
        values
            .next_postings_if(|value| value.ends_with("77"))
            .unwrap()
            .0,
        "0077"
    );
}

#[test]
fn an_empty_index_is_sound() {
    let file = IndexWriter::new([]).unwrap().finish().unwrap();
    check(&file, &[]);
}

#[test]
fn order_is_checked() {
    assert_eq!(
        IndexWriter::new(["b", "a"]).unwrap_err(),
        IndexWriteError::SymbolOrder("a".into())
    );
    assert!(IndexWriter::new(["a", "a"]).is_err());
    let mut writer = IndexWriter::new(["a", "b"]).unwrap();
    let error = writer
        .add_series(&Labels::from_pairs([("a", "c")]), &[])
        .unwrap_err();
    assert_eq!(error, IndexWriteError::UnknownSymbol("c".into()));
    writer
        .add_series(&Labels::from_pairs([("a", "b")]), &[])
        .unwrap();
    let error = writer
        .add_series(&Labels::from_pairs([("a", "b")]), &[])
        .unwrap_err();
    assert_eq!(error, IndexWriteError::SeriesOrder(r#"{a="b"}"#.into()));
    assert!(writer.add_series_symbols(&[(1, 2)], &[]).is_err());
}

#[test]
fn every_flipped_bit_is_found_or_harmless() {
    let whole = write(&small(), 1);
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut file = whole.clone();
            file[at] ^= 1 << bit;
            let Ok(index) = Index::open(&file[..]) else {
                continue;
            };
            let Ok(all) = index.all_postings() else {
                continue;
            };
            assert_eq!(all.len(), 3, "byte {at}");
            let (mut labels, mut chunks) = (Vec::new(), Vec::new());
            for (reference, (expected, expected_chunks)) in all.iter().zip(small()) {
                let read = index
                    .series(reference)
                    .and_then(|it| it.read_into(&mut labels, &mut chunks));
                if read.is_ok() {
                    assert_eq!(Labels::from_pairs(labels.iter().copied()), expected);
                    assert_eq!(chunks, expected_chunks);
                }
            }
        }
    }
    assert!((0..whole.len()).all(|len| Index::open(&whole[..len]).is_err()));
}

#[test]
fn faults_name_their_place() {
    let mut file = write(&small(), 1);
    let index = Index::open(&file[..]).unwrap();
    let first = index.all_postings().unwrap().get(0).unwrap();
    let at = first as usize * SERIES_ALIGN + 2;
    file[at] ^= 1;
    let error = Index::open(&file[..])
        .unwrap()
        .series(first)
        .map(|_| ())
        .unwrap_err();
    assert_eq!((error.part, error.offset), ("index", at - 1));
    assert!(matches!(error.cause, Cause::Checksum { .. }));
}

proptest! {
    #[test]
    fn any_index_comes_back(
        series in proptest::collection::btree_map(
            proptest::collection::btree_map("[a-d]{0,2}[x-z]", "[a-c]{1,3}", 0..4),
            proptest::collection::vec((0i64..100, 0i64..100, any::<u64>()), 0..4),
            0..60,
        ),
        take_every in 1usize..9,
    ) {
        let mut series: Vec<Series> = series.into_iter().map(|(labels, steps)| {
            let mut time = -50;
            let chunks = steps.into_iter().map(|(gap, span, reference)| {
                let min_time = time + gap;
                time = min_time + span;
                chunk(min_time, time, reference)
            });
            (Labels::from_pairs(&labels), chunks.collect())
        }).collect();
        series.sort_by(|(a, _), (b, _)| a.cmp(b));
        check(&write(&series, take_every), &series);
    }

    #[test]
    fn any_bytes_are_refused(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut file = vec![0xba, 0xaa, 0xd7, 0, 2];
        file.extend(data);
        prop_assert!(Index::open(&file[..]).is_err());
    }
}
