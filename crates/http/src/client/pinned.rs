//! Servers whose own certificate is what the client was told to trust.
//!
//! `openssl req -x509` makes a certificate that is an authority and a server at once. Go accepts it if
//! it is in `ca_file`; webpki never takes an authority for a server. So such a certificate, byte for
//! byte the one that was trusted, is accepted if its name and its dates fit.

use std::sync::Arc;

use rustls::CertificateError::{ExpiredContext, NotValidForName, NotValidYetContext};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// Accepts what webpki accepts, and the trusted certificates themselves.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) trusted: Vec<CertificateDer<'static>>,
    pub(super) webpki: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let outcome =
            self.webpki
                .verify_server_cert(end_entity, intermediates, server_name, ocsp, now);
        let is_trusted = || self.trusted.iter().any(|trusted| trusted == end_entity);
        if outcome.is_ok() || !is_trusted() {
            return outcome;
        }
        check_name(end_entity, server_name)?;
        check_dates(end_entity, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

fn damaged() -> Error {
    Error::InvalidCertificate(rustls::CertificateError::BadEncoding)
}

fn check_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let certificate = webpki::EndEntityCert::try_from(certificate).map_err(|_| damaged())?;
    let fits = certificate.verify_is_valid_for_subject_name(name).is_ok();
    if fits {
        Ok(())
    } else {
        Err(Error::InvalidCertificate(NotValidForName))
    }
}

fn check_dates(certificate: &CertificateDer<'_>, time: UnixTime) -> Result<(), Error> {
    let (not_before, not_after) = dates(certificate).ok_or_else(damaged)?;
    if time < not_before {
        return Err(Error::InvalidCertificate(NotValidYetContext {
            time,
            not_before,
        }));
    }
    if time > not_after {
        return Err(Error::InvalidCertificate(ExpiredContext {
            time,
            not_after,
        }));
    }
    Ok(())
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The dates of a certificate (RFC 5280, 4.1): in its first part, behind version, serial number,
/// algorithm and issuer.
fn dates(certificate: &[u8]) -> Option<(UnixTime, UnixTime)> {
    let (_, certificate, _) = element(certificate)?;
    let (_, body, _) = element(certificate)?;
    let (first, _, rest) = element(body)?;
    let mut rest = if first == VERSION {
        element(rest)?.2
    } else {
        rest
    };
    for _ in 0..2 {
        rest = element(rest)?.2;
    }
    let (tag, validity, _) = element(rest)?;
    let (begin_kind, begin, rest) = element(validity)?;
    let (end_kind, end, _) = element(rest)?;
    (tag == SEQUENCE).then_some(())?;
    Some((moment(begin_kind, begin)?, moment(end_kind, end)?))
}

/// The tag and the content of the first element, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (len, rest) = match *first {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let fits = (1..=4).contains(&digits.len());
            let len = digits
                .iter()
                .fold(0, |len, digit| len << 8 | usize::from(*digit));
            (fits.then_some(len)?, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((*tag, content, rest))
}

/// `YYMMDDhhmmssZ`, with years from 1950 to 2049, or `YYYYMMDDhhmmssZ`.
fn moment(kind: u8, text: &[u8]) -> Option<UnixTime> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(())?;
    let (year, rest) = match kind {
        UTC_TIME => text.split_at_checked(2)?,
        GENERALIZED_TIME => text.split_at_checked(4)?,
        _ => return None,
    };
    let year: u64 = year.parse().ok()?;
    let year = match (kind, year) {
        (UTC_TIME, 50..) => year + 1900,
        (UTC_TIME, _) => year + 2000,
        _ => year,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<u64>().ok();
    let days = days_from_epoch(year, part(0)?, part(2)?)?;
    let seconds = days * 86_400 + part(4)? * 3600 + part(6)? * 60 + part(8)?;
    Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
        seconds,
    )))
}

/// Days from 1970-01-01; nothing for days before it. Years are taken to begin in March, so that the
/// leap day is the last of its year.
fn days_from_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day) && year > 0;
    valid.then_some(())?;
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(kind: u8, text: &str) -> Option<u64> {
        moment(kind, text.as_bytes()).map(|time| time.as_secs())
    }

    #[test]
    fn moments() {
        assert_eq!(seconds(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(seconds(UTC_TIME, "000229120000Z"), Some(951_825_600));
        assert_eq!(seconds(UTC_TIME, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(
            seconds(GENERALIZED_TIME, "20500101000000Z"),
            Some(2_524_608_000)
        );
        for bad in [
            "",
            "7001010000Z",
            "701301000000Z",
            "70010100000xZ",
            "700101000000",
        ] {
            assert_eq!(seconds(UTC_TIME, bad), None, "{bad}");
        }
    }

    #[test]
    fn a_damaged_certificate_has_no_dates() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let whole = params.self_signed(&key).unwrap().der().to_vec();
        assert!(dates(&whole).is_some());
        for len in 0..whole.len() {
            assert!(dates(&whole[..len]).is_none());
        }
        for at in 0..whole.len().min(200) {
            let mut flipped = whole.clone();
            flipped[at] = 0xff;
            // It may or may not have dates; it must not panic.
            let _ = dates(&flipped);
        }
    }
}
