//! The OpenAPI 3.1 document, made of the routes and the types that are read and written.

use std::sync::OnceLock;

use http::StatusCode;
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    names::{PATTERN, VISIBLE},
    query::LONGEST,
    routes::{Body, Kind, Parameter, Permission, Place, ROUTES, Reply, RouteInfo},
    shapes::{NO_NUL, ProblemDetails, time_schema},
};

const SCHEMAS: &str = "/components/schemas";

/// The groups of routes.
const TAGS: [(&str, &str); 9] = [
    ("readings", "How readings come in, and what was refused."),
    ("sensors", "What was measured, and what was computed of it."),
    ("machines", "How machines are."),
    ("anomalies", "What is not as it is when all is well, and what people do about it."),
    ("alerts", "What people are told."),
    ("maintenance", "Who does what when."),
    ("graphql", "Several tables at once."),
    ("access", "Who may do what. On the edge host alone."),
    ("host", "The host itself."),
];

/// The document; with the edge host's own routes, or without.
pub fn openapi(edge: bool, version: &str) -> Value {
    let mut requests = SchemaSettings::draft2020_12().for_deserialize();
    requests.definitions_path = SCHEMAS.into();
    let mut answers = SchemaSettings::draft2020_12().for_serialize();
    answers.definitions_path = SCHEMAS.into();
    let mut makers = Makers { requests: requests.into_generator(), answers: answers.into_generator() };
    let mut paths = Map::new();
    for route in ROUTES.iter().filter(|route| !route.tag.is_empty() && (edge || !route.edge_only)) {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = makers.operation(route);
    }
    let problem = makers.answers.subschema_for::<ProblemDetails>();
    let mut schemas = makers.requests.take_definitions(true);
    schemas.extend(makers.answers.take_definitions(true));
    let tags: Vec<Value> = TAGS
        .iter()
        .filter(|(name, _)| edge || *name != "access")
        .map(|(name, about)| json!({ "name": name, "description": about }))
        .collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Wheeltapper",
            "version": version,
            "summary": "Listens to machines, and tells when one will fail.",
            "description": INFO,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "This host." }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": problems(&json!(problem)),
            "headers": headers(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "A session's token, a key, or the API's token." },
                "apiKey": { "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key of a device or a webhook; on the edge host." },
            },
        },
    });
    drop_null_defaults(&mut document);
    document
}

/// As it is sent; made once.
pub(crate) fn text(edge: bool) -> &'static str {
    static WITH: OnceLock<String> = OnceLock::new();
    static WITHOUT: OnceLock<String> = OnceLock::new();
    let kept = if edge { &WITH } else { &WITHOUT };
    kept.get_or_init(|| openapi(edge, env!("CARGO_PKG_VERSION")).to_string())
}

const INFO: &str = "Times are RFC 3339 in UTC. Lists answer `{items, next}`: `next`, and the header `Link` with `rel=\"next\"`, is the way to what follows. Errors are problem details (RFC 9457) whose `detail` says what was expected, what came and what to do. GETs bear an `ETag`; HEAD is GET without a body. Where access control is off no credentials are needed.";

struct Makers {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Makers {
    fn operation(&mut self, route: &RouteInfo) -> Value {
        let mut operation = json!({
            "operationId": route.name,
            "summary": route.summary,
            "tags": [route.tag],
            "parameters": route.parameters.iter().map(parameter).collect::<Vec<_>>(),
            "responses": self.responses(route),
        });
        let about = match permission(route.permission) {
            Some(name) => format!("{} Takes the permission `{name}`.", route.about),
            None => route.about.to_owned(),
        };
        if !about.is_empty() {
            operation["description"] = json!(about.trim());
        }
        operation["security"] = match route.permission {
            Permission::None => json!([]),
            // Nothing at all where access control is off.
            _ => json!([{ "bearer": [] }, { "apiKey": [] }, {}]),
        };
        if let Some(body) = &route.body {
            operation["requestBody"] = self.body(body);
        }
        operation
    }

