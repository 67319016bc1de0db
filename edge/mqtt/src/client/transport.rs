//! TCP and TLS connections to the external broker.

use std::{path::Path, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig as TlsConfig, RootCertStore, crypto,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use super::error::ClientError;
use crate::ClientConfig;

/// A TCP or TLS stream.
pub(crate) trait BrokerStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> BrokerStream for T {}

/// Address and TLS settings of the broker.
pub(crate) struct BrokerAddress {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl BrokerAddress {
    pub(crate) fn parse(config: &ClientConfig) -> Result<Self, ClientError> {
        let wrong = |reason: &str| ClientError::InvalidUrl { url: config.redacted_url(), reason: reason.into() };
        let url = url::Url::parse(&config.url).map_err(|error| wrong(&error.to_string()))?;
        let secure = match url.scheme() {
            "mqtt" | "tcp" => false,
            "mqtts" | "ssl" => true,
            _ => return Err(wrong("its scheme is not mqtt or mqtts")),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("it has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port().unwrap_or(if secure { 8883 } else { 1883 });
        let tls = if secure {
            let name = ServerName::try_from(host.clone()).map_err(|error| wrong(&error.to_string()))?;
            Some((connector(config.ca_file.as_deref())?, name))
        } else {
            None
        };
        Ok(Self { host, port, tls })
    }

    pub(crate) async fn connect(self) -> Result<Box<dyn BrokerStream>, ClientError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(match self.tls {
            None => Box::new(stream),
            Some((connector, name)) => Box::new(connector.connect(name, stream).await?),
        })
    }
}

fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, ClientError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let wrong = |reason: String| ClientError::InvalidCaFile { path: path.to_owned(), reason };
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| wrong(error.to_string()))?;
            if certificates.is_empty() {
                return Err(wrong("the file contains no certificate".into()));
            }
            for certificate in certificates {
                roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            for error in &system.errors {
                tracing::warn!(%error, "a certificate of the operating system's store cannot be read");
            }
            roots.add_parsable_certificates(system.certs);
        }
    }
    let config = TlsConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
