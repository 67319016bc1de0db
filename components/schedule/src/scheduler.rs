//! The fold over alerts and ticks that maintains the plan.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::config::ValidatedConfig;
use crate::list_scheduler::plan_orders;
use crate::tracked_orders::{ClosedOrder, TrackedOrder};
use crate::{Alert, OrderStatus, StageError, WorkOrder, snapshot};

/// The state that is carried from call to call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SchedulerState {
    /// The latest time so far.
    pub now: Option<i64>,
    /// The open alerts.
    pub alerts: BTreeMap<String, Alert>,
    /// Orders of the open alerts, as they were last sent.
    pub orders: BTreeMap<String, TrackedOrder>,
    /// Orders that a person closed.
    pub closed_orders: BTreeMap<String, ClosedOrder>,
}

/// How long orders that a person closed are remembered: 30 days. An alert may open again under its old id.
const CLOSED_ORDER_RETENTION: i64 = 30 * 86_400_000_000_000;

/// Turns alerts into work orders for the whole plant.
#[derive(Clone, Debug)]
pub struct Scheduler {
    pub(crate) config: ValidatedConfig,
    pub(crate) state: SchedulerState,
}

impl Scheduler {
    /// Starts with an empty state. `config` is JSON; an empty string means the defaults.
    ///
    /// # Errors
    /// [`StageError::Config`] that names the key.
    pub fn open(config: &str) -> Result<Self, StageError> {
        Ok(Self { config: ValidatedConfig::parse(config)?, state: SchedulerState::default() })
    }

    /// Restores the state from a snapshot.
    ///
    /// # Errors
    /// [`StageError::Config`] as for [`Self::open`]; [`StageError::Snapshot`] when the bytes are not a snapshot of this
    /// stage.
    pub fn restore(config: &str, bytes: &[u8]) -> Result<Self, StageError> {
        Ok(Self { config: ValidatedConfig::parse(config)?, state: snapshot::read(bytes)? })
    }

    /// Returns the state as bytes. Equal states give equal bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::write(&self.state)
    }

    /// Processes alerts that opened, changed or resolved, and returns the orders that are new or changed, by id. Time
    /// advances to the latest `updated` among them. An alert that is older than the stored one of its id is ignored.
    pub fn push(&mut self, alerts: &[Alert]) -> Vec<WorkOrder> {
        let Some(latest) = alerts.iter().map(|alert| alert.updated).max() else { return Vec::new() };
        let now = self.advance_time(latest);
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
        let now = self.advance_time(now);
        // A planned order keeps its slot as time passes, so only one that waits for room can change.
        if self.state.orders.values().any(|order| order.is_waiting_for_slot) {
            return self.replan(now);
        }
        let overdue =
            self.state.orders.values_mut().filter_map(|order| order.mark_overdue(now).then(|| order.record.clone()));
        overdue.collect()
    }

    fn advance_time(&mut self, time: i64) -> i64 {
        *self.state.now.insert(self.state.now.map_or(time, |now| now.max(time)))
    }

    /// Drops orders that a person closed, and alerts without other orders, after a long time without news of them.
    fn prune(&mut self, now: i64) {
        if self.state.closed_orders.is_empty() {
            return;
        }
        let SchedulerState { alerts, orders, closed_orders: closed, .. } = &mut self.state;
        let is_expired = |time: i64| now.saturating_sub(time) > CLOSED_ORDER_RETENTION;
        let with_orders: BTreeSet<&str> = orders.values().map(|order| order.record.alert.as_str()).collect();
        let latest = closed.values().fold(BTreeMap::new(), |mut latest: BTreeMap<String, i64>, closed| {
            let at = latest.entry(closed.order.record.alert.clone()).or_insert(closed.closed_at);
            *at = closed.closed_at.max(*at);
            latest
        });
        alerts.retain(|id, alert| {
            with_orders.contains(id.as_str()) || latest.get(id).is_none_or(|at| !is_expired(alert.updated.max(*at)))
        });
        closed.retain(|_, closed| !is_expired(closed.closed_at) || alerts.contains_key(&closed.order.record.alert));
    }

    pub(crate) fn replan(&mut self, now: i64) -> Vec<WorkOrder> {
        self.prune(now);
        let mut planned =
            plan_orders(&self.config, now, &self.state.alerts, &self.state.orders, &self.state.closed_orders);
        let mut changed = Vec::new();
        for (id, order) in std::mem::take(&mut self.state.orders) {
            if let Some(new) = planned.get_mut(&id) {
                new.mark_overdue(now);
                if new.record != order.record {
                    changed.push(new.record.clone());
                }
                self.state.orders.extend(planned.remove(&id).map(|new| (id, new)));
                continue;
            }
            let mut order = order;
            if !self.state.alerts.contains_key(&order.record.alert) {
                order.close(now, "the alert has resolved");
            } else if order.is_fixed(now) {
                let is_new = order.mark_overdue(now);
                if is_new {
                    changed.push(order.record.clone());
                }
                self.state.orders.insert(id, order);
                continue;
            } else {
                order.close(now, "the diagnosis has changed and no longer requires it");
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
