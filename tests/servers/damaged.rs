//! A server on blocks that are damaged: it starts, serves what is sound, and says what is not.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use headwater_tests::process::{Server, program};
use headwater_tests::{api, eventually, peer};

const BASE: i64 = 1_767_225_600;

/// Blocks of two hours each, made by promtool; their directories, oldest first.
fn blocks(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut text = String::new();
    for at in 0..720i64 {
        for n in 0..5 {
            writeln!(text, "m{{n=\"{n}\"}} {at} {}", BASE + at * 30).unwrap();
        }
    }
    text += "# EOF\n";
    fs::write(folder.join("input.om"), text).unwrap();
    let (input, data) = (folder.join("input.om"), folder.join("data"));
    let arguments = ["tsdb", "create-blocks-from", "openmetrics", "-q"];
    let paths = [input.to_str().unwrap(), data.to_str().unwrap()];
    let made = peer::run(&program("promtool"), &[&arguments[..], &paths].concat());
    assert!(made.status.success(), "{made:?}");
    let mut blocks: Vec<(i64, PathBuf)> = fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|dir| {
            let meta = fs::read(dir.join("meta.json")).unwrap();
            let meta: serde_json::Value = serde_json::from_slice(&meta).unwrap();
            (meta["minTime"].as_i64().unwrap(), dir)
        })
        .collect();
    blocks.sort();
    blocks.into_iter().map(|(_, dir)| dir).collect()
}

#[test]
fn damaged_blocks_are_served_in_part_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prometheus.yml"), "{}\n").unwrap();
    let blocks = blocks(folder.path());
    assert_eq!(blocks.len(), 3);
    let symbols = blocks[0].join("index");
    let mut bytes = fs::read(&symbols).unwrap();
    bytes[15] ^= 0x20;
    fs::write(&symbols, bytes).unwrap();
    fs::remove_file(blocks[1].join("index")).unwrap();
    let server = Server::prometheus(folder.path(), &["--storage.tsdb.retention.time=100y"]);
    let end = (BASE + 6 * 3600) as f64;
    let counts = api::vector(&api::query(
        &server.url,
        "sum(count_over_time(m[7h]))",
        Some(end),
    ));
    assert_eq!(
        counts.into_values().collect::<Vec<_>>(),
        [(2 * 5 * 240) as f64]
    );
    let names = api::vector(&api::query(
        &server.url,
        "count by (n) (m)",
        Some(end - 5.0 * 3600.0),
    ));
    assert_eq!(names.len(), 5, "{names:?}");
    let told = api::get(&format!("{}/api/v1/status/tsdb/damaged_blocks", server.url)).unwrap();
    let told = told.json();
    let told = told["data"]["damagedBlocks"].as_array().unwrap();
    let of = |dir: &PathBuf| {
        let name = dir.file_name().unwrap().to_str().unwrap();
        told.iter().find(|block| block["ulid"] == name).unwrap()
    };
    assert_eq!(told.len(), 2, "{told:?}");
    let (saved, gone) = (of(&blocks[0]), of(&blocks[1]));
    assert_eq!(
        (&saved["served"], &saved["numSeries"]),
        (&true.into(), &5.into()),
        "{saved}"
    );
    assert_eq!(saved["lostSeries"], 0, "{saved}");
    assert_eq!(gone["served"], false, "{gone}");
    assert!(
        gone["damage"][0].as_str().unwrap().contains("index"),
        "{gone}"
    );
    let metrics = api::get(&format!("{}/metrics", server.url)).unwrap().body;
    for line in [
        "headwater_tsdb_blocks_damaged 1",
        "headwater_tsdb_blocks_unserved 1",
        "headwater_tsdb_blocks_lost_series 0",
        "headwater_tsdb_blocks_damaged_chunks 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}");
    }
    eventually("the log names both", || {
        let log = server.process.output();
        let names = |dir: &PathBuf| log.contains(dir.file_name().unwrap().to_str().unwrap());
        (names(&blocks[0]) && names(&blocks[1])).then_some(())
    });
}
