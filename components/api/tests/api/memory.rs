//! An in-memory line for tests, and helpers for requests and responses.

use std::{cell::RefCell, collections::BTreeMap};

use http::{Method, Request, Response, header};
use serde_json::{Value, json};
use wheeltapper_api::{
    Action, ActionRequest, DetectRequest, Filter, LineApi, LineApiError, Receipt, Settings, Submission, Table, Verdict,
    respond,
};

/// 2026-01-01T00:00:00Z.
pub const T0: i64 = 1_767_225_600_000_000_000;
pub const SECOND: i64 = 1_000_000_000;
/// The time of requests.
pub const NOW: i64 = T0 + 3_600 * SECOND;

/// A line that returns the given rows in their order, and records the calls.
#[derive(Debug, Default)]
pub struct Memory {
    pub rows: BTreeMap<Table, Vec<Value>>,
    pub receipt: Receipt,
    pub failure: Option<LineApiError>,
    pub submitted: RefCell<Vec<Submission>>,
    pub queries: RefCell<Vec<(Table, Filter)>>,
    pub ticks: RefCell<Vec<i64>>,
    pub actions: RefCell<Vec<ActionRequest>>,
    pub detect_requests: RefCell<Vec<DetectRequest>>,
    /// Rows that actions created or changed, newest first. They precede `rows`, and replace rows of the same id.
    pub written_rows: RefCell<BTreeMap<Table, Vec<Value>>>,
}

impl Memory {
    pub fn with(table: Table, rows: Vec<Value>) -> Self {
        Self { rows: [(table, rows)].into(), ..Self::default() }
    }

    /// Returns all rows of a table.
    fn rows_of(&self, table: Table) -> Vec<Value> {
        let written = self.written_rows.borrow().get(&table).cloned().unwrap_or_default();
        let rows = self.rows.get(&table).cloned().unwrap_or_default();
        let is_old = |row: &Value| !row["id"].is_null() && written.iter().any(|newer| newer["id"] == row["id"]);
        let rows: Vec<Value> = rows.into_iter().filter(|row| !is_old(row)).collect();
        [written, rows].concat()
    }

    /// Returns the target row of an action.
    fn target(&self, table: Table, id: &str) -> Result<Value, LineApiError> {
        let not_found = || LineApiError::NotFound(format!("there is no {id:?}"));
        self.rows_of(table).into_iter().find(|row| row["id"] == id).ok_or_else(not_found)
    }

    fn put_row(&self, table: Table, row: Value) {
        let mut written = self.written_rows.borrow_mut();
        let rows = written.entry(table).or_default();
        rows.retain(|old| old["id"] != row["id"]);
        rows.insert(0, row);
    }

    fn check_failure(&self) -> Result<(), LineApiError> {
        self.failure.clone().map_or(Ok(()), Err)
    }
}

impl LineApi for Memory {
    fn submit(&self, event: Submission) -> Result<Receipt, LineApiError> {
        self.check_failure()?;
        self.submitted.borrow_mut().push(event);
        Ok(self.receipt.clone())
    }

    fn query(&self, table: Table, filter: &Filter) -> Result<String, LineApiError> {
        self.check_failure()?;
        self.queries.borrow_mut().push((table, filter.clone()));
        let is = |row: &Value, columns: &[&str], value: &Option<String>| {
            value.as_ref().is_none_or(|value| columns.iter().any(|column| row[*column] == json!(value)))
        };
        let (begin, end) = match table {
            Table::Alerts => ("opened", "updated"),
            Table::Drifts | Table::Prognoses | Table::DeadLetters => ("time", "time"),
            Table::Actions => ("time", "time"),
            Table::WorkOrders => ("scheduled_time", "scheduled_time"),
            _ => ("start_time", "end_time"),
        };
        // The id of a filter for actions is that of their target.
        let ids: &[&str] = if table == Table::Actions { &["target"] } else { &["id", "name"] };
        let rows: Vec<Value> = self
            .rows_of(table)
            .into_iter()
            .filter(|row| is(row, ids, &filter.id) && is(row, &["asset"], &filter.asset))
            .filter(|row| is(row, &["sensor", "name"], &filter.sensor))
            .filter(|row| is(row, &["severity", "state", "status", "reason", "kind"], &filter.kind))
            .filter(|row| filter.after.is_none_or(|after| row[end].as_i64().is_some_and(|end| end > after)))
            .filter(|row| filter.before.is_none_or(|before| row[begin].as_i64().is_some_and(|begin| begin < before)))
            .skip(filter.offset as usize)
            .take(filter.limit.min(1_000) as usize)
            .collect();
        Ok(json!(rows).to_string())
    }

    fn tick(&self, now: i64) -> Result<(), LineApiError> {
        self.check_failure()?;
        self.ticks.borrow_mut().push(now);
        Ok(())
    }

