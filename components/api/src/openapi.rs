//! The OpenAPI 3.1 document, generated from the routes and the types of requests and responses.

use std::sync::OnceLock;

use http::StatusCode;
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    names::{NAME_PATTERN, VISIBLE_PATTERN},
    query_params::MAX_PARAM_CHARS,
    routes::{BodyInfo, Parameter, ParameterKind, ParameterLocation, Permission, ROUTES, ResponseInfo, RouteInfo},
    schemas::{NO_NUL, ProblemDetails, time_schema},
};

const SCHEMAS: &str = "/components/schemas";

/// The groups of routes and their descriptions.
const TAGS: [(&str, &str); 9] = [
    ("readings", "Ingestion of readings, and dead letters."),
    ("sensors", "Sensors, their readings, waveforms and windows of features."),
    ("machines", "The state of machines: health, drifts and prognoses."),
    ("anomalies", "Deviations from normal behaviour, and user actions on them."),
    ("alerts", "Notifications about anomalies."),
    ("maintenance", "Work orders and the maintenance plan."),
    ("graphql", "Queries over several tables at once."),
    ("access", "Users, API keys and the audit log. On the edge host only."),
    ("host", "The host itself."),
];

/// Returns the document. `is_edge_host`: with the routes of the edge host.
pub fn openapi(is_edge_host: bool, version: &str) -> Value {
    let mut requests = SchemaSettings::draft2020_12().for_deserialize();
    requests.definitions_path = SCHEMAS.into();
    let mut responses = SchemaSettings::draft2020_12().for_serialize();
    responses.definitions_path = SCHEMAS.into();
    let mut generators =
        SchemaGenerators { requests: requests.into_generator(), responses: responses.into_generator() };
    let mut paths = Map::new();
    for route in ROUTES.iter().filter(|route| !route.tag.is_empty() && (is_edge_host || !route.edge_only)) {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = generators.operation(route);
    }
    let problem = generators.responses.subschema_for::<ProblemDetails>();
    let mut schemas = generators.requests.take_definitions(true);
    schemas.extend(generators.responses.take_definitions(true));
    let tags: Vec<Value> = TAGS
        .iter()
        .filter(|(name, _)| is_edge_host || *name != "access")
        .map(|(name, description)| json!({ "name": name, "description": description }))
        .collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Wheeltapper",
            "version": version,
            "summary": "Monitors machines and predicts when one will fail.",
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "This host." }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": error_responses(&json!(problem)),
            "headers": headers(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "A session token, an API key, or the token of the API." },
                "apiKey": { "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The API key of a device or a webhook; on the edge host." },
            },
        },
    });
    drop_null_defaults(&mut document);
    document
}

/// Returns the document as text, which is generated once.
pub(crate) fn document_text(is_edge_host: bool) -> &'static str {
    static WITH: OnceLock<String> = OnceLock::new();
    static WITHOUT: OnceLock<String> = OnceLock::new();
    let cell = if is_edge_host { &WITH } else { &WITHOUT };
    cell.get_or_init(|| openapi(is_edge_host, env!("CARGO_PKG_VERSION")).to_string())
}

const DESCRIPTION: &str = "Times are RFC 3339 in UTC. Lists return `{items, next}`: `next`, and the header `Link` with `rel=\"next\"`, is the URL of the next page. Errors are problem details (RFC 9457) whose `detail` says what was expected, what was received and what to do. Responses to GET have an `ETag`; HEAD is GET without a body. If access control is off, no credentials are needed.";

struct SchemaGenerators {
    requests: SchemaGenerator,
    responses: SchemaGenerator,
}

impl SchemaGenerators {
    fn operation(&mut self, route: &RouteInfo) -> Value {
        let mut operation = json!({
            "operationId": route.operation_id,
            "summary": route.summary,
            "tags": [route.tag],
            "parameters": route.parameters.iter().map(parameter).collect::<Vec<_>>(),
            "responses": self.responses(route),
        });
        let description = match permission_name(route.permission) {
            Some(name) => format!("{} Requires the permission `{name}`.", route.description),
            None => route.description.to_owned(),
        };
        if !description.is_empty() {
            operation["description"] = json!(description.trim());
        }
        operation["security"] = match route.permission {
            Permission::None => json!([]),
            // The empty alternative: no credentials where access control is off.
            _ => json!([{ "bearer": [] }, { "apiKey": [] }, {}]),
        };
        if let Some(body) = &route.body {
            operation["requestBody"] = self.body(body);
        }
        operation
    }

