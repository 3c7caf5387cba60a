#![doc = include_str!("../README.md")]

mod error;
mod parse;
mod paths;
mod placed;
mod settings;
mod values;

pub use error::{Error, Position};
pub use parse::{MAX_DOCUMENT_BYTES, from_file, from_str, to_string};
pub use paths::resolve;
pub use placed::Placed;
pub use settings::{Empty, Fields, deserialize, put_field, refused_key, serialize, value};

pub use values::{Duration, Size, SizeError};

#[doc(hidden)]
pub use serde;

/// The known key that was probably meant by `key`, if one is close enough.
#[must_use]
pub fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let longest = key.chars().count().max(3);
    known
        .map(|name| (strsim::damerau_levenshtein(key, name), name))
        .filter(|(distance, _)| *distance <= longest / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
