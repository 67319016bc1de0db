//! `GET /api/v1/overview`: the content of the first page, in the format of the edge host.
//!
//! The line returns rows only, and the page polls once a second. Figures that are slow to count are therefore null, and
//! `at_least` names the figures that are lower bounds.

use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    Filter, LineApi, LineApiError, Table,
    api_response::ApiResponse,
    problem::Problem,
    rows::{Row, parse_json_columns, parse_reply, query_rows},
};

/// Maximum number of anomalies, alerts and work orders.
const MAX_LISTED: u32 = 20;
/// The period over which the rate is computed, in nanoseconds.
const RATE_PERIOD: i64 = 10_000_000_000;
/// Maximum number of chunks that the rate is computed from; each contains its readings.
const MAX_CHUNKS: u32 = 250;
/// Maximum number of dead letters whose readings are counted; each contains its payload.
const MAX_DEAD_LETTERS: u32 = 200;
/// Maximum number of sensors that are counted.
const MAX_SENSORS: u32 = 10 * Filter::MAX_ROWS;

pub(crate) fn overview(line: &impl LineApi, now: i64) -> Result<ApiResponse, Problem> {
    let newest = Filter { limit: MAX_LISTED, ..Filter::default() };
    let anomalies: Vec<Row> = query_rows(line, Table::Anomalies, &newest)?;
    let alerts: Vec<Row> = query_rows(line, Table::Alerts, &newest)?;
    let orders = newest_orders(line)?;
    let sensors = count_sensors(line)?;
    let dead_letters: Vec<Row> =
        query_rows(line, Table::DeadLetters, &Filter { limit: MAX_DEAD_LETTERS, ..Filter::default() })?;
    let rejected: u64 = dead_letters.iter().filter_map(|dead_letter| dead_letter.get("readings")?.as_u64()).sum();
    let mut at_least = Vec::new();
    for (name, count, bound) in [
        ("anomalies", anomalies.len(), MAX_LISTED),
        ("alerts", alerts.len(), MAX_LISTED),
        ("dead_letters", dead_letters.len(), MAX_DEAD_LETTERS),
        ("rejected_readings", dead_letters.len(), MAX_DEAD_LETTERS),
        ("sensors", sensors, MAX_SENSORS),
        ("work_orders", orders.len(), MAX_LISTED),
    ] {
        if u32::try_from(count).is_ok_and(|count| count >= bound) {
            at_least.push(name);
        }
    }
    let body = json!({
        "readings_per_second": readings_per_second(line, now)?,
        "readings": null,
        "sensors": sensors,
        "windows": null,
        "uptime_seconds": null,
        "behind_bytes": null,
        "counts": {
            "readings": null,
            "waveform_samples": null,
            "windows": null,
            "anomalies": anomalies.len(),
            "alerts": alerts.len(),
            "work_orders": orders.len(),
            "dead_letters": dead_letters.len(),
            "rejected_readings": rejected,
        },
        "at_least": at_least,
        "anomalies": anomalies,
        "alerts": alerts,
        "work_orders": orders.into_iter().map(to_edge_columns).collect::<Vec<_>>(),
    });
    Ok(ApiResponse::json(StatusCode::OK, &body))
}

/// Returns open work orders first, then completed ones.
fn newest_orders(line: &impl LineApi) -> Result<Vec<Row>, Problem> {
    let mut orders: Vec<Row> = Vec::new();
    for status in ["planned", "unscheduled", "done"] {
        let limit = MAX_LISTED.saturating_sub(u32::try_from(orders.len()).unwrap_or(MAX_LISTED));
        if limit == 0 {
            break;
        }
        let filter = Filter { kind: Some(status.to_owned()), limit, ..Filter::default() };
        orders.extend(query_rows(line, Table::WorkOrders, &filter)?);
    }
    Ok(orders)
}

/// Renames the columns of an order to those of the edge host, and parses its lists.
fn to_edge_columns(mut order: Row) -> Row {
    for (column, name) in
        [("type", "kind"), ("scheduled_time", "scheduled"), ("estimated_duration_minutes", "duration_minutes")]
    {
        if let Some(value) = order.remove(column) {
            order.insert(name.to_owned(), value);
        }
    }
    parse_json_columns(&mut order, &["after", "skills"]);
    order
}

fn count_sensors(line: &impl LineApi) -> Result<usize, Problem> {
    let mut count = 0;
    for offset in (0..MAX_SENSORS).step_by(Filter::MAX_ROWS as usize) {
        let page = query_rows(line, Table::Sensors, &Filter { limit: Filter::MAX_ROWS, offset, ..Filter::default() })?;
        count += page.len();
        if page.len() < Filter::MAX_ROWS as usize {
            break;
        }
    }
    Ok(count)
}

/// Returns the readings per second, by their own times. `None` if the host returns readings of a single sensor only.
fn readings_per_second(line: &impl LineApi, now: i64) -> Result<Option<f64>, Problem> {
    let since = now.saturating_sub(RATE_PERIOD);
    let filter = Filter { after: Some(since), before: Some(now), limit: MAX_CHUNKS, ..Filter::default() };
    let chunks: Vec<Row> = match line.query(Table::Readings, &filter) {
        Err(LineApiError::Invalid(_)) => return Ok(None),
        chunks => parse_reply(&chunks?, "readings")?,
    };
    let integer = |chunk: &Row, column: &str| chunk.get(column).and_then(Value::as_i64);
    let readings: i64 = chunks.iter().filter_map(|chunk| integer(chunk, "count")).sum();
    let oldest = match chunks.len() < MAX_CHUNKS as usize {
        true => since,
        // The limit was reached: the rate is computed over the time that these chunks cover.
        false => chunks.iter().filter_map(|chunk| integer(chunk, "start_time")).min().unwrap_or(since).max(since),
    };
    let seconds = now.saturating_sub(oldest) as f64 / 1e9;
    Ok(Some(if seconds > 0.0 { (readings as f64 / seconds * 10.0).round() / 10.0 } else { 0.0 }))
}
