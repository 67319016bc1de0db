//! The guard authenticates the caller, checks permissions and rate limits, and records changes in the audit.
//!
//! The requirements of each route come from one table, [`wheeltapper_api::ROUTES`]. Without access control every caller
//! is the local admin; changes are recorded all the same.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use wheeltapper_access::{Identity, RateClass, RateLimitDecision, SIGNATURE_HEADERS, client_key};

use super::{
    audit_layer::AuditRecorder,
    auth_state::{AddressKey, AuthState},
    credentials::{remove_credentials, unauthorized},
    rate_limit::{add_rate_limit_headers, charge_streamed_body, rate_limited},
    route_policy::{RequiredPermission, RoutePolicy, policy_for},
    session_revalidation::StreamSession,
};
use crate::{
    api::Caller,
    triggers::http::{problem::Problem, request_checks, response_headers::ResponseHeaders},
};

/// The prefix of the headers that identify a caller or its origin: only the guard may set them, not the client.
const RESERVED_PREFIX: &str = "x-wheeltapper-";

/// The middleware before all routes.
pub(crate) async fn guard(State(auth): State<Arc<AuthState>>, mut request: Request, next: Next) -> Response {
    strip_reserved_headers(request.headers_mut());
    let response_headers = ResponseHeaders::for_request(&request);
    if let Err(problem) = request_checks::check(&request) {
        let mut response = problem.into_response();
        response_headers.apply(auth.tls, &auth.origins, &mut response);
        return response;
    }
    let policy = policy_for(request.method(), request.uri().path());
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let address = address.map_or_else(|| "unknown".to_owned(), |address| address.to_canonical().to_string());
    let identity = match auth.find_credential(&policy, &request) {
        Ok(request_credential) => {
            let credential = request_credential.secret().filter(|_| policy.is_stream).map(str::to_owned);
            let identity = auth.identify(request_credential).await;
            if let (Ok(Some(identity)), Some(credential)) = (&identity, credential) {
                let session = StreamSession::new(Arc::clone(&auth), credential, identity.clone());
                request.extensions_mut().insert(session);
            }
            identity
        }
        Err(problem) => Err(problem),
    };
    let (mut response, allowance) = match identity {
        Ok(identity) => {
            let admitted = admit(Arc::clone(&auth), policy, identity, address, request, next);
            if policy.must_complete() { run_to_completion(admitted).await } else { admitted.await }
        }
        Err(problem) => (problem.into_response(), None),
    };
    if let Some(allowance) = allowance {
        add_rate_limit_headers(&allowance, response.headers_mut());
    }
    response_headers.apply(auth.tls, &auth.origins, &mut response);
    response
}

/// The response, and the state of the caller's rate limit.
type AdmittedResponse = (Response, Option<RateLimitDecision>);

/// Runs to the end even if the client disconnects.
async fn run_to_completion(admitted: impl Future<Output = AdmittedResponse> + Send + 'static) -> AdmittedResponse {
    tokio::spawn(admitted).await.unwrap_or_else(|_| {
        let detail = "the request failed inside the host; see the host's log for the reason";
        (Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response(), None)
    })
}

/// Checks the rate limit, the permission and the signature, then runs the handler.
async fn admit(
    auth: Arc<AuthState>,
    policy: RoutePolicy,
    identity: Option<Identity>,
    address: String,
    mut request: Request,
    next: Next,
) -> AdmittedResponse {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let key = address.parse().map_or_else(|_| address.clone(), client_key);
    let allowance = auth.take_allowance(&policy, identity.as_ref(), &key, length.unwrap_or(0));
    if let Some(allowance) = allowance.filter(|allowance| !allowance.allowed) {
        return (rate_limited(&allowance).into_response(), Some(allowance));
    }
    let denied = identity.as_ref().and_then(|identity| policy.denial(identity));
    request.extensions_mut().insert(AddressKey(key.clone()));
    let mut signed = None;
    if policy.required == RequiredPermission::Ingest && denied.is_none() {
        match auth.verify_signature(&key, request).await {
            Ok((same, signature)) => (request, signed) = (same, signature),
            Err(problem) => return (problem.into_response(), allowance),
        }
        if identity.is_none() && signed.is_none() {
            return (unauthorized("sign in first").into_response(), allowance);
        }
        if identity.is_none() && length.is_none() {
            use hyper::body::Body as _;
            let bytes = request.body().size_hint().exact().unwrap_or(0);
            auth.access.rate_limiter().charge(RateClass::Ingest, &key, bytes);
        }
    }
    let recorder = AuditRecorder::begin(&policy, identity.as_ref(), &address, &mut request);
    if let Some(problem) = denied {
        let response = recorder.end(&auth, problem.into_response()).await;
        return (response, allowance);
    }
    if let Some(identity) = identity {
        if length.is_none() && policy.class == RateClass::Ingest && !auth.is_open {
            request = charge_streamed_body(&auth, &identity.name, request);
        }
        request.extensions_mut().insert(Caller {
            actor: identity.name.clone(),
            sites: identity.sites.clone(),
            read_only: !identity.has_permission(wheeltapper_access::Permission::Write),
            actions: recorder.actions.clone(),
        });
        request.extensions_mut().insert(identity);
    }
    remove_credentials(&mut request);
    let response = next.run(request).await;
    if let Some(nonce) = signed.and_then(|signed| signed.nonce)
        && !nothing_accepted(response.status())
    {
        nonce.commit();
    }
    (recorder.end(&auth, response).await, allowance)
}

/// Whether a response with this status means that nothing was accepted, so that the same nonce may be used again.
fn nothing_accepted(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// Removes the headers that only the guard may set.
fn strip_reserved_headers(headers: &mut HeaderMap) {
    let reserved: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(RESERVED_PREFIX) && !SIGNATURE_HEADERS.contains(&name.as_str()))
        .cloned()
        .collect();
    for name in reserved {
        headers.remove(name);
    }
}
