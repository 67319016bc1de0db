//! Executes user actions on the store and through the planner's queue.

use serde_json::Value as Json;

use crate::{
    Change, Deed, Dispatch, Filter, Line, LineError, Ports, Table, Topic, Value,
    acts::{self, Asked, Refusal, Repair, Wish},
    contracts::types,
    events::{Plan, Task},
    look, queue, repair_alert,
    rows::{ACTIONS, ASKED, Rows, text},
    segment::PLANT,
    store,
};

/// Executes an action and returns the row that it changed or created, as JSON.
pub(crate) async fn act<P: Ports>(line: &Line<P>, change: &Change) -> Result<String, LineError> {
    match change.deed {
        Deed::Amend => amend(line, change).await,
        Deed::Plan => plan(line, change).await,
        Deed::Acknowledge | Deed::Handle | Deed::FalseAlarm | Deed::Comment => {
            acts::check(change)?;
            let anomaly = one(line, Table::Anomalies, "anomaly", &change.id).await?;
            if change.deed.handles() {
                let statement = "UPDATE anomalies SET handled = 1 WHERE id = $1";
                store::run(&line.ports, statement, &[text(change.id.as_str())]).await?;
            }
            note(line, change, &anomaly).await?;
            Ok(one(line, Table::Anomalies, "anomaly", &change.id).await?.to_string())
        }
        Deed::OrderRepair => {
            let anomaly = one(line, Table::Anomalies, "anomaly", &change.id).await?;
            let repair = Repair::new(&anomaly, &change.text, change.now);
            if !is_ordered(line, &repair).await? {
                ask_planner(line, change, &Plan::Alerts(vec![repair_alert!(repair, types)])).await?;
            }
            note(line, change, &anomaly).await?;
            Ok(anomaly.to_string())
        }
    }
}

async fn amend<P: Ports>(line: &Line<P>, change: &Change) -> Result<String, LineError> {
    let amendment = Wish::parse(&change.text)?;
    let order = one(line, Table::WorkOrders, "work order", &change.id).await?;
    let statement = "SELECT state FROM alerts WHERE id = $1";
    let alert = order.get("alert").and_then(Json::as_str).unwrap_or_default();
    let rows = store::run(&line.ports, statement, &[text(alert)]).await?;
    // An alert made from a repair that was ordered by hand has no row.
    let resolved = rows.first().is_some_and(|row| row.first() == Some(&text("resolved")));
    amendment.check(&order, &acts::technicians(&line.plant.stage("schedule")), !resolved)?;
    ask_planner(line, change, &Plan::Amend { order: change.id.clone(), wish: amendment.clone(), now: change.now })
        .await?;
    note(line, change, &order).await?;
    Ok(match line.dispatch {
        Dispatch::Inline => one(line, Table::WorkOrders, "work order", &change.id).await?,
        // The planner has not applied the change yet.
        Dispatch::Bus => amendment.laid_over(order),
    }
    .to_string())
}

async fn plan<P: Ports>(line: &Line<P>, change: &Change) -> Result<String, LineError> {
    let request = Asked::parse(&change.text)?;
    request.narrow(&line.plant.stage("schedule"))?;
    let mut assets = Vec::with_capacity(request.sensor_ids.len());
    for sensor in &request.sensor_ids {
        let row = one(line, Table::Sensors, "sensor", sensor).await?;
        assets.extend(row.get("asset").and_then(Json::as_str).map(str::to_owned));
    }
    let id = acts::change_id(change);
    let mut rows = Rows::default();
    rows.add(ASKED, vec![text(id.as_str()), Value::Integer(change.now), text("queued"), text(change.text.as_str())]);
    rows.write(&line.ports).await?;
    let assets = (!request.sensor_ids.is_empty()).then_some(assets);
    let task = Task { id: id.clone(), request: change.text.clone(), assets, now: change.now };
    ask_planner(line, change, &Plan::Task(Box::new(task))).await?;
    Ok(one(line, Table::Tasks, "task", &id).await?.to_string())
}

/// Returns the row with that id.
async fn one<P: Ports>(line: &Line<P>, table: Table, what: &str, id: &str) -> Result<Json, LineError> {
    let filter = Filter { id: Some(id.to_owned()), limit: 1, ..Filter::default() };
    let (statement, parameters) = look::question(table, &filter, None);
    let row = store::run(&line.ports, &statement, &parameters).await?.into_iter().next();
    let row = row.ok_or_else(|| Refusal::Absent(format!("there is no {what} {id:?}")))?;
    Ok(look::object(table, row))
}

/// Records the action in the table `actions`.
async fn note<P: Ports>(line: &Line<P>, change: &Change, target: &Json) -> Result<(), LineError> {
    let asset = target.get("asset").and_then(Json::as_str).unwrap_or_default();
    let mut rows = Rows::default();
    rows.add(
        ACTIONS,
        vec![
            text(acts::change_id(change)),
            Value::Integer(change.now),
            text(change.deed.name()),
            text(change.id.as_str()),
            text(asset),
            // The actor is known only to hosts that authenticate callers.
            Value::Null,
            text(change.text.as_str()),
        ],
    );
    Ok(rows.write(&line.ports).await?)
}

/// Returns whether an open alert of the same asset and fault mode has work orders that are not finished.
async fn is_ordered<P: Ports>(line: &Line<P>, repair: &Repair) -> Result<bool, LineError> {
    let parameters = [text(repair.asset.as_str()), text(repair.fault())];
    Ok(!store::run(&line.ports, Repair::ORDERED, &parameters).await?.is_empty())
}

/// Appends a command to the planner's queue. With [`Dispatch::Inline`] the queue is processed at once.
async fn ask_planner<P: Ports>(line: &Line<P>, change: &Change, command: &Plan) -> Result<(), LineError> {
    let body = postcard::to_allocvec(command)
        .map_err(|error| LineError::Broken(format!("cannot encode a command for the planner's queue: {error}")))?;
    queue::append(&line.ports, Topic::Alerts, PLANT, &acts::change_id(change), change.now, &body).await?;
    match line.dispatch {
        Dispatch::Bus => line.nudge(Topic::Alerts, PLANT).await,
        Dispatch::Inline => line.work(Topic::Alerts, PLANT, change.now).await?,
    }
    Ok(())
}
