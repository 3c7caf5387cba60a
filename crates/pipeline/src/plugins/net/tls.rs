//! The `[x.tls]` section of inputs and outputs.
//!
//! Its keys are heka's. What would weaken a connection beyond what anybody
//! should still use, or has no meaning here, is refused by name.

use serde::Deserialize;

use crate::plugin::BuildError;

#[cfg(feature = "tls")]
mod session;
#[cfg(feature = "tls")]
pub(crate) use session::{Acceptor, Connector, TlsStream};

/// Versions that nobody should speak any more: as the oldest one they mean
/// the oldest that is still spoken, TLS 1.2.
#[cfg(feature = "tls")]
const ANCIENT: [&str; 3] = ["SSL30", "TLS10", "TLS11"];

/// Settings of `[x.tls]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsSettings {
    /// Outputs: the name that the receiver has to prove; by default the
    /// host of the address.
    pub server_name: String,
    /// File with the own certificate, PEM.
    pub cert_file: String,
    /// File with the key to it, PEM.
    pub key_file: String,
    /// Inputs: what senders have to show, from `NoClientCert` (the default)
    /// to `RequireAndVerifyClientCert`.
    pub client_auth: String,
    /// Inputs: suites of TLS 1.2 to offer, without the leading `TLS_`.
    pub ciphers: Vec<String>,
    /// Outputs: believe any certificate.
    pub insecure_skip_verify: bool,
    /// Inputs: whether the receiver's order of suites counts; it does by
    /// default.
    pub prefer_server_ciphers: Option<bool>,
    /// Inputs: senders cannot resume sessions.
    pub session_tickets_disabled: bool,
    /// Refused: sessions are remembered, not handed out encrypted.
    #[serde(alias = "sesion_ticket_key")]
    pub session_ticket_key: String,
    /// The oldest version to speak: `TLS12`, or `TLS13`. Older names mean
    /// `TLS12`.
    pub min_version: String,
    /// The newest version to speak.
    pub max_version: String,
    /// Inputs: file with the authorities of senders, PEM.
    pub client_cafile: String,
    /// Outputs: file with the authorities of receivers, PEM; those of the
    /// system by default.
    pub root_cafile: String,
}

impl TlsSettings {
    /// Refuses keys that have no meaning for whoever listens.
    fn check_listening(&self) -> Result<(), BuildError> {
        refuse(&[
            (!self.server_name.is_empty(), "server_name", OUTPUTS),
            (self.insecure_skip_verify, "insecure_skip_verify", OUTPUTS),
            (!self.root_cafile.is_empty(), "root_cafile", OUTPUTS),
            (
                !self.session_ticket_key.is_empty(),
                "session_ticket_key",
                NO_TICKETS,
            ),
        ])
    }

    /// Refuses keys that have no meaning for whoever connects.
    fn check_connecting(&self) -> Result<(), BuildError> {
        refuse(&[
            (!self.client_auth.is_empty(), "client_auth", INPUTS),
            (!self.client_cafile.is_empty(), "client_cafile", INPUTS),
            (
                !self.ciphers.is_empty(),
                "ciphers",
                "all safe suites are offered and the receiver chooses",
            ),
            (
                self.prefer_server_ciphers.is_some(),
                "prefer_server_ciphers",
                INPUTS,
            ),
            (
                self.session_tickets_disabled,
                "session_tickets_disabled",
                INPUTS,
            ),
            (
                !self.session_ticket_key.is_empty(),
                "session_ticket_key",
                NO_TICKETS,
            ),
        ])
    }
}

const OUTPUTS: &str = "it is for outputs";
const INPUTS: &str = "it is for inputs";
const NO_TICKETS: &str = "sessions are remembered, not handed out encrypted, so there is no key";

fn refuse(rules: &[(bool, &str, &str)]) -> Result<(), BuildError> {
    match rules.iter().find(|(broken, ..)| *broken) {
        Some((_, key, reason)) => Err(BuildError::new(format!(
            "tls.{key} has no effect here: {reason}"
        ))),
        None => Ok(()),
    }
}

/// The oldest or newest version, by its name in settings.
#[cfg(feature = "tls")]
fn version(key: &str, name: &str) -> Result<Option<headwater_http::TlsVersion>, BuildError> {
    use headwater_http::TlsVersion;
    match name {
        "" => Ok(None),
        "TLS12" => Ok(Some(TlsVersion::Tls12)),
        "TLS13" => Ok(Some(TlsVersion::Tls13)),
        old if ANCIENT.contains(&old) && key == "min_version" => {
            tracing::warn!("tls.min_version {old}: TLS12 is the oldest version spoken");
            Ok(Some(TlsVersion::Tls12))
        }
        old if ANCIENT.contains(&old) => Err(BuildError::new(format!(
            "tls.{key} {old:?}: TLS12 is the oldest version spoken"
        ))),
        other => Err(BuildError::new(format!(
            "tls.{key} {other:?} is no version: TLS12 or TLS13"
        ))),
    }
}

