//! The client's settings: the keys that Prometheus puts into every section that makes requests.
//!
//! Names, defaults and the wording of what is refused are those of Prometheus's `HTTPClientConfig`,
//! so that a settings file and its mistakes read the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use headwater_yaml::{resolve, settings};

use crate::{Address, Secret, TlsConfig};

settings! {
    /// How to make requests: who we are, whom we trust, and which way to go.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub struct HttpClientConfig {
        /// User and password sent with every request.
        pub basic_auth: Option<BasicAuth>,
        /// A token sent with every request.
        pub authorization: Option<Authorization>,
        /// A token fetched from a server first.
        pub oauth2: Option<OAuth2>,
        /// The older way to write `authorization.credentials`.
        pub bearer_token: Secret,
        /// The older way to write `authorization.credentials_file`.
        pub bearer_token_file: String,
        /// Certificates and protocol versions.
        pub tls_config: TlsConfig,
        /// Whether an answer of 3xx is followed.
        pub follow_redirects: bool = true => always,
        /// Whether HTTP/2 is offered in TLS handshakes.
        pub enable_http2: bool = true => always,
        /// Headers added to every request.
        pub http_headers: Option<Headers>,
    }
    inline {
        /// Which proxy to ask.
        pub proxy: ProxyConfig,
    }
    check(HttpClientConfig::validate)
}

settings! {
    /// Which proxy to ask, and for which hosts not to.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub struct ProxyConfig {
        /// The proxy for every request: `http://`, `https://`, `socks5://` or `socks5h://`.
        pub proxy_url: Address,
        /// Hosts, domains, addresses and CIDR blocks that are reached directly, with commas between.
        pub no_proxy: String,
        /// Take the proxy from `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.
        pub proxy_from_environment: bool,
        /// Headers sent to the proxy with CONNECT.
        pub proxy_connect_header: BTreeMap<String, Vec<Secret>>,
    }
    check(ProxyConfig::validate)
}

settings! {
    /// User and password, each here or in a file that is read for every request.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub struct BasicAuth {
        /// The user.
        pub username: String,
        /// The file holding the user.
        pub username_file: String,
        /// The password.
        pub password: Secret,
        /// The file holding the password.
        pub password_file: String,
    }
    check(BasicAuth::validate)
}

settings! {
    /// A token, here or in a file that is read for every request.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub struct Authorization {
        /// The word before the token.
        pub kind: String as "type" = "Bearer".to_owned(),
        /// The token.
        pub credentials: Secret,
        /// The file holding the token.
        pub credentials_file: String,
    }
    check(Authorization::validate)
}

settings! {
    /// A token from an OAuth 2.0 server.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub struct OAuth2 {
        /// Who we are.
        pub client_id: String,
        /// Our password.
        pub client_secret: Secret,
        /// The file holding our password.
        pub client_secret_file: String,
        /// The private key with which a request is signed (`jwt-bearer`), as PEM.
        pub client_certificate_key: Secret,
        /// The file holding the private key.
        pub client_certificate_key_file: String,
        /// The name under which the server knows the key.
        pub client_certificate_key_id: String,
        /// `client_credentials` or `urn:ietf:params:oauth:grant-type:jwt-bearer`.
        pub grant_type: String,
        /// `RS256`, `RS384` or `RS512`.
        pub signature_algorithm: String,
        /// Who issues the signed request; `client_id` if empty.
        pub iss: String,
        /// For whom the signed request is meant; `token_url` if empty.
        pub audience: String,
        /// More claims of the signed request.
        pub claims: BTreeMap<String, String>,
        /// What the token is to allow.
        pub scopes: Vec<String>,
        /// The address that hands out tokens.
        pub token_url: Address,
        /// More parameters of the request for a token.
        pub endpoint_params: BTreeMap<String, String>,
        /// Certificates for the token's server.
        pub tls_config: TlsConfig,
    }
    inline {
        /// The proxy on the way to the token's server.
        pub proxy: ProxyConfig,
    }
    check(OAuth2::validate)
}

/// Headers added to every request, by name.
pub type Headers = BTreeMap<String, HeaderValues>;

settings! {
    /// The values of one header; all of them are sent.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub struct HeaderValues {
        /// Values that may be shown.
        pub values: Vec<String>,
        /// Values that may not.
        pub secrets: Vec<Secret>,
        /// Files holding one value each.
        pub files: Vec<String>,
    }
}

/// The grant type of RFC 7523.
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(crate) const CLIENT_CREDENTIALS: &str = "client_credentials";

/// Headers that the client or the protocol sets itself.
const RESERVED_HEADERS: [&str; 20] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "user-agent",
    "www-authenticate",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-prometheus-remote-read-version",
    "x-prometheus-remote-write-version",
    "x-prometheus-scrape-timeout-seconds",
];

