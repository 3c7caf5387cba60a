//! Tokens from an OAuth 2.0 server: client credentials (RFC 6749, 4.4) and signed assertions
//! (RFC 7523).

use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, Request, header};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{self, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use tokio::sync::Mutex;

use super::auth::{basic_credentials, text_or_file};
use super::body::read_limited;
use super::config::{CLIENT_CREDENTIALS, HttpClientConfig, JWT_BEARER, OAuth2};
use super::error::ClientError;
use super::{Client, ClientOptions};

/// A token is fetched anew this long before it ends, so that none ends on the way.
const RENEW_BEFORE: Duration = Duration::from_secs(10);
/// The longest answer a server of tokens may give, in bytes.
const MAX_ANSWER_BYTES: u64 = 1 << 20;
/// How long a signed request for a token is good for.
const ASSERTION_LIFE: Duration = Duration::from_secs(3600);
/// How long the server of tokens may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Hands out one token until it ends; while it is fetched, all wait for the one fetch.
pub(super) struct TokenSource {
    config: OAuth2,
    client: Client,
    token: Mutex<Option<Token>>,
}

struct Token {
    header: String,
    /// Without an end, a token is good until the client is built anew.
    end: Option<Instant>,
}

impl Token {
    fn is_good(&self) -> bool {
        self.end
            .is_none_or(|end| Instant::now() + RENEW_BEFORE < end)
    }
}

impl TokenSource {
    pub(super) fn new(config: &OAuth2, options: &ClientOptions) -> Result<Self, ClientError> {
        let http = HttpClientConfig {
            tls_config: config.tls_config.clone(),
            proxy: config.proxy.clone(),
            ..HttpClientConfig::default()
        };
        let options = ClientOptions {
            unix_socket: None,
            ..options.clone()
        };
        let client = Client::new(&http, options)?;
        Ok(Self {
            config: config.clone(),
            client,
            token: Mutex::new(None),
        })
    }

    /// The value of `Authorization`.
    pub(super) async fn header(&self) -> Result<String, ClientError> {
        let mut token = self.token.lock().await;
        match &*token {
            Some(token) if token.is_good() => Ok(token.header.clone()),
            _ => {
                let fresh = tokio::time::timeout(PATIENCE, self.fetch())
                    .await
                    .map_err(|_| ClientError::Token(format!("no answer within {PATIENCE:?}")))??;
                Ok(token.insert(fresh).header.clone())
            }
        }
    }

    /// Boxed because a client's request asks here for a token, and here a client asks for one.
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<Token, ClientError>> + Send + '_>> {
        Box::pin(self.fetch_now())
    }

    async fn fetch_now(&self) -> Result<Token, ClientError> {
        let asked = Instant::now();
        let response = self.client.send(self.request().await?).await?;
        let status = response.status();
        let body = read_limited(response.into_body(), MAX_ANSWER_BYTES).await?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
            return Err(ClientError::Token(format!(
                "server answered {status}: {}",
                text.trim()
            )));
        }
        let answer = serde_json::from_slice(&body)
            .map_err(|error| ClientError::Token(format!("answer cannot be read: {error}")))?;
        token(&answer, asked).ok_or_else(|| ClientError::Token("answer has no access_token".into()))
    }

    async fn request(&self) -> Result<Request<bytes::Bytes>, ClientError> {
        let config = &self.config;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(config.token_url.as_str())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json");
        let mut fields = vec![("grant_type", config.grant_type.clone())];
        if config.grant_type == JWT_BEARER {
            fields.push(("assertion", self.assertion().await?));
        } else {
            let (text, file) = (config.client_secret.reveal(), &config.client_secret_file);
            let secret = text_or_file(text, file, "OAuth 2.0 client secret file").await?;
            fields[0].1 = CLIENT_CREDENTIALS.to_owned();
            let credentials = basic_credentials(&escaped(&config.client_id), &escaped(&secret));
            request = request.header(header::AUTHORIZATION, credentials);
        }
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        if !config.scopes.is_empty() {
            form.append_pair("scope", &config.scopes.join(" "));
        }
        form.extend_pairs(&config.endpoint_params);
        request
            .body(form.finish().into())
            .map_err(|error| ClientError::Settings(format!("oauth2 token_url: {error}")))
    }

    /// A claim of who we are, signed: `header.claims.signature`, each in base64url.
    async fn assertion(&self) -> Result<String, ClientError> {
        let (text, file) = (
            self.config.client_certificate_key.reveal(),
            &self.config.client_certificate_key_file,
        );
        let pem = text_or_file(text, file, "OAuth 2.0 client certificate key file").await?;
        let key = rsa_key(&pem)?;
        let mut head = serde_json::Map::new();
        head.insert("alg".into(), self.algorithm().into());
        head.insert("typ".into(), "JWT".into());
        if !self.config.client_certificate_key_id.is_empty() {
            head.insert(
                "kid".into(),
                self.config.client_certificate_key_id.clone().into(),
            );
        }
        let encode = |json| URL_SAFE_NO_PAD.encode(serde_json::Value::Object(json).to_string());
        let signed = format!("{}.{}", encode(head), encode(self.claims()));
        let padding = match self.algorithm() {
            "RS384" => &signature::RSA_PKCS1_SHA384,
            "RS512" => &signature::RSA_PKCS1_SHA512,
            _ => &signature::RSA_PKCS1_SHA256,
        };
        let mut bytes = vec![0; key.public().modulus_len()];
        key.sign(padding, &SystemRandom::new(), signed.as_bytes(), &mut bytes)
            .map_err(|_| ClientError::Token("the private key cannot sign".into()))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    fn algorithm(&self) -> &str {
        match self.config.signature_algorithm.as_str() {
            "" => "RS256",
            named => named,
        }
    }

    fn claims(&self) -> serde_json::Map<String, serde_json::Value> {
        let config = &self.config;
        let or = |text: &str, other: &str| if text.is_empty() { other } else { text }.to_owned();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut claims = serde_json::Map::new();
        claims.insert("iss".into(), or(&config.iss, &config.client_id).into());
        claims.insert("sub".into(), config.client_id.clone().into());
        claims.insert(
            "aud".into(),
            or(&config.audience, config.token_url.as_str()).into(),
        );
        claims.insert("jti".into(), unique().into());
        claims.insert("iat".into(), now.as_secs().into());
        claims.insert("exp".into(), (now + ASSERTION_LIFE).as_secs().into());
        for (name, value) in &config.claims {
            claims.insert(name.clone(), value.clone().into());
        }
        claims
    }
}

