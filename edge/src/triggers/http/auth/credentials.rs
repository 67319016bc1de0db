//! The credential of a request, and the identity that it proves.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
};
use wheeltapper_access::{AuthError, Identity};

use super::{
    auth_state::{AuthState, seconds},
    route_policy::{RequiredPermission, RoutePolicy},
};
use crate::{
    clock,
    triggers::http::{blocking, problem::Problem},
};

/// The credential of a request.
pub(super) enum RequestCredential {
    /// None that has to be checked: the caller is already known, or anonymous.
    NotNeeded(Option<Identity>),
    /// A token or API key.
    Secret(String),
}

impl RequestCredential {
    /// The token or API key.
    pub(super) fn secret(&self) -> Option<&str> {
        match self {
            Self::NotNeeded(_) => None,
            Self::Secret(credential) => Some(credential),
        }
    }
}

impl AuthState {
    /// The credential of a request.
    pub(super) fn find_credential(
        &self,
        policy: &RoutePolicy,
        request: &Request,
    ) -> Result<RequestCredential, Problem> {
        if self.is_open {
            self.check_host_name(request)?;
            return self.check_origin(request).map(|()| RequestCredential::NotNeeded(Some(Identity::local())));
        }
        if policy.required == RequiredPermission::Public {
            return Ok(RequestCredential::NotNeeded(None));
        }
        let query = policy.is_stream.then(|| request.uri().query()).flatten();
        if let Some(credential) = extract_credential(request.headers(), query) {
            return Ok(RequestCredential::Secret(credential));
        }
        // A signed request needs no sign-in; its signature is verified before its body is processed.
        if policy.required == RequiredPermission::Ingest
            && self.signatures.check_headers(request.method(), request.uri(), request.headers(), seconds())?.is_some()
        {
            return Ok(RequestCredential::NotNeeded(None));
        }
        Err(unauthorized("sign in first"))
    }

    /// The identity of the caller; `None` if the route is public.
    pub(super) async fn identify(
        self: &Arc<Self>,
        request_credential: RequestCredential,
    ) -> Result<Option<Identity>, Problem> {
        let credential = match request_credential {
            RequestCredential::NotNeeded(identity) => return Ok(identity),
            RequestCredential::Secret(credential) => credential,
        };
        match self.authenticate(&credential).await? {
            Err(AuthError::IssuerKeysNeeded(issuer)) => self.identify_with_new_keys(issuer, credential).await,
            result => checked_identity(result),
        }
        .map(Some)
    }

    /// Fetches the issuer's keys, then tries once more.
    async fn identify_with_new_keys(self: &Arc<Self>, issuer: usize, credential: String) -> Result<Identity, Problem> {
        let auth = Arc::clone(self);
        let result = blocking::AUTHENTICATION.run(move || {
            if let Err(error) = auth.access.fetch_issuer_keys(issuer, &auth.fetch) {
                tracing::warn!(%error, "the keys of a token issuer could not be fetched");
            }
            auth.access.authenticate(&credential, clock::now())
        });
        checked_identity(result.await?)
    }
}

/// The token or API key of a request. Streams of browsers cannot set headers, so theirs may be in the query.
fn extract_credential(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    let key = || text("x-api-key").map(|key| key.trim().to_owned());
    let asked = || query?.split('&').find_map(|pair| pair.strip_prefix("access_token=")).map(str::to_owned);
    bearer.or_else(key).or_else(asked)
}

/// Removes the credentials from a request, so that no handler and no log gets them.
pub(super) fn remove_credentials(request: &mut Request) {
    request.headers_mut().remove(header::AUTHORIZATION);
    request.headers_mut().remove("x-api-key");
    let Some(query) = request.uri().query().filter(|query| query.contains("access_token=")) else { return };
    let remaining: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("access_token=")).collect();
    let path = request.uri().path();
    let bare = if remaining.is_empty() { path.to_owned() } else { format!("{path}?{}", remaining.join("&")) };
    if let Ok(uri) = bare.parse::<Uri>() {
        *request.uri_mut() = uri;
    }
}

fn checked_identity(result: Result<Identity, AuthError>) -> Result<Identity, Problem> {
    result.map_err(|error| match error {
        AuthError::Access(error) => {
            tracing::error!(%error, "a caller's identity cannot be checked");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "your identity cannot be checked now; try again")
                .retry_after(5)
        }
        AuthError::Rejected(reason) => {
            tracing::debug!(%reason, "a token or key was rejected");
            unauthorized("the token or key is invalid or has expired; sign in again")
        }
        AuthError::IssuerKeysNeeded(_) => unauthorized("the token is invalid; sign in again"),
    })
}

/// The answer to a caller who is not known.
pub(super) fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail)
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"wheeltapper\""))
}
