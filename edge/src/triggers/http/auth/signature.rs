//! Signed webhooks: reads the secrets of `[[http.source]]`, and maps signature errors to responses.

use std::{env, fs};

use anyhow::{Context as _, bail};
use axum::http::StatusCode;
use wheeltapper_access::{SignatureError, SignatureScheme, SignatureVerifier, SignedSource};
use wheeltapper_config::{HttpSource, SignatureScheme as ConfiguredScheme};

use crate::triggers::http::problem::Problem;

/// Reads the secrets of the sources. `now`: seconds since 1970.
///
/// # Errors
/// If a secret cannot be read.
pub(crate) fn load_sources(sources: &[HttpSource], now: i64) -> anyhow::Result<SignatureVerifier> {
    let required = sources.iter().any(|source| source.required);
    let sources = sources.iter().map(source).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(SignatureVerifier::new(sources, required, now))
}

fn source(source: &HttpSource) -> anyhow::Result<SignedSource> {
    let secret = match (&source.secret_env, &source.secret_file) {
        (Some(name), _) => env::var(name)
            .with_context(|| format!("[[http.source]] {}: the environment variable {name} is not set", source.name))?
            .into_bytes(),
        (None, Some(file)) => fs::read_to_string(file)
            .with_context(|| format!("[[http.source]] {}: reading {}", source.name, file.display()))?
            .trim_end()
            .as_bytes()
            .to_vec(),
        (None, None) => bail!("[[http.source]] {}: give secret_env or secret_file", source.name),
    };
    let scheme = match source.signature {
        ConfiguredScheme::Request => SignatureScheme::Request,
        ConfiguredScheme::Body => SignatureScheme::Body,
    };
    Ok(SignedSource { name: source.name.clone(), secret, scheme })
}

impl From<SignatureError> for Problem {
    fn from(error: SignatureError) -> Self {
        let detail = error.to_string();
        match error {
            SignatureError::Rejected(_) => Self::new(StatusCode::UNAUTHORIZED, detail),
            SignatureError::Replayed => Self::new(StatusCode::CONFLICT, detail),
            SignatureError::NonceStoreFull => Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(10),
        }
    }
}
