//! The one place that knows which YAML library is used, and how it has to be set up.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use serde_saphyr::Error as Library;

use crate::{Error, Position};

/// The largest document that is read, in bytes. A file of service discovery may hold some hundred
/// thousand targets; anything beyond this is not a settings file.
pub const MAX_DOCUMENT_BYTES: u64 = 256 << 20;

/// Reads a document. An empty one gives what an empty mapping gives.
///
/// # Errors
/// Broken YAML, and values that `T` refuses, each with line and column.
pub fn from_str<T: DeserializeOwned + Default>(text: &str) -> Result<T, Error> {
    serde_saphyr::from_str_with_options::<Option<T>>(text, options())
        .map(Option::unwrap_or_default)
        .map_err(translate)
}

/// Reads a file, see [`from_str`].
///
/// # Errors
/// As [`from_str`], and when the file cannot be read, is not UTF-8 or is larger than
/// [`MAX_DOCUMENT_BYTES`].
pub fn from_file<T: DeserializeOwned + Default>(path: &Path) -> Result<T, Error> {
    let unreadable = |error| Error::unreadable(path, error);
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_DOCUMENT_BYTES {
        let message = format!("is {size} bytes long, the limit is {MAX_DOCUMENT_BYTES}");
        return Err(Error::new(message).in_file(path));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    from_str(&text).map_err(|error| error.in_file(path))
}

/// Prints settings as YAML.
///
/// # Errors
/// When a value cannot be written as YAML, which is a defect of its type.
pub fn to_string<T: Serialize>(settings: &T) -> Result<String, Error> {
    serde_saphyr::to_string(settings).map_err(|error| Error::new(error.to_string()))
}

/// The library's limit on nodes would refuse large but honest files, and its octal and snippet
/// defaults differ from what users of Go's YAML know.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: None,
        legacy_octal_numbers: true,
        with_snippet: false,
    }
}

fn translate(error: Library) -> Error {
    let position = error.location().map(|at| Position {
        line: at.line(),
        column: at.column(),
    });
    let message = match error.without_snippet() {
        Library::Message { msg, .. } => msg.clone(),
        Library::SerdeUnknownField { field, .. } if field.starts_with('"') => {
            format!("unknown key {field}")
        }
        Library::SerdeUnknownField { field, .. } => field.clone(),
        Library::BinaryNotUtf8 { .. } | Library::InvalidBinaryBase64 { .. } => {
            "the !!binary value does not hold UTF-8 text".to_owned()
        }
        Library::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key {key:?} is given twice")
        }
        Library::Unexpected { expected, .. } => format!("expected {}", in_words(expected)),
        other => without_place(&other.to_string()).to_owned(),
    };
    Error::new(message).at(position)
}

fn in_words(expected: &str) -> &str {
    match expected {
        "mapping start" => "a mapping",
        "sequence start" => "a list",
        "string scalar" => "a text",
        other => other,
    }
}

/// The library ends its messages with the place, ours begin with it.
fn without_place(message: &str) -> &str {
    message
        .rfind(" at line ")
        .map_or(message, |end| &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    crate::settings! {
        #[derive(Debug, PartialEq)]
        struct Outer {
            number: u32 = 3,
            list: Vec<Inner>,
            on: bool,
            text: String,
            map: BTreeMap<String, String>,
        }
        inline { shared: Shared }
        check(|outer: &mut Outer| match outer.number {
            0 => Err("number must not be zero".into()),
            _ => Ok(()),
        })
    }
    crate::settings! {
        #[derive(Debug, PartialEq)]
        struct Inner { name: String, hold: u8 as "for" => always }
        check(|inner: &mut Inner| match inner.name.as_str() {
            "" => Err("name is empty".into()),
            _ => Ok(()),
        })
    }
    crate::settings! {
        #[derive(Debug, PartialEq)]
        struct Shared { url: String, follow: bool = true => always }
    }

    fn refused(text: &str) -> String {
        from_str::<Outer>(text).unwrap_err().to_string()
    }

    #[test]
    fn reads_what_go_reads() {
        let outer: Outer = from_str(
            "text: 15\nurl: true\nnumber: 017\non: yes\nlist:\n- name: a\n  for: 2\n- {name: b}\nmap:\n  k: 1.50\n",
        )
        .unwrap();
        assert_eq!(
            (outer.text.as_str(), outer.shared.url.as_str()),
            ("15", "true")
        );
        assert_eq!((outer.number, outer.on, outer.list.len()), (15, true, 2));
        assert_eq!(outer.map["k"], "1.50");
        assert_eq!(outer.list[0].hold, 2);
    }

    #[test]
    fn nothing_after_the_colon_is_the_default() {
        let outer: Outer = from_str("number:\nlist:\ntext: ~\nfollow: null\n").unwrap();
        assert_eq!(outer, Outer::default());
        assert_eq!(from_str::<Outer>("").unwrap(), Outer::default());
        assert_eq!(
            from_str::<Outer>("# only words\n").unwrap(),
            Outer::default()
        );
    }

    #[test]
    fn anchors_and_merges_work() {
        let outer: Outer =
            from_str("list:\n- &a {name: a, for: 1}\n- {<<: *a, name: b}\n- *a\n").unwrap();
        assert_eq!(
            outer.list[1],
            Inner {
                name: "b".into(),
                hold: 1
            }
        );
        assert_eq!(outer.list[2].name, "a");
    }

    #[test]
    fn errors_name_the_place() {
        let cases = [
            (
                "number: 1\nlst: []\n",
                "line 2, column 1: unknown key \"lst\", did you mean \"list\"?",
            ),
            (
                "list:\n- name: a\n  nmae: b\n",
                "line 3, column 3: unknown key \"nmae\", did you mean \"name\"?",
            ),
            ("xyzzyq: []\n", "line 1, column 1: unknown key \"xyzzyq\""),
            (
                "fllow: x\n",
                "line 1, column 1: unknown key \"fllow\", did you mean \"follow\"?",
            ),
            ("number: 0\n", "number must not be zero"),
            (
                "on: yes\nlist:\n- for: 1\n",
                "line 3, column 3: name is empty",
            ),
            ("text: [", "line 1, column 7: expected a text"),
            ("number: a", "line 1, column 9: invalid u32"),
            ("text: {a: b}", "line 1, column 7: expected a text"),
            (
                "number: 1\nnumber: 2\n",
                "line 2, column 1: the key \"number\" is given twice",
            ),
            ("- 1", "line 1, column 1: expected a mapping"),
            (
                "text: *a",
                "line 1, column 7: alias references unknown anchor",
            ),
        ];
        for (text, want) in cases {
            assert_eq!(refused(text), want, "{text:?}");
        }
    }

    #[test]
    fn prints_what_is_set() {
        let outer: Outer = from_str("text: a\nlist: [{name: b}]\n").unwrap();
        assert_eq!(
            to_string(&outer).unwrap(),
            "number: 3\nlist:\n- name: b\n  for: 0\ntext: a\nfollow: true\n"
        );
    }
}
