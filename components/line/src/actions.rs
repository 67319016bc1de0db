//! Executes user actions on the store and through the planner's queue.

use serde_json::Value as Json;

use crate::{
    Action, ActionRequest, Dispatch, Filter, Line, LineError, Ports, Table, Topic, Value,
    action_rules::{self, ActionError, BaselineReset, PlanRequest, RepairRequest, WorkOrderRequest},
    contracts::types,
    events::{FeaturizeEvent, PlanTask, PlannerCommand},
    query, queue, repair_alert,
    rows::{ACTIONS, QUEUED_TASKS, RowBatch, text_value},
    stage_driver::PLANT_KEY,
    store,
};

/// Executes an action and returns the row that it changed or created, as JSON.
pub(crate) async fn execute<P: Ports>(line: &Line<P>, request: &ActionRequest) -> Result<String, LineError> {
    match request.action {
        Action::Amend => amend_work_order(line, request).await,
        Action::Plan => request_plan(line, request).await,
        Action::ResetBaseline => {
            BaselineReset::parse(&request.text)?;
            let machine = find_row(line, Table::Machines, "machine", &request.id).await?;
            enqueue_baseline_reset(line, request, &request.id).await?;
            let row = record_action(line, request, &machine).await?;
            Ok(query::row_to_json(Table::Actions, row).to_string())
        }
        Action::Acknowledge | Action::Handle | Action::FalseAlarm | Action::Comment => {
            action_rules::validate(request)?;
            let anomaly = find_row(line, Table::Anomalies, "anomaly", &request.id).await?;
            if request.action.marks_handled() {
                let statement = "UPDATE anomalies SET handled = 1 WHERE id = $1";
                store::execute(&line.ports, statement, &[text_value(request.id.as_str())]).await?;
            }
            record_action(line, request, &anomaly).await?;
            Ok(find_row(line, Table::Anomalies, "anomaly", &request.id).await?.to_string())
        }
        Action::OrderRepair => {
            let anomaly = find_row(line, Table::Anomalies, "anomaly", &request.id).await?;
            let repair = RepairRequest::new(&anomaly, &request.text, request.now);
            if !has_pending_order(line, &repair).await? {
                enqueue_command(line, request, &PlannerCommand::Alerts(vec![repair_alert!(repair, types)])).await?;
            }
            record_action(line, request, &anomaly).await?;
            Ok(anomaly.to_string())
        }
    }
}

async fn amend_work_order<P: Ports>(line: &Line<P>, request: &ActionRequest) -> Result<String, LineError> {
    let amendment = WorkOrderRequest::parse(&request.text)?;
    let order = find_row(line, Table::WorkOrders, "work order", &request.id).await?;
    let statement = "SELECT state FROM alerts WHERE id = $1";
    let alert = order.get("alert").and_then(Json::as_str).unwrap_or_default();
    let rows = store::execute(&line.ports, statement, &[text_value(alert)]).await?;
    // An alert made from a repair that was ordered by hand has no row.
    let resolved = rows.first().is_some_and(|row| row.first() == Some(&text_value("resolved")));
    amendment.validate(
        &order,
        &action_rules::configured_technicians(&line.plant.stage_config("schedule")),
        !resolved,
    )?;
    enqueue_command(
        line,
        request,
        &PlannerCommand::AmendWorkOrder {
            order: request.id.clone(),
            change: amendment.change.clone(),
            now: request.now,
        },
    )
    .await?;
    if amendment.reset_baseline {
        // After the command: the planner cancels the order when its alert resolves, unless the order is done before.
        let asset = order.get("asset").and_then(Json::as_str).unwrap_or_default();
        enqueue_baseline_reset(line, request, asset).await?;
    }
    record_action(line, request, &order).await?;
    Ok(match line.dispatch {
        Dispatch::Inline => find_row(line, Table::WorkOrders, "work order", &request.id).await?,
        // The planner has not applied the change yet.
        Dispatch::Bus => amendment.change.preview(order),
    }
    .to_string())
}

