//! Executes the actions of users: writes them to the store, and passes them to the planner where it has to know.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value as Json;
use wheeltapper_line::{
    Value,
    action_rules::{self, OrderStatusChange, PlanRequest, RepairRequest},
    repair_alert, row_to_json,
};
use wheeltapper_line_api::{Action, ActionRequest, Filter, Table};
use wheeltapper_store::{ActionRow, ActionWrite as StoredAction, Cell, TaskRow};

use super::{
    bindings::wheeltapper::pipeline::line_api::LineApiError,
    caller::Caller,
    errors::{action_error, store_error},
    query_service::QueryService,
};
use crate::{
    components::wit::{
        schedule::Amendment,
        types::{self, OrderStatus},
    },
    line::PlannerCommand,
};

/// The maximum time that a request waits for the planner; the planner handles the command anyway.
const PLANNER_TIMEOUT: Duration = Duration::from_secs(5);

impl QueryService {
    pub(super) async fn execute(
        self: &Arc<Self>,
        caller: &Caller,
        change: ActionRequest,
    ) -> Result<String, LineApiError> {
        match change.action {
            Action::Amend => self.amend_order(caller, &change).await,
            Action::Plan => self.request_plan(caller, &change).await,
            Action::ResetBaseline => self.reset_baseline(caller, &change).await,
            _ => self.act_on_anomaly(caller, &change).await,
        }
    }

    /// Acknowledge, handle, false alarm, comment, or order a repair.
    async fn act_on_anomaly(self: &Arc<Self>, caller: &Caller, change: &ActionRequest) -> Result<String, LineApiError> {
        action_rules::validate(change).map_err(action_error)?;
        let anomaly = self.find_row(caller, Table::Anomalies, "anomaly", &change.id).await?;
        let mut written = StoredAction { action: Some(action(caller, change, &anomaly)), ..StoredAction::default() };
        if change.action.marks_handled() {
            written.handled = Some(change.id.clone());
        }
        if change.action == Action::OrderRepair {
            let repair = RepairRequest::new(&anomaly, &change.text, change.now);
            if !self.has_pending_orders(&repair).await? {
                written.planner_command = Some(encode_command(&PlannerCommand::Repair(repair_alert!(repair, types)))?);
            }
        }
        let command = self.record_action(written).await?;
        self.wait_for_planner(command).await?;
        Ok(self.find_row(caller, Table::Anomalies, "anomaly", &change.id).await?.to_string())
    }

    async fn amend_order(self: &Arc<Self>, caller: &Caller, change: &ActionRequest) -> Result<String, LineApiError> {
        let request = action_rules::WorkOrderRequest::parse(&change.text).map_err(action_error)?;
        let order = self.find_row(caller, Table::WorkOrders, "work order", &change.id).await?;
        let alert = order.get("alert").and_then(Json::as_str).unwrap_or_default().to_owned();
        let state = self.run_blocking(move |service| {
            let statement = "SELECT state FROM alerts WHERE id = ?1";
            service.host.store.query_rows(statement, vec![Cell::Text(alert)]).map_err(store_error)
        });
        // A repair that was ordered by hand has no alert row.
        let resolved = state.await?.concat().first() == Some(&Cell::Text("resolved".into()));
        let technicians = action_rules::configured_technicians(&self.host.config().schedule_json());
        request.validate(&order, &technicians, !resolved).map_err(action_error)?;
        let action_rules::WorkOrderRequest { change: order_change, reset_baseline } = request;
        let amendment = Amendment {
            order: change.id.clone(),
            scheduled: order_change.scheduled_time,
            technician: order_change.technician,
            pinned: order_change.pinned,
            status: order_change.status.map(|status| match status {
                OrderStatusChange::Planned => OrderStatus::Planned,
                OrderStatusChange::Done => OrderStatus::Done,
                OrderStatusChange::Cancelled => OrderStatus::Cancelled,
            }),
        };
        let written = StoredAction {
            action: Some(action(caller, change, &order)),
            planner_command: Some(encode_command(&PlannerCommand::Amend { amendment, now: change.now })?),
            ..StoredAction::default()
        };
        let number = self.record_action(written).await?;
        self.wait_for_planner(number).await?;
        if reset_baseline {
            // After the planner: it cancels the order when its alert resolves, unless the order is done before. If the
            // host stops in between, the baseline stays; a retry, or a reset of the machine's baseline, resets it.
            let asset = order.get("asset").and_then(Json::as_str).unwrap_or_default();
            self.append_baseline_reset(asset, change.now).await?;
        }
        Ok(self.find_row(caller, Table::WorkOrders, "work order", &change.id).await?.to_string())
    }

