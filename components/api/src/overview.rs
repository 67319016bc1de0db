//! `GET /api/v1/overview`: the content of the first page, in the format of the edge host.
//!
//! The line returns rows only, and the page polls once a second. Figures that are slow to count are therefore null, and
//! `at_least` names the figures that are lower bounds.

use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    Filter, Front, FrontError, Table,
    answer::Answer,
    problem::Problem,
    rows::{Row, ask, parse, read},
};

/// Maximum number of anomalies, alerts and work orders.
const NEWEST: u32 = 20;
/// The period over which the rate is computed, in nanoseconds.
const SPAN: i64 = 10_000_000_000;
/// Maximum number of chunks that the rate is computed from; each contains its readings.
const CHUNKS: u32 = 250;
/// Maximum number of dead letters whose readings are counted; each contains its payload.
const LETTERS: u32 = 200;
/// Maximum number of sensors that are counted.
const SENSORS: u32 = 10 * Filter::MOST;

pub(crate) fn overview(line: &impl Front, now: i64) -> Result<Answer, Problem> {
    let newest = Filter { limit: NEWEST, ..Filter::default() };
    let anomalies: Vec<Row> = ask(line, Table::Anomalies, &newest)?;
    let alerts: Vec<Row> = ask(line, Table::Alerts, &newest)?;
    let orders = orders(line)?;
    let sensors = sensors(line)?;
    let dead_letters: Vec<Row> = ask(line, Table::DeadLetters, &Filter { limit: LETTERS, ..Filter::default() })?;
    let rejected: u64 = dead_letters.iter().filter_map(|dead_letter| dead_letter.get("readings")?.as_u64()).sum();
    let mut at_least = Vec::new();
    for (name, count, bound) in [
        ("anomalies", anomalies.len(), NEWEST),
        ("alerts", alerts.len(), NEWEST),
        ("dead_letters", dead_letters.len(), LETTERS),
        ("rejected_readings", dead_letters.len(), LETTERS),
        ("sensors", sensors, SENSORS),
        ("work_orders", orders.len(), NEWEST),
    ] {
        if u32::try_from(count).is_ok_and(|count| count >= bound) {
            at_least.push(name);
        }
    }
    let body = json!({
        "readings_per_second": rate(line, now)?,
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
        "work_orders": orders.into_iter().map(as_edge).collect::<Vec<_>>(),
    });
    Ok(Answer::json(StatusCode::OK, &body))
}

/// Returns open work orders first, then completed ones.
fn orders(line: &impl Front) -> Result<Vec<Row>, Problem> {
    let mut orders: Vec<Row> = Vec::new();
    for status in ["planned", "unscheduled", "done"] {
        let limit = NEWEST.saturating_sub(u32::try_from(orders.len()).unwrap_or(NEWEST));
        if limit == 0 {
            break;
        }
        let filter = Filter { kind: Some(status.to_owned()), limit, ..Filter::default() };
        orders.extend(ask(line, Table::WorkOrders, &filter)?);
    }
    Ok(orders)
}

/// Renames the columns of an order to those of the edge host, and parses its lists.
fn as_edge(mut order: Row) -> Row {
    for (column, name) in
        [("type", "kind"), ("scheduled_time", "scheduled"), ("estimated_duration_minutes", "duration_minutes")]
    {
        if let Some(value) = order.remove(column) {
            order.insert(name.to_owned(), value);
        }
    }
    parse(&mut order, &["after", "skills"]);
    order
}

fn sensors(line: &impl Front) -> Result<usize, Problem> {
    let mut count = 0;
    for offset in (0..SENSORS).step_by(Filter::MOST as usize) {
        let page = ask(line, Table::Sensors, &Filter { limit: Filter::MOST, offset, ..Filter::default() })?;
        count += page.len();
        if page.len() < Filter::MOST as usize {
            break;
        }
    }
    Ok(count)
}

/// Returns the readings per second, by their own times. `None` if the host returns readings of a single sensor only.
fn rate(line: &impl Front, now: i64) -> Result<Option<f64>, Problem> {
    let since = now.saturating_sub(SPAN);
    let filter = Filter { after: Some(since), before: Some(now), limit: CHUNKS, ..Filter::default() };
    let chunks: Vec<Row> = match line.look(Table::Readings, &filter) {
        Err(FrontError::Invalid(_)) => return Ok(None),
        chunks => read(&chunks?, "readings")?,
    };
    let integer = |chunk: &Row, column: &str| chunk.get(column).and_then(Value::as_i64);
    let readings: i64 = chunks.iter().filter_map(|chunk| integer(chunk, "count")).sum();
    let oldest = match chunks.len() < CHUNKS as usize {
        true => since,
        // The limit was reached: the rate is computed over the time that these chunks cover.
        false => chunks.iter().filter_map(|chunk| integer(chunk, "start_time")).min().unwrap_or(since).max(since),
    };
    let seconds = now.saturating_sub(oldest) as f64 / 1e9;
    Ok(Some(if seconds > 0.0 { (readings as f64 / seconds * 10.0).round() / 10.0 } else { 0.0 }))
}
