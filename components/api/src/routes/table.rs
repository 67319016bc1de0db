//! The table of routes.

use http::Method;

use super::{
    kinds::{Class, Kind, Op, Parameter, Permission, Reply, RouteInfo, shape},
    parameters::*,
};
use crate::{
    Deed,
    listing::{self, Listing},
    shapes::*,
};

const ETAG: &[&str] = &["ETag"];
const LINKED: &[&str] = &["ETag", "Link"];

const fn get(path: &'static str, op: Op) -> RouteInfo {
    RouteInfo::at(Method::GET, path, Permission::Read, op)
}

const fn post(path: &'static str, op: Op) -> RouteInfo {
    RouteInfo::at(Method::POST, path, Permission::Write, op)
}

/// A public route.
const fn open(method: Method, path: &'static str, op: Op) -> RouteInfo {
    RouteInfo::at(method, path, Permission::None, op)
}

/// A route that only the edge host has.
const fn edge(method: Method, path: &'static str, permission: Permission) -> RouteInfo {
    RouteInfo::at(method, path, permission, Op::Edge).edge()
}

const fn list(path: &'static str, of: &'static Listing, parameters: &'static [Parameter]) -> RouteInfo {
    get(path, Op::List(of)).takes(parameters)
}

macro_rules! page_reply {
    ($row:ty) => {
        &[Reply::json(200, "A page of items.", shape::<Page<$row>>).with(LINKED)]
    };
}

macro_rules! json_reply {
    ($status:literal, $about:literal, $row:ty) => {
        &[Reply::json($status, $about, shape::<$row>).with(ETAG)]
    };
}

const STREAM: &[Reply] = &[Reply {
    status: 200,
    about: "Events (Server-Sent Events).",
    media: "text/event-stream",
    // Clients read it as text or event by event, so the schema allows anything.
    shape: Some(shape::<Loosest>),
    headers: &[],
}];
const ANOMALY: &[Reply] = &[Reply::json(200, "The anomaly in its new state.", shape::<AnomalyWithActions>)];
const NOTE: &str = r#"{"comment": "Seen; the bearing is on order."}"#;
const TECHNICIAN: Parameter = query("technician", Kind::Text, "The name of the technician.", "Ada");
const TASK_ID: Parameter = path("task_id", "The task's id.", "00000000000000000000000000000001");
const ORDER_ID: Parameter = path("id", "The work order's id.", "00000000000000000000000000000001");
const ALERT_ID: Parameter = path("id", "The alert's id.", "00000000000000000000000000000001");
const LETTER_ID: Parameter = path("id", "The dead letter's id.", "ingest|0");
const USER_NAME: Parameter = path("name", "The user's name.", "ada");
const KEY_ID: Parameter = path("id", "The key's id.", "k1");

/// A route that performs an action on an anomaly.
const fn deed(path: &'static str, action: Deed, name: &'static str, summary: &'static str) -> RouteInfo {
    post(path, Op::Deed(action))
        .called(name, "anomalies", summary)
        .takes(&[ANOMALY_ID, IF_MATCH])
        .body(false, shape::<Note>, NOTE)
        .gives(ANOMALY)
        .fails(&[404, 409, 412])
}

