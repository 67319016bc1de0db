//! GraphQL at `/graphql` (GraphQL over HTTP): the same rows as below `/api/v1`, several tables in one request.

mod desk;
mod limits;
mod mutation;
mod persisted;
mod query;
mod scalars;

use std::sync::OnceLock;

use async_graphql::{
    EmptySubscription, Request as SchemaRequest, Response as SchemaResponse, Schema, ServerError, Variables,
    parser::types::{DocumentOperations, ExecutableDocument, OperationType, Selection},
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use serde_json::{Map, Value, json};

use self::{desk::Desk, mutation::Mutation, query::Query as Root};
use crate::{Front, answer::Answer, body, problem::Problem, query::Query, shapes::GraphRequest};

/// Maximum size of a document in bytes.
const LONGEST: usize = 16 << 10;
/// Maximum nesting of fields.
const DEEPEST: usize = 10;
/// Maximum complexity: the number of fields in the response, where the fields of a list count once per requested row.
const MOST: usize = 10_000;
/// Maximum nesting of an introspection query. It is deeper than a query for data, but needs no access to the store.
const DEEPEST_OF_SCHEMA: usize = 20;
/// Maximum complexity of an introspection query.
const MOST_OF_SCHEMA: usize = 2_000;
/// The request header with the caller's permissions, set by the host: it cannot tell what a document does.
const PERMISSIONS: &str = "x-wheeltapper-permissions";
/// The media type of clients that implement the specification.
const GRAPHQL: &str = "application/graphql-response+json";

type Plan = Schema<Root, Mutation, EmptySubscription>;

fn build(depth: usize, complexity: usize) -> Plan {
    Schema::build(Root, Mutation, EmptySubscription).limit_depth(depth).limit_complexity(complexity).finish()
}

/// Answers GET, which accepts queries only.
pub(crate) fn by_get(
    line: &impl Front,
    now: i64,
    request: &Request<Vec<u8>>,
    query: &Query,
) -> Result<Answer, Problem> {
    let object = |name| query.get(name).and_then(|text| serde_json::from_str(text).ok());
    let graph_request = GraphRequest {
        query: query.owned("query"),
        operation_name: query.owned("operationName"),
        variables: object("variables"),
        extensions: object("extensions"),
    };
    answer(line, now, request.method(), request.headers(), graph_request)
}

/// Answers POST.
pub(crate) fn by_post(line: &impl Front, now: i64, request: &mut Request<Vec<u8>>) -> Result<Answer, Problem> {
    let graph_request = body::read(request)?;
    answer(line, now, request.method(), request.headers(), graph_request)
}

fn answer(
    line: &impl Front,
    now: i64,
    method: &Method,
    headers: &HeaderMap,
    graph_request: GraphRequest,
) -> Result<Answer, Problem> {
    let GraphRequest { query, operation_name, variables, extensions } = graph_request;
    let is_graphql = headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|accept| accept.contains(GRAPHQL)));
    // An empty name counts as omitted: clients send fields that were left empty.
    let name = operation_name.filter(|name| !name.is_empty());
    let response = match document(query, extensions.as_ref()) {
        Ok(text) => tell(line, now, method, headers, &text, name, variables)?,
        Err(refusal) => *refusal,
    };
    let status = match is_graphql && response.data == async_graphql::Value::Null && response.is_err() {
        true => StatusCode::BAD_REQUEST,
        false => StatusCode::OK,
    };
    let kind = HeaderValue::from_static(if is_graphql { GRAPHQL } else { "application/json" });
    let body = serde_json::to_string(&written(&response)).unwrap_or_default();
    Ok(Answer::text(status, kind, body).fresh().also(header::VARY, HeaderValue::from_static("Accept")))
}

/// Returns the body of the response. `data` is omitted if the execution did not start.
fn written(response: &SchemaResponse) -> Value {
    let mut value = json!(response);
    if response.is_err()
        && response.data == async_graphql::Value::Null
        && let Some(members) = value.as_object_mut()
    {
        members.remove("data");
    }
    value
}

/// Returns the text of the document, sent along or persisted.
fn document(query: Option<String>, extensions: Option<&Map<String, Value>>) -> Result<String, Box<SchemaResponse>> {
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

/// Returns a response with one error.
fn refusal(message: &str, code: &str) -> SchemaResponse {
    let mut error = ServerError::new(message, None);
    let mut extensions = async_graphql::ErrorExtensionValues::default();
    extensions.set("code", code);
    error.extensions = Some(extensions);
    SchemaResponse::from_errors(vec![error])
}

fn tell(
    line: &impl Front,
    now: i64,
    method: &Method,
    headers: &HeaderMap,
    text: &str,
    name: Option<String>,
    variables: Option<Map<String, Value>>,
) -> Result<SchemaResponse, Problem> {
    if let Err(message) = limits::check_nesting(text) {
        return Ok(refusal(&message, "TOO_DEEP"));
    }
    let variables = Variables::from_json(Value::Object(variables.unwrap_or_default()));
    let mut request = SchemaRequest::new(text).variables(variables);
    let document = match request.parsed_query() {
        Ok(document) => document,
        Err(error) => return Ok(SchemaResponse::from_errors(vec![error.clone()])),
    };
    if let Err(message) = limits::check_expansion(document) {
        return Ok(refusal(&message, "TOO_COMPLEX"));
    }
    let of_schema = asks_schema_alone(document);
    if changes(document, name.as_deref()) {
        if *method != Method::POST {
            let detail = "a mutation requires POST; GET accepts queries only";
            let allow = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
            return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).header(header::ALLOW, allow));
        }
        if !may_write(headers) {
            return Ok(refusal(
                "this requires the permission write, which you do not have; ask an administrator",
                "FORBIDDEN",
            ));
        }
    }
    if let Some(name) = name {
        request = request.operation_name(name);
    }
    static PLAN: OnceLock<Plan> = OnceLock::new();
    static PLAN_OF_SCHEMA: OnceLock<Plan> = OnceLock::new();
    let schema = match of_schema {
        true => PLAN_OF_SCHEMA.get_or_init(|| build(DEEPEST_OF_SCHEMA, MOST_OF_SCHEMA)),
        false => PLAN.get_or_init(|| build(DEEPEST, MOST)),
    };
    let desk = Desk::default();
    let request = request.data(desk.clone()).data(desk::Now(now));
    match desk.serve(line, schema.execute(request)) {
        Some(response) => Ok(response),
        None => Ok(refusal("the query did not complete", "INTERNAL")),
    }
}

/// Returns whether the operation to execute is a mutation. If the name is missing and several operations exist, any
/// mutation counts.
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

/// Returns whether the document selects only `__schema`, `__type` or `__typename`.
fn asks_schema_alone(document: &ExecutableDocument) -> bool {
    document.operations.iter().all(|(_, operation)| {
        operation.node.selection_set.node.items.iter().all(|selection| match &selection.node {
            Selection::Field(field) => field.node.name.node.starts_with("__"),
            Selection::FragmentSpread(_) | Selection::InlineFragment(_) => false,
        })
    })
}