/// The settings as those of a server.
#[cfg(feature = "tls")]
pub(crate) fn server_settings(
    tls: &TlsSettings,
) -> Result<headwater_http::TlsServerConfig, BuildError> {
    tls.check_listening()?;
    Ok(headwater_http::TlsServerConfig {
        cert_file: tls.cert_file.clone(),
        key_file: tls.key_file.clone(),
        client_ca_file: tls.client_cafile.clone(),
        client_auth_type: tls.client_auth.clone(),
        min_version: version("min_version", &tls.min_version)?,
        max_version: version("max_version", &tls.max_version)?,
        cipher_suites: tls
            .ciphers
            .iter()
            .map(|name| format!("TLS_{name}"))
            .collect(),
        prefer_server_cipher_suites: tls.prefer_server_ciphers.unwrap_or(true),
        ..Default::default()
    })
}

/// The settings as those of a client.
#[cfg(feature = "tls")]
pub(crate) fn client_settings(tls: &TlsSettings) -> Result<headwater_http::TlsConfig, BuildError> {
    tls.check_connecting()?;
    Ok(headwater_http::TlsConfig {
        ca_file: tls.root_cafile.clone(),
        cert_file: tls.cert_file.clone(),
        key_file: tls.key_file.clone(),
        server_name: tls.server_name.clone(),
        insecure_skip_verify: tls.insecure_skip_verify,
        min_version: version("min_version", &tls.min_version)?,
        max_version: version("max_version", &tls.max_version)?,
        ..Default::default()
    })
}

/// What stands in for the machinery where the crate was built without it.
#[cfg(not(feature = "tls"))]
mod absent {
    use std::io;
    use std::net::TcpStream;
    use std::time::Duration;

    use super::TlsSettings;
    use crate::plugin::BuildError;
    use crate::plugins::net::Stream;

    const ABSENT: &str = "use_tls takes a build with the feature \"tls\"";

    /// Cannot be made.
    #[derive(Debug, Clone)]
    pub(crate) enum Acceptor {}

    impl Acceptor {
        pub(crate) fn new(tls: &TlsSettings) -> Result<Acceptor, BuildError> {
            tls.check_listening()?;
            Err(BuildError::new(ABSENT))
        }

        pub(crate) fn accept(&self, _: TcpStream) -> io::Result<Stream> {
            match *self {}
        }
    }

    /// Cannot be made.
    #[derive(Debug, Clone)]
    pub(crate) enum Connector {}

    impl Connector {
        pub(crate) fn new(tls: &TlsSettings, _: &str) -> Result<Connector, BuildError> {
            tls.check_connecting()?;
            Err(BuildError::new(ABSENT))
        }

        pub(crate) fn connect(&self, _: TcpStream, _: Duration) -> io::Result<Stream> {
            match *self {}
        }
    }
}
#[cfg(not(feature = "tls"))]
pub(crate) use absent::{Acceptor, Connector};

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;

    fn settings(text: &str) -> TlsSettings {
        toml::from_str(text).unwrap()
    }

    fn said(settings: Result<impl Sized, BuildError>) -> String {
        settings
            .err()
            .map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn keys_of_the_other_side_are_refused_by_name() {
        for key in [
            "server_name = 'a'",
            "insecure_skip_verify = true",
            "root_cafile = 'a'",
        ] {
            let said = said(server_settings(&settings(key)));
            assert!(said.contains("it is for outputs"), "{key}: {said}");
        }
        let inputs = [
            "client_auth = 'NoClientCert'",
            "client_cafile = 'a'",
            "prefer_server_ciphers = true",
            "session_tickets_disabled = true",
        ];
        for key in inputs {
            let said = said(client_settings(&settings(key)));
            assert!(said.contains("it is for inputs"), "{key}: {said}");
        }
        let said_of_ciphers = said(client_settings(&settings(
            "ciphers = ['RSA_WITH_RC4_128_SHA']",
        )));
        assert!(
            said_of_ciphers.contains("the receiver chooses"),
            "{said_of_ciphers}"
        );
    }

    #[test]
    fn keys_of_tickets_are_refused_under_both_spellings() {
        for key in ["sesion_ticket_key = 'a'", "session_ticket_key = 'a'"] {
            assert!(said(server_settings(&settings(key))).contains("session_ticket_key"));
            assert!(said(client_settings(&settings(key))).contains("session_ticket_key"));
        }
    }

    #[test]
    fn versions_have_a_floor() {
        use headwater_http::TlsVersion;
        for old in ANCIENT {
            let tls = settings(&format!("min_version = '{old}'"));
            assert_eq!(
                client_settings(&tls).unwrap().min_version,
                Some(TlsVersion::Tls12)
            );
            let tls = settings(&format!("max_version = '{old}'"));
            assert!(said(client_settings(&tls)).contains("oldest"));
        }
        let tls = settings("min_version = 'TLS13'\nmax_version = 'TLS13'");
        assert_eq!(
            server_settings(&tls).unwrap().min_version,
            Some(TlsVersion::Tls13)
        );
        assert_eq!(
            server_settings(&tls).unwrap().max_version,
            Some(TlsVersion::Tls13)
        );
        assert!(said(server_settings(&settings("min_version = 'x'"))).contains("no version"));
    }
}
