//! From a web configuration to a rustls server.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::web_config::{ClientAuth, TlsServerConfig};
use crate::tls::{Pem, provider, versions};

/// Builds the server. Reads the files named.
pub(super) fn server_config(
    tls: &TlsServerConfig,
    http2: bool,
) -> Result<Arc<ServerConfig>, String> {
    let provider = Arc::new(narrowed(tls)?);
    let cert = Pem::load(&tls.cert, &tls.cert_file, "server certificate")?;
    let key = Pem::load(tls.key.reveal(), &tls.key_file, "server key")?;
    let (Some(cert), Some(key)) = (cert, key) else {
        return Err("missing one of cert or cert_file".into());
    };
    let verifier = client_verifier(tls, &provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(tls.min_version, tls.max_version)?)
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(verifier)
        .with_single_cert(cert.certificates()?, key.key()?)
        .map_err(|error| {
            format!(
                "cannot use certificate {} with key {}: {error}",
                cert.origin, key.origin
            )
        })?;
    config.ignore_client_order = tls.prefer_server_cipher_suites;
    config.alpn_protocols = match http2 {
        true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        false => vec![b"http/1.1".to_vec()],
    };
    Ok(Arc::new(config))
}

/// The provider with only the suites and curves that the settings name.
fn narrowed(tls: &TlsServerConfig) -> Result<CryptoProvider, String> {
    let mut narrow = CryptoProvider::clone(&provider());
    if !tls.cipher_suites.is_empty() {
        for name in &tls.cipher_suites {
            if !narrow
                .cipher_suites
                .iter()
                .any(|suite| is_named(name, &suite.suite()))
            {
                return Err(format!("unknown or unsafe cipher suite: {name}"));
            }
        }
        narrow.cipher_suites.retain(|suite| {
            suite.tls13().is_some()
                || tls
                    .cipher_suites
                    .iter()
                    .any(|name| is_named(name, &suite.suite()))
        });
    }
    if !tls.curve_preferences.is_empty() {
        let all = std::mem::take(&mut narrow.kx_groups);
        for name in &tls.curve_preferences {
            let known = match name.as_str() {
                "CurveP256" => rustls::NamedGroup::secp256r1,
                "CurveP384" => rustls::NamedGroup::secp384r1,
                "X25519" => rustls::NamedGroup::X25519,
                other => {
                    return Err(format!(
                        "unknown curve: {other}; CurveP256, CurveP384 and X25519 are known"
                    ));
                }
            };
            narrow
                .kx_groups
                .extend(all.iter().filter(|group| group.name() == known));
        }
    }
    Ok(narrow)
}

/// Go writes `TLS_AES_128_GCM_SHA256` where rustls writes `TLS13_AES_128_GCM_SHA256`.
fn is_named(name: &str, suite: &rustls::CipherSuite) -> bool {
    let ours = suite.as_str().unwrap_or_default();
    ours == name
        || ours
            .strip_prefix("TLS13_")
            .is_some_and(|rest| name.strip_prefix("TLS_") == Some(rest))
}

fn client_verifier(
    tls: &TlsServerConfig,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let auth = tls.client_auth()?;
    let verifier: Arc<dyn ClientCertVerifier> = match auth {
        ClientAuth::None => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientAuth::Request | ClientAuth::RequireAny => Arc::new(AnyCertificate {
            mandatory: auth == ClientAuth::RequireAny,
            provider: provider.clone(),
        }),
        ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify => {
            let builder =
                WebPkiClientVerifier::builder_with_provider(client_roots(tls)?, provider.clone());
            let builder = match auth {
                ClientAuth::VerifyIfGiven => builder.allow_unauthenticated(),
                _ => builder,
            };
            builder
                .build()
                .map_err(|error| format!("client CAs: {error}"))?
        }
    };
    if tls.client_allowed_sans.is_empty() {
        return Ok(verifier);
    }
    Ok(Arc::new(AllowedNames {
        names: allowed(&tls.client_allowed_sans)?,
        verifier,
    }))
}

fn client_roots(tls: &TlsServerConfig) -> Result<Arc<RootCertStore>, String> {
    let pem = Pem::load(&tls.client_ca, &tls.client_ca_file, "client CA certificate")?;
    let mut roots = RootCertStore::empty();
    if let Some(pem) = pem {
        for certificate in pem.certificates()? {
            roots
                .add(certificate)
                .map_err(|error| format!("{}: {error}", pem.origin))?;
        }
    }
    Ok(Arc::new(roots))
}

fn allowed(names: &[String]) -> Result<Vec<Name>, String> {
    names
        .iter()
        .map(|name| match name.parse::<IpAddr>() {
            Ok(ip) => Ok(Name::Ip(ServerName::IpAddress(ip.into()))),
            Err(_) if ServerName::try_from(name.as_str()).is_ok() => Ok(Name::Host(name.clone())),
            Err(_) => Err(format!("client_allowed_sans: {name:?} is neither a host name nor an IP address; other names are not supported")),
        })
        .collect()
}

#[derive(Debug)]
enum Name {
    Host(String),
    Ip(ServerName<'static>),
}

/// Lets in what another verifier lets in, if the certificate also holds one of these names.
#[derive(Debug)]
struct AllowedNames {
    names: Vec<Name>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl AllowedNames {
    fn holds_one(&self, certificate: &CertificateDer<'_>) -> Result<bool, rustls::Error> {
        let certificate = webpki::EndEntityCert::try_from(certificate).map_err(|_| {
            rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding)
        })?;
        Ok(self.names.iter().any(|name| match name {
            // Compared as texts: a wildcard in a client's certificate is not every host.
            Name::Host(host) => certificate.valid_dns_names().any(|known| known == host),
            Name::Ip(ip) => certificate.verify_is_valid_for_subject_name(ip).is_ok(),
        }))
    }
}

impl ClientCertVerifier for AllowedNames {
    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn offer_client_auth(&self) -> bool {
        self.verifier.offer_client_auth()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self
            .verifier
            .verify_client_cert(end_entity, intermediates, now)?;
        match self.holds_one(end_entity)? {
            true => Ok(verified),
            false => Err(rustls::Error::General(
                "could not find allowed SANs in client cert".to_owned(),
            )),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Takes any certificate whose key the client can prove to hold.
#[derive(Debug)]
struct AnyCertificate {
    mandatory: bool,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
