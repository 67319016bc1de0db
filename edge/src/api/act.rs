//! Executes the actions of users: writes them to the store, and passes them to the planner where it has to know.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value as Json;
use wheeltapper_front::{Change, Deed, Filter, Table};
use wheeltapper_line::{
    acts::{self, Asked, Refusal, Repair, Status},
    repair_alert,
};
use wheeltapper_store::{ActionRow, Cell, Deed as StoredAction, TaskRow};

use super::{
    desk::{Desk, unreadable},
    guest::{Caller, bindings::wheeltapper::pipeline::front::FrontError},
};
use crate::{
    components::wit::{
        schedule::Amendment,
        types::{self, OrderStatus},
    },
    line::Wish,
};

/// The maximum time that a request waits for the planner; the planner handles the command anyway.
const PLANNER_TIMEOUT: Duration = Duration::from_secs(5);

impl Desk {
    pub(super) async fn act(self: &Arc<Self>, caller: &Caller, change: Change) -> Result<String, FrontError> {
        match change.deed {
            Deed::Amend => self.amend_order(caller, &change).await,
            Deed::Plan => self.request_plan(caller, &change).await,
            _ => self.act_on_anomaly(caller, &change).await,
        }
    }

    /// Acknowledge, handle, false alarm, comment, or order a repair.
    async fn act_on_anomaly(self: &Arc<Self>, caller: &Caller, change: &Change) -> Result<String, FrontError> {
        acts::check(change).map_err(action_error)?;
        let anomaly = self.find_row(caller, Table::Anomalies, "anomaly", &change.id).await?;
        let mut written = StoredAction { action: Some(action(caller, change, &anomaly)), ..StoredAction::default() };
        if change.deed.handles() {
            written.handled = Some(change.id.clone());
        }
        if change.deed == Deed::OrderRepair {
            let repair = Repair::new(&anomaly, &change.text, change.now);
            if !self.has_pending_orders(&repair).await? {
                written.wish = Some(encode_command(&Wish::Repair(repair_alert!(repair, types)))?);
            }
        }
        let command = self.record_action(written).await?;
        self.wait_for_planner(command).await?;
        Ok(self.find_row(caller, Table::Anomalies, "anomaly", &change.id).await?.to_string())
    }

    async fn amend_order(self: &Arc<Self>, caller: &Caller, change: &Change) -> Result<String, FrontError> {
        let amendment_request = acts::Wish::parse(&change.text).map_err(action_error)?;
        let order = self.find_row(caller, Table::WorkOrders, "work order", &change.id).await?;
        let alert = order.get("alert").and_then(Json::as_str).unwrap_or_default().to_owned();
        let state = self.apart(move |desk| {
            let statement = "SELECT state FROM alerts WHERE id = ?1";
            desk.host.store.ask(statement, vec![Cell::Text(alert)]).map_err(unreadable)
        });
        // A repair that was ordered by hand has no alert row.
        let resolved = state.await?.concat().first() == Some(&Cell::Text("resolved".into()));
        let technicians = acts::technicians(&self.host.config().schedule_json());
        amendment_request.check(&order, &technicians, !resolved).map_err(action_error)?;
        let amendment = Amendment {
            order: change.id.clone(),
            scheduled: amendment_request.scheduled_time,
            technician: amendment_request.technician,
            pinned: amendment_request.pinned,
            status: amendment_request.status.map(|status| match status {
                Status::Planned => OrderStatus::Planned,
                Status::Done => OrderStatus::Done,
                Status::Cancelled => OrderStatus::Cancelled,
            }),
        };
        let written = StoredAction {
            action: Some(action(caller, change, &order)),
            wish: Some(encode_command(&Wish::Amend { amendment, now: change.now })?),
            ..StoredAction::default()
        };
        let number = self.record_action(written).await?;
        self.wait_for_planner(number).await?;
        Ok(self.find_row(caller, Table::WorkOrders, "work order", &change.id).await?.to_string())
    }

