//! The fold over alerts and ticks that maintains the plan.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::config::Plant;
use crate::orders::{Closed, Order};
use crate::plan::plan;
use crate::{Alert, OrderStatus, StageError, WorkOrder, snapshot};

/// The state that is carried from call to call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The latest time so far.
    pub now: Option<i64>,
    /// The open alerts.
    pub alerts: BTreeMap<String, Alert>,
    /// Orders of the open alerts, as they were last sent.
    pub orders: BTreeMap<String, Order>,
    /// Orders that a person closed.
    pub closed: BTreeMap<String, Closed>,
}

/// How long orders that a person closed are remembered: 30 days. An alert may open again under its old id.
const REMEMBERED: i64 = 30 * 86_400_000_000_000;

/// Turns alerts into work orders for the whole plant.
#[derive(Clone, Debug)]
pub struct Scheduler {
    pub(crate) config: Plant,
    pub(crate) state: State,
}

impl Scheduler {
    /// Starts with an empty state. `config` is JSON; an empty string means the defaults.
    ///
    /// # Errors
    /// [`StageError::Config`] that names the key.
    pub fn open(config: &str) -> Result<Self, StageError> {
        Ok(Self { config: Plant::parse(config)?, state: State::default() })
    }

    /// Restores the state from a snapshot.
    ///
    /// # Errors
    /// [`StageError::Config`] as for [`Self::open`]; [`StageError::Snapshot`] when the bytes are not a snapshot of this
    /// stage.
    pub fn restore(config: &str, bytes: &[u8]) -> Result<Self, StageError> {
        Ok(Self { config: Plant::parse(config)?, state: snapshot::read(bytes)? })
    }

    /// Returns the state as bytes. Equal states give equal bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::write(&self.state)
    }

    /// Processes alerts that opened, changed or resolved, and returns the orders that are new or changed, by id. Time
    /// advances to the latest `updated` among them. An alert that is older than the stored one of its id is ignored.
    pub fn push(&mut self, alerts: &[Alert]) -> Vec<WorkOrder> {
        let Some(latest) = alerts.iter().map(|alert| alert.updated).max() else { return Vec::new() };
        let now = self.advance(latest);
        for alert in alerts {
            if self.state.alerts.get(&alert.id).is_some_and(|known| known.updated > alert.updated) {
                continue;
            }
            if alert.open {
                self.state.alerts.insert(alert.id.clone(), alert.clone());
            } else {
                self.state.alerts.remove(&alert.id);
            }
        }
        self.replan(now)
    }

    /// Advances the time to `now` and returns the orders that became overdue and those that now fit before the horizon.
    /// A time before the latest one changes nothing.
    pub fn tick(&mut self, now: i64) -> Vec<WorkOrder> {
        let now = self.advance(now);
        // A planned order keeps its slot as time passes, so only one that waits for room can change.
        if self.state.orders.values().any(|order| order.waits_for_room) {
            return self.replan(now);
        }
        let due = self.state.orders.values_mut().filter_map(|order| order.mark_due(now).then(|| order.record.clone()));
        due.collect()
    }

    fn advance(&mut self, time: i64) -> i64 {
        *self.state.now.insert(self.state.now.map_or(time, |now| now.max(time)))
    }

    /// Drops orders that a person closed, and alerts without other orders, after a long time without news of them.
    fn forget(&mut self, now: i64) {
        if self.state.closed.is_empty() {
            return;
        }
        let State { alerts, orders, closed, .. } = &mut self.state;
        let is_expired = |time: i64| now.saturating_sub(time) > REMEMBERED;
        let with_orders: BTreeSet<&str> = orders.values().map(|order| order.record.alert.as_str()).collect();
        let latest = closed.values().fold(BTreeMap::new(), |mut latest: BTreeMap<String, i64>, closed| {
            let at = latest.entry(closed.order.record.alert.clone()).or_insert(closed.at);
            *at = closed.at.max(*at);
            latest
        });
        alerts.retain(|id, alert| {
            with_orders.contains(id.as_str()) || latest.get(id).is_none_or(|at| !is_expired(alert.updated.max(*at)))
        });
        closed.retain(|_, closed| !is_expired(closed.at) || alerts.contains_key(&closed.order.record.alert));
    }

    pub(crate) fn replan(&mut self, now: i64) -> Vec<WorkOrder> {
        self.forget(now);
        let mut planned = plan(&self.config, now, &self.state.alerts, &self.state.orders, &self.state.closed);
        let mut changed = Vec::new();
        for (id, order) in std::mem::take(&mut self.state.orders) {
            if let Some(new) = planned.get_mut(&id) {
                new.mark_due(now);
                if new.record != order.record {
                    changed.push(new.record.clone());
                }
                self.state.orders.extend(planned.remove(&id).map(|new| (id, new)));
                continue;
            }
            let mut order = order;
            if !self.state.alerts.contains_key(&order.record.alert) {
                order.close(now, "the alert has resolved");
            } else if order.fixed(now) {
                let newly = order.mark_due(now);
                if newly {
                    changed.push(order.record.clone());
                }
                self.state.orders.insert(id, order);
                continue;
            } else {
                order.close(now, "the diagnosis has changed and does not ask for it any more");
            }
            changed.push(order.record);
        }
        changed.extend(planned.values().map(|order| order.record.clone()));
        self.state.orders.extend(planned);
        changed.sort_by(|a, b| a.id.cmp(&b.id));
        changed
    }

    /// Returns the orders of the open alerts, by id.
    pub fn orders(&self) -> impl Iterator<Item = &WorkOrder> {
        self.state.orders.values().map(|order| &order.record).filter(|order| order.status != OrderStatus::Cancelled)
    }
}