    fn perform_action(&self, request: &ActionRequest) -> Result<String, LineApiError> {
        self.check_failure()?;
        self.actions.borrow_mut().push(request.clone());
        let ActionRequest { action, id, text, now } = request;
        let row = match action {
            Action::Plan => {
                let constraints: Value = serde_json::from_str(text).unwrap();
                let count = self.actions.borrow().len();
                let plan = json!({ "work_orders": self.rows_of(Table::WorkOrders), "unscheduled": [], "makespan_hours": 3.5, "cost": 250.0 });
                let row = json!({
                    "id": format!("{count:032x}"), "status": "done", "progress": 1.0, "created": now, "finished": now,
                    "horizon_hours": constraints["horizon_hours"], "plan": plan.to_string(),
                });
                self.put_row(Table::Tasks, row.clone());
                return Ok(row.to_string());
            }
            Action::Amend => {
                let mut row = self.target(Table::WorkOrders, id)?;
                let changes: Value = serde_json::from_str(text).unwrap();
                for (name, value) in changes.as_object().unwrap() {
                    row[name] = value.clone();
                }
                self.put_row(Table::WorkOrders, row.clone());
                row
            }
            Action::ResetBaseline => {
                let not_found = || LineApiError::NotFound(format!("there is no machine {id:?}"));
                self.rows_of(Table::Machines).into_iter().find(|row| row["asset"] == *id).ok_or_else(not_found)?
            }
            _ => {
                let mut row = self.target(Table::Anomalies, id)?;
                if matches!(action, Action::Handle | Action::FalseAlarm) {
                    row["handled"] = json!(true);
                    self.put_row(Table::Anomalies, row.clone());
                }
                row
            }
        };
        let count = self.actions.borrow().len();
        let recorded = json!({
            "id": format!("{count:032x}"), "time": now, "action": action.name(), "target": id,
            "asset": row["asset"], "actor": "local", "text": text,
        });
        self.put_row(Table::Actions, recorded.clone());
        Ok(if *action == Action::ResetBaseline { recorded } else { row }.to_string())
    }

    fn detect(&self, request: &DetectRequest) -> Result<Verdict, LineApiError> {
        self.check_failure()?;
        self.detect_requests.borrow_mut().push(request.clone());
        let event: Value = serde_json::from_slice(&request.payload).unwrap();
        let sensors = self.rows_of(Table::Sensors);
        let not_found = || LineApiError::NotFound(format!("there is no sensor {}", event["sensor_id"]));
        let sensor = sensors.iter().find(|row| row["name"] == event["sensor_id"]).ok_or_else(not_found)?;
        if request.model != "ensemble" {
            return Err(LineApiError::NotFound(format!("there is no detector {:?}", request.model)));
        }
        Ok(Verdict {
            asset: sensor["asset"].as_str().unwrap().to_owned(),
            sensor: sensor["name"].as_str().unwrap().to_owned(),
            score: 0.96,
            threshold: 0.9,
            confidence: 0.7,
            model: request.model.clone(),
            explanation: json!({
                "message": "rms is 7.1 mm/s, 1.2 mm/s is normal", "fault_mode": null,
                "contributions": [{ "feature": "rms", "share": 0.7 }],
            })
            .to_string(),
        })
    }
}

/// Creates a request with headers.
pub fn request(method: Method, uri: &str, headers: &[(&str, &str)], body: &[u8]) -> Request<Vec<u8>> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.to_vec()).unwrap()
}

/// Returns the response to a GET.
pub fn get(line: &Memory, uri: &str) -> Response<Vec<u8>> {
    get_with(line, uri, &[])
}

/// Returns the response to a GET with headers.
pub fn get_with(line: &Memory, uri: &str, headers: &[(&str, &str)]) -> Response<Vec<u8>> {
    respond(line, &Settings::default(), NOW, request(Method::GET, uri, headers, b""))
}

/// Returns the response to a POST.
pub fn post(line: &Memory, uri: &str, headers: &[(&str, &str)], body: &[u8]) -> Response<Vec<u8>> {
    respond(line, &Settings::default(), NOW, request(Method::POST, uri, headers, body))
}

/// Returns the response to a request with a JSON body.
pub fn send(line: &Memory, method: Method, uri: &str, body: &str) -> Response<Vec<u8>> {
    let headers = [("content-type", "application/json")];
    respond(line, &Settings::default(), NOW, request(method, uri, &headers, body.as_bytes()))
}

/// Checks that the response is a 422 for a body, and returns the pointer and the detail of the error.
pub fn invalid_body(response: &Response<Vec<u8>>) -> (String, String) {
    problem(response, 422);
    let error = body(response)["errors"][0].clone();
    (error["pointer"].as_str().unwrap().to_owned(), error["detail"].as_str().unwrap().to_owned())
}