    fn body(&mut self, body: &Body) -> Value {
        let mut content = Map::new();
        for media in body.media {
            let schema = match body.shape {
                Some(shape) => json!(shape(&mut self.requests)),
                None if *media == "application/json" => json!({}),
                // Without a type: whatever is sent as a text is one.
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
        for reply in route.replies {
            let response = responses.entry(reply.status.to_string()).or_insert_with(|| reply_without_content(reply));
            if let Some(shape) = reply.shape {
                response["content"][reply.media] = json!({ "schema": shape(&mut self.answers) });
            }
        }
        if route.replies.iter().any(|reply| reply.headers.contains(&"ETag")) {
            responses.insert("304".into(), json!({ "$ref": "#/components/responses/NotModified" }));
        }
        for status in statuses(route) {
            let name = name_of(status);
            responses.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{name}") }));
        }
        Value::Object(responses)
    }
}

fn reply_without_content(reply: &Reply) -> Value {
    let mut headers = Map::new();
    for name in reply.headers.iter().chain(&["X-Request-Id"]) {
        headers.insert((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }));
    }
    json!({ "description": reply.about, "headers": headers })
}

/// The problems that a route may answer with: those that follow from what it is, and its own.
fn statuses(route: &RouteInfo) -> Vec<u16> {
    let mut statuses = vec![400, 405, 429, 500, 503];
    if route.permission != Permission::None {
        statuses.extend([401, 403]);
    }
    if route.halves().is_some() {
        statuses.push(404);
    }
    if route.body.as_ref().is_some_and(|body| body.shape.is_some()) {
        statuses.extend([413, 415, 422]);
    }
    statuses.extend(route.problems);
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

const PROBLEMS: [(u16, &str); 14] = [
    (400, "The request cannot be understood."),
    (401, "It takes credentials, or others."),
    (403, "Whoever asks may not."),
    (404, "It is not there, or not for whoever asks."),
    (405, "The path does not take the method."),
    (409, "It goes against how things stand."),
    (412, "It is not what `If-Match` says any more."),
    (413, "The body is too large."),
    (415, "The body is of a type or an encoding that is not taken."),
    (422, "The body is well-formed, but not what is taken."),
    (426, "It takes another protocol."),
    (429, "Too much was asked in too short a time."),
    (500, "Something is broken that a person has to mend."),
    (503, "A moment's trouble: the same again may succeed."),
];

/// The name of a status among the document's responses.
fn name_of(status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error");
    reason.split(' ').collect()
}

fn problems(schema: &Value) -> Value {
    let mut responses = Map::new();
    for (status, about) in PROBLEMS {
        let mut headers = json!({ "X-Request-Id": { "$ref": "#/components/headers/X-Request-Id" } });
        let more: &[&str] = match status {
            401 => &["WWW-Authenticate"],
            405 => &["Allow"],
            429 => &["Retry-After", "RateLimit", "RateLimit-Policy"],
            503 => &["Retry-After"],
            _ => &[],
        };
        for name in more {
            headers[*name] = json!({ "$ref": format!("#/components/headers/{name}") });
        }
        let response = json!({
            "description": about,
            "headers": headers,
            "content": { "application/problem+json": { "schema": schema } },
        });
        responses.insert(name_of(status), response);
    }
    let etag = json!({ "ETag": { "$ref": "#/components/headers/ETag" } });
    responses
        .insert("NotModified".into(), json!({ "description": "What the client has still stands.", "headers": etag }));
    Value::Object(responses)
}

fn headers() -> Value {
    let mut headers = Map::new();
    for (name, about) in [
        ("Allow", "The methods that the path takes."),
        ("ETag", "A hash of what is answered, for `If-None-Match` and `If-Match`."),
        ("Link", "Where the next page is, with `rel=\"next\"`, if there is one."),
        ("Location", "Where to ask what became of it."),
        ("RateLimit", "What is left of the limit."),
        ("RateLimit-Policy", "The limit."),
        ("Retry-After", "When to come again, in seconds."),
        ("WWW-Authenticate", "What credentials are taken."),
        ("X-Request-Id", "The id by which the request is found in logs: the request's own, or one that was made."),
    ] {
        headers.insert(name.into(), json!({ "description": about, "schema": { "type": "string" } }));
    }
    Value::Object(headers)
}

fn parameter(parameter: &Parameter) -> Value {
    let place = match parameter.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    let schema = match parameter.kind {
        Kind::Sensor => json!({ "type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": PATTERN }),
        // What is not there is not found; what a path must not hold, the host refuses before it looks.
        Kind::Text if parameter.place == Place::Path => json!({ "type": "string", "minLength": 1, "pattern": PATTERN }),
        Kind::Text => json!({ "type": "string", "maxLength": LONGEST, "pattern": NO_NUL }),
        Kind::Visible => json!({ "type": "string", "maxLength": LONGEST, "pattern": VISIBLE }),
        Kind::Long if parameter.place == Place::Header => json!({ "type": "string" }),
        Kind::Long => json!({ "type": "string", "pattern": NO_NUL }),
        Kind::Time => json!(time_schema()),
        Kind::Number(least, most, None) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Number(least, most, Some(default)) => {
            json!({ "type": "integer", "minimum": least, "maximum": most, "default": default })
        }
        Kind::OneOf(values) => json!({ "type": "string", "enum": values }),
        Kind::Cursor => json!({ "type": "string", "pattern": "^[0-9a-f]{8}$" }),
        Kind::Object => json!({ "type": "object", "additionalProperties": true }),
    };
    let mut told = json!({
        "name": parameter.name,
        "in": place,
        "description": parameter.about,
        "required": parameter.place == Place::Path,
    });
    if parameter.place == Place::Query && parameter.kind != Kind::Object {
        // Forms send what was left empty.
        told["allowEmptyValue"] = json!(true);
    }
    match parameter.kind {
        Kind::Object => told["content"] = json!({ "application/json": { "schema": schema } }),
        _ => told["schema"] = schema,
    }
    match parameter.kind {
        _ if parameter.example.is_empty() => {}
        Kind::Number(..) => told["example"] = json!(parameter.example.parse::<u32>().unwrap_or_default()),
        Kind::Object => {}
        _ => told["example"] = json!(parameter.example),
    }
    told
}

const fn permission(permission: Permission) -> Option<&'static str> {
    match permission {
        Permission::None | Permission::SignedIn => None,
        Permission::Read => Some("read"),
        Permission::Write => Some("write"),
        Permission::Delete => Some("delete"),
        Permission::Configure => Some("configure"),
    }
}

/// A member that may be left out has no default, and null is none of its values.
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