    async fn reset_baseline(self: &Arc<Self>, caller: &Caller, change: &ActionRequest) -> Result<String, LineApiError> {
        action_rules::BaselineReset::parse(&change.text).map_err(action_error)?;
        let machine = self.find_row(caller, Table::Machines, "machine", &change.id).await?;
        // The log comes first: if the host stops in between, a retry resets the baseline once more, and a recorded
        // action was executed.
        self.append_baseline_reset(&change.id, change.now).await?;
        let recorded = action(caller, change, &machine);
        let row = action_json(&recorded);
        self.record_action(StoredAction { action: Some(recorded), ..StoredAction::default() }).await?;
        Ok(row)
    }

    /// Appends a reset of the baseline of an asset to the log; returns when it is durable.
    async fn append_baseline_reset(self: &Arc<Self>, asset: &str, now: i64) -> Result<(), LineApiError> {
        let asset = asset.to_owned();
        self.run_blocking(move |service| {
            service.host.reset_baseline(&asset, now).map_err(|error| {
                LineApiError::Unavailable(format!("the reset of the baseline could not be written to the log: {error}"))
            })
        })
        .await
    }

    async fn request_plan(self: &Arc<Self>, caller: &Caller, change: &ActionRequest) -> Result<String, LineApiError> {
        let params = PlanRequest::parse(&change.text).map_err(action_error)?;
        params.restrict_config(&self.host.config().schedule_json()).map_err(action_error)?;
        let mut assets = Vec::with_capacity(params.sensor_ids.len());
        for sensor in &params.sensor_ids {
            let known = self.find_sensor(caller, sensor);
            let (_, asset) = known.ok_or_else(|| LineApiError::NotFound(format!("there is no sensor {sensor:?}")))?;
            assets.push(asset);
        }
        if assets.is_empty() && caller.sites.is_some() {
            return Err(LineApiError::Invalid(
                "only callers with access to all sites may plan the whole plant; name sensors of your sites".into(),
            ));
        }
        let id = action_rules::change_id(change);
        let request = task_request(&change.text, &assets)?;
        let command = PlannerCommand::Plan {
            task: id.clone(),
            now: change.now,
            request: change.text.clone(),
            assets: (!assets.is_empty()).then_some(assets),
        };
        let written = StoredAction {
            task: Some(TaskRow { id: id.clone(), time: change.now, request }),
            planner_command: Some(encode_command(&command)?),
            ..StoredAction::default()
        };
        self.record_action(written).await?;
        let unrestricted = Caller { sites: None, ..caller.clone() };
        Ok(self.find_row(&unrestricted, Table::Tasks, "task", &id).await?.to_string())
    }

    /// The row with this id, if the caller may see it.
    async fn find_row(
        self: &Arc<Self>,
        caller: &Caller,
        table: Table,
        what: &str,
        id: &str,
    ) -> Result<Json, LineApiError> {
        let filter = Filter { id: Some(id.to_owned()), limit: 1, ..Filter::default() };
        let rows: Vec<Json> = serde_json::from_str(&self.query_rows(table, filter, caller.sites.clone()).await?)
            .map_err(|error| LineApiError::Internal(format!("the store's rows cannot be parsed: {error}")))?;
        rows.into_iter().next().ok_or_else(|| LineApiError::NotFound(format!("there is no {what} {id:?}")))
    }