    fn body(&mut self, body: &BodyInfo) -> Value {
        let mut content = Map::new();
        for media in body.media {
            let schema = match body.schema {
                Some(generate) => json!(generate(&mut self.requests)),
                None if *media == "application/json" => json!({}),
                // Without a type: any text is accepted.
                None if media.starts_with("text/") => json!({ "minLength": 1 }),
                None => json!({ "type": "string", "format": "binary", "minLength": 1 }),
            };
            let mut entry = json!({ "schema": schema });
            if let Ok(example) = serde_json::from_str::<Value>(body.example)
                && *media == "application/json"
            {
                entry["example"] = example;
            }
            content.insert((*media).to_owned(), entry);
        }
        json!({ "required": body.required, "content": content })
    }

    fn responses(&mut self, route: &RouteInfo) -> Value {
        let mut responses = Map::new();
        for reply in route.responses {
            let response = responses.entry(reply.status.to_string()).or_insert_with(|| response_without_content(reply));
            if let Some(generate) = reply.schema {
                response["content"][reply.media] = json!({ "schema": generate(&mut self.responses) });
            }
        }
        if route.responses.iter().any(|reply| reply.headers.contains(&"ETag")) {
            responses.insert("304".into(), json!({ "$ref": "#/components/responses/NotModified" }));
        }
        for status in error_statuses(route) {
            let name = response_name(status);
            responses.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{name}") }));
        }
        Value::Object(responses)
    }
}

fn response_without_content(reply: &ResponseInfo) -> Value {
    let mut headers = Map::new();
    for name in reply.headers.iter().chain(&["X-Request-Id"]) {
        headers.insert((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }));
    }
    json!({ "description": reply.description, "headers": headers })
}

