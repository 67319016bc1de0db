//! GraphQL at `/graphql` (GraphQL over HTTP): the same rows as below `/api/v1`, several tables in one request.

mod data_loader;
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

use self::{data_loader::DataLoader, mutation::Mutation, query::Query as Root};
use crate::{
    LineApi, api_response::ApiResponse, json_body, problem::Problem, query_params::QueryParams, schemas::GraphQlRequest,
};

/// Maximum size of a document in bytes.
const MAX_DOCUMENT_BYTES: usize = 16 << 10;
/// Maximum nesting of fields.
const MAX_DEPTH: usize = 10;
/// Maximum complexity: the number of fields in the response, where the fields of a list count once per requested row.
const MAX_COMPLEXITY: usize = 10_000;
/// Maximum nesting of an introspection query. It is deeper than a query for data, but needs no access to the store.
const MAX_INTROSPECTION_DEPTH: usize = 20;
/// Maximum complexity of an introspection query.
const MAX_INTROSPECTION_COMPLEXITY: usize = 2_000;
/// The request header with the caller's permissions, set by the host: it cannot tell what a document does.
const PERMISSIONS_HEADER: &str = "x-wheeltapper-permissions";
/// The media type of clients that implement the specification.
const GRAPHQL_MEDIA_TYPE: &str = "application/graphql-response+json";

type ApiSchema = Schema<Root, Mutation, EmptySubscription>;

fn build_schema(depth: usize, complexity: usize) -> ApiSchema {
    Schema::build(Root, Mutation, EmptySubscription).limit_depth(depth).limit_complexity(complexity).finish()
}

/// Answers GET, which accepts queries only.
pub(crate) fn handle_get(
    line: &impl LineApi,
    now: i64,
    request: &Request<Vec<u8>>,
    query: &QueryParams,
) -> Result<ApiResponse, Problem> {
    let object = |name| query.get(name).and_then(|text| serde_json::from_str(text).ok());
    let graph_request = GraphQlRequest {
        query: query.get_owned("query"),
        operation_name: query.get_owned("operationName"),
        variables: object("variables"),
        extensions: object("extensions"),
    };
    respond(line, now, request.method(), request.headers(), graph_request)
}

/// Answers POST.
pub(crate) fn handle_post(
    line: &impl LineApi,
    now: i64,
    request: &mut Request<Vec<u8>>,
) -> Result<ApiResponse, Problem> {
    let graph_request = json_body::read_json(request)?;
    respond(line, now, request.method(), request.headers(), graph_request)
}

fn respond(
    line: &impl LineApi,
    now: i64,
    method: &Method,
    headers: &HeaderMap,
    graph_request: GraphQlRequest,
) -> Result<ApiResponse, Problem> {
    let GraphQlRequest { query, operation_name, variables, extensions } = graph_request;
    let is_graphql = headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|accept| accept.contains(GRAPHQL_MEDIA_TYPE)));
    // An empty name counts as omitted: clients send fields that were left empty.
    let name = operation_name.filter(|name| !name.is_empty());
    let response = match resolve_document(query, extensions.as_ref()) {
        Ok(text) => execute(line, now, method, headers, &text, name, variables)?,
        Err(error) => *error,
    };
    let status = match is_graphql && response.data == async_graphql::Value::Null && response.is_err() {
        true => StatusCode::BAD_REQUEST,
        false => StatusCode::OK,
    };
    let kind = HeaderValue::from_static(if is_graphql { GRAPHQL_MEDIA_TYPE } else { "application/json" });
    let body = serde_json::to_string(&response_body(&response)).unwrap_or_default();
    Ok(ApiResponse::text(status, kind, body).no_store().append_header(header::VARY, HeaderValue::from_static("Accept")))
}

