//! User actions on anomalies and work orders.

use http::{Request, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::{
    Change, Deed, Filter, Front, Table,
    answer::Answer,
    body,
    listing::{ANOMALIES, WORK_ORDERS},
    problem::Problem,
    rows::{Row, ask, read, readable},
    shapes::{Amendment, Comment, Note},
};

/// Maximum number of actions returned with an anomaly.
const SHOWN: u32 = 100;

/// Performs an action on an anomaly and responds with its new state.
pub(crate) fn act(
    line: &impl Front,
    deed: Deed,
    id: &str,
    now: i64,
    request: &mut Request<Vec<u8>>,
) -> Result<Answer, Problem> {
    let text = match deed {
        Deed::Comment => body::read::<Comment>(request)?.comment.0,
        _ => body::read_or_none::<Note>(request)?.and_then(|note| note.comment).map_or_else(String::new, |text| text.0),
    };
    if request.headers().contains_key(header::IF_MATCH) {
        anomaly(line, id)?.as_seen(request.headers())?;
    }
    act_on(line, deed, id, text, now)?;
    anomaly(line, id)
}

/// Performs an action on an anomaly, if the id can exist.
pub(crate) fn act_on(line: &impl Front, deed: Deed, id: &str, text: String, now: i64) -> Result<(), Problem> {
    if id.contains('\0') {
        return Err(ANOMALIES.missing(id));
    }
    line.act(&Change { deed, id: id.to_owned(), text, now })?;
    Ok(())
}

/// Responds with one anomaly and the actions on it.
pub(crate) fn anomaly(line: &impl Front, id: &str) -> Result<Answer, Problem> {
    let mut row = ANOMALIES.item(line, id)?;
    let mut actions = ask(line, Table::Actions, &done_to(id, SHOWN))?;
    actions.iter_mut().for_each(readable);
    row.insert("actions".into(), json!(actions));
    Ok(Answer::json(StatusCode::OK, &row))
}

/// The filter for the actions on an anomaly or a work order.
pub(crate) fn done_to(id: &str, limit: u32) -> Filter {
    Filter { id: Some(id.to_owned()), limit, ..Filter::default() }
}

/// Moves, pins, closes or cancels a work order and responds with its new state.
pub(crate) fn amend(line: &impl Front, id: &str, now: i64, request: &mut Request<Vec<u8>>) -> Result<Answer, Problem> {
    let amendment: Amendment = body::read(request)?;
    let text = wanted(&amendment)?;
    if id.contains('\0') {
        return Err(WORK_ORDERS.missing(id));
    }
    if request.headers().contains_key(header::IF_MATCH) {
        Answer::json(StatusCode::OK, &WORK_ORDERS.item(line, id)?).as_seen(request.headers())?;
    }
    let row = line.act(&Change { deed: Deed::Amend, id: id.to_owned(), text, now })?;
    let mut row: Row = read(&row, "the work order")?;
    readable(&mut row);
    Ok(Answer::json(StatusCode::OK, &row))
}

/// Writes the amendment as JSON, in the form that `wit/front.wit` documents.
fn wanted(amendment: &Amendment) -> Result<String, Problem> {
    let Amendment { scheduled_time, technician, pinned, status } = amendment;
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
    if members.is_empty() {
        let expected = "at least one of scheduled_time, technician, pinned, status";
        return Err(body::unfit(
            &format!("the body changes nothing; give {expected}"),
            "",
            &format!("{{}}, expected {expected}"),
        ));
    }
    Ok(Value::Object(members).to_string())
}
