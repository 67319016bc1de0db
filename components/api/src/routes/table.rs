//! The table of routes.

use http::Method;

use super::{
    parameters::*,
    route_info::{Handler, Parameter, ParameterKind, Permission, RateLimitClass, ResponseInfo, RouteInfo, schema_of},
};
use crate::{
    Action,
    listing::{self, Listing},
    schemas::*,
};

const ETAG: &[&str] = &["ETag"];
const ETAG_AND_LINK: &[&str] = &["ETag", "Link"];

const fn get(path: &'static str, op: Handler) -> RouteInfo {
    RouteInfo::new(Method::GET, path, Permission::Read, op)
}

const fn post(path: &'static str, op: Handler) -> RouteInfo {
    RouteInfo::new(Method::POST, path, Permission::Write, op)
}

/// A public route.
const fn public(method: Method, path: &'static str, op: Handler) -> RouteInfo {
    RouteInfo::new(method, path, Permission::None, op)
}

/// A route that only the edge host has.
const fn edge_route(method: Method, path: &'static str, permission: Permission) -> RouteInfo {
    RouteInfo::new(method, path, permission, Handler::EdgeHost).only_on_edge_host()
}

const fn list(path: &'static str, of: &'static Listing, parameters: &'static [Parameter]) -> RouteInfo {
    get(path, Handler::List(of)).with_params(parameters)
}

macro_rules! page_reply {
    ($row:ty) => {
        &[ResponseInfo::json(200, "A page of items.", schema_of::<Page<$row>>).with_headers(ETAG_AND_LINK)]
    };
}

macro_rules! json_reply {
    ($status:literal, $about:literal, $row:ty) => {
        &[ResponseInfo::json($status, $about, schema_of::<$row>).with_headers(ETAG)]
    };
}

const STREAM: &[ResponseInfo] = &[ResponseInfo {
    status: 200,
    description: "Events (Server-Sent Events).",
    media: "text/event-stream",
    // Clients read it as text or event by event, so the schema allows anything.
    schema: Some(schema_of::<AnyJson>),
    headers: &[],
}];
const ANOMALY: &[ResponseInfo] =
    &[ResponseInfo::json(200, "The anomaly in its new state.", schema_of::<AnomalyWithActions>)];
const COMMENT_EXAMPLE: &str = r#"{"comment": "Seen; the bearing is on order."}"#;
const TECHNICIAN: Parameter = query("technician", ParameterKind::Text, "The name of the technician.", "Ada");
const TASK_ID: Parameter = path("task_id", "The task's id.", "00000000000000000000000000000001");
const ORDER_ID: Parameter = path("id", "The work order's id.", "00000000000000000000000000000001");
const ALERT_ID: Parameter = path("id", "The alert's id.", "00000000000000000000000000000001");
const DEAD_LETTER_ID: Parameter = path("id", "The dead letter's id.", "ingest|0");
const USER_NAME: Parameter = path("name", "The user's name.", "ada");
const KEY_ID: Parameter = path("id", "The key's id.", "k1");

/// A route that performs an action on an anomaly.
const fn action(path: &'static str, action: Action, name: &'static str, summary: &'static str) -> RouteInfo {
    post(path, Handler::Action(action))
        .with_docs(name, "anomalies", summary)
        .with_params(&[ANOMALY_ID, IF_MATCH])
        .with_json_body(false, schema_of::<OptionalComment>, COMMENT_EXAMPLE)
        .with_responses(ANOMALY)
        .with_errors(&[404, 409, 412])
}

