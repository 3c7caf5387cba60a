//! From TLS settings to a rustls client.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::pinned::Pinned;
use crate::TlsConfig;
use crate::tls::{Pem, provider, versions};

/// Builds the client. Reads the files named; ALPN is left to the connector.
pub(crate) fn client_config(tls: &TlsConfig) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&versions(tls.min_version, tls.max_version)?)
        .map_err(|error| error.to_string())?;
    let builder = if tls.insecure_skip_verify {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified::new()))
    } else {
        match Pem::load(&tls.ca, &tls.ca_file, "CA certificate")? {
            None => builder.with_root_certificates(system_roots()),
            Some(pem) => {
                let verifier = Arc::new(trusting(&pem)?);
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(verifier)
            }
        }
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

/// Trusts these certificates: as authorities, and as themselves.
fn trusting(pem: &Pem) -> Result<Pinned, String> {
    let refused = |error: &dyn std::fmt::Display| {
        format!(
            "unable to use specified CA certificate {}: {error}",
            pem.origin
        )
    };
    let trusted = pem.certificates()?;
    let mut store = RootCertStore::empty();
    for certificate in &trusted {
        store
            .add(certificate.clone())
            .map_err(|error| refused(&error))?;
    }
    let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
        .build()
        .map_err(|error| refused(&error))?;
    Ok(Pinned { trusted, webpki })
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
