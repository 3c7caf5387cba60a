//! Who we are, told in headers. Files are read for every request, so that a new password in a file
//! is used at once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::config::{Authorization, BasicAuth, Headers, HttpClientConfig};
use super::error::ClientError;
use super::oauth2::TokenSource;
use crate::Secret;
use crate::files::read_trimmed;

/// Adds what the settings say to a request that carries no `Authorization` of its own.
pub(super) async fn add(
    headers: &mut HeaderMap,
    config: &HttpClientConfig,
    tokens: Option<&TokenSource>,
) -> Result<(), ClientError> {
    if let Some(more) = &config.http_headers {
        add_headers(headers, more).await?;
    }
    if headers.contains_key(AUTHORIZATION) {
        return Ok(());
    }
    let value = if let Some(basic) = &config.basic_auth {
        basic_value(basic).await?
    } else if let Some(authorization) = &config.authorization {
        authorization_value(authorization).await?
    } else if let Some(tokens) = tokens {
        tokens.header().await?
    } else {
        return Ok(());
    };
    headers.insert(AUTHORIZATION, sensitive(&value, "authorization")?);
    Ok(())
}

async fn basic_value(basic: &BasicAuth) -> Result<String, ClientError> {
    let username = text_or_file(&basic.username, &basic.username_file, "username file").await?;
    let password = text_or_file(
        basic.password.reveal(),
        &basic.password_file,
        "password file",
    )
    .await?;
    Ok(basic_credentials(&username, &password))
}

/// The value of `Authorization` for a user and a password.
pub(super) fn basic_credentials(username: &str, password: &str) -> String {
    format!(
        "Basic {}",
        STANDARD.encode(format!("{username}:{password}"))
    )
}

async fn authorization_value(authorization: &Authorization) -> Result<String, ClientError> {
    let Authorization {
        kind,
        credentials,
        credentials_file,
    } = authorization;
    let token = text_or_file(
        credentials.reveal(),
        credentials_file,
        "authorization credentials file",
    )
    .await?;
    Ok(format!("{kind} {token}"))
}

/// The text itself, or what its file holds now.
pub(super) async fn text_or_file(
    text: &str,
    file: &str,
    what: &'static str,
) -> Result<String, ClientError> {
    if file.is_empty() {
        return Ok(text.to_owned());
    }
    read_trimmed(file)
        .await
        .map_err(|source| ClientError::File {
            what,
            path: file.to_owned(),
            source,
        })
}

async fn add_headers(headers: &mut HeaderMap, more: &Headers) -> Result<(), ClientError> {
    for (name, values) in more {
        let name: HeaderName = name
            .parse()
            .map_err(|_| ClientError::Settings(format!("{name:?} is not a valid header name")))?;
        for value in &values.values {
            headers.append(name.clone(), sensitive(value, name.as_str())?);
        }
        for value in values.secrets.iter().map(Secret::reveal) {
            headers.append(name.clone(), sensitive(value, name.as_str())?);
        }
        for file in &values.files {
            let value = text_or_file("", file, "header file").await?;
            headers.append(name.clone(), sensitive(&value, name.as_str())?);
        }
    }
    Ok(())
}

fn sensitive(value: &str, header: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        ClientError::Settings(format!(
            "the value of header {header} holds bytes that HTTP forbids"
        ))
    })?;
    value.set_sensitive(true);
    Ok(value)
}
