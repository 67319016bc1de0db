//! Requested maintenance plans.

use http::{HeaderValue, Request, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::{
    Action, ActionRequest, LineApi, Table,
    api_response::ApiResponse,
    json_body,
    listing::by_id,
    problem::Problem,
    rows::{Row, format_columns, parse_reply, query_rows},
    schemas::{PlanAccepted, PlanBody, StrictObject},
};

/// The characters that are not percent-encoded in an id in a path.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `POST /api/v1/maintenance/schedule`: requests a plan.
pub(crate) fn request_plan(
    line: &impl LineApi,
    now: i64,
    request: &mut Request<Vec<u8>>,
) -> Result<ApiResponse, Problem> {
    let PlanBody { sensor_ids, time_horizon_hours, constraints: StrictObject(constraints) } =
        json_body::read_json(request)?;
    let mut limits = serde_json::Map::new();
    if let Some(technicians) = constraints.technicians {
        limits.insert("technicians".into(), json!(technicians));
    }
    if let Some(time) = constraints.not_before {
        limits.insert("not_before".into(), json!(time.0));
    }
    let text = json!({ "sensor_ids": sensor_ids, "horizon_hours": time_horizon_hours.0, "constraints": limits });
    let row =
        line.perform_action(&ActionRequest { action: Action::Plan, id: String::new(), text: text.to_string(), now })?;
    let row: Row = parse_reply(&row, "the plan")?;
    let task_id = task_id(&row);
    let check_status_url = format!("/api/v1/maintenance/status/{}", utf8_percent_encode(&task_id, UNRESERVED));
    let location = HeaderValue::try_from(check_status_url.as_str());
    let response =
        ApiResponse::json(StatusCode::ACCEPTED, &PlanAccepted { task_id, status: task_status(&row), check_status_url })
            .no_store();
    Ok(match location {
        Ok(location) => response.with_header(header::LOCATION, location),
        Err(_) => response,
    })
}

/// `GET /api/v1/maintenance/status/{task_id}`: the status of a requested plan, and the plan once it is done.
pub(crate) fn plan_status(line: &impl LineApi, task_id: &str) -> Result<ApiResponse, Problem> {
    let found =
        if task_id.contains('\0') { None } else { query_rows(line, Table::Tasks, &by_id(task_id))?.into_iter().next() };
    let Some(mut row) = found else {
        return Err(Problem::not_found(format!(
            "there is no task {task_id:?}; POST /api/v1/maintenance/schedule creates one and returns its id"
        )));
    };
    format_columns(&mut row);
    let status = task_status(&row);
    let progress = match row.get("progress").and_then(Value::as_f64) {
        Some(progress) => progress,
        None if status == "queued" => 0.0,
        None => 1.0,
    };
    let mut take = |name| row.remove(name).unwrap_or(Value::Null);
    let mut plan = take("plan");
    if let Some(orders) = plan.get_mut("work_orders").and_then(Value::as_array_mut) {
        orders.iter_mut().filter_map(Value::as_object_mut).for_each(format_columns);
    }
    let plan = if plan.is_object() { plan } else { Value::Null };
    let body = json!({
        "task_id": task_id, "status": status, "progress": progress, "created": take("created"),
        "finished": take("finished"), "plan": plan,
    });
    Ok(ApiResponse::json(StatusCode::OK, &body))
}

fn task_id(row: &Row) -> String {
    let text = |name| row.get(name).and_then(Value::as_str);
    text("id").or_else(|| text("task_id")).unwrap_or_default().to_owned()
}

fn task_status(row: &Row) -> String {
    row.get("status").and_then(Value::as_str).unwrap_or("queued").to_owned()
}
