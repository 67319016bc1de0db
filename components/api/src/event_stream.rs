//! Server-Sent Events by polling: the response contains what is new since the last event and ends. The client
//! reconnects after `retry`. A host with long-lived instances streams by itself instead.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::{
    Filter, LineApi, Table,
    api_response::ApiResponse,
    listing::SENSORS,
    problem::Problem,
    query_params::QueryParams,
    readings::{Chunk, Items, sort_and_dedup},
    rows::{Row, format_columns, query_as, query_rows},
};

/// The field with the reconnection time in milliseconds.
const RETRY_FIELD: &str = "retry: 2000\n";
/// Maximum number of chunks of readings per response.
const MAX_CHUNKS: u32 = 250;
/// Maximum number of readings per event; the newest are kept.
const MAX_READINGS: usize = 10_000;
/// Maximum number of rows per table and response.
const MAX_ROWS: u32 = 100;
/// How far to look back for rows that were added late with an earlier time, in nanoseconds.
const LATE_PERIOD: i64 = 120_000_000_000;

/// Returns the id of the last event that the client received.
fn last_event_id<'a>(headers: &'a HeaderMap, query: &'a QueryParams) -> Option<&'a str> {
    headers.get("last-event-id").and_then(|id| id.to_str().ok()).or_else(|| query.get("last_event_id"))
}

fn event_stream_response(body: String) -> ApiResponse {
    ApiResponse::text(StatusCode::OK, HeaderValue::from_static("text/event-stream"), body).no_store()
}

/// Responds with the new readings of a sensor.
pub(crate) fn stream_readings(
    line: &impl LineApi,
    id: &str,
    headers: &HeaderMap,
    query: &QueryParams,
) -> Result<ApiResponse, Problem> {
    SENSORS.item(line, id)?;
    let since = last_event_id(headers, query).and_then(|id| id.parse::<i64>().ok());
    let limit = if since.is_some() { MAX_CHUNKS } else { 1 };
    let filter = Filter { sensor: Some(id.to_owned()), after: since, limit, ..Filter::default() };
    let mut readings: Vec<(i64, f64)> = Vec::new();
    for chunk in query_as::<Chunk>(line, Table::Readings, &filter)? {
        readings.extend(chunk.pairs().filter(|&(time, _)| since.is_none_or(|since| time > since)));
    }
    sort_and_dedup(&mut readings);
    let newest = readings.last().map(|&(time, _)| time).or(since);
    let mut body = RETRY_FIELD.to_owned();
    if let Some(newest) = newest {
        let _ = writeln!(body, "id: {newest}");
    }
    // Without an id the stream starts now: the first response contains only the id to continue from.
    if since.is_some() && !readings.is_empty() {
        let items = Items(&readings[readings.len().saturating_sub(MAX_READINGS)..]);
        let _ = writeln!(body, "event: readings\ndata: {}", json!({ "items": items, "sensor": id }));
    }
    body.push('\n');
    Ok(event_stream_response(body))
}

/// Responds with new and changed anomalies, alerts and work orders.
pub(crate) fn stream_plant_events(
    line: &impl LineApi,
    headers: &HeaderMap,
    query: &QueryParams,
) -> Result<ApiResponse, Problem> {
    let previous = last_event_id(headers, query).and_then(StreamPosition::from_event_id);
    let mut seen = StreamPosition::default();
    let mut new_rows: Vec<(&str, Row)> = Vec::new();
    for (name, table, time) in [
        ("anomaly", Table::Anomalies, "detection_time"),
        ("alert", Table::Alerts, "updated"),
        ("work-order", Table::WorkOrders, ""),
    ] {
        let filter = Filter {
            // Closed orders are not reported.
            kind: time.is_empty().then(|| "planned".to_owned()),
            limit: MAX_ROWS,
            ..Filter::default()
        };
        let rows = query_rows(line, table, &filter)?;
        let at = |row: &Row| row.get(time).and_then(Value::as_i64).unwrap_or(0);
        let newest = rows.iter().map(at).max().unwrap_or(0);
        let since = newest.saturating_sub(LATE_PERIOD);
        for row in rows.into_iter().rev() {
            let hash = row_hash(&row);
            if at(&row) >= since {
                seen.row_hashes.push(hash);
            }
            let is_new =
                |previous: &StreamPosition| !previous.row_hashes.contains(&hash) && at(&row) >= previous.since(name);
            if previous.as_ref().is_some_and(is_new) {
                new_rows.push((name, row));
            }
        }
        seen.set(name, since);
    }
    let mut body = RETRY_FIELD.to_owned();
    for (name, mut row) in new_rows {
        format_columns(&mut row);
        let _ = write!(body, "event: {name}\ndata: {}\n\n", json!(row));
    }
    // The id comes last: a client that disconnects earlier gets all events again.
    let _ = write!(body, "id: {}\n\n", seen.to_event_id());
    Ok(event_stream_response(body))
}

/// Returns a hash of the row's current content.
fn row_hash(row: &Row) -> u32 {
    let hash = blake3::hash(json!(row).to_string().as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// What a client has received: the times from which on rows were reported, and the hashes of these rows. It is encoded
/// in the event id, so no state is kept here.
#[derive(Default)]
struct StreamPosition {
    anomaly: i64,
    alert: i64,
    row_hashes: Vec<u32>,
}

impl StreamPosition {
    fn since(&self, name: &str) -> i64 {
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

    fn to_event_id(&self) -> String {
        let mut text = format!("{}.{}.", self.anomaly, self.alert);
        for hash in &self.row_hashes {
            let _ = write!(text, "{hash:08x}");
        }
        text
    }

    /// Parses an event id. `None`: the id has another format, such as that of another host.
    fn from_event_id(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (anomaly, alert, hashes) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
        let hash = |digits: &[u8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let hashes = hashes.as_bytes().chunks(8).map(hash).collect::<Option<_>>()?;
        Some(Self { anomaly, alert, row_hashes: hashes })
    }
}
