//! User actions on anomalies, work orders and machines.

use http::{Request, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::{
    Action, ActionRequest, Filter, LineApi, Table,
    api_response::ApiResponse,
    json_body,
    listing::{ANOMALIES, WORK_ORDERS},
    problem::{self, Problem},
    rows::{Row, format_columns, parse_reply, query_rows},
    schemas::{Amendment, BaselineReset, Comment, OptionalComment},
};

/// Maximum number of actions returned with an anomaly.
const MAX_ACTIONS: u32 = 100;

/// Performs an action on an anomaly and responds with its new state.
pub(crate) fn respond_to_action(
    line: &impl LineApi,
    action: Action,
    id: &str,
    now: i64,
    request: &mut Request<Vec<u8>>,
) -> Result<ApiResponse, Problem> {
    let text = match action {
        Action::Comment => json_body::read_json::<Comment>(request)?.comment.0,
        _ => json_body::read_optional_json::<OptionalComment>(request)?
            .and_then(|note| note.comment)
            .map_or_else(String::new, |text| text.0),
    };
    if request.headers().contains_key(header::IF_MATCH) {
        problem::check_if_match(&anomaly_response(line, id)?, request.headers())?;
    }
    perform_on_anomaly(line, action, id, text, now)?;
    anomaly_response(line, id)
}

/// Performs an action on an anomaly, if the id can exist.
pub(crate) fn perform_on_anomaly(
    line: &impl LineApi,
    action: Action,
    id: &str,
    text: String,
    now: i64,
) -> Result<(), Problem> {
    if id.contains('\0') {
        return Err(ANOMALIES.not_found(id));
    }
    line.perform_action(&ActionRequest { action, id: id.to_owned(), text, now })?;
    Ok(())
}

/// Responds with one anomaly and the actions on it.
pub(crate) fn anomaly_response(line: &impl LineApi, id: &str) -> Result<ApiResponse, Problem> {
    let mut row = ANOMALIES.item(line, id)?;
    let mut actions = query_rows(line, Table::Actions, &actions_on(id, MAX_ACTIONS))?;
    actions.iter_mut().for_each(format_columns);
    row.insert("actions".into(), json!(actions));
    Ok(ApiResponse::json(StatusCode::OK, &row))
}

/// The filter for the actions on an anomaly or a work order.
pub(crate) fn actions_on(id: &str, limit: u32) -> Filter {
    Filter { id: Some(id.to_owned()), limit, ..Filter::default() }
}

/// Moves, pins, closes or cancels a work order and responds with its new state.
pub(crate) fn amend_work_order(
    line: &impl LineApi,
    id: &str,
    now: i64,
    request: &mut Request<Vec<u8>>,
) -> Result<ApiResponse, Problem> {
    let amendment: Amendment = json_body::read_json(request)?;
    let text = amendment_to_json(&amendment)?;
    if id.contains('\0') {
        return Err(WORK_ORDERS.not_found(id));
    }
    if request.headers().contains_key(header::IF_MATCH) {
        problem::check_if_match(&ApiResponse::json(StatusCode::OK, &WORK_ORDERS.item(line, id)?), request.headers())?;
    }
    let row = line.perform_action(&ActionRequest { action: Action::Amend, id: id.to_owned(), text, now })?;
    let mut row: Row = parse_reply(&row, "the work order")?;
    format_columns(&mut row);
    Ok(ApiResponse::json(StatusCode::OK, &row))
}

/// Resets the baseline of a machine and responds with the recorded action.
pub(crate) fn reset_baseline(
    line: &impl LineApi,
    asset: &str,
    now: i64,
    request: &mut Request<Vec<u8>>,
) -> Result<ApiResponse, Problem> {
    let BaselineReset { reason, comment } = json_body::read_json(request)?;
    let text = reason.action_text(comment.as_ref().map(|comment| comment.0.as_str()));
    let row = line.perform_action(&ActionRequest { action: Action::ResetBaseline, id: asset.to_owned(), text, now })?;
    let mut row: Row = parse_reply(&row, "the action")?;
    format_columns(&mut row);
    Ok(ApiResponse::json(StatusCode::OK, &row))
}

/// Writes the amendment as JSON, in the form that `wit/line-api.wit` documents.
fn amendment_to_json(amendment: &Amendment) -> Result<String, Problem> {
    let Amendment { scheduled_time, technician, pinned, status, reset_baseline } = amendment;
    let moves = scheduled_time.is_some() || technician.is_some();
    // A moved order is pinned, so that the next plan does not move it back.
    let pinned = pinned.or(moves.then_some(true));
    let mut members = Map::new();
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    add("scheduled_time", scheduled_time.map(|time| json!(time.0)));
    add("technician", technician.as_ref().map(|name| json!(name)));
    add("pinned", pinned.map(Value::from));
    add("status", status.map(|status| json!(status.name())));
    add("reset_baseline", reset_baseline.map(Value::from));
    if members.is_empty() {
        let expected = "at least one of scheduled_time, technician, pinned, status, reset_baseline";
        return Err(json_body::invalid_body(
            &format!("the body changes nothing; give {expected}"),
            "",
            &format!("{{}}, expected {expected}"),
        ));
    }
    Ok(Value::Object(members).to_string())
}
