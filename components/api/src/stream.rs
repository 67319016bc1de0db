//! Server-Sent Events in their short form: what came since the last event, then the end. The client comes again after
//! `retry`; a host that stays up streams by itself instead.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::{
    Filter, Front, Table,
    answer::Answer,
    listing::SENSORS,
    problem::Problem,
    query::Query,
    readings::{Chunk, Items, sort},
    rows::{Row, ask, ask_as, readable},
};

/// When to come again, in milliseconds.
const RETRY: &str = "retry: 2000\n";
/// Chunks of readings that are looked at.
const CHUNKS: u32 = 250;
/// Readings of an event, the newest.
const READINGS: usize = 10_000;
/// Rows of each table that are looked at.
const ROWS: u32 = 100;
/// What is found later than others may bear an earlier time: so far back is looked, in nanoseconds.
const LATE: i64 = 120_000_000_000;

/// The id of the last event that the client saw.
fn last<'a>(headers: &'a HeaderMap, query: &'a Query) -> Option<&'a str> {
    headers.get("last-event-id").and_then(|id| id.to_str().ok()).or_else(|| query.get("last_event_id"))
}

fn events(body: String) -> Answer {
    Answer::text(StatusCode::OK, HeaderValue::from_static("text/event-stream"), body).fresh()
}

/// A sensor's readings.
pub(crate) fn readings(front: &impl Front, id: &str, headers: &HeaderMap, query: &Query) -> Result<Answer, Problem> {
    SENSORS.item(front, id)?;
    let since = last(headers, query).and_then(|id| id.parse::<i64>().ok());
    let limit = if since.is_some() { CHUNKS } else { 1 };
    let filter = Filter { sensor: Some(id.to_owned()), after: since, limit, ..Filter::default() };
    let mut readings: Vec<(i64, f64)> = Vec::new();
    for chunk in ask_as::<Chunk>(front, Table::Readings, &filter)? {
        readings.extend(chunk.pairs().filter(|&(time, _)| since.is_none_or(|since| time > since)));
    }
    sort(&mut readings);
    let newest = readings.last().map(|&(time, _)| time).or(since);
    let mut body = RETRY.to_owned();
    if let Some(newest) = newest {
        let _ = writeln!(body, "id: {newest}");
    }
    // Without an id, from now on: the first answer only says from where.
    if since.is_some() && !readings.is_empty() {
        let items = Items(&readings[readings.len().saturating_sub(READINGS)..]);
        let _ = writeln!(body, "event: readings\ndata: {}", json!({ "items": items, "sensor": id }));
    }
    body.push('\n');
    Ok(events(body))
}

/// What happens in the plant: anomalies, alerts, work orders.
pub(crate) fn happenings(front: &impl Front, headers: &HeaderMap, query: &Query) -> Result<Answer, Problem> {
    let before = last(headers, query).and_then(Seen::read);
    let mut seen = Seen::default();
    let mut found: Vec<(&str, Row)> = Vec::new();
    for (name, table, time) in [
        ("anomaly", Table::Anomalies, "detection_time"),
        ("alert", Table::Alerts, "updated"),
        ("work-order", Table::WorkOrders, ""),
    ] {
        let filter = Filter {
            // Of orders that are closed nothing more is heard.
            kind: time.is_empty().then(|| "planned".to_owned()),
            limit: ROWS,
            ..Filter::default()
        };
        let rows = ask(front, table, &filter)?;
        let at = |row: &Row| row.get(time).and_then(Value::as_i64).unwrap_or(0);
        let newest = rows.iter().map(at).max().unwrap_or(0);
        let since = newest.saturating_sub(LATE);
        for row in rows.into_iter().rev() {
            let mark = mark(&row);
            if at(&row) >= since {
                seen.marks.push(mark);
            }
            if before.as_ref().is_some_and(|before| !before.marks.contains(&mark) && at(&row) >= before.of(name)) {
                found.push((name, row));
            }
        }
        seen.set(name, since);
    }
    let mut body = RETRY.to_owned();
    for (name, mut row) in found {
        readable(&mut row);
        let _ = write!(body, "event: {name}\ndata: {}\n\n", json!(row));
    }
    // At the end: whoever did not get this far gets it all again.
    let _ = write!(body, "id: {}\n\n", seen.write());
    Ok(events(body))
}

/// What tells a row, as it is, from others.
fn mark(row: &Row) -> u32 {
    let hash = blake3::hash(json!(row).to_string().as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// What a client has seen: from which times on it was looked at, and the rows that were there. It is the events' id, so
/// that nothing has to be kept here.
#[derive(Default)]
struct Seen {
    anomaly: i64,
    alert: i64,
    marks: Vec<u32>,
}

impl Seen {
    fn of(&self, name: &str) -> i64 {
        match name {
            "anomaly" => self.anomaly,
            "alert" => self.alert,
            _ => i64::MIN,
        }
    }

    fn set(&mut self, name: &str, time: i64) {
        match name {
            "anomaly" => self.anomaly = time,
            "alert" => self.alert = time,
            _ => {}
        }
    }

    fn write(&self) -> String {
        let mut text = format!("{}.{}.", self.anomaly, self.alert);
        for mark in &self.marks {
            let _ = write!(text, "{mark:08x}");
        }
        text
    }

    /// None: it is not one of ours.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (anomaly, alert, marks) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
        let mark = |digits: &[u8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let marks = marks.as_bytes().chunks(8).map(mark).collect::<Option<_>>()?;
        Some(Self { anomaly, alert, marks })
    }
}
