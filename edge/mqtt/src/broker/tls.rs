//! Loads the certificate and the private key of the TLS listener.

use std::{path::Path, sync::Arc};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig, crypto,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::config::{BrokerError, BrokerTls};

const EXPECTED_CERTIFICATE: &str = "the server's certificate, followed by its issuers' certificates";
const EXPECTED_KEY: &str = "the private key of the certificate";

fn tls_error(path: &Path, expected: &'static str) -> impl Fn(String) -> BrokerError {
    let path = path.to_owned();
    move |reason| BrokerError::Tls { path: path.clone(), expected, reason }
}

/// Reads the PEM files and builds the acceptor.
pub(crate) fn acceptor(tls: &BrokerTls) -> Result<TlsAcceptor, BrokerError> {
    let (cert, key) = (tls_error(&tls.cert, EXPECTED_CERTIFICATE), tls_error(&tls.key, EXPECTED_KEY));
    let chain = CertificateDer::pem_file_iter(&tls.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| cert(error.to_string()))?;
    if chain.is_empty() {
        return Err(cert("the file contains no certificate".into()));
    }
    let secret = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| key(error.to_string()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| cert(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| key(error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
