//! Executes the actions of users: writes them to the store, and passes them to the planner where it has to know.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value as Json;
use wheeltapper_line::{
    action_rules::{self, OrderStatusChange, PlanRequest, RepairRequest},
    repair_alert,
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
        let amendment_request = action_rules::WorkOrderChange::parse(&change.text).map_err(action_error)?;
        let order = self.find_row(caller, Table::WorkOrders, "work order", &change.id).await?;
        let alert = order.get("alert").and_then(Json::as_str).unwrap_or_default().to_owned();
        let state = self.run_blocking(move |service| {
            let statement = "SELECT state FROM alerts WHERE id = ?1";
            service.host.store.query_rows(statement, vec![Cell::Text(alert)]).map_err(store_error)
        });
        // A repair that was ordered by hand has no alert row.
        let resolved = state.await?.concat().first() == Some(&Cell::Text("resolved".into()));
        let technicians = action_rules::configured_technicians(&self.host.config().schedule_json());
        amendment_request.validate(&order, &technicians, !resolved).map_err(action_error)?;
        let amendment = Amendment {
            order: change.id.clone(),
            scheduled: amendment_request.scheduled_time,
            technician: amendment_request.technician,
            pinned: amendment_request.pinned,
            status: amendment_request.status.map(|status| match status {
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
        Ok(self.find_row(caller, Table::WorkOrders, "work order", &change.id).await?.to_string())
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
}
