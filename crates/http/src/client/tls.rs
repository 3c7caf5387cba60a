//! From TLS settings to a rustls client.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::TlsConfig;
use crate::tls::{Pem, provider, versions};

/// Builds the client. Reads the files named; ALPN is left to the connector.
pub(super) fn client_config(tls: &TlsConfig) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&versions(tls.min_version, tls.max_version)?)
        .map_err(|error| error.to_string())?;
    let builder = if tls.insecure_skip_verify {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified::new()))
    } else {
        builder.with_root_certificates(roots(tls)?)
    };
    let cert = Pem::load(&tls.cert, &tls.cert_file, "client certificate")?;
    let key = Pem::load(tls.key.reveal(), &tls.key_file, "client key")?;
    match (cert, key) {
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(cert.certificates()?, key.key()?)
            .map_err(|error| {
                format!(
                    "unable to use client certificate {} with key {}: {error}",
                    cert.origin, key.origin
                )
            }),
        _ => Ok(builder.with_no_client_auth()),
    }
}

fn roots(tls: &TlsConfig) -> Result<Arc<RootCertStore>, String> {
    let Some(pem) = Pem::load(&tls.ca, &tls.ca_file, "CA certificate")? else {
        return Ok(system_roots());
    };
    let mut store = RootCertStore::empty();
    for certificate in pem.certificates()? {
        store.add(certificate).map_err(|error| {
            format!(
                "unable to use specified CA certificate {}: {error}",
                pem.origin
            )
        })?;
    }
    Ok(Arc::new(store))
}

/// The system's authorities, read once: reading some hundred certificates takes milliseconds.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS
        .get_or_init(|| {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "Some of the system's certificate authorities cannot be read");
            }
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(found.certs);
            Arc::new(store)
        })
        .clone()
}

/// Believes any certificate, but still holds the server to the key in it.
#[derive(Debug)]
struct Unverified(WebPkiSupportedAlgorithms);

impl Unverified {
    fn new() -> Self {
        Self(provider().signature_verification_algorithms)
    }
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
