//! Webhook signatures: HMAC-SHA256 of the body as it was sent, per source.
//!
//! A request names its source in `X-Wheeltapper-Source` and carries `X-Wheeltapper-Signature: sha256=<hex>`.

use std::{collections::BTreeMap, env, fs};

use anyhow::{Context as _, bail};
use axum::http::{HeaderMap, StatusCode};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wheeltapper_config::HttpSource;

use super::Problem;

const SOURCE: &str = "x-wheeltapper-source";
const SIGNATURE: &str = "x-wheeltapper-signature";

/// The sources and their keys.
pub(super) struct Sources {
    keys: BTreeMap<String, Vec<u8>>,
    /// Whether an unsigned request is refused.
    required: bool,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Names only: keys must not reach a log.
        out.debug_struct("Sources").field("names", &self.keys.keys().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

impl Sources {
    pub(super) fn load(sources: &[HttpSource]) -> anyhow::Result<Self> {
        let mut keys = BTreeMap::new();
        for source in sources {
            let key = match (&source.secret_env, &source.secret_file) {
                (Some(name), _) => env::var(name)
                    .with_context(|| {
                        format!("[[http.source]] {}: the environment variable {name} is not set", source.name)
                    })?
                    .into_bytes(),
                (None, Some(file)) => fs::read_to_string(file)
                    .with_context(|| format!("[[http.source]] {}: reading {}", source.name, file.display()))?
                    .trim_end()
                    .as_bytes()
                    .to_vec(),
                (None, None) => bail!("[[http.source]] {}: give secret_env or secret_file", source.name),
            };
            keys.insert(source.name.clone(), key);
        }
        Ok(Self { keys, required: sources.iter().any(|source| source.required) })
    }

    /// Whether unsigned requests are refused.
    pub(super) fn required(&self) -> bool {
        self.required
    }

    /// Lets pass what is signed rightly, and what is unsigned where that is allowed.
    pub(super) fn check(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let refuse = |detail: &str| Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
        match (text(SOURCE), text(SIGNATURE)) {
            (None, None) if !self.required => Ok(()),
            (Some(source), Some(signature)) => {
                // An unknown source is checked against a key as well, so that timing tells no names.
                let key = self.keys.get(source);
                let signature =
                    signature.strip_prefix("sha256=").and_then(|hex| hex::decode(hex).ok()).unwrap_or_default();
                let mac = Hmac::<Sha256>::new_from_slice(key.map_or(b"no such source", Vec::as_slice));
                let right = mac.is_ok_and(|mut mac| {
                    mac.update(body);
                    mac.verify_slice(&signature).is_ok()
                });
                if right && key.is_some() {
                    Ok(())
                } else {
                    refuse(
                        "the signature does not match; sign the body as sent with HMAC-SHA256 under the source's secret",
                    )
                }
            }
            _ => {
                refuse("the request is not signed; send X-Wheeltapper-Source and X-Wheeltapper-Signature: sha256=<hex>")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(source: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(SOURCE, source.parse().unwrap());
        headers.insert(SIGNATURE, signature.parse().unwrap());
        headers
    }

    #[test]
    fn only_the_right_signature_passes() {
        let keys = BTreeMap::from([("gateway".to_owned(), b"Jefe".to_vec())]);
        let sources = Sources { keys, required: true };
        // RFC 4231, test case 2.
        let body = b"what do ya want for nothing?";
        let right = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert!(sources.check(&headers("gateway", right), body).is_ok());
        assert!(sources.check(&headers("gateway", right), b"something else").is_err());
        assert!(sources.check(&headers("nobody", right), body).is_err());
        assert!(sources.check(&headers("gateway", "sha256=00"), body).is_err());
        assert!(sources.check(&HeaderMap::new(), body).is_err());
        let lenient = Sources { required: false, ..sources };
        assert!(lenient.check(&HeaderMap::new(), body).is_ok());
    }
}
