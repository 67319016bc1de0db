//! The table.

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

/// A route that anybody may.
const fn open(method: Method, path: &'static str, op: Op) -> RouteInfo {
    RouteInfo::at(method, path, Permission::None, op)
}

/// A route of the edge host alone.
const fn edge(method: Method, path: &'static str, permission: Permission) -> RouteInfo {
    RouteInfo::at(method, path, permission, Op::Edge).edge()
}

const fn list(path: &'static str, of: &'static Listing, parameters: &'static [Parameter]) -> RouteInfo {
    get(path, Op::List(of)).takes(parameters)
}

macro_rules! page {
    ($row:ty) => {
        &[Reply::json(200, "A page of them.", shape::<Page<$row>>).with(LINKED)]
    };
}

macro_rules! json {
    ($status:literal, $about:literal, $row:ty) => {
        &[Reply::json($status, $about, shape::<$row>).with(ETAG)]
    };
}

const STREAM: &[Reply] = &[Reply {
    status: 200,
    about: "Events (Server-Sent Events).",
    media: "text/event-stream",
    // Readers take it as a text, or event by event.
    shape: Some(shape::<Loosest>),
    headers: &[],
}];
const ANOMALY: &[Reply] = &[Reply::json(200, "The anomaly as it is now.", shape::<AnomalyWithActions>)];
const NOTE: &str = r#"{"comment": "Seen; the bearing is on order."}"#;
const TECHNICIAN: Parameter = query("technician", Kind::Text, "Of this technician.", "Ada");
const TASK_ID: Parameter = path("task_id", "The task's id.", "00000000000000000000000000000001");
const ORDER_ID: Parameter = path("id", "The work order's id.", "00000000000000000000000000000001");
const ALERT_ID: Parameter = path("id", "The alert's id.", "00000000000000000000000000000001");
const LETTER_ID: Parameter = path("id", "The dead letter's id.", "ingest|0");
const USER_NAME: Parameter = path("name", "The user's name.", "ada");
const KEY_ID: Parameter = path("id", "The key's id.", "k1");

const fn deed(path: &'static str, deed: Deed, name: &'static str, summary: &'static str) -> RouteInfo {
    post(path, Op::Deed(deed))
        .called(name, "anomalies", summary)
        .takes(&[ANOMALY_ID, IF_MATCH])
        .body(false, shape::<Note>, NOTE)
        .gives(ANOMALY)
        .fails(&[404, 409, 412])
}

