//! A line in memory.

use std::{cell::RefCell, collections::BTreeMap};

use http::{Method, Request, Response, header};
use serde_json::{Value, json};
use wheeltapper_api::{Filter, Front, FrontError, Receipt, Settings, Submission, Table, respond};

/// 2026-01-01T00:00:00Z.
pub const T0: i64 = 1_767_225_600_000_000_000;
pub const SECOND: i64 = 1_000_000_000;
/// When requests come.
pub const NOW: i64 = T0 + 3_600 * SECOND;

/// Rows in the order in which they are given, and what was asked.
#[derive(Debug, Default)]
pub struct Memory {
    pub rows: BTreeMap<Table, Vec<Value>>,
    pub receipt: Receipt,
    pub failure: Option<FrontError>,
    pub submitted: RefCell<Vec<Submission>>,
    pub asked: RefCell<Vec<(Table, Filter)>>,
    pub ticks: RefCell<Vec<i64>>,
}

impl Memory {
    pub fn with(table: Table, rows: Vec<Value>) -> Self {
        Self { rows: [(table, rows)].into(), ..Self::default() }
    }

    fn works(&self) -> Result<(), FrontError> {
        self.failure.clone().map_or(Ok(()), Err)
    }
}

impl Front for Memory {
    fn submit(&self, event: Submission) -> Result<Receipt, FrontError> {
        self.works()?;
        self.submitted.borrow_mut().push(event);
        Ok(self.receipt.clone())
    }

    fn look(&self, table: Table, filter: &Filter) -> Result<String, FrontError> {
        self.works()?;
        self.asked.borrow_mut().push((table, filter.clone()));
        let is = |row: &Value, columns: &[&str], wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| columns.iter().any(|column| row[*column] == json!(wanted)))
        };
        let (begin, end) = match table {
            Table::Alerts => ("opened", "updated"),
            Table::Drifts | Table::Prognoses | Table::DeadLetters => ("time", "time"),
            Table::WorkOrders => ("scheduled_time", "scheduled_time"),
            _ => ("start_time", "end_time"),
        };
        let rows: Vec<&Value> = self
            .rows
            .get(&table)
            .into_iter()
            .flatten()
            .filter(|row| is(row, &["id", "name"], &filter.id) && is(row, &["asset"], &filter.asset))
            .filter(|row| is(row, &["sensor", "name"], &filter.sensor))
            .filter(|row| is(row, &["severity", "state", "status", "reason", "kind"], &filter.kind))
            .filter(|row| filter.after.is_none_or(|after| row[end].as_i64().is_some_and(|end| end > after)))
            .filter(|row| filter.before.is_none_or(|before| row[begin].as_i64().is_some_and(|begin| begin < before)))
            .skip(filter.offset as usize)
            .take(filter.limit.min(1_000) as usize)
            .collect();
        Ok(json!(rows).to_string())
    }

    fn tick(&self, now: i64) -> Result<(), FrontError> {
        self.works()?;
        self.ticks.borrow_mut().push(now);
        Ok(())
    }
}

/// A request with headers.
pub fn request(method: Method, uri: &str, headers: &[(&str, &str)], body: &[u8]) -> Request<Vec<u8>> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.to_vec()).unwrap()
}

/// The answer to a GET.
pub fn get(front: &Memory, uri: &str) -> Response<Vec<u8>> {
    get_with(front, uri, &[])
}

/// The answer to a GET with headers.
pub fn get_with(front: &Memory, uri: &str, headers: &[(&str, &str)]) -> Response<Vec<u8>> {
    respond(front, &Settings::default(), NOW, request(Method::GET, uri, headers, b""))
}

/// The answer to a POST.
pub fn post(front: &Memory, uri: &str, headers: &[(&str, &str)], body: &[u8]) -> Response<Vec<u8>> {
    respond(front, &Settings::default(), NOW, request(Method::POST, uri, headers, body))
}

pub fn body(response: &Response<Vec<u8>>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

/// A header as text.
pub fn text<'a>(response: &'a Response<Vec<u8>>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// The detail of a problem of this status.
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

pub fn letter(readings: u32) -> Value {
    json!({
        "id": "d", "time": T0, "source": "/api/v1/ingest", "reason": "malformed", "message": "m", "payload": "{",
        "readings": readings, "sensor": null, "format": "json",
    })
}

pub fn sensor(name: &str) -> Value {
    let asset = name.rsplit_once('/').map_or("", |(asset, _)| asset);
    json!({ "name": name, "asset": asset, "unit": "mm/s", "kind": "vibration" })
}
