//! TLS for a connection, by rustls.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::credentials::Login;
use super::failure::Failure;
use crate::fault::Fault;
use crate::host::fs::read_named;
use crate::server::{Check, RootCert};

/// The most that is read of root certificates, in bytes.
const LIMIT: u64 = 8 << 20;

/// Root certificates.
pub(super) struct Root {
    store: Arc<RootCertStore>,
}

/// The root certificates that count: of the url, or else of `~/.postgresql/root.crt`, as for libpq. `None` if
/// there are none.
///
/// # Errors
/// [`Fault`] when they cannot be read, or when there are none and the mode needs some.
pub(super) fn root(login: &Login) -> Result<Option<Root>, Fault> {
    let url = &login.url;
    let home = login.home.as_deref();
    let named = match &url.root_cert {
        Some(RootCert::System) => return system().map(Some),
        Some(named) => named.file(home),
        None => home.map(|home| home.join(".postgresql/root.crt")),
    };
    let of = |why: String| Fault::server(format!("`sslmode={}`: {why}", url.ssl_mode));
    let advice = "`sslrootcert=` in the url names a file with them, `system` those of this machine";
    let Some(path) = named else {
        let missing = || of("there are no root certificates".to_owned()).advise(advice);
        return if url.ssl_mode.needs_root() { Err(missing()) } else { Ok(None) };
    };
    let unread = |why: String| of(format!("the root certificates in `{path}` cannot be read: {why}"));
    let bytes = read_named(&path, LIMIT).map_err(|error| unread(error.to_string()))?;
    let Some(bytes) = bytes else {
        let missing = || of(format!("there are no root certificates in `{path}`")).advise(advice);
        return if url.ssl_mode.needs_root() { Err(missing()) } else { Ok(None) };
    };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| unread(error.to_string()))?;
        store.add(certificate).map_err(|error| unread(error.to_string()))?;
    }
    if store.is_empty() {
        return Err(unread("it has no certificate".to_owned()));
    }
    Ok(Some(Root { store: Arc::new(store) }))
}

fn system() -> Result<Root, Fault> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        let none = Fault::server("this machine has no root certificates that kinfra can find");
        return Err(none.advise("name a file with `sslrootcert=` in the url"));
    }
    Ok(Root { store: Arc::new(store) })
}

/// What makes connections that are checked so.
pub(super) fn connector(check: Check, root: Option<&Root>) -> Result<MakeRustlsConnect, Failure> {
    let provider = Arc::new(ring::default_provider());
    let verifier = root.filter(|_| check != Check::Nothing).map(|root| {
        WebPkiServerVerifier::builder_with_provider(Arc::clone(&root.store), Arc::clone(&provider)).build()
    });
    let verifier = verifier.transpose().map_err(|error| Failure::of_tls(error.to_string()))?;
    let verifier = Arc::new(Verifier { check, by_roots: verifier, provider: Arc::clone(&provider) });
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| Failure::of_tls(error.to_string()))?;
    let config = config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Checks what `sslmode` says, and no more.
#[derive(Debug)]
struct Verifier {
    check: Check,
    by_roots: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        let verifier = match (self.check, &self.by_roots) {
            (Check::Nothing, _) => return Ok(ServerCertVerified::assertion()),
            (Check::Chain | Check::ChainAndName, Some(verifier)) => verifier,
            (Check::Chain | Check::ChainAndName, None) => {
                return Err(Error::General("there are no root certificates".to_owned()));
            }
        };
        // The name is checked last: what is wrong with it alone has a chain that is right.
        match verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
                if self.check == Check::Chain =>
            {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
