//! What there is most of.

use headwater_env::Env;
use headwater_tsdb::{Cardinality, TopEntry};

use crate::support::{batch, builder, commit, labels};

fn entries(list: &[TopEntry]) -> Vec<(&str, u64)> {
    list.iter()
        .map(|entry| (entry.name.as_str(), entry.value))
        .collect()
}

fn check_counts(found: &Cardinality) {
    assert_eq!(entries(&found.series_by_metric), [("many", 9), ("long", 2)]);
    assert_eq!(entries(&found.values_by_label), [("n", 9), ("__name__", 2)]);
    // Four letters each time; the digits of the numbers.
    assert_eq!(
        entries(&found.bytes_by_label),
        [("__name__", 44), ("n", 11)]
    );
    let pairs = entries(&found.series_by_pair);
    assert_eq!(pairs, [("__name__=many", 9), ("__name__=long", 2)]);
}

fn names(list: &[TopEntry]) -> Vec<&str> {
    list.iter().map(|entry| entry.name.as_str()).collect()
}

#[test]
fn series_and_bytes_are_counted_in_head_and_blocks() {
    let db = builder("data", Env::in_memory(1)).open().unwrap();
    for round in 0..400i64 {
        let mut batch = batch(&db);
        // Two series with values that take room, nine that are begun only.
        for n in 0..if round == 0 { 9 } else { 0 } {
            let name = labels(&[("__name__", "many"), ("n", &n.to_string())]);
            let series = batch.series(&name).unwrap();
            batch.append_float(series, round * 15_000, 1.0).unwrap();
        }
        for n in 0..2 {
            let name = labels(&[("__name__", "long"), ("n", &n.to_string())]);
            let series = batch.series(&name).unwrap();
            let value = (round as f64 * 0.7).sin();
            batch.append_float(series, round * 15_000, value).unwrap();
        }
        commit(batch);
    }
    let head = db.cardinality(2);
    check_counts(&head);
    assert_eq!(names(&head.bytes_by_metric), ["long", "many"]);
    assert_eq!(head.bytes_by_pair[0].name, "__name__=long");
    let of_long = head.bytes_by_metric[0].value;
    assert!((2 * 400 * 7..2 * 400 * 12).contains(&of_long), "{of_long}");

    db.flush_before(i64::MAX).unwrap();
    let [block] = &db.blocks()[..] else {
        panic!("one block");
    };
    let found = db.block_cardinality(&block.ulid, 2).unwrap();
    check_counts(&found);
    assert_eq!(names(&found.bytes_by_metric), ["long", "many"]);
    let of_long = found.bytes_by_metric[0].value;
    assert!((2 * 400 * 6..2 * 400 * 9).contains(&of_long), "{of_long}");
    let pair = &found.bytes_by_pair[0];
    assert_eq!((&*pair.name, pair.value), ("__name__=long", of_long));
    assert!(db.block_cardinality("none", 2).is_err());
}
