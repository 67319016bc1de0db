//! `GET /api/v1/maintenance/plan.ics`: planned work orders as a calendar (RFC 5545).

use http::{HeaderValue, StatusCode};

use crate::{
    Filter, LineApi, Table, api_response::ApiResponse, problem::Problem, query_params::QueryParams, rows::query_as,
    schemas::WorkOrder, time,
};

/// Maximum number of work orders in the calendar.
const MAX_ORDERS: u32 = 10 * Filter::MAX_ROWS;
/// Maximum bytes of a line without its line break (RFC 5545, section 3.1).
const MAX_LINE_BYTES: usize = 75;
const HOUR: i64 = 3_600_000_000_000;

pub(crate) fn calendar(line: &impl LineApi, now: i64, query: &QueryParams) -> Result<ApiResponse, Problem> {
    let technician = query.get("technician");
    let mut lines = FoldedLines(String::new());
    for line in ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Wheeltapper//Maintenance plan//EN", "CALSCALE:GREGORIAN"]
    {
        lines.push(line);
    }
    lines.push("NAME:Maintenance plan");
    // Rounded down to the hour, so that an unchanged calendar keeps its ETag.
    let timestamp = format_utc(now - now.rem_euclid(HOUR));
    for offset in (0..MAX_ORDERS).step_by(Filter::MAX_ROWS as usize) {
        let filter = Filter { kind: Some("planned".into()), limit: Filter::MAX_ROWS, offset, ..Filter::default() };
        let orders: Vec<WorkOrder> = query_as(line, Table::WorkOrders, &filter)?;
        let last = orders.len() < Filter::MAX_ROWS as usize;
        for order in &orders {
            if technician.is_none_or(|name| order.technician.as_deref() == Some(name)) {
                push_event(&mut lines, order, &timestamp);
            }
        }
        if last {
            break;
        }
    }
    lines.push("END:VCALENDAR");
    Ok(ApiResponse::text(StatusCode::OK, HeaderValue::from_static("text/calendar; charset=utf-8"), lines.0))
}

fn push_event(lines: &mut FoldedLines, order: &WorkOrder, timestamp: &str) {
    let Some(begin) = order.scheduled_time else { return };
    let end = begin.0.saturating_add(order.estimated_duration_minutes.max(0).saturating_mul(60_000_000_000));
    lines.push("BEGIN:VEVENT");
    lines.push(&format!("UID:{}@wheeltapper", escape(&order.id)));
    lines.push(&format!("DTSTAMP:{timestamp}"));
    lines.push(&format!("DTSTART:{}", self::format_utc(begin.0)));
    lines.push(&format!("DTEND:{}", self::format_utc(end)));
    let technician = order.technician.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    lines.push(&format!("SUMMARY:{}", escape(&format!("{} – {}{technician}", order.kind, order.asset))));
    lines.push(&format!("DESCRIPTION:{}", escape(&order.notes)));
    lines.push(&format!("LOCATION:{}", escape(&order.asset)));
    lines.push(&format!("PRIORITY:{}", order.priority.clamp(1, 9)));
    lines.push("STATUS:CONFIRMED");
    lines.push("END:VEVENT");
}

/// Formats a time in UTC as a calendar has it (RFC 5545, section 3.3.5).
fn format_utc(nanoseconds: i64) -> String {
    let text = time::format_rfc3339(nanoseconds);
    let seconds = text.split(['.', 'Z']).next().unwrap_or(&text);
    format!("{}Z", seconds.replace(['-', ':'], ""))
}

/// Escapes a text (RFC 5545, section 3.3.11).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | ';' | ',' => escaped.extend(['\\', character]),
            '\n' => escaped.push_str("\\n"),
            // Other control characters are not allowed in a calendar.
            control if control.is_control() => {}
            other => escaped.push(other),
        }
    }
    escaped
}

/// The lines of a calendar; long ones are folded.
struct FoldedLines(String);

impl FoldedLines {
    fn push(&mut self, line: &str) {
        let mut remaining = MAX_LINE_BYTES;
        for character in line.chars() {
            if character.len_utf8() > remaining {
                self.0.push_str("\r\n ");
                remaining = MAX_LINE_BYTES - 1;
            }
            self.0.push(character);
            remaining -= character.len_utf8();
        }
        self.0.push_str("\r\n");
    }
}
