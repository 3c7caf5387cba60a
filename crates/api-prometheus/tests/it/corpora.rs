//! Where the recorded exchanges lie.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// One exchange with the original.
pub(crate) struct Exchange {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) status: u16,
    pub(crate) answer_headers: Value,
    pub(crate) json: Option<Value>,
    pub(crate) text: Option<String>,
    /// The body, where it is recorded byte by byte.
    pub(crate) answer_bytes: Vec<u8>,
}

/// A file or folder of the corpora, or `None` (and a line that says so) if it is not there.
pub(crate) fn file(name: &str) -> Option<PathBuf> {
    let here = || {
        PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../shared/corpora"
        ))
    };
    let root = std::env::var_os("HEADWATER_CORPORA").map_or_else(here, PathBuf::from);
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    let strict = std::env::var("HEADWATER_STRICT").is_ok_and(|value| value == "1");
    assert!(!strict, "no corpora at {}", path.display());
    println!("skipped: no corpora at {}", path.display());
    None
}

/// All exchanges.
pub(crate) fn exchanges() -> Option<Vec<Exchange>> {
    let folder = file("prometheus/api")?;
    let entries = std::fs::read_dir(&folder).expect("a readable folder");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder").path())
        .collect();
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".json") && name.starts_with(|c: char| c.is_ascii_digit())
    });
    paths.sort();
    Some(paths.iter().map(|path| read(path)).collect())
}

fn read(path: &std::path::Path) -> Exchange {
    let text = std::fs::read_to_string(path).expect("a readable file");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    let request = &value["request"];
    let string = |value: &Value| value.as_str().map(str::to_owned);
    let headers = request["headers"].as_object().into_iter().flatten();
    Exchange {
        id: path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        method: string(&request["method"]).expect("a method"),
        path: string(&request["path"]).expect("a path"),
        headers: headers
            .map(|(name, value)| (name.clone(), string(value).unwrap_or_default()))
            .collect(),
        body: string(&request["body"])
            .map(String::into_bytes)
            .or_else(|| bytes(&request["body_base64"])),
        status: value["status"]
            .as_u64()
            .and_then(|n| n.try_into().ok())
            .expect("a status"),
        answer_headers: value["headers"].clone(),
        json: value.get("body").cloned(),
        text: string(&value["body_text"]).or_else(|| string(&value["body_after_decoding_text"])),
        answer_bytes: bytes(&value["body_base64"]).unwrap_or_default(),
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str()?;
    Some(STANDARD.decode(text).expect("base64"))
}
