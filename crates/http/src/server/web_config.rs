//! The web configuration file: TLS, users and security headers of a server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_yaml::{resolve, settings};

use crate::{Secret, TlsVersion};

settings! {
    /// What a web configuration file holds. An empty file means plain HTTP for everyone.
    #[derive(Clone, Debug, PartialEq)]
    pub struct WebConfig {
        /// Certificates; without them the server speaks plain HTTP.
        pub tls_server_config: Option<TlsServerConfig>,
        /// HTTP itself.
        pub http_server_config: HttpServerConfig,
        /// Who may come in: bcrypt hashes of passwords by user. Empty lets everyone in.
        pub basic_auth_users: BTreeMap<String, Secret>,
    }
    check(WebConfig::validate)
}

settings! {
    /// What the server shows, and what it asks of clients.
    #[derive(Clone, Debug, PartialEq)]
    pub struct TlsServerConfig {
        /// The server's certificate chain, as PEM.
        pub cert: String,
        /// The key to it, as PEM.
        pub key: Secret,
        /// The authorities that clients' certificates are checked against, as PEM.
        pub client_ca: String,
        /// The file holding the certificate chain.
        pub cert_file: String,
        /// The file holding the key.
        pub key_file: String,
        /// The file holding the clients' authorities.
        pub client_ca_file: String,
        /// Which certificate a client has to show.
        pub client_auth_type: String,
        /// Names of which a client's certificate must hold one: host names and IP addresses.
        pub client_allowed_sans: Vec<String>,
        /// The oldest version to speak.
        pub min_version: Option<TlsVersion> = Some(TlsVersion::Tls12),
        /// The newest version to speak.
        pub max_version: Option<TlsVersion> = Some(TlsVersion::Tls13),
        /// Suites of TLS 1.2 to offer; all safe ones if empty. TLS 1.3 always offers all of its own.
        pub cipher_suites: Vec<String>,
        /// Whether the server's order of suites counts.
        pub prefer_server_cipher_suites: bool = true => always,
        /// Curves to offer; all of ours if empty.
        pub curve_preferences: Vec<String>,
    }
    check(TlsServerConfig::validate)
}

settings! {
    /// HTTP/2, and headers sent with every answer.
    #[derive(Clone, Debug, PartialEq)]
    pub struct HttpServerConfig {
        /// Offer HTTP/2 in TLS handshakes.
        pub http2: bool = true => always,
        /// Security headers by name.
        pub headers: BTreeMap<String, String>,
    }
    check(HttpServerConfig::validate)
}

/// The headers that may be set, as Prometheus allows them.
const ALLOWED_HEADERS: [&str; 5] = [
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
];

/// What a client has to show of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuth {
    None,
    /// Asked for, not looked at.
    Request,
    /// Demanded, not checked.
    RequireAny,
    /// Checked if there is one.
    VerifyIfGiven,
    /// Demanded and checked.
    RequireAndVerify,
}

impl WebConfig {
    /// Reads a file; names of files in it are relative to its folder.
    ///
    /// # Errors
    /// A file that cannot be read, and settings that cannot work, with their place.
    pub fn load(path: &Path) -> Result<Self, headwater_yaml::Error> {
        let mut config: Self = headwater_yaml::from_file(path)?;
        if let (Some(tls), Some(dir)) = (&mut config.tls_server_config, path.parent()) {
            for file in [
                &mut tls.cert_file,
                &mut tls.key_file,
                &mut tls.client_ca_file,
            ] {
                resolve(dir, file);
            }
        }
        Ok(config)
    }

    fn validate(&mut self) -> Result<(), String> {
        for (user, hash) in &self.basic_auth_users {
            hash.reveal()
                .parse::<bcrypt::HashParts>()
                .map_err(|error| {
                    format!(
                        "basic_auth_users: the password of {user:?} is not a bcrypt hash: {error}"
                    )
                })?;
        }
        Ok(())
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        let tls = self.tls_server_config.iter();
        tls.flat_map(|tls| [&tls.cert_file, &tls.key_file, &tls.client_ca_file])
            .filter(|file| !file.is_empty())
            .map(PathBuf::from)
            .collect()
    }
}