/// True for headers that settings may not set, because the client or the protocol does.
#[must_use]
pub fn is_reserved_header(name: &str) -> bool {
    RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str())
}

/// How many of the conditions hold.
fn count(conditions: &[bool]) -> usize {
    conditions.iter().filter(|holds| **holds).count()
}

fn refuse_if(condition: bool, message: &str) -> Result<(), String> {
    if condition {
        Err(message.to_owned())
    } else {
        Ok(())
    }
}

impl HttpClientConfig {
    fn validate(&mut self) -> Result<(), String> {
        let token = !self.bearer_token.is_empty();
        let token_file = !self.bearer_token_file.is_empty();
        refuse_if(
            token && token_file,
            "at most one of bearer_token & bearer_token_file must be configured",
        )?;
        refuse_if(
            (self.basic_auth.is_some() || self.oauth2.is_some()) && (token || token_file),
            "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
        )?;
        if self.authorization.is_some() {
            refuse_if(
                token || token_file,
                "authorization is not compatible with bearer_token & bearer_token_file",
            )?;
            refuse_if(
                self.basic_auth.is_some() || self.oauth2.is_some(),
                "at most one of basic_auth, oauth2 & authorization must be configured",
            )?;
        }
        refuse_if(
            self.basic_auth.is_some() && self.oauth2.is_some(),
            "at most one of basic_auth, oauth2 & authorization must be configured",
        )?;
        self.adopt_bearer_token();
        check_headers(self.http_headers.as_ref())
    }

    /// From here on there is one way to say it.
    fn adopt_bearer_token(&mut self) {
        let credentials = std::mem::take(&mut self.bearer_token);
        let credentials_file = std::mem::take(&mut self.bearer_token_file);
        if !credentials.is_empty() || !credentials_file.is_empty() {
            self.authorization = Some(Authorization {
                credentials,
                credentials_file,
                ..Authorization::default()
            });
        }
    }

    /// True if the settings name any way to say who we are.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.basic_auth.is_some() || self.authorization.is_some() || self.oauth2.is_some()
    }

    /// Makes relative file names relative to `dir`, the settings file's own folder.
    pub fn resolve_files(&mut self, dir: &Path) {
        if let Some(basic) = &mut self.basic_auth {
            resolve(dir, &mut basic.username_file);
            resolve(dir, &mut basic.password_file);
        }
        if let Some(authorization) = &mut self.authorization {
            resolve(dir, &mut authorization.credentials_file);
        }
        if let Some(oauth2) = &mut self.oauth2 {
            resolve(dir, &mut oauth2.client_secret_file);
            resolve(dir, &mut oauth2.client_certificate_key_file);
            oauth2.tls_config.resolve_files(dir);
        }
        self.tls_config.resolve_files(dir);
        for header in self.http_headers.iter_mut().flat_map(BTreeMap::values_mut) {
            header.files.iter_mut().for_each(|file| resolve(dir, file));
        }
    }

    /// The files the client reads once and keeps, and so has to watch: those of TLS.
    pub(crate) fn kept_files(&self) -> Vec<PathBuf> {
        self.tls_config.files()
    }
}

fn check_headers(headers: Option<&Headers>) -> Result<(), String> {
    for name in headers.into_iter().flat_map(BTreeMap::keys) {
        refuse_if(
            is_reserved_header(name),
            &format!("setting header {name:?} is not allowed"),
        )?;
        http::HeaderName::try_from(name.as_str())
            .map_err(|_| format!("{name:?} is not a valid header name"))?;
    }
    Ok(())
}

impl ProxyConfig {
    fn validate(&mut self) -> Result<(), String> {
        let url = !self.proxy_url.is_empty();
        refuse_if(
            !self.proxy_connect_header.is_empty() && !url && !self.proxy_from_environment,
            "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured",
        )?;
        refuse_if(
            self.proxy_from_environment && url,
            "if proxy_from_environment is configured, proxy_url must not be configured",
        )?;
        refuse_if(
            self.proxy_from_environment && !self.no_proxy.is_empty(),
            "if proxy_from_environment is configured, no_proxy must not be configured",
        )?;
        refuse_if(
            !url && !self.no_proxy.is_empty(),
            "if no_proxy is configured, proxy_url must also be configured",
        )?;
        if url {
            self.proxy_url
                .to_url()
                .map_err(|error| format!("proxy_url: {error}"))?;
        }
        Ok(())
    }
}

impl BasicAuth {
    fn validate(&mut self) -> Result<(), String> {
        refuse_if(
            !self.username.is_empty() && !self.username_file.is_empty(),
            "at most one of basic_auth username & username_file must be configured",
        )?;
        refuse_if(
            !self.password.is_empty() && !self.password_file.is_empty(),
            "at most one of basic_auth password & password_file must be configured",
        )
    }
}