/// Returns the error statuses of a route: those that follow from its properties, and its own.
fn error_statuses(route: &RouteInfo) -> Vec<u16> {
    let mut statuses = vec![400, 405, 429, 500, 503];
    if route.permission != Permission::None {
        statuses.extend([401, 403]);
    }
    if route.split_template().is_some() {
        statuses.push(404);
    }
    if route.body.as_ref().is_some_and(|body| body.schema.is_some()) {
        statuses.extend([413, 415, 422]);
    }
    statuses.extend(route.error_statuses);
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

const ERROR_RESPONSES: [(u16, &str); 14] = [
    (400, "The request is malformed."),
    (401, "Credentials are missing or not valid."),
    (403, "The caller does not have the permission."),
    (404, "The item does not exist, or is not visible to the caller."),
    (405, "The path does not allow the method."),
    (409, "The request conflicts with the current state."),
    (412, "The item has changed since the `ETag` in `If-Match`."),
    (413, "The body is too large."),
    (415, "The type or the encoding of the body is not supported."),
    (422, "The body is well-formed, but not valid."),
    (426, "The route requires another protocol."),
    (429, "The rate limit is exceeded."),
    (500, "A permanent failure that needs an operator."),
    (503, "A transient failure: the same request may succeed later."),
];

/// Returns the name of a status among the responses of the document.
fn response_name(status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error");
    reason.split(' ').collect()
}

fn error_responses(schema: &Value) -> Value {
    let mut responses = Map::new();
    for (status, description) in ERROR_RESPONSES {
        let mut headers = json!({ "X-Request-Id": { "$ref": "#/components/headers/X-Request-Id" } });
        let extra_headers: &[&str] = match status {
            401 => &["WWW-Authenticate"],
            405 => &["Allow"],
            429 => &["Retry-After", "RateLimit", "RateLimit-Policy"],
            503 => &["Retry-After"],
            _ => &[],
        };
        for name in extra_headers {
            headers[*name] = json!({ "$ref": format!("#/components/headers/{name}") });
        }
        let response = json!({
            "description": description,
            "headers": headers,
            "content": { "application/problem+json": { "schema": schema } },
        });
        responses.insert(response_name(status), response);
    }
    let etag = json!({ "ETag": { "$ref": "#/components/headers/ETag" } });
    responses
        .insert("NotModified".into(), json!({ "description": "The client's copy is still current.", "headers": etag }));
    Value::Object(responses)
}

fn headers() -> Value {
    let mut headers = Map::new();
    for (name, description) in [
        ("Allow", "The methods that the path allows."),
        ("ETag", "A hash of the body, for `If-None-Match` and `If-Match`."),
        ("Link", "The URL of the next page, with `rel=\"next\"`, if there is one."),
        ("Location", "The URL of the status."),
        ("RateLimit", "The remaining quota."),
        ("RateLimit-Policy", "The rate limit."),
        ("Retry-After", "When to retry, in seconds."),
        ("WWW-Authenticate", "The accepted credentials."),
        ("X-Request-Id", "The id of the request in the logs: sent by the client, or generated."),
    ] {
        headers.insert(name.into(), json!({ "description": description, "schema": { "type": "string" } }));
    }
    Value::Object(headers)
}

fn parameter(parameter: &Parameter) -> Value {
    let location = match parameter.location {
        ParameterLocation::Path => "path",
        ParameterLocation::Query => "query",
        ParameterLocation::Header => "header",
    };
    let schema = match parameter.kind {
        ParameterKind::SensorName => {
            json!({ "type": "string", "minLength": 1, "maxLength": MAX_PARAM_CHARS, "pattern": NAME_PATTERN })
        }
        // An unknown id is a 404; the host rejects characters that are not allowed in a path before the query.
        ParameterKind::Text if parameter.location == ParameterLocation::Path => {
            json!({ "type": "string", "minLength": 1, "pattern": NAME_PATTERN })
        }
        ParameterKind::Text => json!({ "type": "string", "maxLength": MAX_PARAM_CHARS, "pattern": NO_NUL }),
        ParameterKind::VisibleText => {
            json!({ "type": "string", "maxLength": MAX_PARAM_CHARS, "pattern": VISIBLE_PATTERN })
        }
        ParameterKind::LongText if parameter.location == ParameterLocation::Header => json!({ "type": "string" }),
        ParameterKind::LongText => json!({ "type": "string", "pattern": NO_NUL }),
        ParameterKind::Time => json!(time_schema()),
        ParameterKind::Number(min, max, None) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        ParameterKind::Number(min, max, Some(default)) => {
            json!({ "type": "integer", "minimum": min, "maximum": max, "default": default })
        }
        ParameterKind::OneOf(values) => json!({ "type": "string", "enum": values }),
        ParameterKind::Cursor => json!({ "type": "string", "pattern": "^[0-9a-f]{8}$" }),
        ParameterKind::Object => json!({ "type": "object", "additionalProperties": true }),
    };
    let mut object = json!({
        "name": parameter.name,
        "in": location,
        "description": parameter.description,
        "required": parameter.location == ParameterLocation::Path,
    });
    if parameter.location == ParameterLocation::Query && parameter.kind != ParameterKind::Object {
        // Forms send fields that were left empty.
        object["allowEmptyValue"] = json!(true);
    }
    match parameter.kind {
        ParameterKind::Object => object["content"] = json!({ "application/json": { "schema": schema } }),
        _ => object["schema"] = schema,
    }
    match parameter.kind {
        _ if parameter.example.is_empty() => {}
        ParameterKind::Number(..) => object["example"] = json!(parameter.example.parse::<u32>().unwrap_or_default()),
        ParameterKind::Object => {}
        _ => object["example"] = json!(parameter.example),
    }
    object
}

const fn permission_name(permission: Permission) -> Option<&'static str> {
    match permission {
        Permission::None | Permission::SignedIn => None,
        Permission::Read => Some("read"),
        Permission::Write => Some("write"),
        Permission::Delete => Some("delete"),
        Permission::Configure => Some("configure"),
    }
}

/// Removes `"default": null`: an optional member has no default, and null is not a valid value of it.
fn drop_null_defaults(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.get("default") == Some(&Value::Null) {
                members.remove("default");
            }
            members.values_mut().for_each(drop_null_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_null_defaults),
        _ => {}
    }
}