    /// Whether an open alert of this machine and fault has orders that are not done yet.
    async fn has_pending_orders(self: &Arc<Self>, repair: &RepairRequest) -> Result<bool, LineApiError> {
        let parameters = [repair.asset.as_str(), repair.fault_mode_or_empty()].map(|text| Cell::Text(text.to_owned()));
        let rows = self.run_blocking(move |service| {
            service.host.store.query_rows(RepairRequest::PENDING_ORDER_SQL, parameters.into()).map_err(store_error)
        });
        Ok(!rows.await?.is_empty())
    }

    /// Writes the action to the store; returns the number of the planner's command, if there is one.
    async fn record_action(self: &Arc<Self>, written: StoredAction) -> Result<Option<u64>, LineApiError> {
        let record = move |service: &Self| service.host.store.record_action(&written).map_err(store_error);
        let command = self.run_blocking(record).await?;
        if command.is_some() {
            self.host.wake_planner();
        }
        Ok(command)
    }

    /// Waits until the planner has handled the command with this number, up to [`PLANNER_TIMEOUT`].
    async fn wait_for_planner(&self, command: Option<u64>) -> Result<(), LineApiError> {
        let Some(command) = command else { return Ok(()) };
        let began = Instant::now();
        loop {
            match self.host.planner_command_outcome(command) {
                Some(Ok(())) => return Ok(()),
                Some(Err(reason)) => return Err(LineApiError::Conflict(reason)),
                None if began.elapsed() > PLANNER_TIMEOUT => return Ok(()),
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

fn action(caller: &Caller, change: &ActionRequest, target: &Json) -> ActionRow {
    ActionRow {
        id: action_rules::change_id(change),
        time: change.now,
        action: change.action.name().to_owned(),
        target: change.id.clone(),
        asset: target.get("asset").and_then(Json::as_str).unwrap_or_default().to_owned(),
        actor: caller.actor.clone(),
        text: change.text.clone(),
    }
}

/// The row as an object of a query.
fn action_json(row: &ActionRow) -> String {
    let ActionRow { id, time, action, target, asset, actor, text } = row.clone();
    let [id, action, target, asset, actor, text] = [id, action, target, asset, actor, text].map(Value::Text);
    row_to_json(Table::Actions, vec![id, Value::Integer(time), action, target, asset, actor, text]).to_string()
}

/// The request of a task, with its machines: they decide later who may see the plan.
fn task_request(text: &str, assets: &[String]) -> Result<String, LineApiError> {
    let mut request: serde_json::Map<String, Json> = serde_json::from_str(text)
        .map_err(|error| LineApiError::Invalid(format!("the request of a plan is not a JSON object: {error}")))?;
    if !assets.is_empty() {
        request.insert("assets".to_owned(), assets.into());
    }
    Ok(Json::Object(request).to_string())
}

fn encode_command(command: &PlannerCommand) -> Result<Vec<u8>, LineApiError> {
    serde_json::to_vec(command)
        .map_err(|error| LineApiError::Internal(format!("a planner command cannot be encoded: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_stores_its_machines() {
        let stored = |text: &str, assets: &[&str]| {
            let assets: Vec<String> = assets.iter().map(|&asset| asset.to_owned()).collect();
            serde_json::from_str::<Json>(&task_request(text, &assets).unwrap()).unwrap()
        };
        let params = r#"{"sensor_ids":["n/m/x"],"horizon_hours":24.0}"#;
        let expected = serde_json::json!({ "sensor_ids": ["n/m/x"], "horizon_hours": 24.0, "assets": ["n/m"] });
        assert_eq!(stored(params, &["n/m"]), expected);
        assert_eq!(stored("{}", &[]), serde_json::json!({}));
    }

    #[test]
    fn a_recorded_action_is_an_object_of_a_query() {
        let text = |text: &str| text.to_owned();
        let row = ActionRow {
            id: text("i"),
            time: 7,
            action: text("reset-baseline"),
            target: text("n/m"),
            asset: text("n/m"),
            actor: text("ada"),
            text: text("{}"),
        };
        let expected = serde_json::json!({
            "id": "i", "time": 7, "action": "reset-baseline", "target": "n/m", "asset": "n/m", "actor": "ada", "text": "{}",
        });
        assert_eq!(serde_json::from_str::<Json>(&action_json(&row)).unwrap(), expected);
    }
}