impl TlsServerConfig {
    fn validate(&mut self) -> Result<(), String> {
        let has = |text: bool, file: &str| usize::from(text) + usize::from(!file.is_empty());
        let cert = has(!self.cert.is_empty(), &self.cert_file);
        let key = has(!self.key.is_empty(), &self.key_file);
        let ca = has(!self.client_ca.is_empty(), &self.client_ca_file);
        if cert == 0 {
            return Err("missing one of cert or cert_file".into());
        }
        if key == 0 {
            return Err("missing one of key or key_file".into());
        }
        for (count, name) in [(cert, "cert"), (key, "key"), (ca, "client_ca")] {
            if count > 1 {
                return Err(format!("cannot specify both {name} and {name}_file"));
            }
        }
        match self.client_auth()? {
            ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify if ca == 0 => Err(
                "client CAs are needed to verify client certificates: set client_ca_file".into(),
            ),
            ClientAuth::None | ClientAuth::Request | ClientAuth::RequireAny if ca > 0 => {
                Err("client CA's have been configured without a Client Auth Policy".into())
            }
            _ => Ok(()),
        }
    }

    /// A rustls server with these settings, for streams that are not HTTP: no protocol is
    /// negotiated. Reads the files named.
    ///
    /// # Errors
    /// Files that cannot be read or used, and settings that cannot work.
    pub fn to_rustls(&self) -> Result<rustls::ServerConfig, String> {
        self.clone().validate()?;
        let mut config = Arc::unwrap_or_clone(super::tls::server_config(self, false)?);
        config.alpn_protocols.clear();
        Ok(config)
    }

    pub(super) fn client_auth(&self) -> Result<ClientAuth, String> {
        Ok(match self.client_auth_type.as_str() {
            "" | "NoClientCert" => ClientAuth::None,
            "RequestClientCert" => ClientAuth::Request,
            "RequireAnyClientCert" | "RequireClientCert" => ClientAuth::RequireAny,
            "VerifyClientCertIfGiven" => ClientAuth::VerifyIfGiven,
            "RequireAndVerifyClientCert" => ClientAuth::RequireAndVerify,
            other => return Err(format!("invalid ClientAuth: {other:?}")),
        })
    }
}

impl HttpServerConfig {
    fn validate(&mut self) -> Result<(), String> {
        for (name, value) in &self.headers {
            if !ALLOWED_HEADERS
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(name))
            {
                return Err(format!(
                    "HTTP header {name:?} cannot be configured; these can: {}",
                    ALLOWED_HEADERS.join(", ")
                ));
            }
            http::HeaderValue::from_str(value)
                .map_err(|_| format!("HTTP header {name:?} has an invalid value"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        headwater_yaml::from_str::<WebConfig>(text)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn an_empty_file_is_plain_http() {
        let config: WebConfig = headwater_yaml::from_str("").unwrap();
        assert!(config.tls_server_config.is_none() && config.basic_auth_users.is_empty());
        assert!(config.http_server_config.http2);
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            (
                "tls_server_config:\n  cert_file: a\n",
                "missing one of key or key_file",
            ),
            (
                "tls_server_config:\n  cert: a\n  cert_file: a\n  key_file: a\n",
                "cannot specify both cert and cert_file",
            ),
            (
                "tls_server_config: {cert_file: a, key_file: a, client_auth_type: x}",
                "invalid ClientAuth: \"x\"",
            ),
            (
                "tls_server_config: {cert_file: a, key_file: a, client_ca_file: a}",
                "without a Client Auth Policy",
            ),
            (
                "basic_auth_users: {a: plain}",
                "the password of \"a\" is not a bcrypt hash",
            ),
            ("basic_auth_user: {}", "did you mean \"basic_auth_users\"?"),
            (
                "http_server_config: {headers: {Server: x}}",
                "cannot be configured",
            ),
        ];
        for (text, want) in cases {
            let message = refused(text);
            assert!(message.contains(want), "{text}: {message}");
        }
    }
}
