//! What people do: written to the store, and where the planner has to know, put before it.

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
use wheeltapper_store::{ActionRow, Cell, Deed as Written, TaskRow};

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

/// The planner is waited for so long; it goes on by itself.
const PATIENCE: Duration = Duration::from_secs(5);

impl Desk {
    pub(super) async fn act(self: &Arc<Self>, caller: &Caller, change: Change) -> Result<String, FrontError> {
        match change.deed {
            Deed::Amend => self.amend(caller, &change).await,
            Deed::Plan => self.plan(caller, &change).await,
            _ => self.remark(caller, &change).await,
        }
    }

    /// Acknowledge, handle, false alarm, comment, order a repair.
    async fn remark(self: &Arc<Self>, caller: &Caller, change: &Change) -> Result<String, FrontError> {
        acts::check(change).map_err(refused)?;
        let anomaly = self.one(caller, Table::Anomalies, "anomaly", &change.id).await?;
        let mut written = Written { action: Some(action(caller, change, &anomaly)), ..Written::default() };
        if change.deed.handles() {
            written.handled = Some(change.id.clone());
        }
        if change.deed == Deed::OrderRepair {
            let repair = Repair::new(&anomaly, &change.text, change.now);
            if !self.is_ordered(&repair).await? {
                written.wish = Some(packed(&Wish::Repair(repair_alert!(repair, types)))?);
            }
        }
        let wish = self.record(written).await?;
        self.wait(wish).await?;
        Ok(self.one(caller, Table::Anomalies, "anomaly", &change.id).await?.to_string())
    }

    async fn amend(self: &Arc<Self>, caller: &Caller, change: &Change) -> Result<String, FrontError> {
        let wish = acts::Wish::parse(&change.text).map_err(refused)?;
        let order = self.one(caller, Table::WorkOrders, "work order", &change.id).await?;
        let alert = order.get("alert").and_then(Json::as_str).unwrap_or_default().to_owned();
        let state = self.apart(move |desk| {
            let statement = "SELECT state FROM alerts WHERE id = ?1";
            desk.host.store.ask(statement, vec![Cell::Text(alert)]).map_err(unreadable)
        });
        // The alert of a repair that was ordered by hand is no row.
        let resolved = state.await?.concat().first() == Some(&Cell::Text("resolved".into()));
        let technicians = acts::technicians(&self.host.config().schedule_json());
        wish.check(&order, &technicians, !resolved).map_err(refused)?;
        let amendment = Amendment {
            order: change.id.clone(),
            scheduled: wish.scheduled_time,
            technician: wish.technician,
            pinned: wish.pinned,
            status: wish.status.map(|status| match status {
                Status::Planned => OrderStatus::Planned,
                Status::Done => OrderStatus::Done,
                Status::Cancelled => OrderStatus::Cancelled,
            }),
        };
        let written = Written {
            action: Some(action(caller, change, &order)),
            wish: Some(packed(&Wish::Amend { amendment, now: change.now })?),
            ..Written::default()
        };
        let number = self.record(written).await?;
        self.wait(number).await?;
        Ok(self.one(caller, Table::WorkOrders, "work order", &change.id).await?.to_string())
    }

    async fn plan(self: &Arc<Self>, caller: &Caller, change: &Change) -> Result<String, FrontError> {
        let asked = Asked::parse(&change.text).map_err(refused)?;
        asked.narrow(&self.host.config().schedule_json()).map_err(refused)?;
        let mut assets = Vec::with_capacity(asked.sensor_ids.len());
        for sensor in &asked.sensor_ids {
            let known = self.sensor(caller, sensor);
            let (_, asset) = known.ok_or_else(|| FrontError::Absent(format!("there is no sensor {sensor:?}")))?;
            assets.push(asset);
        }
        if assets.is_empty() && caller.sites.is_some() {
            return Err(FrontError::Invalid(
                "a plan of the whole plant is for those who may see all of it; name sensors of your sites".into(),
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
        let written = Written {
            task: Some(TaskRow { id: id.clone(), time: change.now, request }),
            wish: Some(packed(&wish)?),
            ..Written::default()
        };
        self.record(written).await?;
        let everyone = Caller { sites: None, ..caller.clone() };
        Ok(self.one(&everyone, Table::Tasks, "task", &id).await?.to_string())
    }

    /// The row of that id, if the caller may see it.
    async fn one(self: &Arc<Self>, caller: &Caller, table: Table, what: &str, id: &str) -> Result<Json, FrontError> {
        let filter = Filter { id: Some(id.to_owned()), limit: 1, ..Filter::default() };
        let rows: Vec<Json> = serde_json::from_str(&self.rows(table, filter, caller.sites.clone()).await?)
            .map_err(|error| FrontError::Broken(format!("the store's answer cannot be read: {error}")))?;
        rows.into_iter().next().ok_or_else(|| FrontError::Absent(format!("there is no {what} {id:?}")))
    }

    /// Whether an open alert of that machine and fault has orders that wait to be done.
    async fn is_ordered(self: &Arc<Self>, repair: &Repair) -> Result<bool, FrontError> {
        let parameters = [repair.asset.as_str(), repair.fault()].map(|text| Cell::Text(text.to_owned()));
        let rows = self.apart(move |desk| desk.host.store.ask(Repair::ORDERED, parameters.into()).map_err(unreadable));
        Ok(!rows.await?.is_empty())
    }

    /// Writes it to the store; gives the number under which the planner finds what it is to do.
    async fn record(self: &Arc<Self>, written: Written) -> Result<Option<u64>, FrontError> {
        self.apart(move |desk| desk.host.store.record(&written).map_err(unreadable)).await
    }

    /// Until the planner has taken the wish.
    async fn wait(&self, wish: Option<u64>) -> Result<(), FrontError> {
        let Some(wish) = wish else { return Ok(()) };
        let began = Instant::now();
        loop {
            match self.host.granted(wish) {
                Some(Ok(())) => return Ok(()),
                Some(Err(reason)) => return Err(FrontError::Conflict(reason)),
                None if began.elapsed() > PATIENCE => return Ok(()),
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

/// What was asked, and of which machines it is: by them it is known later who may see the plan.
fn task_request(text: &str, assets: &[String]) -> Result<String, FrontError> {
    let mut request: serde_json::Map<String, Json> = serde_json::from_str(text)
        .map_err(|error| FrontError::Invalid(format!("what a plan is asked with is no JSON object: {error}")))?;
    if !assets.is_empty() {
        request.insert("assets".to_owned(), assets.into());
    }
    Ok(Json::Object(request).to_string())
}

fn packed(wish: &Wish) -> Result<Vec<u8>, FrontError> {
    serde_json::to_vec(wish).map_err(|error| FrontError::Broken(format!("a wish cannot be written: {error}")))
}

pub(super) fn refused(refusal: Refusal) -> FrontError {
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
    fn a_task_keeps_the_machines_that_it_is_of() {
        let kept = |text: &str, assets: &[&str]| {
            let assets: Vec<String> = assets.iter().map(|&asset| asset.to_owned()).collect();
            serde_json::from_str::<Json>(&task_request(text, &assets).unwrap()).unwrap()
        };
        let asked = r#"{"sensor_ids":["n/m/x"],"horizon_hours":24.0}"#;
        let expected = serde_json::json!({ "sensor_ids": ["n/m/x"], "horizon_hours": 24.0, "assets": ["n/m"] });
        assert_eq!(kept(asked, &["n/m"]), expected);
        assert_eq!(kept("{}", &[]), serde_json::json!({}));
    }
}
