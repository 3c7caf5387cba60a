//! Who takes part.

use std::fs;
use std::path::{Path, PathBuf};

use headwater_tests::process::Running;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Hekad,
    Rsyslog,
}

/// A program that moves messages.
#[derive(Clone, Debug)]
pub(super) struct Contender {
    pub(super) name: String,
    kind: Kind,
    binary: PathBuf,
}

/// Where Debian installs it: not in every user's search path.
const RSYSLOG: &str = "/usr/sbin/rsyslogd";

impl Contender {
    pub(super) fn hekad(name: &str, binary: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::Hekad,
            binary,
        }
    }

    /// rsyslog, if it is there.
    pub(super) fn rsyslog(binary: Option<&Path>) -> Option<Self> {
        let binary = binary.unwrap_or(Path::new(RSYSLOG)).to_owned();
        if !binary.exists() {
            eprintln!("compare: no rsyslog at {}: left out", binary.display());
            return None;
        }
        Some(Self {
            name: "rsyslog".to_owned(),
            kind: Kind::Rsyslog,
            binary,
        })
    }

    pub(super) fn is_hekad(&self) -> bool {
        self.kind == Kind::Hekad
    }

    /// Starts it in the foreground, on a configuration of its own.
    pub(super) fn start(&self, folder: &Path, config: &str) -> Running {
        let path = folder.join("config");
        let arguments = match self.kind {
            Kind::Hekad => {
                // hekad takes a file of any name.
                vec!["-config".to_owned(), path.display().to_string()]
            }
            Kind::Rsyslog => vec![
                "-n".to_owned(),
                "-C".to_owned(),
                format!("-f{}", path.display()),
                format!("-i{}", folder.join("pid").display()),
            ],
        };
        fs::write(&path, config).expect("the folder can be written");
        Running::start(&self.binary, &arguments, folder)
    }
}