async fn request_plan<P: Ports>(line: &Line<P>, request: &ActionRequest) -> Result<String, LineError> {
    let plan_request = PlanRequest::parse(&request.text)?;
    plan_request.restrict_config(&line.plant.stage_config("schedule"))?;
    let mut assets = Vec::with_capacity(plan_request.sensor_ids.len());
    for sensor in &plan_request.sensor_ids {
        let row = find_row(line, Table::Sensors, "sensor", sensor).await?;
        assets.extend(row.get("asset").and_then(Json::as_str).map(str::to_owned));
    }
    let id = action_rules::change_id(request);
    let mut rows = RowBatch::default();
    rows.add(
        QUEUED_TASKS,
        vec![
            text_value(id.as_str()),
            Value::Integer(request.now),
            text_value("queued"),
            text_value(request.text.as_str()),
        ],
    );
    rows.write(&line.ports).await?;
    let assets = (!plan_request.sensor_ids.is_empty()).then_some(assets);
    let task = PlanTask { id: id.clone(), request: request.text.clone(), assets, now: request.now };
    enqueue_command(line, request, &PlannerCommand::PlanTask(Box::new(task))).await?;
    Ok(find_row(line, Table::Tasks, "task", &id).await?.to_string())
}

/// Returns the row with that id.
async fn find_row<P: Ports>(line: &Line<P>, table: Table, what: &str, id: &str) -> Result<Json, LineError> {
    let filter = Filter { id: Some(id.to_owned()), limit: 1, ..Filter::default() };
    let (statement, parameters) = query::select_statement(table, &filter, None);
    let row = store::execute(&line.ports, &statement, &parameters).await?.into_iter().next();
    let row = row.ok_or_else(|| ActionError::NotFound(format!("there is no {what} {id:?}")))?;
    Ok(query::row_to_json(table, row))
}

/// Records the action in the table `actions`, and returns the row.
async fn record_action<P: Ports>(
    line: &Line<P>,
    request: &ActionRequest,
    target: &Json,
) -> Result<Vec<Value>, LineError> {
    let asset = target.get("asset").and_then(Json::as_str).unwrap_or_default();
    let row = vec![
        text_value(action_rules::change_id(request)),
        Value::Integer(request.now),
        text_value(request.action.name()),
        text_value(request.id.as_str()),
        text_value(asset),
        // The actor is known only to hosts that authenticate callers.
        Value::Null,
        text_value(request.text.as_str()),
    ];
    let mut rows = RowBatch::default();
    rows.add(ACTIONS, row.clone());
    rows.write(&line.ports).await?;
    Ok(row)
}

/// Appends a reset of the baseline to the first queue of the asset, so that it is executed after the readings that were
/// accepted before. With [`Dispatch::Inline`] the queues are processed at once.
async fn enqueue_baseline_reset<P: Ports>(
    line: &Line<P>,
    request: &ActionRequest,
    asset: &str,
) -> Result<(), LineError> {
    let body = postcard::to_allocvec(&FeaturizeEvent::ResetBaseline(request.now))
        .map_err(|error| LineError::Broken(format!("cannot encode a reset of a baseline for the queue: {error}")))?;
    queue::append(&line.ports, Topic::Raw, asset, &action_rules::change_id(request), request.now, &body).await?;
    line.process_assets(&[asset.to_owned()], request.now).await
}

/// Returns whether an open alert of the same asset and fault mode has work orders that are not finished.
async fn has_pending_order<P: Ports>(line: &Line<P>, repair: &RepairRequest) -> Result<bool, LineError> {
    let parameters = [text_value(repair.asset.as_str()), text_value(repair.fault_mode_or_empty())];
    Ok(!store::execute(&line.ports, RepairRequest::PENDING_ORDER_SQL, &parameters).await?.is_empty())
}

/// Appends a command to the planner's queue. With [`Dispatch::Inline`] the queue is processed at once.
async fn enqueue_command<P: Ports>(
    line: &Line<P>,
    request: &ActionRequest,
    command: &PlannerCommand,
) -> Result<(), LineError> {
    let body = postcard::to_allocvec(command)
        .map_err(|error| LineError::Broken(format!("cannot encode a command for the planner's queue: {error}")))?;
    queue::append(&line.ports, Topic::Alerts, PLANT_KEY, &action_rules::change_id(request), request.now, &body).await?;
    match line.dispatch {
        Dispatch::Bus => line.notify(Topic::Alerts, PLANT_KEY).await,
        Dispatch::Inline => line.process_queue(Topic::Alerts, PLANT_KEY, request.now).await?,
    }
    Ok(())
}
