//! What client and server share of TLS: versions, certificates, keys, and the one provider.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_yaml::{resolve, settings};
use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Secret;

settings! {
    /// Whom a client trusts, and what it shows of itself.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub struct TlsConfig {
        /// Authorities to trust, as PEM; those of the system if none are given.
        pub ca: String,
        /// Our certificate, as PEM.
        pub cert: String,
        /// The key to it, as PEM.
        pub key: Secret,
        /// The file holding the authorities.
        pub ca_file: String,
        /// The file holding our certificate.
        pub cert_file: String,
        /// The file holding the key.
        pub key_file: String,
        /// The name the server has to prove, if it is not the host's.
        pub server_name: String,
        /// Believe any certificate. This gives up what TLS is for.
        pub insecure_skip_verify: bool => always,
        /// The oldest version to speak.
        pub min_version: Option<TlsVersion>,
        /// The newest version to speak.
        pub max_version: Option<TlsVersion>,
    }
    check(TlsConfig::validate)
}

impl TlsConfig {
    fn validate(&mut self) -> Result<(), String> {
        let cert = !self.cert.is_empty() || !self.cert_file.is_empty();
        let key = !self.key.is_empty() || !self.key_file.is_empty();
        let rules = [
            (
                !self.ca.is_empty() && !self.ca_file.is_empty(),
                "at most one of ca and ca_file must be configured",
            ),
            (
                !self.cert.is_empty() && !self.cert_file.is_empty(),
                "at most one of cert and cert_file must be configured",
            ),
            (
                !self.key.is_empty() && !self.key_file.is_empty(),
                "at most one of key and key_file must be configured",
            ),
            (
                cert && !key,
                "exactly one of key or key_file must be configured when a client certificate is configured",
            ),
            (
                key && !cert,
                "exactly one of cert or cert_file must be configured when a client key is configured",
            ),
        ];
        match rules.iter().find(|(broken, _)| *broken) {
            Some((_, message)) => Err((*message).to_owned()),
            None => Ok(()),
        }
    }

    /// A rustls client with these settings, for streams that are not HTTP: no protocol is
    /// negotiated. Reads the files named.
    ///
    /// # Errors
    /// Files that cannot be read or used, and settings that cannot work.
    pub fn to_rustls(&self) -> Result<rustls::ClientConfig, String> {
        self.clone().validate()?;
        crate::client::rustls_client(self)
    }

    /// Makes relative file names relative to `dir`.
    pub fn resolve_files(&mut self, dir: &Path) {
        resolve(dir, &mut self.ca_file);
        resolve(dir, &mut self.cert_file);
        resolve(dir, &mut self.key_file);
    }

    pub(crate) fn files(&self) -> Vec<PathBuf> {
        [&self.ca_file, &self.cert_file, &self.key_file]
            .into_iter()
            .filter(|file| !file.is_empty())
            .map(PathBuf::from)
            .collect()
    }
}

/// A version of TLS, by the name settings files use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// `TLS10`. Accepted as the oldest version, but never spoken.
    Tls10,
    /// `TLS11`. Accepted as the oldest version, but never spoken.
    Tls11,
    /// `TLS12`.
    Tls12,
    /// `TLS13`.
    Tls13,
}

const VERSION_NAMES: [(&str, TlsVersion); 4] = [
    ("TLS10", TlsVersion::Tls10),
    ("TLS11", TlsVersion::Tls11),
    ("TLS12", TlsVersion::Tls12),
    ("TLS13", TlsVersion::Tls13),
];

impl<'de> Deserialize<'de> for TlsVersion {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        VERSION_NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, version)| *version)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown TLS version: {name}")))
    }
}

impl Serialize for TlsVersion {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(VERSION_NAMES[*self as usize].0)
    }
}

/// The provider of cryptography. This is the only place that chooses one.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static RING: std::sync::LazyLock<Arc<CryptoProvider>> =
        std::sync::LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    RING.clone()
}

static NEWEST_TWO: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS13, &rustls::version::TLS12];

/// The versions between the two bounds that we speak: 1.2 and 1.3.
pub(crate) fn versions(
    min: Option<TlsVersion>,
    max: Option<TlsVersion>,
) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let min = min.unwrap_or(TlsVersion::Tls12);
    let max = max.unwrap_or(TlsVersion::Tls13);
    let spoken: Vec<_> = [TlsVersion::Tls13, TlsVersion::Tls12]
        .into_iter()
        .zip(NEWEST_TWO)
        .filter(|(version, _)| min <= *version && *version <= max)
        .map(|(_, supported)| supported)
        .collect();
    if spoken.is_empty() {
        return Err("no TLS version is left between min_version and max_version; TLS12 and TLS13 are spoken".into());
    }
    Ok(spoken)
}

/// A PEM text and where it came from, for messages.
pub(crate) struct Pem {
    pub(crate) text: String,
    pub(crate) origin: String,
}

impl Pem {
    /// The text itself if there is one, else the file's; nothing if neither is set.
    pub(crate) fn load(inline: &str, file: &str, what: &str) -> Result<Option<Self>, String> {
        if !inline.is_empty() {
            return Ok(Some(Self {
                text: inline.to_owned(),
                origin: what.to_owned(),
            }));
        }
        if file.is_empty() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("unable to read {what} file {file}: {error}"))?;
        Ok(Some(Self {
            text,
            origin: file.to_owned(),
        }))
    }

    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let found: Vec<_> = CertificateDer::pem_slice_iter(self.text.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| format!("{}: not a PEM certificate: {error}", self.origin))?;
        if found.is_empty() {
            return Err(format!("{}: holds no PEM certificate", self.origin));
        }
        Ok(found)
    }

    pub(crate) fn key(&self) -> Result<PrivateKeyDer<'static>, String> {
        PrivateKeyDer::from_pem_slice(self.text.as_bytes())
            .map_err(|error| format!("{}: not a PEM private key: {error}", self.origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_bounded_by_what_we_speak() {
        use TlsVersion::*;
        assert_eq!(versions(None, None).unwrap().len(), 2);
        assert_eq!(versions(Some(Tls10), Some(Tls12)).unwrap().len(), 1);
        assert_eq!(versions(Some(Tls13), None).unwrap().len(), 1);
        assert!(versions(Some(Tls10), Some(Tls11)).is_err());
    }
}
