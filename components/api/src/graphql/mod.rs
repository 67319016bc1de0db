//! GraphQL at `/graphql` (GraphQL over HTTP): the same rows as below `/api/v1`, several tables at once.

mod desk;
mod limits;
mod mutation;
mod persisted;
mod query;
mod scalars;

use std::sync::OnceLock;

use async_graphql::{
    EmptySubscription, Request as Asked, Response as Told, Schema, ServerError, Variables,
    parser::types::{DocumentOperations, ExecutableDocument, OperationType, Selection},
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use serde_json::{Map, Value, json};

use self::{desk::Desk, mutation::Mutation, query::Query as Root};
use crate::{Front, answer::Answer, body, problem::Problem, query::Query, shapes::GraphRequest};

/// Bytes of a document, at most.
const LONGEST: usize = 16 << 10;
/// Fields within fields, at most.
const DEEPEST: usize = 10;
/// Fields that may have to be answered, at most: those of a list count once for each row that is asked for.
const MOST: usize = 10_000;
/// What asks for the schema alone is deeper than what asks for data, and costs no look into the store.
const DEEPEST_OF_SCHEMA: usize = 20;
const MOST_OF_SCHEMA: usize = 2_000;
/// In which a host tells what whoever asks may do: it cannot see from outside what a document does.
const PERMISSIONS: &str = "x-wheeltapper-permissions";
/// The media type that a client asks for that knows the specification.
const GRAPHQL: &str = "application/graphql-response+json";

type Plan = Schema<Root, Mutation, EmptySubscription>;

fn build(depth: usize, complexity: usize) -> Plan {
    Schema::build(Root, Mutation, EmptySubscription).limit_depth(depth).limit_complexity(complexity).finish()
}

/// Answers GET: queries alone.
pub(crate) fn by_get(
    front: &impl Front,
    now: i64,
    request: &Request<Vec<u8>>,
    query: &Query,
) -> Result<Answer, Problem> {
    let object = |name| query.get(name).and_then(|text| serde_json::from_str(text).ok());
    let asked = GraphRequest {
        query: query.owned("query"),
        operation_name: query.owned("operationName"),
        variables: object("variables"),
        extensions: object("extensions"),
    };
    answer(front, now, request.method(), request.headers(), asked)
}

/// Answers POST.
pub(crate) fn by_post(front: &impl Front, now: i64, request: &mut Request<Vec<u8>>) -> Result<Answer, Problem> {
    let asked = body::read(request)?;
    answer(front, now, request.method(), request.headers(), asked)
}

fn answer(
    front: &impl Front,
    now: i64,
    method: &Method,
    headers: &HeaderMap,
    asked: GraphRequest,
) -> Result<Answer, Problem> {
    let GraphRequest { query, operation_name, variables, extensions } = asked;
    let is_graphql = headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|accept| accept.contains(GRAPHQL)));
    // A name that is empty is none: clients send what was left empty.
    let name = operation_name.filter(|name| !name.is_empty());
    let told = match document(query, extensions.as_ref()) {
        Ok(text) => tell(front, now, method, headers, &text, name, variables)?,
        Err(refusal) => *refusal,
    };
    let status = match is_graphql && told.data == async_graphql::Value::Null && told.is_err() {
        true => StatusCode::BAD_REQUEST,
        false => StatusCode::OK,
    };
    let kind = HeaderValue::from_static(if is_graphql { GRAPHQL } else { "application/json" });
    let body = serde_json::to_string(&written(&told)).unwrap_or_default();
    Ok(Answer::text(status, kind, body).fresh().also(header::VARY, HeaderValue::from_static("Accept")))
}

/// What is sent: `data` is left out where nothing was begun.
fn written(told: &Told) -> Value {
    let mut value = json!(told);
    if told.is_err()
        && told.data == async_graphql::Value::Null
        && let Some(members) = value.as_object_mut()
    {
        members.remove("data");
    }
    value
}