pub fn body(response: &Response<Vec<u8>>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

/// Returns a header as text.
pub fn text<'a>(response: &'a Response<Vec<u8>>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// Checks that the response is a problem with this status, and returns its detail.
pub fn problem(response: &Response<Vec<u8>>, status: u16) -> String {
    assert_eq!(response.status(), status, "{}", String::from_utf8_lossy(response.body()));
    assert_eq!(text(response, header::CONTENT_TYPE.as_str()), Some("application/problem+json"));
    let body = body(response);
    assert_eq!(body["status"], status);
    assert_eq!(body["type"], "about:blank");
    assert_eq!(body["title"], response.status().canonical_reason().unwrap());
    body["detail"].as_str().unwrap().to_owned()
}

pub fn anomaly(index: i64) -> Value {
    let end = T0 + index * 10 * SECOND;
    json!({
        "id": format!("{index:032x}"), "detection_time": end, "sensor": "north/pump-1/vibration", "asset": "north/pump-1",
        "start_time": end - 30 * SECOND, "end_time": end + 500_000_000, "score": 0.97, "model": "ensemble",
        "severity": if index % 2 == 0 { "high" } else { "low" }, "handled": false, "threshold": 0.9, "confidence": 0.8,
        "fault_mode": "imbalance", "message": "rms is 4.1 mm/s, 1.2 mm/s is normal",
        "metadata": "{\"contributions\":[{\"feature\":\"rms\",\"share\":0.7}],\"trend\":null}",
    })
}

pub fn order(index: i64, status: &str) -> Value {
    json!({
        "id": format!("{index:032x}"), "alert": "a", "asset": "north/pump-1", "type": "balancing", "priority": 2,
        "status": status, "scheduled_time": if status == "unscheduled" { Value::Null } else { json!(T0 + index * SECOND) },
        "estimated_duration_minutes": 90, "technician": "Ada", "skills": "[\"mechanics\"]", "after": "[]", "cost": 250.0,
        "notes": "Balance the rotor.",
    })
}

pub fn dead_letter(readings: u32) -> Value {
    json!({
        "id": "d", "time": T0, "source": "/api/v1/ingest", "reason": "malformed", "message": "m", "payload": "{",
        "readings": readings, "sensor": null, "format": "json",
    })
}

pub fn sensor(name: &str) -> Value {
    let asset = name.rsplit_once('/').map_or("", |(asset, _)| asset);
    json!({ "name": name, "asset": asset, "unit": "mm/s", "kind": "vibration" })
}

pub fn alert() -> Value {
    json!({
        "id": "a", "asset": "north/pump-1", "sensor": "north/pump-1/vibration", "severity": "high", "state": "open",
        "opened": T0, "updated": T0 + SECOND, "resolved": null, "anomalies": 3, "peak_score": 0.99, "anomaly": "b",
        "fault_mode": "imbalance", "title": "Imbalance", "message": "m", "recommendation": "Balance it.",
    })
}

pub fn machine(asset: &str) -> Value {
    json!({
        "asset": asset, "sensors": 2, "open_alerts": 1, "severity": "high", "title": "Imbalance", "fault_mode": "imbalance",
        "last_anomaly": T0, "health": 0.4, "p10_hours": 20.0, "p50_hours": 80.0, "p90_hours": null, "prognosis_time": T0,
        "next_order": T0 + SECOND,
    })
}

/// A line with a few rows in every table.
pub fn plant() -> Memory {
    let name = "north/hall-1/pump-1/vibration";
    let times: Vec<i64> = (0..100).map(|second| T0 + second * SECOND).collect();
    let vals: Vec<f64> = (0..100).map(|second| f64::from(second).sin()).collect();
    let chunk = json!({ "sensor": name, "start_time": times[0], "end_time": times[99], "count": 100, "times": times, "vals": vals });
    let window = json!({
        "sensor": name, "asset": "north/hall-1/pump-1", "start_time": T0, "end_time": T0 + 30 * SECOND, "count": 30,
        "features": { "rms": 1.5, "kurtosis": null },
    });
    let mut order = order(1, "planned");
    order["pinned"] = json!(false);
    Memory {
        rows: [
            (Table::Sensors, [name, "north/hall-1/pump-1/temperature", "south/fan"].map(sensor).into()),
            (Table::Readings, vec![chunk]),
            (Table::Windows, vec![window]),
            (Table::Anomalies, (1..60).rev().map(anomaly).collect()),
            (Table::Alerts, vec![alert()]),
            (Table::Drifts, vec![json!({
                "id": "d", "asset": "north/hall-1/pump-1", "time": T0, "kind": "drifted", "sensors": "[\"a\"]", "p_value": 0.01,
                "message": "m",
            })]),
            (Table::Prognoses, vec![json!({
                "asset": "north/hall-1/pump-1", "time": T0, "health": 0.4, "p10_hours": 20.0, "p50_hours": 80.0,
                "p90_hours": null, "model": "trend",
            })]),
            (Table::WorkOrders, vec![order]),
            (Table::DeadLetters, vec![dead_letter(2)]),
            (Table::Waveforms, vec![json!({ "sensor": name, "start_time": T0, "rate": 12_800.0, "count": 2, "samples": [0.5, -0.5] })]),
            (Table::Machines, vec![machine("north/hall-1/pump-1"), machine("south")]),
        ]
        .into(),
        receipt: Receipt { accepted: 1, rejections: vec![] },
        ..Memory::default()
    }
}