impl Authorization {
    fn validate(&mut self) -> Result<(), String> {
        refuse_if(
            !self.credentials.is_empty() && !self.credentials_file.is_empty(),
            "at most one of authorization credentials & credentials_file must be configured",
        )?;
        self.kind = self.kind.trim().to_owned();
        if self.kind.is_empty() {
            self.kind = "Bearer".to_owned();
        }
        refuse_if(
            self.kind.eq_ignore_ascii_case("basic"),
            "authorization type cannot be set to \"basic\", use \"basic_auth\" instead",
        )
    }
}

impl OAuth2 {
    fn validate(&mut self) -> Result<(), String> {
        refuse_if(
            self.client_id.is_empty(),
            "oauth2 client_id must be configured",
        )?;
        refuse_if(
            self.token_url.is_empty(),
            "oauth2 token_url must be configured",
        )?;
        self.token_url
            .to_url()
            .map_err(|error| format!("oauth2 token_url: {error}"))?;
        match self.grant_type.as_str() {
            "" | CLIENT_CREDENTIALS => refuse_if(
                count(&[
                    !self.client_secret.is_empty(),
                    !self.client_secret_file.is_empty(),
                ]) > 1,
                "at most one of oauth2 client_secret & client_secret_file must be configured using grant-type=client_credentials",
            ),
            JWT_BEARER => self.validate_signed(),
            other => Err(format!("unsupported oauth2 grant_type {other:?}")),
        }
    }

    fn validate_signed(&self) -> Result<(), String> {
        let keys = [
            !self.client_certificate_key.is_empty(),
            !self.client_certificate_key_file.is_empty(),
        ];
        refuse_if(
            count(&keys) > 1,
            "at most one of oauth2 client_certificate_key & client_certificate_key_file must be configured using grant-type=urn:ietf:params:oauth:grant-type:jwt-bearer",
        )?;
        refuse_if(
            count(&keys) == 0,
            "oauth2 client_certificate_key or client_certificate_key_file must be configured using grant-type=urn:ietf:params:oauth:grant-type:jwt-bearer",
        )?;
        match self.signature_algorithm.as_str() {
            "" | "RS256" | "RS384" | "RS512" => Ok(()),
            _ => Err("valid values for signature_algorithm are RS256, RS384 and RS512".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<HttpClientConfig, String> {
        headwater_yaml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn defaults_are_those_of_prometheus() {
        let config = read("").unwrap();
        assert!(config.follow_redirects && config.enable_http2 && !config.has_credentials());
        assert_eq!(
            headwater_yaml::to_string(&config).unwrap(),
            "follow_redirects: true\nenable_http2: true\n"
        );
    }

    #[test]
    fn the_older_token_becomes_an_authorization() {
        let config = read("bearer_token: 1234\n").unwrap();
        assert_eq!(config.authorization.unwrap().credentials.reveal(), "1234");
    }

    #[test]
    fn contradictions_are_refused_in_known_words() {
        let cases = [
            (
                "{bearer_token: a, bearer_token_file: b}",
                "at most one of bearer_token & bearer_token_file must be configured",
            ),
            (
                "{bearer_token: a, basic_auth: {username: b}}",
                "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
            ),
            (
                "{authorization: {credentials: a}, basic_auth: {username: b}}",
                "at most one of basic_auth, oauth2 & authorization must be configured",
            ),
            (
                "{authorization: {type: Basic}}",
                "authorization type cannot be set to \"basic\", use \"basic_auth\" instead",
            ),
            (
                "{authorization: {credentials: a, credentials_file: b}}",
                "at most one of authorization credentials & credentials_file must be configured",
            ),
            (
                "{oauth2: {client_id: a}}",
                "oauth2 token_url must be configured",
            ),
            (
                "{no_proxy: a}",
                "if no_proxy is configured, proxy_url must also be configured",
            ),
            (
                "{proxy_from_environment: true, proxy_url: 'http://a'}",
                "if proxy_from_environment is configured, proxy_url must not be configured",
            ),
            (
                "{http_headers: {Authorization: {values: [a]}}}",
                "setting header \"Authorization\" is not allowed",
            ),
            (
                "{tls_config: {cert_file: a}}",
                "exactly one of key or key_file must be configured when a client certificate is configured",
            ),
            (
                "{tls_config: {ca: a, ca_file: a}}",
                "at most one of ca and ca_file must be configured",
            ),
        ];
        for (text, want) in cases {
            assert_eq!(read(text).unwrap_err(), want, "{text}");
        }
    }

    #[test]
    fn files_are_relative_to_the_settings() {
        let mut config =
            read("{basic_auth: {username: a, password_file: p}, tls_config: {ca_file: /abs}}")
                .unwrap();
        config.resolve_files(Path::new("/etc/x"));
        assert_eq!(config.basic_auth.unwrap().password_file, "/etc/x/p");
        assert_eq!(config.tls_config.ca_file, "/abs");
    }
}
