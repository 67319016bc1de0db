//! The fold: what alerts and ticks do to the plan.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::config::Plant;
use crate::orders::{Closed, Order};
use crate::plan::plan;
use crate::{Alert, OrderStatus, StageError, WorkOrder, snapshot};

/// All that goes on from one call to the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The latest time seen.
    pub now: Option<i64>,
    /// Those that are open.
    pub alerts: BTreeMap<String, Alert>,
    /// Those of the open alerts, as they were last sent.
    pub orders: BTreeMap<String, Order>,
    /// Those that a person closed.
    pub closed: BTreeMap<String, Closed>,
}

/// How long what a person closed is remembered: 30 days. An alert may open again under its old id.
const REMEMBERED: i64 = 30 * 86_400_000_000_000;

/// Turns alerts into work orders, for the whole plant.
#[derive(Clone, Debug)]
pub struct Scheduler {
    pub(crate) plant: Plant,
    pub(crate) state: State,
}

impl Scheduler {
    /// Starts with no state. `config` is JSON; an empty text stands for the defaults.
    ///
    /// # Errors
    /// [`StageError::Config`] that names the key.
    pub fn open(config: &str) -> Result<Self, StageError> {
        Ok(Self { plant: Plant::parse(config)?, state: State::default() })
    }

    /// Goes on from a snapshot.
    ///
    /// # Errors
    /// [`StageError::Config`] as [`Self::open`]; [`StageError::Snapshot`] when the bytes are no snapshot of this stage.
    pub fn restore(config: &str, bytes: &[u8]) -> Result<Self, StageError> {
        Ok(Self { plant: Plant::parse(config)?, state: snapshot::read(bytes)? })
    }

    /// The state as bytes; the same state gives the same bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::write(&self.state)
    }

    /// Takes alerts that opened, changed or resolved, and gives the orders that are new or changed, by id. Time goes on
    /// to the latest `updated` among them. An alert older than what is known of it is passed over.
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

    /// Time goes on to `now`: gives the orders whose time has passed, and those that now have room before the horizon.
    /// A time before the latest seen changes nothing.
    pub fn tick(&mut self, now: i64) -> Vec<WorkOrder> {
        let now = self.advance(now);
        // A planned order keeps its slot as time goes on, so only one that lacks room can change.
        if self.state.orders.values().any(|order| order.waits_for_room) {
            return self.replan(now);
        }
        let due = self.state.orders.values_mut().filter_map(|order| order.mark_due(now).then(|| order.record.clone()));
        due.collect()
    }

    fn advance(&mut self, time: i64) -> i64 {
        *self.state.now.insert(self.state.now.map_or(time, |now| now.max(time)))
    }

    /// Forgets what a person closed, and alerts of which nothing else is left, once nothing was heard of them for long.
    fn forget(&mut self, now: i64) {
        if self.state.closed.is_empty() {
            return;
        }
        let State { alerts, orders, closed, .. } = &mut self.state;
        let old = |time: i64| now.saturating_sub(time) > REMEMBERED;
        let lives: BTreeSet<&str> = orders.values().map(|order| order.record.alert.as_str()).collect();
        let latest = closed.values().fold(BTreeMap::new(), |mut latest: BTreeMap<String, i64>, closed| {
            let at = latest.entry(closed.order.record.alert.clone()).or_insert(closed.at);
            *at = closed.at.max(*at);
            latest
        });
        alerts.retain(|id, alert| {
            lives.contains(id.as_str()) || latest.get(id).is_none_or(|at| !old(alert.updated.max(*at)))
        });
        closed.retain(|_, closed| !old(closed.at) || alerts.contains_key(&closed.order.record.alert));
    }

    pub(crate) fn replan(&mut self, now: i64) -> Vec<WorkOrder> {
        self.forget(now);
        let mut planned = plan(&self.plant, now, &self.state.alerts, &self.state.orders, &self.state.closed);
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

    /// The orders of the open alerts, by id.
    pub fn orders(&self) -> impl Iterator<Item = &WorkOrder> {
        self.state.orders.values().map(|order| &order.record).filter(|order| order.status != OrderStatus::Cancelled)
    }
}
