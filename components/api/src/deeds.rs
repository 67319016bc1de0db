//! What people do: to anomalies, and to work orders.

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

/// Actions that an anomaly is shown with, at most.
const SHOWN: u32 = 100;

/// Does something to an anomaly; answers what it is now.
pub(crate) fn act(
    front: &impl Front,
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
        anomaly(front, id)?.as_seen(request.headers())?;
    }
    act_on(front, deed, id, text, now)?;
    anomaly(front, id)
}

/// Does it, if there is such an anomaly.
pub(crate) fn act_on(front: &impl Front, deed: Deed, id: &str, text: String, now: i64) -> Result<(), Problem> {
    if id.contains('\0') {
        return Err(ANOMALIES.missing(id));
    }
    front.act(&Change { deed, id: id.to_owned(), text, now })?;
    Ok(())
}

/// One anomaly, with what people did about it.
pub(crate) fn anomaly(front: &impl Front, id: &str) -> Result<Answer, Problem> {
    let mut row = ANOMALIES.item(front, id)?;
    let mut actions = ask(front, Table::Actions, &done_to(id, SHOWN))?;
    actions.iter_mut().for_each(readable);
    row.insert("actions".into(), json!(actions));
    Ok(Answer::json(StatusCode::OK, &row))
}

/// The filter for what was done to an anomaly or a work order.
pub(crate) fn done_to(id: &str, limit: u32) -> Filter {
    Filter { id: Some(id.to_owned()), limit, ..Filter::default() }
}

/// Moves, pins, closes or cancels a work order; answers what it is now.
pub(crate) fn amend(front: &impl Front, id: &str, now: i64, request: &mut Request<Vec<u8>>) -> Result<Answer, Problem> {
    let amendment: Amendment = body::read(request)?;
    let text = wanted(&amendment)?;
    if id.contains('\0') {
        return Err(WORK_ORDERS.missing(id));
    }
    if request.headers().contains_key(header::IF_MATCH) {
        Answer::json(StatusCode::OK, &WORK_ORDERS.item(front, id)?).as_seen(request.headers())?;
    }
    let row = front.act(&Change { deed: Deed::Amend, id: id.to_owned(), text, now })?;
    let mut row: Row = read(&row, "the work order")?;
    readable(&mut row);
    Ok(Answer::json(StatusCode::OK, &row))
}

/// As `wit/front.wit` has it.
fn wanted(amendment: &Amendment) -> Result<String, Problem> {
    let Amendment { scheduled_time, technician, pinned, status } = amendment;
    let moves = scheduled_time.is_some() || technician.is_some();
    // Whoever moves an order does not want it moved back by the next plan.
    let pinned = pinned.or(moves.then_some(true));
    let mut wanted = Map::new();
    let mut want = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            wanted.insert(name.to_owned(), value);
        }
    };
    want("scheduled_time", scheduled_time.map(|time| json!(time.0)));
    want("technician", technician.as_ref().map(|name| json!(name)));
    want("pinned", pinned.map(Value::from));
    want("status", status.map(|status| json!(status.name())));
    if wanted.is_empty() {
        let expected = "at least one of scheduled_time, technician, pinned, status";
        return Err(body::unfit(
            &format!("the body changes nothing; give {expected}"),
            "",
            &format!("{{}}, expected {expected}"),
        ));
    }
    Ok(Value::Object(wanted).to_string())
}
