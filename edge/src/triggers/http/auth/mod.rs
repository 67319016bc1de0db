//! Who may do what: authentication, permissions, rate limits, the audit, and the routes of users and keys.

mod accounts;
mod admin;
mod audit_layer;
mod auth_state;
mod credentials;
mod guard;
mod origin;
mod rate_limit;
mod route_policy;
mod session_revalidation;
mod signature;
mod signed_request;

pub(crate) use accounts::routes as account_routes;
pub(crate) use admin::routes as admin_routes;
pub(crate) use auth_state::{AddressKey, AuthState};
pub(crate) use guard::guard;
pub(crate) use session_revalidation::{StreamSession, revoked};
