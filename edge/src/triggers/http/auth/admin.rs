//! Users, API keys and the audit: `/api/v1/users`, `/keys`, `/audit`.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Path, RawQuery, Request, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::{get, patch},
};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use wheeltapper_access::{ApiKey, Role, Scope, User, UserChange};

use super::{audit_layer::AuditNote, auth_state::AuthState};
use crate::{
    clock,
    triggers::http::{
        problem::Problem,
        reply::{
            PageParams, access_problem, json_with_etag, method_not_allowed, no_store_json as reply, page_response,
            path_param, read_json, run_blocking, time_json,
        },
    },
};

/// The routes of users, keys and the audit.
pub(crate) fn routes(auth: Arc<AuthState>) -> Router {
    Router::new()
        .route("/api/v1/users", get(users).post(add_user))
        .route("/api/v1/users/{name}", patch(change_user).delete(remove_user))
        .route("/api/v1/keys", get(keys).post(add_key))
        .route("/api/v1/keys/{id}", axum::routing::delete(remove_key))
        .route("/api/v1/audit", get(audit))
        .route("/api/v1/audit/verify", get(verify))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(auth)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    user: String,
    roles: Vec<Role>,
    #[serde(default)]
    sites: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserPatch {
    #[serde(default, deserialize_with = "present")]
    roles: Option<Vec<Role>>,
    #[serde(default, deserialize_with = "present")]
    sites: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "present")]
    disabled: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    reset_password: Option<bool>,
}

/// A member that is present; null is a value like any other.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    name: String,
    scopes: Vec<Scope>,
    #[serde(default)]
    sites: Option<Vec<String>>,
    #[serde(default)]
    expires: Option<Value>,
}

async fn users(
    State(auth): State<Arc<AuthState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = PageParams::from_query(query.as_deref())?;
    let users = run_blocking(move || auth.access.users()).await?.map_err(access_problem)?;
    Ok(page_of(&headers, "/api/v1/users", &params, users.iter().map(user_json)))
}

async fn add_user(
    State(auth): State<Arc<AuthState>>,
    Extension(note): Extension<AuditNote>,
    request: Request,
) -> Result<Response, Problem> {
    let new: NewUser = read_json(request).await?;
    note.set(&new.user, &json!({ "roles": new.roles, "sites": new.sites }));
    let (user, password) = run_blocking(move || {
        let password = auth.access.add_user(&new.user, &new.roles, new.sites, clock::now())?;
        Ok((auth.access.user(&new.user)?, password))
    })
    .await?
    .map_err(access_problem)?;
    Ok(reply(
        StatusCode::CREATED,
        &with_member(user.as_ref().map_or(Value::Null, user_json), "one_time_password", &password),
    ))
}

