//! Who takes part.

use std::fs;
use std::path::{Path, PathBuf};

use headwater_tests::process::{Server, program};
use headwater_tests::{api, peer};

/// What a binary understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Prometheus's flags and API: ours too.
    Prometheus,
    /// VictoriaMetrics, one process.
    Victoria,
}

/// A server that takes part.
#[derive(Clone, Debug)]
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) kind: Kind,
    binary: PathBuf,
}

impl Contender {
    fn new(name: &str, kind: Kind, binary: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            binary,
        }
    }

    /// Ours first, then the peers that are there.
    pub(super) fn all(ours: Option<&Path>, debug: bool, more: &[PathBuf]) -> Vec<Self> {
        let ours = ours.map_or_else(|| build("prometheus", debug), Path::to_owned);
        let mut all = vec![Self::new("headwater", Kind::Prometheus, ours)];
        for (name, kind) in [
            ("prometheus", Kind::Prometheus),
            ("victoria-metrics", Kind::Victoria),
        ] {
            all.extend(peer::find(name).map(|binary| Self::new(name, kind, binary)));
        }
        for binary in more {
            let name = binary.file_name().unwrap_or_default().to_string_lossy();
            let kind = match name.contains("victoria") {
                true => Kind::Victoria,
                false => Kind::Prometheus,
            };
            all.push(Self::new(&format!("peer {name}"), kind, binary.clone()));
        }
        all
    }

    /// Starts it on `folder`, scraping nothing.
    pub(super) fn start(&self, folder: &Path) -> Server {
        self.start_with(folder, &[])
    }

    /// The same with more flags, if it is a Prometheus.
    pub(super) fn start_with(&self, folder: &Path, more: &[&str]) -> Server {
        fs::write(
            folder.join("prometheus.yml"),
            "global: {scrape_interval: 1h}\n",
        )
        .expect("the folder can be written");
        match self.kind {
            Kind::Prometheus => {
                let mut flags = vec![
                    "--web.enable-remote-write-receiver",
                    "--web.enable-admin-api",
                ];
                flags.extend(more);
                Server::start(&self.binary, folder, &flags)
            }
            Kind::Victoria => Server::victoria_metrics(&self.binary, folder),
        }
    }

    /// Makes everything that was sent visible to queries; Prometheus and ours do it at once.
    pub(super) fn flush(&self, server: &Server) {
        if self.kind == Kind::Victoria {
            let answer = api::get(&format!("{}/internal/force_flush", server.url));
            assert!(answer.is_ok_and(|answer| answer.status == 200), "no flush");
        }
    }

    /// Its binary, for phases with flags of their own.
    pub(super) fn binary(&self) -> &Path {
        &self.binary
    }
}

/// One of our programs; in release mode unless `debug`.
pub(crate) fn build(name: &str, debug: bool) -> PathBuf {
    if debug {
        return program(name);
    }
    let status = std::process::Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--bin", name])
        .current_dir(headwater_tests::workspace())
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "{name} does not build"
    );
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| headwater_tests::workspace().join("target"), Into::into);
    target.join("release").join(name)
}