    async fn request_plan(self: &Arc<Self>, caller: &Caller, change: &Change) -> Result<String, FrontError> {
        let params = Asked::parse(&change.text).map_err(action_error)?;
        params.narrow(&self.host.config().schedule_json()).map_err(action_error)?;
        let mut assets = Vec::with_capacity(params.sensor_ids.len());
        for sensor in &params.sensor_ids {
            let known = self.sensor(caller, sensor);
            let (_, asset) = known.ok_or_else(|| FrontError::Absent(format!("there is no sensor {sensor:?}")))?;
            assets.push(asset);
        }
        if assets.is_empty() && caller.sites.is_some() {
            return Err(FrontError::Invalid(
                "only callers with access to all sites may plan the whole plant; name sensors of your sites".into(),
            ));
        }
        let id = acts::change_id(change);
        let request = task_request(&change.text, &assets)?;
        let wish = Wish::Plan {
            task: id.clone(),
            now: change.now,
            request: change.text.clone(),
            assets: (!assets.is_empty()).then_some(assets),
        };
        let written = StoredAction {
            task: Some(TaskRow { id: id.clone(), time: change.now, request }),
            wish: Some(encode_command(&wish)?),
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
    ) -> Result<Json, FrontError> {
        let filter = Filter { id: Some(id.to_owned()), limit: 1, ..Filter::default() };
        let rows: Vec<Json> = serde_json::from_str(&self.rows(table, filter, caller.sites.clone()).await?)
            .map_err(|error| FrontError::Broken(format!("the store's rows cannot be parsed: {error}")))?;
        rows.into_iter().next().ok_or_else(|| FrontError::Absent(format!("there is no {what} {id:?}")))
    }

    /// Whether an open alert of this machine and fault has orders that are not done yet.
    async fn has_pending_orders(self: &Arc<Self>, repair: &Repair) -> Result<bool, FrontError> {
        let parameters = [repair.asset.as_str(), repair.fault()].map(|text| Cell::Text(text.to_owned()));
        let rows = self.apart(move |desk| desk.host.store.ask(Repair::ORDERED, parameters.into()).map_err(unreadable));
        Ok(!rows.await?.is_empty())
    }

    /// Writes the action to the store; returns the number of the planner's command, if there is one.
    async fn record_action(self: &Arc<Self>, written: StoredAction) -> Result<Option<u64>, FrontError> {
        self.apart(move |desk| desk.host.store.record(&written).map_err(unreadable)).await
    }

    /// Waits until the planner has handled the command with this number, up to [`PLANNER_TIMEOUT`].
    async fn wait_for_planner(&self, command: Option<u64>) -> Result<(), FrontError> {
        let Some(command) = command else { return Ok(()) };
        let began = Instant::now();
        loop {
            match self.host.granted(command) {
                Some(Ok(())) => return Ok(()),
                Some(Err(reason)) => return Err(FrontError::Conflict(reason)),
                None if began.elapsed() > PLANNER_TIMEOUT => return Ok(()),
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

fn action(caller: &Caller, change: &Change, target: &Json) -> ActionRow {
    ActionRow {
        id: acts::change_id(change),
        time: change.now,
        deed: change.deed.name().to_owned(),
        target: change.id.clone(),
        asset: target.get("asset").and_then(Json::as_str).unwrap_or_default().to_owned(),
        actor: caller.actor.clone(),
        text: change.text.clone(),
    }
}

/// The request of a task, with its machines: they decide later who may see the plan.
fn task_request(text: &str, assets: &[String]) -> Result<String, FrontError> {
    let mut request: serde_json::Map<String, Json> = serde_json::from_str(text)
        .map_err(|error| FrontError::Invalid(format!("the request of a plan is not a JSON object: {error}")))?;
    if !assets.is_empty() {
        request.insert("assets".to_owned(), assets.into());
    }
    Ok(Json::Object(request).to_string())
}

fn encode_command(command: &Wish) -> Result<Vec<u8>, FrontError> {
    serde_json::to_vec(command)
        .map_err(|error| FrontError::Broken(format!("a planner command cannot be encoded: {error}")))
}

pub(super) fn action_error(refusal: Refusal) -> FrontError {
    match refusal {
        Refusal::Absent(text) => FrontError::Absent(text),
        Refusal::Invalid(text) => FrontError::Invalid(text),
        Refusal::Conflict(text) => FrontError::Conflict(text),
    }
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