/// The text of the document, as it was sent or as it is known.
fn document(query: Option<String>, extensions: Option<&Map<String, Value>>) -> Result<String, Box<Told>> {
    let query = query.filter(|query| !query.is_empty());
    if let Some(query) = &query
        && query.len() > LONGEST
    {
        let message = format!("the document has {} bytes; send at most {LONGEST}", query.len());
        return Err(Box::new(refusal(&message, "TOO_LONG")));
    }
    match extensions.and_then(|extensions| extensions.get("persistedQuery")) {
        Some(persisted) => persisted::resolve(persisted, query),
        None => query.ok_or_else(|| Box::new(refusal("there is no document; send it as `query`", "NO_QUERY"))),
    }
}

/// A response that is an error.
fn refusal(message: &str, code: &str) -> Told {
    let mut error = ServerError::new(message, None);
    let mut extensions = async_graphql::ErrorExtensionValues::default();
    extensions.set("code", code);
    error.extensions = Some(extensions);
    Told::from_errors(vec![error])
}

fn tell(
    front: &impl Front,
    now: i64,
    method: &Method,
    headers: &HeaderMap,
    text: &str,
    name: Option<String>,
    variables: Option<Map<String, Value>>,
) -> Result<Told, Problem> {
    if let Err(message) = limits::check_nesting(text) {
        return Ok(refusal(&message, "TOO_DEEP"));
    }
    let variables = Variables::from_json(Value::Object(variables.unwrap_or_default()));
    let mut asked = Asked::new(text).variables(variables);
    let document = match asked.parsed_query() {
        Ok(document) => document,
        Err(error) => return Ok(Told::from_errors(vec![error.clone()])),
    };
    if let Err(message) = limits::check_expansion(document) {
        return Ok(refusal(&message, "TOO_COMPLEX"));
    }
    let of_schema = asks_schema_alone(document);
    if changes(document, name.as_deref()) {
        if *method != Method::POST {
            let detail = "a mutation is sent by POST; GET takes queries only";
            let allow = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
            return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).header(header::ALLOW, allow));
        }
        if !may_write(headers) {
            return Ok(refusal(
                "this takes the permission write, which you do not have; ask an administrator",
                "FORBIDDEN",
            ));
        }
    }
    if let Some(name) = name {
        asked = asked.operation_name(name);
    }
    static PLAN: OnceLock<Plan> = OnceLock::new();
    static PLAN_OF_SCHEMA: OnceLock<Plan> = OnceLock::new();
    let plan = match of_schema {
        true => PLAN_OF_SCHEMA.get_or_init(|| build(DEEPEST_OF_SCHEMA, MOST_OF_SCHEMA)),
        false => PLAN.get_or_init(|| build(DEEPEST, MOST)),
    };
    let desk = Desk::default();
    let asked = asked.data(desk.clone()).data(desk::Now(now));
    match desk.serve(front, plan.execute(asked)) {
        Some(told) => Ok(told),
        None => Ok(refusal("the answer did not come to an end", "INTERNAL")),
    }
}

/// Whether the operation that is to be done is a mutation. Where it cannot be told which one it is, nothing is done.
fn changes(document: &ExecutableDocument, name: Option<&str>) -> bool {
    match &document.operations {
        DocumentOperations::Single(operation) => operation.node.ty == OperationType::Mutation,
        DocumentOperations::Multiple(operations) => operations
            .iter()
            .filter(|(known, _)| name.is_none_or(|name| name == known.as_str()))
            .any(|(_, operation)| operation.node.ty == OperationType::Mutation),
    }
}

fn may_write(headers: &HeaderMap) -> bool {
    headers.get(PERMISSIONS).is_none_or(|list| {
        list.to_str().is_ok_and(|list| list.split(',').any(|permission| permission.trim() == "write"))
    })
}

/// Whether all that is asked for is `__schema`, `__type` or `__typename`.
fn asks_schema_alone(document: &ExecutableDocument) -> bool {
    document.operations.iter().all(|(_, operation)| {
        operation.node.selection_set.node.items.iter().all(|selection| match &selection.node {
            Selection::Field(field) => field.node.name.node.starts_with("__"),
            Selection::FragmentSpread(_) | Selection::InlineFragment(_) => false,
        })
    })
}
