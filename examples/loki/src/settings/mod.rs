//! The settings: from the file, then the command line.

mod expand;
mod inert;
mod sections;

use std::path::PathBuf;

pub(crate) use inert::Inert;
pub(crate) use sections::Settings;

use crate::flags::Flags;

/// Where the data lies if nobody says.
const DEFAULT_DATA: &str = "./loki-data";

/// Settings with where they come from.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The file, if there is one.
    pub(crate) file: Option<PathBuf>,
    pub(crate) settings: Settings,
}

impl Source {
    /// Reads the file that the flags name, or takes what is built in, and applies the flags.
    pub(crate) fn load(flags: &Flags) -> Result<Self, String> {
        let file = flags.get("config.file").filter(|paths| !paths.is_empty());
        let file = file.map(choose).transpose()?;
        let mut settings = match &file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                let text = match flags.on("config.expand-env") {
                    true => expand::expand(&text, |name| std::env::var(name).ok())?,
                    false => text,
                };
                headwater_yaml::from_str(&text)
                    .map_err(|error| format!("{}: {error}", path.display()))?
            }
            None => Settings {
                auth_enabled: false,
                ..Settings::default()
            },
        };
        apply(flags, &mut settings)?;
        settings.refuse_what_is_missing()?;
        Ok(Self { file, settings })
    }

    /// The folder of the data.
    pub(crate) fn data(&self) -> PathBuf {
        let folders = self.settings.folders();
        let given = folders.into_iter().find(|folder| !folder.is_empty());
        match given {
            // Not among the files of a Loki that used the same folder before.
            Some(folder) => PathBuf::from(folder).join("headwater"),
            None => PathBuf::from(DEFAULT_DATA),
        }
    }
}

/// The first file of a list that exists.
fn choose(paths: &str) -> Result<PathBuf, String> {
    let mut all = paths.split(',').map(|path| PathBuf::from(path.trim()));
    all.find(|path| path.exists())
        .ok_or_else(|| format!("flag -config.file: there is no file {paths}"))
}

/// Flags win over the file.
fn apply(flags: &Flags, settings: &mut Settings) -> Result<(), String> {
    let server = &mut settings.server;
    let texts = [
        ("target", &mut settings.target),
        ("log.level", &mut server.log_level),
        ("log.format", &mut server.log_format),
        (
            "server.http-listen-address",
            &mut server.http_listen_address,
        ),
        ("common.path-prefix", &mut settings.common.path_prefix),
    ];
    for (flag, field) in texts {
        if let Some(value) = flags.get(flag) {
            value.clone_into(field);
        }
    }
    if let Some(port) = flags.get("server.http-listen-port") {
        server.http_listen_port = port
            .parse()
            .map_err(|_| format!("flag -server.http-listen-port: {port:?} is no port"))?;
    }
    if let Some(auth) = flags.get("auth.enabled") {
        settings.auth_enabled = auth == "true";
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(words: &[&str]) -> Result<Source, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Source::load(&Flags::read(&words)?)
    }

    #[test]
    fn nothing_given_is_local_disk() {
        let source = load(&[]).unwrap();
        assert_eq!(source.data(), PathBuf::from(DEFAULT_DATA));
        assert!(!source.settings.auth_enabled);
    }

    #[test]
    fn flags_win() {
        let source = load(&["-server.http-listen-port=0", "-common.path-prefix=/x"]).unwrap();
        assert_eq!(source.settings.server.http_listen_port, 0);
        assert_eq!(source.data(), PathBuf::from("/x/headwater"));
        assert!(
            load(&["-config.file=/nowhere.yaml"])
                .unwrap_err()
                .contains("/nowhere.yaml")
        );
        assert!(load(&["-target=querier"]).unwrap_err().contains("querier"));
    }
}
