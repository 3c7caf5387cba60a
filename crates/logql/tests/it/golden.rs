//! Queries and answers recorded from Loki, read from the corpora in place.

use std::io::Read;
use std::path::{Path, PathBuf};

use headwater_logql::{Engine, parse};
use serde_json::Value;

/// A folder of the corpora, or `None` (with a note) if there is none.
pub(crate) fn corpora(name: &str) -> Option<PathBuf> {
    let corpora = std::env::var("HEADWATER_CORPORA").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"),
        PathBuf::from,
    );
    let folder = corpora.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    let strict = std::env::var("HEADWATER_STRICT").is_ok();
    assert!(!strict, "no corpora at {}", folder.display());
    println!("skipped: no corpora at {}", folder.display());
    None
}

pub(crate) struct Case {
    pub(crate) tag: String,
    pub(crate) path: String,
    pub(crate) params: Value,
    pub(crate) headers: Value,
    pub(crate) compare: String,
    pub(crate) query: String,
    pub(crate) status: u64,
    pub(crate) body: Value,
}

/// The text of a compressed file.
pub(crate) fn gunzip(path: &Path) -> String {
    let file = std::fs::File::open(path).expect("the file opens");
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(file);
    decoder.read_to_string(&mut text).expect("the file is gzip");
    text
}

pub(crate) fn cases() -> Vec<Case> {
    let Some(folder) = corpora("loki/golden") else {
        return Vec::new();
    };
    let text = std::fs::read_to_string(folder.join("queries.json")).expect("queries.json");
    let queries: Vec<Value> = serde_json::from_str(&text).expect("queries.json is JSON");
    let by_id = |id: &Value| queries.iter().find(|q| q["id"] == *id).expect("a known id");
    let text = gunzip(&folder.join("responses.ndjson.gz"));
    let responses = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"));
    responses
        .filter_map(|response: Value| {
            let query = by_id(&response["id"]);
            Some(Case {
                tag: query["tag"].as_str()?.to_owned(),
                path: query["path"].as_str()?.to_owned(),
                params: query["params"].clone(),
                headers: query["headers"].clone(),
                compare: response["compare"].as_str().unwrap_or_default().to_owned(),
                query: query["params"]["query"].as_str()?.to_owned(),
                status: response["status"].as_u64()?,
                body: response["body"].clone(),
            })
        })
        .collect()
}

#[test]
fn parses_what_loki_parses() {
    let mut wrong = Vec::new();
    for case in cases() {
        if case.status == 200
            && !case.tag.starts_with("parse-error")
            && !case.path.contains("/index/")
            && let Err(e) = parse(&case.query)
        {
            wrong.push(format!("{}: {}: {e}", case.tag, case.query));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn refuses_with_lokis_words() {
    let mut wrong = Vec::new();
    for case in cases() {
        let Some(want) = case.body.as_str().filter(|b| b.starts_with("parse error")) else {
            continue;
        };
        let got = Engine::check(&case.query).map(|e| e.to_string());
        if got.as_ref().err().map(|e| e.to_string()).as_deref() != Some(want) {
            wrong.push(format!(
                "{}: {}\n  want {want}\n  got  {got:?}",
                case.tag, case.query
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn prints_as_loki_prints() {
    let mut wrong = Vec::new();
    for case in cases() {
        let (Some(want), true) = (
            case.body["data"].as_str(),
            case.path.ends_with("format_query"),
        ) else {
            continue;
        };
        let got = parse(&case.query).map(|e| e.pretty());
        if got.as_deref() != Ok(want) {
            wrong.push(format!("{}\n  want {want}\n  got  {got:?}", case.query));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn printing_loses_nothing() {
    for case in cases() {
        if let Ok(expr) = parse(&case.query) {
            let printed = expr.to_string();
            let again = parse(&printed).unwrap_or_else(|e| panic!("{printed}: {e}"));
            assert_eq!(again.to_string(), printed, "{}", case.query);
        }
    }
}