async fn change_user(
    State(auth): State<Arc<AuthState>>,
    name: Result<Path<String>, PathRejection>,
    Extension(note): Extension<AuditNote>,
    request: Request,
) -> Result<Response, Problem> {
    let name = path_param(name)?;
    let UserPatch { roles, sites, disabled, reset_password } = read_json(request).await?;
    note.set(&name, &change_detail(roles.as_ref(), sites.as_ref(), disabled, reset_password));
    if roles.is_none() && sites.is_none() && disabled.is_none() && reset_password.is_none() {
        let detail = "the body changes nothing; give roles, sites, disabled or reset_password";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let (user, password) = run_blocking(move || {
        let mut user = auth.access.change_user(&name, UserChange { roles, sites, disabled })?;
        let password = match reset_password {
            Some(true) => Some(auth.access.reset_password(&name)?),
            _ => None,
        };
        user.must_change_password |= password.is_some();
        Ok((user, password))
    })
    .await?
    .map_err(access_problem)?;
    let body = user_json(&user);
    Ok(reply(
        StatusCode::OK,
        &password.map_or(body.clone(), |password| with_member(body, "one_time_password", &password)),
    ))
}

/// The requested changes of a user, as the audit records them.
fn change_detail(
    roles: Option<&Vec<Role>>,
    sites: Option<&Option<Vec<String>>>,
    disabled: Option<bool>,
    reset_password: Option<bool>,
) -> Value {
    let mut members = serde_json::Map::new();
    let mut insert = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    insert("roles", roles.map(|roles| json!(roles)));
    insert("sites", sites.map(|sites| json!(sites)));
    insert("disabled", disabled.map(Value::Bool));
    insert("reset_password", reset_password.map(Value::Bool));
    Value::Object(members)
}

async fn remove_user(
    State(auth): State<Arc<AuthState>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let name = path_param(name)?;
    run_blocking(move || auth.access.remove_user(&name)).await?.map_err(access_problem)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn keys(
    State(auth): State<Arc<AuthState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = PageParams::from_query(query.as_deref())?;
    let keys = run_blocking(move || auth.access.api_keys()).await?.map_err(access_problem)?;
    Ok(page_of(&headers, "/api/v1/keys", &params, keys.iter().map(key_json)))
}

async fn add_key(
    State(auth): State<Arc<AuthState>>,
    Extension(note): Extension<AuditNote>,
    request: Request,
) -> Result<Response, Problem> {
    let new: NewKey = read_json(request).await?;
    let detail = json!({ "name": new.name, "scopes": new.scopes, "sites": new.sites, "expires": new.expires });
    note.set("", &detail);
    let expires = match &new.expires {
        None => None,
        Some(time) => Some(wheeltapper_api::parse_timestamp(time).map_err(|error| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("expires: {error}; correct it"))
        })?),
    };
    let (key, text) =
        run_blocking(move || auth.access.add_api_key(&new.name, &new.scopes, new.sites, expires, clock::now()))
            .await?
            .map_err(access_problem)?;
    note.set(&key.id, &detail);
    Ok(reply(StatusCode::CREATED, &with_member(key_json(&key), "key", &text)))
}

async fn remove_key(
    State(auth): State<Arc<AuthState>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let id = path_param(id)?;
    run_blocking(move || auth.access.remove_api_key(&id)).await?.map_err(access_problem)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn audit(
    State(auth): State<Arc<AuthState>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let PageParams { limit, cursor } = PageParams::from_query(query.as_deref())?;
    let mut entries =
        run_blocking(move || auth.access.audit_entries(cursor, limit + 1)).await?.map_err(access_problem)?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().map(|entry| entry.seq).filter(|_| more);
    let items = entries.iter().map(wheeltapper_access::AuditEntry::to_json).collect();
    Ok(page_response(&headers, "/api/v1/audit", items, limit, next))
}

async fn verify(State(auth): State<Arc<AuthState>>, headers: HeaderMap) -> Result<Response, Problem> {
    let verification = run_blocking(move || auth.access.verify_audit()).await?.map_err(access_problem)?;
    let bad = verification.first_defect.as_ref().map(|bad| json!({ "seq": bad.seq, "why": bad.reason }));
    Ok(json_with_etag(
        &headers,
        &json!({ "ok": verification.is_intact(), "entries": verification.entries, "first_bad": bad }),
    ))
}

/// A page of a list that is short enough to be read completely.
fn page_of(headers: &HeaderMap, path: &str, params: &PageParams, rows: impl Iterator<Item = Value>) -> Response {
    let begin = params.cursor.and_then(|cursor| usize::try_from(cursor).ok()).unwrap_or(0);
    let mut items: Vec<Value> = rows.skip(begin).take(params.limit + 1).collect();
    let next = (items.len() > params.limit).then(|| i64::try_from(begin + params.limit).unwrap_or(i64::MAX));
    items.truncate(params.limit);
    page_response(headers, path, items, params.limit, next)
}

fn with_member(mut body: Value, name: &str, text: &str) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.insert(name.to_owned(), json!(text));
    }
    body
}

fn user_json(user: &User) -> Value {
    json!({
        "user": user.name, "roles": user.roles, "sites": user.sites, "disabled": user.disabled,
        "created": time_json(user.created), "last_login": user.last_login.map(time_json),
        "must_change_password": user.must_change_password,
    })
}

fn key_json(key: &ApiKey) -> Value {
    json!({
        "id": key.id, "name": key.name, "scopes": key.scopes, "sites": key.sites, "created": time_json(key.created),
        "expires": key.expires.map(time_json), "last_used": key.last_used.map(time_json),
    })
}
