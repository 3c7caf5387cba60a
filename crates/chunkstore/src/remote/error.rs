//! Names and failures, translated.

use headwater_storage::{Error, ErrorKind, Result};
use object_store::path::Path;

pub(super) fn path(name: &str) -> Result<Path> {
    Path::parse(name).map_err(|error| failed("cannot name", name)(error.into()))
}

/// A failure of the store in the words of this one.
pub(super) fn failed(what: &str, name: &str) -> impl Fn(object_store::Error) -> Error + use<> {
    let (what, name) = (what.to_owned(), name.to_owned());
    move |error| {
        let text = format!("{what} object {name}: {error}");
        let kind = kind_of(&error);
        Error::new(kind, text).at_path(&name).because(error)
    }
}

fn kind_of(error: &object_store::Error) -> ErrorKind {
    use object_store::Error as E;
    match error {
        error if lacks_space(error) => ErrorKind::NoSpace,
        E::InvalidPath { .. } | E::NotSupported { .. } | E::NotImplemented { .. } => {
            ErrorKind::Invalid
        }
        E::NotFound { .. } | E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
            ErrorKind::Io
        }
        E::Generic {
            store: "LocalFileSystem",
            ..
        } => ErrorKind::Io,
        _ => ErrorKind::Unavailable,
    }
}

/// Whether a full device or quota is among the causes.
fn lacks_space(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| matches!(cause.kind(), QuotaExceeded | StorageFull))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(store: &'static str, kind: std::io::ErrorKind) -> object_store::Error {
        let source = Box::new(std::io::Error::from(kind));
        object_store::Error::Generic { store, source }
    }

    #[test]
    fn errors_say_what_to_do_next() {
        use std::io::ErrorKind as Cause;
        let missing = object_store::Error::NotFound {
            path: "t/1".into(),
            source: "nothing there".into(),
        };
        for (error, kind) in [
            (missing, ErrorKind::Io),
            (
                generic("LocalFileSystem", Cause::StorageFull),
                ErrorKind::NoSpace,
            ),
            (
                generic("LocalFileSystem", Cause::InvalidData),
                ErrorKind::Io,
            ),
            (
                generic("S3", Cause::ConnectionReset),
                ErrorKind::Unavailable,
            ),
        ] {
            let text = error.to_string();
            let told = failed("cannot read", "t/1")(error);
            assert_eq!(told.kind(), kind, "{text}");
            assert!(
                told.to_string().starts_with("cannot read object t/1: "),
                "{told}"
            );
        }
        assert_eq!(path("a//b").unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(path("a/../b").unwrap_err().kind(), ErrorKind::Invalid);
    }
}