/// All routes. Routes of the same path are adjacent.
pub static ROUTES: &[RouteInfo] = &[
    open(Method::GET, "/", Op::Page).called("getPage", "", "The dashboard"),
    open(Method::GET, "/health", Op::Health)
        .called("getHealth", "host", "Liveness of the host")
        .gives(&[Reply::json(200, "The host is alive.", shape::<State>)]),
    open(Method::GET, "/ready", Op::Ready)
        .called("getReady", "host", "Readiness of the line")
        .gives(&[Reply::json(200, "The line is ready.", shape::<State>)]),
    open(Method::GET, "/api/openapi.json", Op::OpenApi)
        .called("getOpenApi", "host", "This document")
        .gives(json_reply!(200, "The OpenAPI 3.1 document.", Document)),
    open(Method::GET, "/api/docs", Op::Docs("docs.html"))
        .called("getDocs", "host", "The documentation, as a page")
        .gives(&[Reply::text("The page.", "text/html; charset=utf-8").with(ETAG)]),
    open(Method::GET, "/api/docs.js", Op::Docs("docs.js")).called("getDocsScript", "", "The script of the documentation page"),
    open(Method::GET, "/api/docs.css", Op::Docs("docs.css")).called("getDocsStyle", "", "The style sheet of the documentation page"),
    open(Method::POST, "/api/v1/tick", Op::Tick)
        .called("tick", "", "Advances the time")
        .takes(&[query("now", Kind::Time, "The new time. Default: the current time.", "2026-01-01T00:00:00Z")])
        .gives(&[Reply::json(200, "The new time.", shape::<Ticked>)]),
    post("/api/v1/ingest", Op::Ingest)
        .called("ingest", "readings", "Sends readings, in any format")
        .about("Responds once the readings are durable. Rejected parts are kept as dead letters. The query may contain other parameters, as webhooks add their own.")
        .limited(Class::Ingest)
        .lax()
        .takes(&[
            query("sensor", Kind::Sensor, "The sensor to use for a payload that names none.", "north/hall-1/pump-1/vibration"),
            query("topic", Kind::Visible, "The source of the readings. Default: the path.", "plant/hall-1"),
            query("precision", Kind::OneOf(crate::PRECISIONS), "The unit of times in line protocol. Default: detected from their size.", "ms"),
        ])
        .bytes(
            &["application/json", "text/csv", "text/plain", "application/octet-stream"],
            r#"{"sensor_id": "north/hall-1/pump-1/vibration", "timestamp": "2026-01-01T00:00:00Z", "values": 1.5}"#,
        )
        .gives(&[Reply::json(202, "All or some readings were accepted.", shape::<Ingested>)])
        .fails(&[413, 415, 422]),
    get("/api/v1/overview", Op::Overview)
        .called("getOverview", "host", "The content of the first page")
        .gives(json_reply!(200, "The overview.", Overview)),
    list("/api/v1/machines", &listing::MACHINES, &[ASSET, LIMIT, CURSOR])
        .called("listMachines", "machines", "Machines, most severe first")
        .gives(page_reply!(Machine)),
    get("/api/v1/assets", Op::Assets)
        .called("getAssets", "machines", "The tree of sites, areas and machines")
        .gives(json_reply!(200, "The tree of sites, areas and machines.", AssetTree)),
    list("/api/v1/sensors", &listing::SENSORS, &[ASSET, SENSOR, query("kind", Kind::Text, "The measured quantity.", "vibration"), LIMIT, CURSOR])
        .called("listSensors", "sensors", "Sensors, ordered by name")
        .gives(page_reply!(Sensor)),
    get("/api/v1/sensors/{id}", Op::Item(&listing::SENSORS))
        .called("getSensor", "sensors", "One sensor")
        .takes(&[SENSOR_ID])
        .gives(json_reply!(200, "The sensor.", Sensor)),
    get("/api/v1/sensors/{id}/readings", Op::Readings)
        .called("getReadings", "sensors", "The readings of a sensor, downsampled")
        .about("Downsampled by largest triangle three buckets: each point is a reading, and peaks are kept.")
        .takes(&[SENSOR_ID, FROM, TO, query("points", Kind::Number(2, 10_000, Some(1_000)), "Maximum number of points.", "500"), CURSOR])
        .gives(&[Reply::json(200, "The readings.", shape::<Course>).with(LINKED)]),
    get("/api/v1/sensors/{id}/stream", Op::SensorStream)
        .called("streamReadings", "sensors", "New readings of a sensor")
        .about("`event: readings`, `data: {\"sensor\", \"items\": [{\"time\", \"value\"}]}`; the id of each event is the time of its newest reading, in nanoseconds since 1970.")
        .takes(&[SENSOR_ID, EVENT, EVENT_HEADER])
        .gives(STREAM),
    list("/api/v1/anomalies", &listing::ANOMALIES, &[ASSET, SENSOR, FROM, TO, SEVERITY, LIMIT, CURSOR])
        .called("listAnomalies", "anomalies", "Anomalies, newest first")
        .gives(page_reply!(Anomaly)),
    get("/api/v1/anomalies/stream", Op::AnomalyStream)
        .called("streamAnomalies", "anomalies", "New and changed anomalies, alerts and work orders")
        .about("`event: anomaly`, `alert` or `work-order`, each with the item as `data`.")
        .takes(&[EVENT, EVENT_HEADER])
        .gives(STREAM),
    get("/api/v1/anomalies/{id}", Op::Item(&listing::ANOMALIES))
        .called("getAnomaly", "anomalies", "One anomaly with the actions on it")
        .takes(&[ANOMALY_ID])
        .gives(json_reply!(200, "The anomaly.", AnomalyWithActions)),
    get("/api/v1/anomalies/{id}/actions", Op::Actions)
        .called("listActionsOfAnomaly", "anomalies", "The actions on an anomaly")
        .takes(&[ANOMALY_ID, LIMIT, CURSOR])
        .gives(page_reply!(Action)),
    deed("/api/v1/anomalies/{id}/acknowledge", Deed::Acknowledge, "acknowledgeAnomaly", "Acknowledges an anomaly"),
    deed("/api/v1/anomalies/{id}/handle", Deed::Handle, "handleAnomaly", "Marks an anomaly as handled"),
    deed("/api/v1/anomalies/{id}/false-alarm", Deed::FalseAlarm, "markFalseAlarm", "Marks an anomaly as a false alarm"),
    deed("/api/v1/anomalies/{id}/comment", Deed::Comment, "commentAnomaly", "Comments on an anomaly")
        .body(true, shape::<Comment>, NOTE),
    deed("/api/v1/anomalies/{id}/order-repair", Deed::OrderRepair, "orderRepair", "Orders the repair for an anomaly"),
    list("/api/v1/actions", &listing::ACTIONS, &[ASSET, FROM, TO, LIMIT, CURSOR])
        .called("listActions", "anomalies", "User actions, newest first")
        .gives(page_reply!(Action)),
    list("/api/v1/alerts", &listing::ALERTS, &[ASSET, SENSOR, FROM, TO, SEVERITY, query("state", Kind::OneOf(STATES), "The state of the alert.", "open"), LIMIT, CURSOR])
        .called("listAlerts", "alerts", "Alerts, newest first")
        .gives(page_reply!(Alert)),
    get("/api/v1/alerts/{id}", Op::Item(&listing::ALERTS))
        .called("getAlert", "alerts", "One alert")
        .takes(&[ALERT_ID])
        .gives(json_reply!(200, "The alert.", Alert)),
    list("/api/v1/work-orders", &listing::WORK_ORDERS, &[ASSET, FROM, TO, query("status", Kind::OneOf(STATUSES), "The status of the work order.", "planned"), LIMIT, CURSOR])
        .called("listWorkOrders", "maintenance", "Work orders, earliest due first")
        .gives(page_reply!(WorkOrder)),
    get("/api/v1/work-orders/{id}", Op::Item(&listing::WORK_ORDERS))
        .called("getWorkOrder", "maintenance", "One work order")
        .takes(&[ORDER_ID])
        .gives(json_reply!(200, "The work order.", WorkOrder)),
    RouteInfo::at(Method::PATCH, "/api/v1/work-orders/{id}", Permission::Write, Op::Amend)
        .called("amendWorkOrder", "maintenance", "Moves, pins, closes or cancels a work order")
        .about("Other work orders are planned around it. Moving it pins it, unless `pinned` is false.")
        .takes(&[ORDER_ID, IF_MATCH])
        .body(true, shape::<Amendment>, r#"{"scheduled_time": "2026-01-02T08:00:00Z", "technician": "Ada"}"#)
        .gives(&[Reply::json(200, "The work order in its new state.", shape::<WorkOrder>)])
        .fails(&[404, 409, 412]),
    list("/api/v1/dead-letters", &listing::DEAD_LETTERS, &[SENSOR, FROM, TO, query("reason", Kind::OneOf(REASONS), "The reason of the rejection.", "malformed"), LIMIT, CURSOR])
        .called("listDeadLetters", "readings", "Dead letters, newest first")
        .gives(page_reply!(DeadLetter)),
    edge(Method::DELETE, "/api/v1/dead-letters/{id}", Permission::Delete)
        .called("deleteDeadLetter", "readings", "Deletes a dead letter")
        .takes(&[LETTER_ID])
        .gives(&[Reply::empty(204, "The dead letter is deleted.")]),
    edge(Method::POST, "/api/v1/dead-letters/{id}/replay", Permission::Write)
        .called("replayDeadLetter", "readings", "Ingests a dead letter again")
        .about("The dead letter is deleted if any reading was accepted; rejected parts become a new dead letter. If nothing is accepted it is kept unchanged (422), as is one that was stored truncated (409).")
        .takes(&[LETTER_ID])
        .gives(&[Reply::json(202, "All or some readings were accepted.", shape::<Ingested>)])
        .fails(&[409, 422]),
    list("/api/v1/drifts", &listing::DRIFTS, &[ASSET, FROM, TO, query("kind", Kind::OneOf(DRIFTS), "The outcome of the check.", "drifted"), LIMIT, CURSOR])
        .called("listDrifts", "machines", "Drifts of the normal behaviour of machines, newest first")
        .gives(page_reply!(Drift)),
    list("/api/v1/prognoses", &listing::PROGNOSES, &[ASSET, FROM, TO, LIMIT, CURSOR])
        .called("listPrognoses", "machines", "Prognoses of remaining life, newest first")
        .gives(page_reply!(Prognosis)),
    list("/api/v1/windows", &listing::WINDOWS, &[ASSET, SENSOR, FROM, TO, LIMIT, CURSOR])
        .called("listWindows", "sensors", "Windows with their features, newest first")
        .fails(&[404])
        .gives(page_reply!(Window)),
    list("/api/v1/waveforms", &listing::WAVEFORMS, &[SENSOR, FROM, TO, LIMIT, CURSOR])
        .called("listWaveforms", "sensors", "Waveforms, newest first")
        .fails(&[404])
        .gives(page_reply!(Waveform)),
    post("/api/v1/detect", Op::Detect)
        .called("detect", "anomalies", "Scores values against the model of the machine, without learning from them")
        .limited(Class::Detect)
        .body(
            true,
            shape::<Detection>,
            r#"{"sensor_data": {"sensor_id": "north/hall-1/pump-1/vibration", "timestamp": "2026-01-01T00:00:00Z", "values": 7.1}, "model_name": "ensemble", "threshold": 0.95}"#,
        )
        .gives(&[Reply::json(200, "The score and its explanation.", shape::<Judgement>)])
        .fails(&[404, 409]),
    post("/api/v1/maintenance/schedule", Op::Plan)
        .called("planMaintenance", "maintenance", "Requests a what-if plan, without changing the current plan")
        .limited(Class::Schedule)
        .body(
            true,
            shape::<Planning>,
            r#"{"sensor_ids": ["north/hall-1/pump-1/vibration"], "time_horizon_hours": 72, "constraints": {"technicians": ["Ada"]}}"#,
        )
        .gives(&[Reply::json(202, "The plan is being made.", shape::<Accepted>).with(&["Location"])])
        .fails(&[404, 409]),
    get("/api/v1/maintenance/status/{task_id}", Op::Task)
        .called("getTask", "maintenance", "The status of a requested plan")
        .takes(&[TASK_ID])
        .gives(json_reply!(200, "The progress, and the plan once it is done.", Task)),
    get("/api/v1/maintenance/plan.ics", Op::Calendar)
        .called("getCalendar", "maintenance", "Planned work orders as a calendar (RFC 5545)")
        .takes(&[TECHNICIAN])
        .gives(&[Reply::text("The calendar.", "text/calendar; charset=utf-8").with(ETAG)]),
    get("/graphql", Op::GraphGet)
        .called("queryGraph", "graphql", "A GraphQL query, persisted or as text")
        .about(GRAPHQL)
        .takes(&[
            query("query", Kind::Long, "The document.", "{ sensors(first: 3) { nodes { name unit } } }"),
            query("operationName", Kind::Long, "The name of the operation.", ""),
            query("variables", Kind::Object, "The variables of the operation, as JSON.", "{}"),
            query("extensions", Kind::Object, "`persistedQuery`, as JSON.", "{}"),
        ])
        .gives(GRAPH),
    RouteInfo::at(Method::POST, "/graphql", Permission::Read, Op::GraphPost)
        .called("postGraph", "graphql", "A GraphQL query or mutation")
        .about(GRAPHQL)
        .body(true, shape::<GraphRequest>, r#"{"query": "{ machines(first: 3) { nodes { asset severity health } } }"}"#)
        .gives(GRAPH),
    edge(Method::GET, "/ws/anomalies", Permission::Read)
        .called("watchAnomalies", "anomalies", "New anomalies, alerts, work orders, drifts and prognoses, by WebSocket")
        .about("Text frames of JSON: `{\"type\", \"id\", \"data\"}`.")
        .takes(&[EVENT])
        .gives(&[Reply::empty(101, "The protocol changes to WebSocket.")])
        .fails(&[426]),
    edge(Method::POST, "/api/v1/auth/login", Permission::None)
        .called("login", "access", "Signs in")
        .limited(Class::Login)
        .body(true, shape::<Login>, r#"{"user": "ada", "password": "correct horse battery staple"}"#)
        .gives(&[Reply::json(200, "A session with its tokens.", shape::<Session>)])
        .fails(&[401]),
    edge(Method::POST, "/api/v1/auth/refresh", Permission::None)
        .called("refresh", "access", "Exchanges a refresh token for new tokens")
        .limited(Class::Login)
        .body(true, shape::<Refresh>, r#"{"refresh_token": "r"}"#)
        .gives(&[Reply::json(200, "A session with its tokens.", shape::<Session>)])
        .fails(&[401]),
    edge(Method::POST, "/api/v1/auth/logout", Permission::SignedIn)
        .called("logout", "access", "Ends the session")
        .gives(&[Reply::empty(204, "The token is revoked.")]),
    edge(Method::POST, "/api/v1/auth/password", Permission::SignedIn)
        .called("changePassword", "access", "Changes the caller's password")
        .limited(Class::Login)
        .body(true, shape::<NewPassword>, r#"{"old_password": "o", "new_password": "correct horse battery staple"}"#)
        .gives(&[Reply::json(200, "A new session.", shape::<Session>)])
        .fails(&[409]),
    edge(Method::GET, "/api/v1/auth/me", Permission::SignedIn)
        .called("getMe", "access", "The caller")
        .gives(json_reply!(200, "The caller.", Me)),
    edge(Method::GET, "/api/v1/users", Permission::Configure)
        .called("listUsers", "access", "Users")
        .takes(&[LIMIT, CURSOR])
        .gives(page_reply!(User)),
    edge(Method::POST, "/api/v1/users", Permission::Configure)
        .called("addUser", "access", "Adds a user")
        .body(true, shape::<NewUser>, r#"{"user": "ada", "roles": ["operator"]}"#)
        .gives(&[Reply::json(201, "The user, with a one-time password.", shape::<UserWithPassword>)])
        .fails(&[409]),
    edge(Method::PATCH, "/api/v1/users/{name}", Permission::Configure)
        .called("changeUser", "access", "Changes a user")
        .takes(&[USER_NAME])
        .body(true, shape::<UserChange>, r#"{"disabled": true}"#)
        .gives(&[Reply::json(200, "The user in its new state.", shape::<UserWithPassword>)])
        .fails(&[404, 409]),
    edge(Method::DELETE, "/api/v1/users/{name}", Permission::Configure)
        .called("removeUser", "access", "Removes a user")
        .takes(&[USER_NAME])
        .gives(&[Reply::empty(204, "The user is removed.")])
        .fails(&[409]),
    edge(Method::GET, "/api/v1/keys", Permission::Configure)
        .called("listKeys", "access", "Keys of devices and webhooks")
        .takes(&[LIMIT, CURSOR])
        .gives(page_reply!(Key)),
    edge(Method::POST, "/api/v1/keys", Permission::Configure)
        .called("addKey", "access", "Creates a key")
        .body(true, shape::<NewKey>, r#"{"name": "gateway 7", "scopes": ["ingest"]}"#)
        .gives(&[Reply::json(201, "The key, shown once.", shape::<KeyWithSecret>)])
        .fails(&[409]),
    edge(Method::DELETE, "/api/v1/keys/{id}", Permission::Configure)
        .called("removeKey", "access", "Revokes a key")
        .takes(&[KEY_ID])
        .gives(&[Reply::empty(204, "The key is revoked.")]),
    edge(Method::GET, "/api/v1/audit", Permission::Configure)
        .called("listAudit", "access", "The audit log, newest first")
        .takes(&[LIMIT, CURSOR])
        .gives(page_reply!(Entry)),
    edge(Method::GET, "/api/v1/audit/verify", Permission::Configure)
        .called("verifyAudit", "access", "Verifies the hash chain of the audit log")
        .gives(json_reply!(200, "The result of the verification.", Verified)),
];

const GRAPHQL: &str = "GraphQL over HTTP. Responds with `application/graphql-response+json` if `Accept` names it, else with `application/json` and status 200 even if the document is invalid. GET accepts queries only. Batches are not supported.";
const GRAPH: &[Reply] = &[
    Reply::json(200, "The data and the errors.", shape::<GraphResponse>),
    Reply {
        status: 200,
        about: "The data and the errors.",
        media: "application/graphql-response+json",
        shape: Some(shape::<GraphResponse>),
        headers: &[],
    },
];
