//! Certificates to trust, and what the errors of TLS mean.

use std::{fs, path::Path};

use crate::ChannelError;

/// Reads a PEM file of CA certificates.
///
/// # Errors
/// If the file cannot be read or contains no certificate.
pub(crate) fn read_ca_file(path: Option<&Path>) -> Result<Option<Vec<u8>>, ChannelError> {
    let Some(path) = path else { return Ok(None) };
    let help = "name a PEM file, with a line \"-----BEGIN CERTIFICATE-----\"";
    let bytes = fs::read(path)
        .map_err(|error| ChannelError::new(format!("ca_file: {} cannot be read: {error}", path.display()), help))?;
    let has_certificate =
        ureq::tls::parse_pem(&bytes).any(|item| matches!(item, Ok(ureq::tls::PemItem::Certificate(_))));
    if !has_certificate {
        return Err(ChannelError::new(format!("ca_file: {} contains no certificate", path.display()), help));
    }
    Ok(Some(bytes))
}

/// Explains an error of TLS, or returns `None` if the text is not one.
pub(crate) fn explain(server: &str, error: &str) -> Option<String> {
    let lower = error.to_ascii_lowercase();
    if lower.contains("notvalidforname") || lower.contains("not valid for name") {
        return Some(format!(
            "the certificate of {server} is for another name ({error}); write the name that the certificate has, or give \
             the server a certificate for this name"
        ));
    }
    if lower.contains("unknownissuer") || lower.contains("unknown issuer") || lower.contains("badsignature") {
        return Some(format!(
            "the certificate of {server} is signed by an authority that is not trusted; set ca_file to the certificate \
             of that authority"
        ));
    }
    if lower.contains("expired") {
        return Some(format!(
            "the certificate of {server} has expired; renew it, or correct the clock of this machine"
        ));
    }
    if lower.contains("certificate") {
        return Some(format!("the certificate of {server} is not accepted: {error}"));
    }
    if lower.contains("invalidcontenttype") || lower.contains("corrupt message") {
        return Some(format!("{server} does not speak TLS on this port; check the port and the kind of encryption"));
    }
    None
}