/// All routes. Routes of the same path are adjacent.
pub static ROUTES: &[RouteInfo] = &[
    public(Method::GET, "/", Handler::Dashboard).with_docs("getPage", "", "The dashboard"),
    public(Method::GET, "/health", Handler::Health)
        .with_docs("getHealth", "host", "Liveness of the host")
        .with_responses(&[ResponseInfo::json(200, "The host is alive.", schema_of::<HostStatus>)]),
    public(Method::GET, "/ready", Handler::Ready)
        .with_docs("getReady", "host", "Readiness of the line")
        .with_responses(&[ResponseInfo::json(200, "The line is ready.", schema_of::<HostStatus>)]),
    public(Method::GET, "/api/openapi.json", Handler::OpenApi)
        .with_docs("getOpenApi", "host", "This document")
        .with_responses(json_reply!(200, "The OpenAPI 3.1 document.", OpenApiDocument)),
    public(Method::GET, "/api/docs", Handler::Docs("docs.html"))
        .with_docs("getDocs", "host", "The documentation, as a page")
        .with_responses(&[ResponseInfo::text("The page.", "text/html; charset=utf-8").with_headers(ETAG)]),
    public(Method::GET, "/api/docs.js", Handler::Docs("docs.js")).with_docs("getDocsScript", "", "The script of the documentation page"),
    public(Method::GET, "/api/docs.css", Handler::Docs("docs.css")).with_docs("getDocsStyle", "", "The style sheet of the documentation page"),
    public(Method::POST, "/api/v1/tick", Handler::Tick)
        .with_docs("tick", "", "Advances the time")
        .with_params(&[query("now", ParameterKind::Time, "The new time. Default: the current time.", "2026-01-01T00:00:00Z")])
        .with_responses(&[ResponseInfo::json(200, "The new time.", schema_of::<TickResult>)]),
    post("/api/v1/ingest", Handler::Ingest)
        .with_docs("ingest", "readings", "Sends readings, in any format")
        .with_description("Responds once the readings are durable. Rejected parts are kept as dead letters. The query may contain other parameters, as webhooks add their own.")
        .with_rate_limit(RateLimitClass::Ingest)
        .allow_unknown_params()
        .with_params(&[
            query("sensor", ParameterKind::SensorName, "The sensor to use for a payload that names none.", "north/hall-1/pump-1/vibration"),
            query("topic", ParameterKind::VisibleText, "The source of the readings. Default: the path.", "plant/hall-1"),
            query("precision", ParameterKind::OneOf(crate::PRECISIONS), "The unit of times in line protocol. Default: detected from their size.", "ms"),
        ])
        .with_raw_body(
            &["application/json", "text/csv", "text/plain", "application/octet-stream"],
            r#"{"sensor_id": "north/hall-1/pump-1/vibration", "timestamp": "2026-01-01T00:00:00Z", "values": 1.5}"#,
        )
        .with_responses(&[ResponseInfo::json(202, "All or some readings were accepted.", schema_of::<IngestOutcome>)])
        .with_errors(&[413, 415, 422]),
    get("/api/v1/overview", Handler::Overview)
        .with_docs("getOverview", "host", "The content of the first page")
        .with_responses(json_reply!(200, "The overview.", Overview)),
    list("/api/v1/machines", &listing::MACHINES, &[ASSET, LIMIT, CURSOR])
        .with_docs("listMachines", "machines", "Machines, most severe first")
        .with_responses(page_reply!(Machine)),
    post("/api/v1/machines/{asset}/reset-baseline", Handler::ResetBaseline)
        .with_docs("resetBaseline", "machines", "Resets the baseline of a machine")
        .with_description("Forgets what was learnt about the machine, and resolves its alerts. It is learnt again before it is judged.")
        .with_params(&[MACHINE_NAME])
        .with_json_body(true, schema_of::<BaselineReset>, r#"{"reason": "repaired", "comment": "New bearings."}"#)
        .with_responses(&[ResponseInfo::json(200, "The recorded action.", schema_of::<ActionRow>)])
        .with_errors(&[404, 409]),
    get("/api/v1/assets", Handler::Assets)
        .with_docs("getAssets", "machines", "The tree of sites, areas and machines")
        .with_responses(json_reply!(200, "The tree of sites, areas and machines.", AssetTree)),
    list("/api/v1/sensors", &listing::SENSORS, &[ASSET, SENSOR, query("kind", ParameterKind::Text, "The measured quantity.", "vibration"), LIMIT, CURSOR])
        .with_docs("listSensors", "sensors", "Sensors, ordered by name")
        .with_responses(page_reply!(Sensor)),
    get("/api/v1/sensors/{id}", Handler::Item(&listing::SENSORS))
        .with_docs("getSensor", "sensors", "One sensor")
        .with_params(&[SENSOR_ID])
        .with_responses(json_reply!(200, "The sensor.", Sensor)),
    get("/api/v1/sensors/{id}/readings", Handler::Readings)
        .with_docs("getReadings", "sensors", "The readings of a sensor, downsampled")
        .with_description("Downsampled by largest triangle three buckets: each point is a reading, and peaks are kept.")
        .with_params(&[SENSOR_ID, FROM, TO, query("points", ParameterKind::Number(2, 10_000, Some(1_000)), "Maximum number of points.", "500"), CURSOR])
        .with_responses(&[ResponseInfo::json(200, "The readings.", schema_of::<SensorReadings>).with_headers(ETAG_AND_LINK)]),
    get("/api/v1/sensors/{id}/stream", Handler::SensorStream)
        .with_docs("streamReadings", "sensors", "New readings of a sensor")
        .with_description("`event: readings`, `data: {\"sensor\", \"items\": [{\"time\", \"value\"}]}`; the id of each event is the time of its newest reading, in nanoseconds since 1970.")
        .with_params(&[SENSOR_ID, LAST_EVENT_ID, LAST_EVENT_ID_HEADER])
        .with_responses(STREAM),
    list("/api/v1/anomalies", &listing::ANOMALIES, &[ASSET, SENSOR, FROM, TO, SEVERITY, LIMIT, CURSOR])
        .with_docs("listAnomalies", "anomalies", "Anomalies, newest first")
        .with_responses(page_reply!(Anomaly)),
    get("/api/v1/anomalies/stream", Handler::AnomalyStream)
        .with_docs("streamAnomalies", "anomalies", "New and changed anomalies, alerts, work orders and drifts")
        .with_description("`event: anomaly`, `alert`, `work-order` or, on the edge host, `drift`, each with the item as `data`.")
        .with_params(&[LAST_EVENT_ID, LAST_EVENT_ID_HEADER])
        .with_responses(STREAM),
    get("/api/v1/anomalies/{id}", Handler::Item(&listing::ANOMALIES))
        .with_docs("getAnomaly", "anomalies", "One anomaly with the actions on it")
        .with_params(&[ANOMALY_ID])
        .with_responses(json_reply!(200, "The anomaly.", AnomalyWithActions)),
    get("/api/v1/anomalies/{id}/actions", Handler::AnomalyActions)
        .with_docs("listActionsOfAnomaly", "anomalies", "The actions on an anomaly")
        .with_params(&[ANOMALY_ID, LIMIT, CURSOR])
        .with_responses(page_reply!(ActionRow)),
    action("/api/v1/anomalies/{id}/acknowledge", Action::Acknowledge, "acknowledgeAnomaly", "Acknowledges an anomaly"),
    action("/api/v1/anomalies/{id}/handle", Action::Handle, "handleAnomaly", "Marks an anomaly as handled"),
    action("/api/v1/anomalies/{id}/false-alarm", Action::FalseAlarm, "markFalseAlarm", "Marks an anomaly as a false alarm"),
    action("/api/v1/anomalies/{id}/comment", Action::Comment, "commentAnomaly", "Comments on an anomaly")
        .with_json_body(true, schema_of::<Comment>, COMMENT_EXAMPLE),
    action("/api/v1/anomalies/{id}/order-repair", Action::OrderRepair, "orderRepair", "Orders the repair for an anomaly"),
    list("/api/v1/actions", &listing::ACTIONS, &[ASSET, FROM, TO, LIMIT, CURSOR])
        .with_docs("listActions", "anomalies", "User actions, newest first")
        .with_responses(page_reply!(ActionRow)),
    list("/api/v1/alerts", &listing::ALERTS, &[ASSET, SENSOR, FROM, TO, SEVERITY, query("state", ParameterKind::OneOf(ALERT_STATES), "The state of the alert.", "open"), LIMIT, CURSOR])
        .with_docs("listAlerts", "alerts", "Alerts, newest first")
        .with_responses(page_reply!(Alert)),
    get("/api/v1/alerts/{id}", Handler::Item(&listing::ALERTS))
        .with_docs("getAlert", "alerts", "One alert")
        .with_params(&[ALERT_ID])
        .with_responses(json_reply!(200, "The alert.", Alert)),
    list("/api/v1/work-orders", &listing::WORK_ORDERS, &[ASSET, FROM, TO, query("status", ParameterKind::OneOf(ORDER_STATUSES), "The status of the work order.", "planned"), LIMIT, CURSOR])
        .with_docs("listWorkOrders", "maintenance", "Work orders, earliest due first")
        .with_responses(page_reply!(WorkOrder)),
    get("/api/v1/work-orders/{id}", Handler::Item(&listing::WORK_ORDERS))
        .with_docs("getWorkOrder", "maintenance", "One work order")
        .with_params(&[ORDER_ID])
        .with_responses(json_reply!(200, "The work order.", WorkOrder)),
    RouteInfo::new(Method::PATCH, "/api/v1/work-orders/{id}", Permission::Write, Handler::AmendWorkOrder)
        .with_docs("amendWorkOrder", "maintenance", "Moves, pins, closes or cancels a work order")
        .with_description("Other work orders are planned around it. Moving it pins it, unless `pinned` is false.")
        .with_params(&[ORDER_ID, IF_MATCH])
        .with_json_body(true, schema_of::<Amendment>, r#"{"scheduled_time": "2026-01-02T08:00:00Z", "technician": "Ada"}"#)
        .with_responses(&[ResponseInfo::json(200, "The work order in its new state.", schema_of::<WorkOrder>)])
        .with_errors(&[404, 409, 412]),
    list("/api/v1/dead-letters", &listing::DEAD_LETTERS, &[SENSOR, FROM, TO, query("reason", ParameterKind::OneOf(REASONS), "The reason of the rejection.", "malformed"), LIMIT, CURSOR])
        .with_docs("listDeadLetters", "readings", "Dead letters, newest first")
        .with_responses(page_reply!(DeadLetter)),
    edge_route(Method::DELETE, "/api/v1/dead-letters/{id}", Permission::Delete)
        .with_docs("deleteDeadLetter", "readings", "Deletes a dead letter")
        .with_params(&[DEAD_LETTER_ID])
        .with_responses(&[ResponseInfo::empty(204, "The dead letter is deleted.")]),
    edge_route(Method::POST, "/api/v1/dead-letters/{id}/replay", Permission::Write)
        .with_docs("replayDeadLetter", "readings", "Ingests a dead letter again")
        .with_description("The dead letter is deleted if any reading was accepted; rejected parts become a new dead letter. If nothing is accepted it is kept unchanged (422), as is one that was stored truncated (409).")
        .with_params(&[DEAD_LETTER_ID])
        .with_responses(&[ResponseInfo::json(202, "All or some readings were accepted.", schema_of::<IngestOutcome>)])
        .with_errors(&[409, 422]),
    list("/api/v1/drifts", &listing::DRIFTS, &[ASSET, FROM, TO, query("kind", ParameterKind::OneOf(DRIFT_KINDS), "The outcome of the check.", "drifted"), LIMIT, CURSOR])
        .with_docs("listDrifts", "machines", "Drifts of the normal behaviour of machines, newest first")
        .with_responses(page_reply!(Drift)),
    list("/api/v1/prognoses", &listing::PROGNOSES, &[ASSET, FROM, TO, LIMIT, CURSOR])
        .with_docs("listPrognoses", "machines", "Prognoses of remaining life, newest first")
        .with_responses(page_reply!(Prognosis)),
    list("/api/v1/windows", &listing::WINDOWS, &[ASSET, SENSOR, FROM, TO, LIMIT, CURSOR])
        .with_docs("listWindows", "sensors", "Windows with their features, newest first")
        .with_errors(&[404])
        .with_responses(page_reply!(Window)),
    list("/api/v1/waveforms", &listing::WAVEFORMS, &[SENSOR, FROM, TO, LIMIT, CURSOR])
        .with_docs("listWaveforms", "sensors", "Waveforms, newest first")
        .with_errors(&[404])
        .with_responses(page_reply!(Waveform)),
    post("/api/v1/detect", Handler::Detect)
        .with_docs("detect", "anomalies", "Scores values against the model of the machine, without learning from them")
        .with_rate_limit(RateLimitClass::Detect)
        .with_json_body(
            true,
            schema_of::<DetectBody>,
            r#"{"sensor_data": {"sensor_id": "north/hall-1/pump-1/vibration", "timestamp": "2026-01-01T00:00:00Z", "values": 7.1}, "model_name": "ensemble", "threshold": 0.95}"#,
        )
        .with_responses(&[ResponseInfo::json(200, "The score and its explanation.", schema_of::<DetectResult>)])
        .with_errors(&[404, 409]),
    post("/api/v1/maintenance/schedule", Handler::RequestPlan)
        .with_docs("planMaintenance", "maintenance", "Requests a what-if plan, without changing the current plan")
        .with_rate_limit(RateLimitClass::Schedule)
        .with_json_body(
            true,
            schema_of::<PlanBody>,
            r#"{"sensor_ids": ["north/hall-1/pump-1/vibration"], "time_horizon_hours": 72, "constraints": {"technicians": ["Ada"]}}"#,
        )
        .with_responses(&[ResponseInfo::json(202, "The plan is being made.", schema_of::<PlanAccepted>).with_headers(&["Location"])])
        .with_errors(&[404, 409]),
    get("/api/v1/maintenance/status/{task_id}", Handler::PlanStatus)
        .with_docs("getTask", "maintenance", "The status of a requested plan")
        .with_params(&[TASK_ID])
        .with_responses(json_reply!(200, "The progress, and the plan once it is done.", PlanTask)),
    get("/api/v1/maintenance/plan.ics", Handler::Calendar)
        .with_docs("getCalendar", "maintenance", "Planned work orders as a calendar (RFC 5545)")
        .with_params(&[TECHNICIAN])
        .with_responses(&[ResponseInfo::text("The calendar.", "text/calendar; charset=utf-8").with_headers(ETAG)]),
    get("/graphql", Handler::GraphQlGet)
        .with_docs("queryGraph", "graphql", "A GraphQL query, persisted or as text")
        .with_description(GRAPHQL_DESCRIPTION)
        .with_params(&[
            query("query", ParameterKind::LongText, "The document.", "{ sensors(first: 3) { nodes { name unit } } }"),
            query("operationName", ParameterKind::LongText, "The name of the operation.", ""),
            query("variables", ParameterKind::Object, "The variables of the operation, as JSON.", "{}"),
            query("extensions", ParameterKind::Object, "`persistedQuery`, as JSON.", "{}"),
        ])
        .with_responses(GRAPHQL_RESPONSES),
    RouteInfo::new(Method::POST, "/graphql", Permission::Read, Handler::GraphQlPost)
        .with_docs("postGraph", "graphql", "A GraphQL query or mutation")
        .with_description(GRAPHQL_DESCRIPTION)
        .with_json_body(true, schema_of::<GraphQlRequest>, r#"{"query": "{ machines(first: 3) { nodes { asset severity health } } }"}"#)
        .with_responses(GRAPHQL_RESPONSES),
    edge_route(Method::GET, "/ws/anomalies", Permission::Read)
        .with_docs("watchAnomalies", "anomalies", "New anomalies, alerts, work orders and drifts, by WebSocket")
        .with_description("Text frames of JSON: `{\"type\", \"id\", \"data\"}`.")
        .with_params(&[LAST_EVENT_ID])
        .with_responses(&[ResponseInfo::empty(101, "The protocol changes to WebSocket.")])
        .with_errors(&[426]),
    edge_route(Method::POST, "/api/v1/auth/login", Permission::None)
        .with_docs("login", "access", "Signs in")
        .with_rate_limit(RateLimitClass::Login)
        .with_json_body(true, schema_of::<LoginBody>, r#"{"user": "ada", "password": "correct horse battery staple"}"#)
        .with_responses(&[ResponseInfo::json(200, "A session with its tokens.", schema_of::<Session>)])
        .with_errors(&[401]),
    edge_route(Method::POST, "/api/v1/auth/refresh", Permission::None)
        .with_docs("refresh", "access", "Exchanges a refresh token for new tokens")
        .with_rate_limit(RateLimitClass::Login)
        .with_json_body(true, schema_of::<RefreshBody>, r#"{"refresh_token": "r"}"#)
        .with_responses(&[ResponseInfo::json(200, "A session with its tokens.", schema_of::<Session>)])
        .with_errors(&[401]),
    edge_route(Method::POST, "/api/v1/auth/logout", Permission::SignedIn)
        .with_docs("logout", "access", "Ends the session")
        .with_responses(&[ResponseInfo::empty(204, "The token is revoked.")]),
    edge_route(Method::POST, "/api/v1/auth/password", Permission::SignedIn)
        .with_docs("changePassword", "access", "Changes the caller's password")
        .with_rate_limit(RateLimitClass::Login)
        .with_json_body(true, schema_of::<PasswordChange>, r#"{"old_password": "o", "new_password": "correct horse battery staple"}"#)
        .with_responses(&[ResponseInfo::json(200, "A new session.", schema_of::<Session>)])
        .with_errors(&[409]),
    edge_route(Method::GET, "/api/v1/auth/me", Permission::SignedIn)
        .with_docs("getMe", "access", "The caller")
        .with_responses(json_reply!(200, "The caller.", Caller)),
    edge_route(Method::GET, "/api/v1/users", Permission::Configure)
        .with_docs("listUsers", "access", "Users")
        .with_params(&[LIMIT, CURSOR])
        .with_responses(page_reply!(User)),
    edge_route(Method::POST, "/api/v1/users", Permission::Configure)
        .with_docs("addUser", "access", "Adds a user")
        .with_json_body(true, schema_of::<NewUser>, r#"{"user": "ada", "roles": ["operator"]}"#)
        .with_responses(&[ResponseInfo::json(201, "The user, with a one-time password.", schema_of::<UserWithPassword>)])
        .with_errors(&[409]),
    edge_route(Method::PATCH, "/api/v1/users/{name}", Permission::Configure)
        .with_docs("changeUser", "access", "Changes a user")
        .with_params(&[USER_NAME])
        .with_json_body(true, schema_of::<UserChange>, r#"{"disabled": true}"#)
        .with_responses(&[ResponseInfo::json(200, "The user in its new state.", schema_of::<UserWithPassword>)])
        .with_errors(&[404, 409]),
    edge_route(Method::DELETE, "/api/v1/users/{name}", Permission::Configure)
        .with_docs("removeUser", "access", "Removes a user")
        .with_params(&[USER_NAME])
        .with_responses(&[ResponseInfo::empty(204, "The user is removed.")])
        .with_errors(&[409]),
    edge_route(Method::GET, "/api/v1/keys", Permission::Configure)
        .with_docs("listKeys", "access", "Keys of devices and webhooks")
        .with_params(&[LIMIT, CURSOR])
        .with_responses(page_reply!(ApiKey)),
    edge_route(Method::POST, "/api/v1/keys", Permission::Configure)
        .with_docs("addKey", "access", "Creates a key")
        .with_json_body(true, schema_of::<NewApiKey>, r#"{"name": "gateway 7", "scopes": ["ingest"]}"#)
        .with_responses(&[ResponseInfo::json(201, "The key, shown once.", schema_of::<KeyWithSecret>)])
        .with_errors(&[409]),
    edge_route(Method::DELETE, "/api/v1/keys/{id}", Permission::Configure)
        .with_docs("removeKey", "access", "Revokes a key")
        .with_params(&[KEY_ID])
        .with_responses(&[ResponseInfo::empty(204, "The key is revoked.")]),
    edge_route(Method::GET, "/api/v1/audit", Permission::Configure)
        .with_docs("listAudit", "access", "The audit log, newest first")
        .with_params(&[LIMIT, CURSOR])
        .with_responses(page_reply!(AuditEntry)),
    edge_route(Method::GET, "/api/v1/audit/verify", Permission::Configure)
        .with_docs("verifyAudit", "access", "Verifies the hash chain of the audit log")
        .with_responses(json_reply!(200, "The result of the verification.", AuditVerification)),
];

const GRAPHQL_DESCRIPTION: &str = "GraphQL over HTTP. Responds with `application/graphql-response+json` if `Accept` names it, else with `application/json` and status 200 even if the document is invalid. GET accepts queries only. Batches are not supported.";
const GRAPHQL_RESPONSES: &[ResponseInfo] = &[
    ResponseInfo::json(200, "The data and the errors.", schema_of::<GraphQlResponse>),
    ResponseInfo {
        status: 200,
        description: "The data and the errors.",
        media: "application/graphql-response+json",
        schema: Some(schema_of::<GraphQlResponse>),
        headers: &[],
    },
];
