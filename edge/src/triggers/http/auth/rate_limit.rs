//! Rate limits: what a request costs, and what the caller is told.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
};
use serde_json::json;
use wheeltapper_access::{Identity, RateClass, RateLimitDecision};

use super::{
    auth_state::AuthState,
    route_policy::{RequiredPermission, RoutePolicy},
};
use crate::triggers::http::problem::Problem;

impl AuthState {
    /// Takes the cost of the request from the caller's rate limit.
    pub(super) fn take_allowance(
        &self,
        policy: &RoutePolicy,
        identity: Option<&Identity>,
        address: &str,
        length: u64,
    ) -> Option<RateLimitDecision> {
        let name = match (policy.class, identity) {
            // Password guesses are counted by address, even where no sign-in is required.
            (RateClass::Login, _) | (_, None) => address,
            (_, Some(_)) if self.is_open => return None,
            (_, Some(identity)) => &identity.name,
        };
        let cost = if policy.class == RateClass::Ingest { length.max(1) } else { 1 };
        let free = policy.required == RequiredPermission::Public && policy.class == RateClass::Other;
        (!free).then(|| self.access.rate_limiter().try_take(policy.class, name, cost))
    }
}

/// Charges the bytes of a body without Content-Length while they are received.
pub(super) fn charge_streamed_body(auth: &Arc<AuthState>, name: &str, request: Request) -> Request {
    use http_body_util::BodyExt as _;
    let (auth, name) = (Arc::clone(auth), name.to_owned());
    request.map(|body| {
        axum::body::Body::new(body.map_frame(move |frame| {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            auth.access.rate_limiter().charge(RateClass::Ingest, &name, bytes);
            frame
        }))
    })
}

/// The answer to a caller whose rate limit is used up.
pub(super) fn rate_limited(allowance: &RateLimitDecision) -> Problem {
    let RateLimitDecision { quota, class, .. } = allowance;
    let detail = format!(
        "the rate limit is {} ({}) in {} s; try again in {} s",
        quota.amount,
        class.name(),
        quota.window.as_secs().max(1),
        allowance.retry_after_seconds()
    );
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
        .with_member("limit", json!(quota.amount))
        .retry_after(allowance.retry_after_seconds())
}

/// Adds the state of the rate limit to the headers of a response.
pub(super) fn add_rate_limit_headers(allowance: &RateLimitDecision, headers: &mut HeaderMap) {
    for (name, text) in [("ratelimit-policy", allowance.policy_header()), ("ratelimit", allowance.state_header())] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}
