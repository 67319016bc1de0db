//! Sign-in and sign-out: `/api/v1/auth/…`.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Extension, Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use wheeltapper_access::{AuditEvent, AuthError, AuthMethod, Identity, LoginError, Session};

use super::{audit_layer, auth_state::AuthState};
use crate::{
    clock,
    triggers::http::{
        problem::Problem,
        reply::{
            access_problem, json_with_etag, method_not_allowed, no_store_json as reply, read_json, run_blocking,
            time_json,
        },
    },
};

/// The routes under `/api/v1/auth`.
pub(crate) fn routes(auth: Arc<AuthState>) -> Router {
    Router::new()
        .route("/api/v1/auth/login", post(login))
        .route("/api/v1/auth/refresh", post(refresh))
        .route("/api/v1/auth/logout", post(logout))
        .route("/api/v1/auth/password", post(change_password))
        .route("/api/v1/auth/me", get(me))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(auth)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    user: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    refresh_token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    old_password: String,
    new_password: String,
}

async fn login(
    State(auth): State<Arc<AuthState>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, Problem> {
    let Login { user, password } = read_json(request).await?;
    if user.is_empty() || user.chars().count() > 256 || password.is_empty() || password.chars().count() > 1024 {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "user or password is empty or too long; send both, at most 256 and 1024 characters",
        ));
    }
    let name = user.clone();
    let result = auth
        .with_password_permit(move |auth| auth.access.login_from(&user, &password, peer.ip(), clock::now()))
        .await?;
    let outcome = if result.is_ok() { "ok" } else { "failed" };
    audit_login(&auth, name, "login", outcome, peer).await;
    result
        .map(|session| reply(StatusCode::OK, &session_json(&session)))
        .map_err(|error| login_problem(error, unauthorized))
}

async fn refresh(
    State(auth): State<Arc<AuthState>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, Problem> {
    let Refresh { refresh_token } = read_json(request).await?;
    let result = {
        let auth = Arc::clone(&auth);
        run_blocking(move || auth.access.refresh(&refresh_token, clock::now())).await?
    };
    match result {
        Ok(session) => {
            audit_login(&auth, session.identity.name.clone(), "refresh", "ok", peer).await;
            Ok(reply(StatusCode::OK, &session_json(&session)))
        }
        Err(AuthError::Access(error)) => Err(access_problem(error)),
        Err(error) => {
            audit_login(&auth, "unknown".into(), "refresh", "failed", peer).await;
            tracing::debug!(%error, "a refresh token was rejected");
            Err(unauthorized("the refresh token is invalid or has expired; sign in again".into()))
        }
    }
}

async fn logout(
    State(auth): State<Arc<AuthState>>,
    Extension(identity): Extension<Identity>,
) -> Result<StatusCode, Problem> {
    run_blocking(move || auth.access.logout(&identity, clock::now())).await?.map_err(access_problem)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn change_password(
    State(auth): State<Arc<AuthState>>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Result<Response, Problem> {
    let NewPassword { old_password, new_password } = read_json(request).await?;
    if identity.method != AuthMethod::Password {
        let detail = "there is no password to change: you did not sign in with one";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let name = identity.name;
    let result = auth
        .with_password_permit(move |auth| {
            auth.access.change_password(&name, &old_password, &new_password, clock::now())
        })
        .await?;
    // Not 401: the caller is known, and the client need not sign in again.
    let forbidden = |_| Problem::new(StatusCode::FORBIDDEN, "the old password is wrong");
    result
        .map(|session| reply(StatusCode::OK, &session_json(&session)))
        .map_err(|error| login_problem(error, forbidden))
}

async fn me(Extension(identity): Extension<Identity>, headers: HeaderMap) -> Response {
    json_with_etag(&headers, &me_json(&identity)).into_response()
}

async fn audit_login(
    auth: &Arc<AuthState>,
    actor: String,
    action: &'static str,
    outcome: &'static str,
    peer: SocketAddr,
) {
    let address = peer.ip().to_canonical().to_string();
    audit_layer::write_entries(auth, move |write| {
        write(&AuditEvent { actor: &actor, action, target: "", outcome, address: &address, detail: "" });
    })
    .await;
}

fn unauthorized(detail: String) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail)
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"wheeltapper\""))
}

fn login_problem(error: LoginError, unauthorized: impl FnOnce(String) -> Problem) -> Problem {
    match error {
        LoginError::WrongCredentials => unauthorized(error.to_string()),
        LoginError::LockedOut(remaining) => {
            let seconds = remaining.as_secs().max(1);
            Problem::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()).retry_after(seconds)
        }
        LoginError::Access(error) => access_problem(error),
    }
}

fn session_json(session: &Session) -> Value {
    json!({
        "token": session.token,
        "expires": time_json(session.expires),
        "refresh_token": session.refresh_token,
        "refresh_expires": time_json(session.refresh_expires),
        "must_change_password": session.identity.must_change_password,
        "user": me_json(&session.identity),
    })
}

fn me_json(identity: &Identity) -> Value {
    json!({
        "user": identity.name,
        "roles": identity.roles,
        "permissions": identity.permissions(),
        "sites": identity.sites,
        "must_change_password": identity.must_change_password,
        "method": identity.method,
    })
}
