//! Protects a host without sign-in from web pages of other origins.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{HeaderName, StatusCode, header},
};

use super::auth_state::AuthState;
use crate::triggers::http::{problem::Problem, response_headers::host_name};

impl AuthState {
    /// Without sign-in, a page of another origin must neither change anything in the name of the user who opened it,
    /// nor listen.
    pub(super) fn check_origin(&self, request: &Request) -> Result<(), Problem> {
        let text = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        // Browsers let any page open a WebSocket to any origin.
        let is_harmless = request.method().is_safe() && !request.headers().contains_key(header::UPGRADE);
        let Some(origin) = text(header::ORIGIN).filter(|_| !is_harmless) else { return Ok(()) };
        let is_own = text(header::HOST).is_some_and(|host| origin.split_once("://").is_some_and(|(_, of)| of == host));
        let is_listed = self.origins.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(origin));
        if is_own || is_listed {
            return Ok(());
        }
        let detail =
            format!("pages of {origin} are not allowed to use this host; if they should be, list it in [http] origins");
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }

    /// Without sign-in and on a loopback address, a foreign host name indicates an attack: a page may let its own name
    /// resolve to 127.0.0.1, and then has the same origin (DNS rebinding).
    pub(super) fn check_host_name(&self, request: &Request) -> Result<(), Problem> {
        let Some(host) = request.headers().get(header::HOST).filter(|_| self.local) else { return Ok(()) };
        let name = host.to_str().map(host_name).unwrap_or_default();
        let of_origin = |origin: &String| {
            origin.split_once("://").is_some_and(|(_, host)| host_name(host).eq_ignore_ascii_case(name))
        };
        // An address, or a name without a dot: nobody else can own such a name.
        let is_local = !name.contains('.') || name.parse::<IpAddr>().is_ok();
        if is_local || self.origins.iter().any(of_origin) {
            return Ok(());
        }
        let detail = format!(
            "this host serves only this machine and does not answer requests for {name:?}; use http://localhost, or list http://{name} in [http] origins"
        );
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail))
    }
}