/// All routes. Those of one path stand one after the other.
pub static ROUTES: &[RouteInfo] = &[
    open(Method::GET, "/", Op::Page).called("getPage", "", "The dashboard"),
    open(Method::GET, "/health", Op::Health)
        .called("getHealth", "host", "Is it alive")
        .gives(&[Reply::json(200, "It is alive.", shape::<State>)]),
    open(Method::GET, "/ready", Op::Ready)
        .called("getReady", "host", "Does the line answer")
        .gives(&[Reply::json(200, "It does.", shape::<State>)]),
    open(Method::GET, "/api/openapi.json", Op::OpenApi)
        .called("getOpenApi", "host", "This document")
        .gives(json!(200, "The OpenAPI 3.1 document.", Document)),
    open(Method::GET, "/api/docs", Op::Docs("docs.html"))
        .called("getDocs", "host", "The documentation, as a page")
        .gives(&[Reply::text("The page.", "text/html; charset=utf-8").with(ETAG)]),
    open(Method::GET, "/api/docs.js", Op::Docs("docs.js")).called("getDocsScript", "", "Its script"),
    open(Method::GET, "/api/docs.css", Op::Docs("docs.css")).called("getDocsStyle", "", "Its style"),
    open(Method::POST, "/api/v1/tick", Op::Tick)
        .called("tick", "", "Lets time pass")
        .takes(&[query("now", Kind::Time, "Up to when; left out: up to now.", "2026-01-01T00:00:00Z")])
        .gives(&[Reply::json(200, "It has passed.", shape::<Ticked>)]),
    post("/api/v1/ingest", Op::Ingest)
        .called("ingest", "readings", "Sends readings, in any format")
        .about("Answers once they are durable. Of what is refused, each part lies in the dead letters. The query may say more, as webhooks add their own to it.")
        .limited(Class::Ingest)
        .lax()
        .takes(&[
            query("sensor", Kind::Sensor, "Stands in for a payload that names no sensor.", "north/hall-1/pump-1/vibration"),
            query("topic", Kind::Visible, "Where they come from; left out: the path.", "plant/hall-1"),
            query("precision", Kind::OneOf(crate::PRECISIONS), "What the times of line protocol count; left out: told by their size.", "ms"),
        ])
        .bytes(
            &["application/json", "text/csv", "text/plain", "application/octet-stream"],
            r#"{"sensor_id": "north/hall-1/pump-1/vibration", "timestamp": "2026-01-01T00:00:00Z", "values": 1.5}"#,
        )
        .gives(&[Reply::json(202, "All or a part was taken.", shape::<Ingested>)])
        .fails(&[413, 415, 422]),
    get("/api/v1/overview", Op::Overview)
        .called("getOverview", "host", "What the first page shows")
        .gives(json!(200, "It.", Overview)),
    list("/api/v1/machines", &listing::MACHINES, &[ASSET, LIMIT, CURSOR])
        .called("listMachines", "machines", "Machines, the worst first")
        .gives(page!(Machine)),
    get("/api/v1/assets", Op::Assets)
        .called("getAssets", "machines", "The tree of sites, areas and machines")
        .gives(json!(200, "The tree.", AssetTree)),
    list("/api/v1/sensors", &listing::SENSORS, &[ASSET, SENSOR, query("kind", Kind::Text, "Of this kind.", "vibration"), LIMIT, CURSOR])
        .called("listSensors", "sensors", "Sensors by name")
        .gives(page!(Sensor)),
    get("/api/v1/sensors/{id}", Op::Item(&listing::SENSORS))
        .called("getSensor", "sensors", "One sensor")
        .takes(&[SENSOR_ID])
        .gives(json!(200, "The sensor.", Sensor)),
    get("/api/v1/sensors/{id}/readings", Op::Readings)
        .called("getReadings", "sensors", "A sensor's course, thinned to so many points")
        .about("Thinned by largest triangle three buckets: each point is a reading, and peaks stay.")
        .takes(&[SENSOR_ID, FROM, TO, query("points", Kind::Number(2, 10_000, Some(1_000)), "At most so many.", "500"), CURSOR])
        .gives(&[Reply::json(200, "The course.", shape::<Course>).with(LINKED)]),
    get("/api/v1/sensors/{id}/stream", Op::SensorStream)
        .called("streamReadings", "sensors", "A sensor's readings as they come")
        .about("`event: readings`, `data: {\"sensor\", \"items\": [{\"time\", \"value\"}]}`; the id of each event is the time of its newest reading, in nanoseconds since 1970.")
        .takes(&[SENSOR_ID, EVENT, EVENT_HEADER])
        .gives(STREAM),
    list("/api/v1/anomalies", &listing::ANOMALIES, &[ASSET, SENSOR, FROM, TO, SEVERITY, LIMIT, CURSOR])
        .called("listAnomalies", "anomalies", "Anomalies, the newest first")
        .gives(page!(Anomaly)),
    get("/api/v1/anomalies/stream", Op::AnomalyStream)
        .called("streamAnomalies", "anomalies", "Anomalies, alerts and work orders as they come")
        .about("`event: anomaly`, `alert` or `work-order`, each with the item as `data`.")
        .takes(&[EVENT, EVENT_HEADER])
        .gives(STREAM),
    get("/api/v1/anomalies/{id}", Op::Item(&listing::ANOMALIES))
        .called("getAnomaly", "anomalies", "One anomaly, with what people did about it")
        .takes(&[ANOMALY_ID])
        .gives(json!(200, "The anomaly.", AnomalyWithActions)),
    get("/api/v1/anomalies/{id}/actions", Op::Actions)
        .called("listActionsOfAnomaly", "anomalies", "What people did about an anomaly")
        .takes(&[ANOMALY_ID, LIMIT, CURSOR])
        .gives(page!(Action)),
    deed("/api/v1/anomalies/{id}/acknowledge", Deed::Acknowledge, "acknowledgeAnomaly", "Somebody has seen it"),
    deed("/api/v1/anomalies/{id}/handle", Deed::Handle, "handleAnomaly", "It is dealt with"),
    deed("/api/v1/anomalies/{id}/false-alarm", Deed::FalseAlarm, "markFalseAlarm", "It was none"),
    deed("/api/v1/anomalies/{id}/comment", Deed::Comment, "commentAnomaly", "Says something about it")
        .body(true, shape::<Comment>, NOTE),
    deed("/api/v1/anomalies/{id}/order-repair", Deed::OrderRepair, "orderRepair", "Wants the repair that it calls for"),
    list("/api/v1/actions", &listing::ACTIONS, &[ASSET, FROM, TO, LIMIT, CURSOR])
        .called("listActions", "anomalies", "What people did, the newest first")
        .gives(page!(Action)),
    list("/api/v1/alerts", &listing::ALERTS, &[ASSET, SENSOR, FROM, TO, SEVERITY, query("state", Kind::OneOf(STATES), "Open or resolved.", "open"), LIMIT, CURSOR])
        .called("listAlerts", "alerts", "Alerts, the newest first")
        .gives(page!(Alert)),
    get("/api/v1/alerts/{id}", Op::Item(&listing::ALERTS))
        .called("getAlert", "alerts", "One alert")
        .takes(&[ALERT_ID])
        .gives(json!(200, "The alert.", Alert)),
    list("/api/v1/work-orders", &listing::WORK_ORDERS, &[ASSET, FROM, TO, query("status", Kind::OneOf(STATUSES), "Where they stand.", "planned"), LIMIT, CURSOR])
        .called("listWorkOrders", "maintenance", "Work orders, those that are due first, first")
        .gives(page!(WorkOrder)),
    get("/api/v1/work-orders/{id}", Op::Item(&listing::WORK_ORDERS))
        .called("getWorkOrder", "maintenance", "One work order")
        .takes(&[ORDER_ID])
        .gives(json!(200, "The work order.", WorkOrder)),
    RouteInfo::at(Method::PATCH, "/api/v1/work-orders/{id}", Permission::Write, Op::Amend)
        .called("amendWorkOrder", "maintenance", "Moves, pins, closes or cancels a work order")
        .about("The others are planned around it. Moving it pins it, unless `pinned` is false.")
        .takes(&[ORDER_ID, IF_MATCH])
        .body(true, shape::<Amendment>, r#"{"scheduled_time": "2026-01-02T08:00:00Z", "technician": "Ada"}"#)
        .gives(&[Reply::json(200, "The work order as it is now.", shape::<WorkOrder>)])
        .fails(&[404, 409, 412]),
    list("/api/v1/dead-letters", &listing::DEAD_LETTERS, &[SENSOR, FROM, TO, query("reason", Kind::OneOf(REASONS), "Refused for this reason.", "malformed"), LIMIT, CURSOR])
        .called("listDeadLetters", "readings", "What was refused, the newest first")
        .gives(page!(DeadLetter)),
    edge(Method::DELETE, "/api/v1/dead-letters/{id}", Permission::Delete)
        .called("deleteDeadLetter", "readings", "Deletes a dead letter")
        .takes(&[LETTER_ID])
        .gives(&[Reply::empty(204, "It is gone.")]),
    edge(Method::POST, "/api/v1/dead-letters/{id}/replay", Permission::Write)
        .called("replayDeadLetter", "readings", "Takes a dead letter in as if it came now")
        .about("The letter is gone once anything of it was taken; what of it is refused is a new letter. One of which nothing is taken stays as it was (422), as does one that was not kept whole (409).")
        .takes(&[LETTER_ID])
        .gives(&[Reply::json(202, "All or a part was taken.", shape::<Ingested>)])
        .fails(&[409, 422]),
    list("/api/v1/drifts", &listing::DRIFTS, &[ASSET, FROM, TO, query("kind", Kind::OneOf(DRIFTS), "What came of it.", "drifted"), LIMIT, CURSOR])
        .called("listDrifts", "machines", "Changes of what is normal, the newest first")
        .gives(page!(Drift)),
    list("/api/v1/prognoses", &listing::PROGNOSES, &[ASSET, FROM, TO, LIMIT, CURSOR])
        .called("listPrognoses", "machines", "How long machines are likely to last, the newest first")
        .gives(page!(Prognosis)),
    list("/api/v1/windows", &listing::WINDOWS, &[ASSET, SENSOR, FROM, TO, LIMIT, CURSOR])
        .called("listWindows", "sensors", "Windows with their features, the newest first")
        .fails(&[404])
        .gives(page!(Window)),
    list("/api/v1/waveforms", &listing::WAVEFORMS, &[SENSOR, FROM, TO, LIMIT, CURSOR])
        .called("listWaveforms", "sensors", "Bursts of samples, the newest first")
        .fails(&[404])
        .gives(page!(Waveform)),
    post("/api/v1/detect", Op::Detect)
        .called("detect", "anomalies", "Judges values against the machine's normal, and learns nothing from them")
        .limited(Class::Detect)
        .body(
            true,
            shape::<Detection>,
            r#"{"sensor_data": {"sensor_id": "north/hall-1/pump-1/vibration", "timestamp": "2026-01-01T00:00:00Z", "values": 7.1}, "model_name": "ensemble", "threshold": 0.95}"#,
        )
        .gives(&[Reply::json(200, "How they were judged.", shape::<Judgement>)])
        .fails(&[404, 409]),
    post("/api/v1/maintenance/schedule", Op::Plan)
        .called("planMaintenance", "maintenance", "Asks what a plan would look like; nothing else changes")
        .limited(Class::Schedule)
        .body(
            true,
            shape::<Planning>,
            r#"{"sensor_ids": ["north/hall-1/pump-1/vibration"], "time_horizon_hours": 72, "constraints": {"technicians": ["Ada"]}}"#,
        )
        .gives(&[Reply::json(202, "It is being made.", shape::<Accepted>).with(&["Location"])])
        .fails(&[404, 409]),
    get("/api/v1/maintenance/status/{task_id}", Op::Task)
        .called("getTask", "maintenance", "What became of a plan that was asked for")
        .takes(&[TASK_ID])
        .gives(json!(200, "How far it is, and the plan.", Task)),
    get("/api/v1/maintenance/plan.ics", Op::Calendar)
        .called("getCalendar", "maintenance", "Planned work orders as a calendar (RFC 5545)")
        .takes(&[TECHNICIAN])
        .gives(&[Reply::text("The calendar.", "text/calendar; charset=utf-8").with(ETAG)]),
    get("/graphql", Op::GraphGet)
        .called("queryGraph", "graphql", "A GraphQL query, by its persisted form or in words")
        .about(GRAPHQL)
        .takes(&[
            query("query", Kind::Long, "The document.", "{ sensors(first: 3) { nodes { name unit } } }"),
            query("operationName", Kind::Long, "Which of its operations.", ""),
            query("variables", Kind::Object, "Its variables, as JSON.", "{}"),
            query("extensions", Kind::Object, "`persistedQuery`, as JSON.", "{}"),
        ])
        .gives(GRAPH),
    RouteInfo::at(Method::POST, "/graphql", Permission::Read, Op::GraphPost)
        .called("postGraph", "graphql", "A GraphQL query or mutation")
        .about(GRAPHQL)
        .body(true, shape::<GraphRequest>, r#"{"query": "{ machines(first: 3) { nodes { asset severity health } } }"}"#)
        .gives(GRAPH),
    edge(Method::GET, "/ws/anomalies", Permission::Read)
        .called("watchAnomalies", "anomalies", "Anomalies, alerts, work orders, drifts and prognoses as they come, by WebSocket")
        .about("Text frames of JSON: `{\"type\", \"id\", \"data\"}`.")
        .takes(&[EVENT])
        .gives(&[Reply::empty(101, "The protocol changes to WebSocket.")])
        .fails(&[426]),
    edge(Method::POST, "/api/v1/auth/login", Permission::None)
        .called("login", "access", "Signs in")
        .limited(Class::Login)
        .body(true, shape::<Login>, r#"{"user": "ada", "password": "correct horse battery staple"}"#)
        .gives(&[Reply::json(200, "A session.", shape::<Session>)])
        .fails(&[401]),
    edge(Method::POST, "/api/v1/auth/refresh", Permission::None)
        .called("refresh", "access", "Gives new tokens for the old ones")
        .limited(Class::Login)
        .body(true, shape::<Refresh>, r#"{"refresh_token": "r"}"#)
        .gives(&[Reply::json(200, "A session.", shape::<Session>)])
        .fails(&[401]),
    edge(Method::POST, "/api/v1/auth/logout", Permission::SignedIn)
        .called("logout", "access", "Ends the session")
        .gives(&[Reply::empty(204, "The token is revoked.")]),
    edge(Method::POST, "/api/v1/auth/password", Permission::SignedIn)
        .called("changePassword", "access", "Changes one's password")
        .limited(Class::Login)
        .body(true, shape::<NewPassword>, r#"{"old_password": "o", "new_password": "correct horse battery staple"}"#)
        .gives(&[Reply::json(200, "A new session.", shape::<Session>)])
        .fails(&[409]),
    edge(Method::GET, "/api/v1/auth/me", Permission::SignedIn)
        .called("getMe", "access", "Who is asking")
        .gives(json!(200, "Whoever asks.", Me)),
    edge(Method::GET, "/api/v1/users", Permission::Configure)
        .called("listUsers", "access", "Users")
        .takes(&[LIMIT, CURSOR])
        .gives(page!(User)),
    edge(Method::POST, "/api/v1/users", Permission::Configure)
        .called("addUser", "access", "Adds a user")
        .body(true, shape::<NewUser>, r#"{"user": "ada", "roles": ["operator"]}"#)
        .gives(&[Reply::json(201, "The user, with a one-time password.", shape::<UserWithPassword>)])
        .fails(&[409]),
    edge(Method::PATCH, "/api/v1/users/{name}", Permission::Configure)
        .called("changeUser", "access", "Changes a user")
        .takes(&[USER_NAME])
        .body(true, shape::<UserChange>, r#"{"disabled": true}"#)
        .gives(&[Reply::json(200, "The user as it is now.", shape::<UserWithPassword>)])
        .fails(&[404, 409]),
    edge(Method::DELETE, "/api/v1/users/{name}", Permission::Configure)
        .called("removeUser", "access", "Removes a user")
        .takes(&[USER_NAME])
        .gives(&[Reply::empty(204, "The user is gone.")])
        .fails(&[409]),
    edge(Method::GET, "/api/v1/keys", Permission::Configure)
        .called("listKeys", "access", "Keys of devices and webhooks")
        .takes(&[LIMIT, CURSOR])
        .gives(page!(Key)),
    edge(Method::POST, "/api/v1/keys", Permission::Configure)
        .called("addKey", "access", "Makes a key")
        .body(true, shape::<NewKey>, r#"{"name": "gateway 7", "scopes": ["ingest"]}"#)
        .gives(&[Reply::json(201, "The key, shown once.", shape::<KeyWithSecret>)])
        .fails(&[409]),
    edge(Method::DELETE, "/api/v1/keys/{id}", Permission::Configure)
        .called("removeKey", "access", "Revokes a key")
        .takes(&[KEY_ID])
        .gives(&[Reply::empty(204, "The key is revoked.")]),
    edge(Method::GET, "/api/v1/audit", Permission::Configure)
        .called("listAudit", "access", "What was done, the newest first")
        .takes(&[LIMIT, CURSOR])
        .gives(page!(Entry)),
    edge(Method::GET, "/api/v1/audit/verify", Permission::Configure)
        .called("verifyAudit", "access", "Whether the log is as it was written")
        .gives(json!(200, "What was found.", Verified)),
];

const GRAPHQL: &str = "GraphQL over HTTP. `application/graphql-response+json` where `Accept` names it, else `application/json`, whose status is 200 also where the document is wrong. GET takes queries only. One request at a time.";
const GRAPH: &[Reply] = &[
    Reply::json(200, "What was asked for, and what went wrong.", shape::<GraphResponse>),
    Reply {
        status: 200,
        about: "What was asked for, and what went wrong.",
        media: "application/graphql-response+json",
        shape: Some(shape::<GraphResponse>),
        headers: &[],
    },
];
