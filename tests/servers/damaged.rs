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

/// A server with two damaged blocks of three; the directories of its blocks.
fn damaged_store(folder: &std::path::Path) -> Vec<PathBuf> {
    fs::write(folder.join("prometheus.yml"), "{}\n").unwrap();
    let blocks = blocks(folder);
    let chunks = blocks[0].join("chunks/000001");
    let mut bytes = fs::read(&chunks).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    fs::write(&chunks, bytes).unwrap();
    fs::remove_file(blocks[1].join("index")).unwrap();
    blocks
}

fn aside(dir: &std::path::Path) -> PathBuf {
    PathBuf::from(format!("{}.damaged", dir.display()))
}

#[test]
fn blocks_are_mended_through_the_admin_api() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = damaged_store(folder.path());
    let flags = [
        "--storage.tsdb.retention.time=100y",
        "--web.enable-admin-api",
    ];
    let server = Server::prometheus(folder.path(), &flags);
    let counted = |server: &Server| {
        let end = (BASE + 6 * 3600) as f64;
        let all = "sum(count_over_time(m[7h]))";
        let counts = api::vector(&api::query(&server.url, all, Some(end)));
        counts.into_values().next().unwrap()
    };
    let before = counted(&server);
    let url = format!("{}/api/v1/admin/tsdb/mend_blocks", server.url);
    let unknown = api::post(&url, &[("block", "01ARZ3NDEKTSV4RRFFQ69G5FAV")]).unwrap();
    let failed = &unknown.json()["data"]["failed"];
    assert_eq!(failed.as_array().unwrap().len(), 1, "{}", unknown.body);
    assert_eq!(
        api::post(&url, &[("verify", "perhaps")]).unwrap().status,
        400
    );
    let answer = api::post(&url, &[("verify", "true")]).unwrap();
    let told = answer.json();
    let mended = told["data"]["mended"].as_array().unwrap();
    assert_eq!(mended.len(), 2, "{}", answer.body);
    let of = |dir: &PathBuf| {
        let name = dir.file_name().unwrap().to_str().unwrap();
        mended.iter().find(|block| block["ulid"] == name).unwrap()
    };
    let (saved, gone) = (of(&blocks[0]), of(&blocks[1]));
    assert_eq!(
        (&saved["lostChunks"], &saved["numSeries"]),
        (&1.into(), &5.into())
    );
    assert!(gone["replacedBy"].is_null(), "{gone}");
    for dir in &blocks[..2] {
        assert!(!dir.exists() && aside(dir).is_dir(), "{}", dir.display());
    }
    assert_eq!(counted(&server), before);
    let url = format!("{}/api/v1/status/tsdb/damaged_blocks", server.url);
    let told = api::get(&url).unwrap().json();
    assert_eq!(told["data"]["damagedBlocks"], serde_json::json!([]));
    drop(server);
    let server = Server::prometheus(folder.path(), &flags[..1]);
    assert_eq!(counted(&server), before);
    let off = api::post(
        &format!("{}/api/v1/admin/tsdb/mend_blocks", server.url),
        &[],
    )
    .unwrap();
    assert!(off.body.contains("disabled"), "{}", off.body);
}

#[test]
fn promtool_mends_what_the_original_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = damaged_store(folder.path());
    let data = folder.path().join("data");
    let tool = program("promtool");
    let mend = |more: &[&str]| {
        let arguments = [&["tsdb", "mend"], more, &[data.to_str().unwrap()]].concat();
        let done = peer::run(&tool, &arguments);
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        (done.status.code(), text)
    };
    let (code, text) = mend(&["--dry-run"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.matches("is damaged\n").count() == 2 && blocks[0].is_dir(),
        "{text}"
    );
    // Only those that are named.
    let named = |name: &str| {
        let arguments = ["tsdb", "mend", data.to_str().unwrap(), name];
        let done = peer::run(&tool, &arguments);
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stdout).into_owned(),
        )
    };
    let sound = blocks[2].file_name().unwrap().to_str().unwrap();
    assert_eq!(named(sound), (Some(0), "nothing is damaged\n".to_owned()));
    assert_eq!(named("01ARZ3NDEKTSV4RRFFQ69G5FAV").0, Some(1));
    assert!(blocks[0].is_dir() && blocks[1].is_dir());
    let (code, text) = mend(&[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("replaces it") && text.contains("nothing of it"),
        "{text}"
    );
    assert!(aside(&blocks[0]).is_dir() && aside(&blocks[1]).is_dir());
    assert_eq!(mend(&[]), (Some(0), "nothing is damaged\n".to_owned()));
    let Some(original) = peer::find("promtool") else {
        return;
    };
    let list = peer::run(&original, &["tsdb", "list", data.to_str().unwrap()]);
    let list = String::from_utf8_lossy(&list.stdout);
    assert_eq!(
        list.lines().count(),
        3,
        "a line of titles and two blocks: {list}"
    );
}
