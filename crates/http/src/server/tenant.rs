//! Who a request is for: the header `X-Scope-OrgID`.

use http::HeaderMap;

/// The header that carries the tenant.
pub const TENANT_HEADER: &str = "X-Scope-OrgID";

/// The longest tenant, in bytes.
pub const MAX_TENANT_BYTES: usize = 150;

/// Why a request has no usable tenant. The sender has to mend the header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TenantError {
    /// No header, or an empty one. Answer 401.
    #[error("no org id")]
    Missing,
    /// Several tenants where one is meant. Answer 400.
    #[error("multiple org IDs present")]
    Several,
    /// A tenant that is too long.
    #[error("tenant ID is too long: max {MAX_TENANT_BYTES} characters")]
    TooLong,
    /// A character that could break a path or a log line.
    #[error("tenant ID '{tenant}' contains unsupported character '{character}'")]
    Character {
        /// The tenant as given.
        tenant: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// `.` and `..` are folders.
    #[error("tenant ID is '.' or '..'")]
    Folder,
}

/// The one tenant of a request.
///
/// # Errors
/// The header is missing, names several, or is not a tenant.
pub fn tenant(headers: &HeaderMap) -> Result<String, TenantError> {
    let mut all = tenants(headers)?;
    match (all.pop(), all.is_empty()) {
        (Some(tenant), true) => Ok(tenant),
        (None, _) => Err(TenantError::Missing),
        _ => Err(TenantError::Several),
    }
}

/// The tenants of a request that may ask for several, with `|` between: sorted, each once.
///
/// # Errors
/// The header is missing, or one of its parts is not a tenant.
pub fn tenants(headers: &HeaderMap) -> Result<Vec<String>, TenantError> {
    let header = headers
        .get(TENANT_HEADER)
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    let Some(header) = header.filter(|value| !value.is_empty()) else {
        return Err(TenantError::Missing);
    };
    let mut all = Vec::new();
    for tenant in header.split('|') {
        check(tenant)?;
        all.push(tenant.to_owned());
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn check(tenant: &str) -> Result<(), TenantError> {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "!-_.*'()".contains(*c);
    if let Some(character) = tenant.chars().find(|c| !allowed(c)) {
        return Err(TenantError::Character {
            tenant: tenant.to_owned(),
            character,
        });
    }
    match tenant {
        "" => Err(TenantError::Missing),
        "." | ".." => Err(TenantError::Folder),
        long if long.len() > MAX_TENANT_BYTES => Err(TenantError::TooLong),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(TENANT_HEADER.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn one_or_several() {
        assert_eq!(tenant(&headers("a")), Ok("a".to_owned()));
        assert_eq!(tenant(&headers("a|a")), Ok("a".to_owned()));
        assert_eq!(tenant(&headers("a|b")), Err(TenantError::Several));
        assert_eq!(
            tenants(&headers("b|a|b")),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(tenant(&HeaderMap::new()), Err(TenantError::Missing));
    }

    #[test]
    fn nothing_that_breaks_a_path() {
        for bad in ["..", "a/b", "a b", "a|", "é"] {
            assert!(tenant(&headers(bad)).is_err(), "{bad}");
        }
        assert_eq!(
            tenant(&headers(&"x".repeat(151))),
            Err(TenantError::TooLong)
        );
    }
}
