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

use super::{
    Problem,
    guard::Door,
    reply::{Place, apart, found, json as reply, other_method, page, part, problem, read, time},
    trail::Note,
};
use crate::clock;

/// The routes.
pub(super) fn routes(door: Arc<Door>) -> Router {
    Router::new()
        .route("/api/v1/users", get(users).post(add_user))
        .route("/api/v1/users/{name}", patch(change_user).delete(remove_user))
        .route("/api/v1/keys", get(keys).post(add_key))
        .route("/api/v1/keys/{id}", axum::routing::delete(remove_key))
        .route("/api/v1/audit", get(audit))
        .route("/api/v1/audit/verify", get(verify))
        .method_not_allowed_fallback(other_method)
        .with_state(door)
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
struct Change {
    #[serde(default, deserialize_with = "given")]
    roles: Option<Vec<Role>>,
    #[serde(default, deserialize_with = "given")]
    sites: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "given")]
    disabled: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    reset_password: Option<bool>,
}

/// A member that is there; null is a value like others.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
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
    State(door): State<Arc<Door>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let place = Place::of(query.as_deref())?;
    let users = apart(move || door.access.users()).await?.map_err(problem)?;
    Ok(slice(&headers, "/api/v1/users", &place, users.iter().map(user_json)))
}

async fn add_user(
    State(door): State<Arc<Door>>,
    Extension(note): Extension<Note>,
    request: Request,
) -> Result<Response, Problem> {
    let new: NewUser = read(request).await?;
    note.tell(&new.user, &json!({ "roles": new.roles, "sites": new.sites }));
    let (user, password) = apart(move || {
        let password = door.access.add_user(&new.user, &new.roles, new.sites, clock::now())?;
        Ok((door.access.user(&new.user)?, password))
    })
    .await?
    .map_err(problem)?;
    Ok(reply(StatusCode::CREATED, &with(user.as_ref().map_or(Value::Null, user_json), "one_time_password", &password)))
}

async fn change_user(
    State(door): State<Arc<Door>>,
    name: Result<Path<String>, PathRejection>,
    Extension(note): Extension<Note>,
    request: Request,
) -> Result<Response, Problem> {
    let name = part(name)?;
    let Change { roles, sites, disabled, reset_password } = read(request).await?;
    note.tell(&name, &changed(roles.as_ref(), sites.as_ref(), disabled, reset_password));
    if roles.is_none() && sites.is_none() && disabled.is_none() && reset_password.is_none() {
        let detail = "nothing is to be changed; give roles, sites, disabled or reset_password";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let (user, password) = apart(move || {
        let mut user = door.access.change_user(&name, UserChange { roles, sites, disabled })?;
        let password = match reset_password {
            Some(true) => Some(door.access.reset_password(&name)?),
            _ => None,
        };
        user.must_change_password |= password.is_some();
        Ok((user, password))
    })
    .await?
    .map_err(problem)?;
    let body = user_json(&user);
    Ok(reply(StatusCode::OK, &password.map_or(body.clone(), |password| with(body, "one_time_password", &password))))
}

/// What of a user is to be changed.
fn changed(
    roles: Option<&Vec<Role>>,
    sites: Option<&Option<Vec<String>>>,
    disabled: Option<bool>,
    reset_password: Option<bool>,
) -> Value {
    let mut members = serde_json::Map::new();
    let mut tell = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    tell("roles", roles.map(|roles| json!(roles)));
    tell("sites", sites.map(|sites| json!(sites)));
    tell("disabled", disabled.map(Value::Bool));
    tell("reset_password", reset_password.map(Value::Bool));
    Value::Object(members)
}

async fn remove_user(
    State(door): State<Arc<Door>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let name = part(name)?;
    apart(move || door.access.remove_user(&name)).await?.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn keys(
    State(door): State<Arc<Door>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let place = Place::of(query.as_deref())?;
    let keys = apart(move || door.access.api_keys()).await?.map_err(problem)?;
    Ok(slice(&headers, "/api/v1/keys", &place, keys.iter().map(key_json)))
}

async fn add_key(
    State(door): State<Arc<Door>>,
    Extension(note): Extension<Note>,
    request: Request,
) -> Result<Response, Problem> {
    let new: NewKey = read(request).await?;
    let given = json!({ "name": new.name, "scopes": new.scopes, "sites": new.sites, "expires": new.expires });
    note.tell("", &given);
    let expires =
        match &new.expires {
            None => None,
            Some(time) => Some(wheeltapper_api::moment(time).map_err(|error| {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("expires: {error}; mend it"))
            })?),
        };
    let (key, text) = apart(move || door.access.add_api_key(&new.name, &new.scopes, new.sites, expires, clock::now()))
        .await?
        .map_err(problem)?;
    note.tell(&key.id, &given);
    Ok(reply(StatusCode::CREATED, &with(key_json(&key), "key", &text)))
}

async fn remove_key(
    State(door): State<Arc<Door>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let id = part(id)?;
    apart(move || door.access.remove_api_key(&id)).await?.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn audit(
    State(door): State<Arc<Door>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Place { limit, cursor } = Place::of(query.as_deref())?;
    let mut entries = apart(move || door.access.audit(cursor, limit + 1)).await?.map_err(problem)?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().map(|entry| entry.seq).filter(|_| more);
    let items = entries.iter().map(wheeltapper_access::Entry::json).collect();
    Ok(page(&headers, "/api/v1/audit", items, limit, next))
}

async fn verify(State(door): State<Arc<Door>>, headers: HeaderMap) -> Result<Response, Problem> {
    let found_out = apart(move || door.access.verify_audit()).await?.map_err(problem)?;
    let bad = found_out.first_bad.as_ref().map(|bad| json!({ "seq": bad.seq, "why": bad.why }));
    Ok(found(&headers, &json!({ "ok": found_out.ok(), "entries": found_out.entries, "first_bad": bad })))
}

/// A page of a list that is short enough to be read whole.
fn slice(headers: &HeaderMap, path: &str, place: &Place, all: impl Iterator<Item = Value>) -> Response {
    let begin = place.cursor.and_then(|cursor| usize::try_from(cursor).ok()).unwrap_or(0);
    let mut items: Vec<Value> = all.skip(begin).take(place.limit + 1).collect();
    let next = (items.len() > place.limit).then(|| i64::try_from(begin + place.limit).unwrap_or(i64::MAX));
    items.truncate(place.limit);
    page(headers, path, items, place.limit, next)
}

fn with(mut body: Value, name: &str, text: &str) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.insert(name.to_owned(), json!(text));
    }
    body
}

fn user_json(user: &User) -> Value {
    json!({
        "user": user.name, "roles": user.roles, "sites": user.sites, "disabled": user.disabled,
        "created": time(user.created), "last_login": user.last_login.map(time),
        "must_change_password": user.must_change_password,
    })
}

fn key_json(key: &ApiKey) -> Value {
    json!({
        "id": key.id, "name": key.name, "scopes": key.scopes, "sites": key.sites, "created": time(key.created),
        "expires": key.expires.map(time), "last_used": key.last_used.map(time),
    })
}