/// Returns the body of the response. `data` is omitted if the execution did not start.
fn response_body(response: &SchemaResponse) -> Value {
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
fn resolve_document(
    query: Option<String>,
    extensions: Option<&Map<String, Value>>,
) -> Result<String, Box<SchemaResponse>> {
    let query = query.filter(|query| !query.is_empty());
    if let Some(query) = &query
        && query.len() > MAX_DOCUMENT_BYTES
    {
        let message = format!("the document has {} bytes; send at most {MAX_DOCUMENT_BYTES}", query.len());
        return Err(Box::new(error_response(&message, "TOO_LONG")));
    }
    match extensions.and_then(|extensions| extensions.get("persistedQuery")) {
        Some(persisted) => persisted::resolve(persisted, query),
        None => query.ok_or_else(|| Box::new(error_response("there is no document; send it as `query`", "NO_QUERY"))),
    }
}

/// Returns a response with one error.
fn error_response(message: &str, code: &str) -> SchemaResponse {
    let mut error = ServerError::new(message, None);
    let mut extensions = async_graphql::ErrorExtensionValues::default();
    extensions.set("code", code);
    error.extensions = Some(extensions);
    SchemaResponse::from_errors(vec![error])
}

fn execute(
    line: &impl LineApi,
    now: i64,
    method: &Method,
    headers: &HeaderMap,
    text: &str,
    name: Option<String>,
    variables: Option<Map<String, Value>>,
) -> Result<SchemaResponse, Problem> {
    if let Err(message) = limits::check_nesting(text) {
        return Ok(error_response(&message, "TOO_DEEP"));
    }
    let variables = Variables::from_json(Value::Object(variables.unwrap_or_default()));
    let mut request = SchemaRequest::new(text).variables(variables);
    let document = match request.parsed_query() {
        Ok(document) => document,
        Err(error) => return Ok(SchemaResponse::from_errors(vec![error.clone()])),
    };
    if let Err(message) = limits::check_expansion(document) {
        return Ok(error_response(&message, "TOO_COMPLEX"));
    }
    let introspects = is_introspection(document);
    if is_mutation(document, name.as_deref()) {
        if *method != Method::POST {
            let detail = "a mutation requires POST; GET accepts queries only";
            let allow = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
            return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).with_header(header::ALLOW, allow));
        }
        if !can_write(headers) {
            return Ok(error_response(
                "this requires the permission write, which you do not have; ask an administrator",
                "FORBIDDEN",
            ));
        }
    }
    if let Some(name) = name {
        request = request.operation_name(name);
    }
    static SCHEMA: OnceLock<ApiSchema> = OnceLock::new();
    static INTROSPECTION_SCHEMA: OnceLock<ApiSchema> = OnceLock::new();
    let schema = match introspects {
        true => {
            INTROSPECTION_SCHEMA.get_or_init(|| build_schema(MAX_INTROSPECTION_DEPTH, MAX_INTROSPECTION_COMPLEXITY))
        }
        false => SCHEMA.get_or_init(|| build_schema(MAX_DEPTH, MAX_COMPLEXITY)),
    };
    let loader = DataLoader::default();
    let request = request.data(loader.clone()).data(data_loader::RequestTime(now));
    match loader.run(line, schema.execute(request)) {
        Some(response) => Ok(response),
        None => Ok(error_response("the query did not complete", "INTERNAL")),
    }
}

/// Returns whether the operation to execute is a mutation. If the name is missing and several operations exist, any
/// mutation counts.
fn is_mutation(document: &ExecutableDocument, name: Option<&str>) -> bool {
    match &document.operations {
        DocumentOperations::Single(operation) => operation.node.ty == OperationType::Mutation,
        DocumentOperations::Multiple(operations) => operations
            .iter()
            .filter(|(operation, _)| name.is_none_or(|name| name == operation.as_str()))
            .any(|(_, operation)| operation.node.ty == OperationType::Mutation),
    }
}

fn can_write(headers: &HeaderMap) -> bool {
    headers.get(PERMISSIONS_HEADER).is_none_or(|list| {
        list.to_str().is_ok_and(|list| list.split(',').any(|permission| permission.trim() == "write"))
    })
}

/// Returns whether the document selects only `__schema`, `__type` or `__typename`.
fn is_introspection(document: &ExecutableDocument) -> bool {
    document.operations.iter().all(|(_, operation)| {
        operation.node.selection_set.node.items.iter().all(|selection| match &selection.node {
            Selection::Field(field) => field.node.name.node.starts_with("__"),
            Selection::FragmentSpread(_) | Selection::InlineFragment(_) => false,
        })
    })
}