/// What the answer gives, if it gives a token at all.
fn token(answer: &serde_json::Value, asked: Instant) -> Option<Token> {
    let access_token = answer["access_token"]
        .as_str()
        .filter(|token| !token.is_empty())?;
    let kind = match answer["token_type"].as_str().unwrap_or_default() {
        "" => "Bearer",
        kind if kind.eq_ignore_ascii_case("bearer") => "Bearer",
        kind => kind,
    };
    // Some servers give the seconds as text.
    let seconds = match &answer["expires_in"] {
        serde_json::Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    };
    let end = seconds
        .filter(|seconds| *seconds > 0)
        .and_then(|seconds| asked.checked_add(Duration::from_secs(seconds)));
    Some(Token {
        header: format!("{kind} {access_token}"),
        end,
    })
}

/// RFC 6749, 2.3.1: name and secret are form-encoded before they become a header.
fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn rsa_key(pem: &str) -> Result<RsaKeyPair, ClientError> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| {
        ClientError::Settings(format!(
            "oauth2 client_certificate_key is not a PEM key: {error}"
        ))
    })?;
    let pair = match &key {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => {
            return Err(ClientError::Settings(
                "oauth2 client_certificate_key is not an RSA key".into(),
            ));
        }
    };
    pair.map_err(|error| ClientError::Settings(format!("oauth2 client_certificate_key: {error}")))
}

fn unique() -> String {
    let mut bytes = [0; 16];
    // A system without randomness could not have made a TLS connection either; the token's server
    // refuses a repeated name if it cares.
    let _ = SystemRandom::new().fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Token {
        token(&serde_json::from_str(text).unwrap(), Instant::now()).unwrap()
    }

    #[test]
    fn a_token_without_an_end_is_good() {
        let token = answer(r#"{"access_token":"t"}"#);
        assert_eq!(token.header, "Bearer t");
        assert!(token.is_good());
    }

    #[test]
    fn a_token_about_to_end_is_not() {
        assert!(!answer(r#"{"access_token":"t","expires_in":5}"#).is_good());
        assert!(answer(r#"{"access_token":"t","expires_in":"60"}"#).is_good());
    }

    /// Made for this test; it opens nothing.
    const KEY: &str = include_str!("../../tests/data/oauth2-test-key.pem");

    #[tokio::test]
    async fn an_assertion_is_signed_and_says_who_we_are() {
        let config: OAuth2 = serde_json::from_value(serde_json::json!({
            "client_id": "me",
            "token_url": "http://localhost/token",
            "grant_type": JWT_BEARER,
            "client_certificate_key": KEY,
            "client_certificate_key_id": "k1",
            "claims": {"team": "a"},
        }))
        .unwrap();
        let source = TokenSource::new(&config, &ClientOptions::default()).unwrap();
        let assertion = source.assertion().await.unwrap();
        let parts: Vec<&str> = assertion.split('.').collect();
        let json = |part: &str| -> serde_json::Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!(
            json(parts[0]),
            serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": "k1"})
        );
        let claims = json(parts[1]);
        for (name, want) in [
            ("iss", "me"),
            ("sub", "me"),
            ("aud", "http://localhost/token"),
            ("team", "a"),
        ] {
            assert_eq!(claims[name], want);
        }
        let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
        assert_eq!(life, ASSERTION_LIFE.as_secs());

        let key = rsa_key(KEY).unwrap();
        let public = signature::UnparsedPublicKey::new(
            &signature::RSA_PKCS1_2048_8192_SHA256,
            signature::KeyPair::public_key(&key).as_ref().to_vec(),
        );
        let signed = assertion.rsplit_once('.').unwrap().0;
        let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        public.verify(signed.as_bytes(), &signature).unwrap();
    }
}
