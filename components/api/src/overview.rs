//! `GET /api/v1/overview`: what the first page shows, as the edge host gives it.
//!
//! The line is asked for rows only, and the page asks once a second. So nothing is counted that takes long to count: a
//! figure that the rows do not tell is null, and `at_least` names those that are lower bounds.

use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    Filter, Front, FrontError, Table,
    answer::Answer,
    problem::Problem,
    rows::{Row, ask, parse, read},
};

/// How many of each.
const NEWEST: u32 = 20;
/// The rate is that of the newest so many nanoseconds.
const SPAN: i64 = 10_000_000_000;
/// Of so many chunks at most, for each comes with its readings.
const CHUNKS: u32 = 250;
/// Of so many dead letters the readings are counted; each comes with its payload.
const LETTERS: u32 = 200;
/// Sensors are counted up to here.
const SENSORS: u32 = 10 * Filter::MOST;

pub(crate) fn overview(front: &impl Front, now: i64) -> Result<Answer, Problem> {
    let newest = Filter { limit: NEWEST, ..Filter::default() };
    let anomalies: Vec<Row> = ask(front, Table::Anomalies, &newest)?;
    let alerts: Vec<Row> = ask(front, Table::Alerts, &newest)?;
    let orders = orders(front)?;
    let sensors = sensors(front)?;
    let letters: Vec<Row> = ask(front, Table::DeadLetters, &Filter { limit: LETTERS, ..Filter::default() })?;
    let rejected: u64 = letters.iter().filter_map(|letter| letter.get("readings")?.as_u64()).sum();
    let mut at_least = Vec::new();
    for (name, count, bound) in [
        ("anomalies", anomalies.len(), NEWEST),
        ("alerts", alerts.len(), NEWEST),
        ("dead_letters", letters.len(), LETTERS),
        ("rejected_readings", letters.len(), LETTERS),
        ("sensors", sensors, SENSORS),
        ("work_orders", orders.len(), NEWEST),
    ] {
        if u32::try_from(count).is_ok_and(|count| count >= bound) {
            at_least.push(name);
        }
    }
    let body = json!({
        "readings_per_second": rate(front, now)?,
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
            "dead_letters": letters.len(),
            "rejected_readings": rejected,
        },
        "at_least": at_least,
        "anomalies": anomalies,
        "alerts": alerts,
        "work_orders": orders.into_iter().map(as_edge).collect::<Vec<_>>(),
    });
    Ok(Answer::json(StatusCode::OK, &body))
}

/// What is to be done, then what was.
fn orders(front: &impl Front) -> Result<Vec<Row>, Problem> {
    let mut orders: Vec<Row> = Vec::new();
    for status in ["planned", "unscheduled", "done"] {
        let Some(left) = NEWEST.checked_sub(u32::try_from(orders.len()).unwrap_or(NEWEST)).filter(|&left| left > 0)
        else {
            break;
        };
        let filter = Filter { kind: Some(status.to_owned()), limit: left, ..Filter::default() };
        orders.extend(ask(front, Table::WorkOrders, &filter)?);
    }
    Ok(orders)
}

/// An order under the names that the edge host gives its columns, with its lists as lists.
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

fn sensors(front: &impl Front) -> Result<usize, Problem> {
    let mut count = 0;
    for offset in (0..SENSORS).step_by(Filter::MOST as usize) {
        let page = ask(front, Table::Sensors, &Filter { limit: Filter::MOST, offset, ..Filter::default() })?;
        count += page.len();
        if page.len() < Filter::MOST as usize {
            break;
        }
    }
    Ok(count)
}

/// Readings a second, by their own times. None where the host tells readings of one sensor at a time.
fn rate(front: &impl Front, now: i64) -> Result<Option<f64>, Problem> {
    let since = now.saturating_sub(SPAN);
    let filter = Filter { after: Some(since), before: Some(now), limit: CHUNKS, ..Filter::default() };
    let chunks: Vec<Row> = match front.look(Table::Readings, &filter) {
        Err(FrontError::Invalid(_)) => return Ok(None),
        chunks => read(&chunks?, "readings")?,
    };
    let whole = |chunk: &Row, column: &str| chunk.get(column).and_then(Value::as_i64);
    let readings: i64 = chunks.iter().filter_map(|chunk| whole(chunk, "count")).sum();
    let oldest = match chunks.len() < CHUNKS as usize {
        true => since,
        // There are more than were asked for: the rate is that of the time that these reach back.
        false => chunks.iter().filter_map(|chunk| whole(chunk, "start_time")).min().unwrap_or(since).max(since),
    };
    let seconds = now.saturating_sub(oldest) as f64 / 1e9;
    Ok(Some(if seconds > 0.0 { (readings as f64 / seconds * 10.0).round() / 10.0 } else { 0.0 }))
}
