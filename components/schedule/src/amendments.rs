//! Changes that people make to work orders.

use std::collections::BTreeMap;

use crate::tracked_orders::{ClosedOrder, TrackedOrder};
use crate::{Amendment, OrderStatus, Scheduler, StageError, WorkOrder};

impl Scheduler {
    /// Applies changes to work orders one after the other and replans after each. Returns the orders that changed, by
    /// id.
    ///
    /// An order that is moved (`scheduled`, `technician`) is pinned unless `pinned` is false. A pinned order keeps its
    /// slot, even outside of shifts or at the same time as another order of the technician, and other orders are
    /// planned around it. A done or cancelled order leaves the plan, and its alert does not raise it again while the
    /// closed order is remembered. Without amendments the call only replans.
    ///
    /// # Errors
    /// [`StageError::Batch`] when an order or technician is unknown or the values do not fit together. The state is
    /// then unchanged.
    pub fn amend(&mut self, amendments: &[Amendment]) -> Result<Vec<WorkOrder>, StageError> {
        let before = self.state.clone();
        let mut changed = BTreeMap::new();
        if let ([], Some(now)) = (amendments, self.state.now) {
            return Ok(self.replan(now));
        }
        for amendment in amendments {
            match self.apply_amendment(amendment) {
                Ok(orders) => changed.extend(orders.into_iter().map(|order| (order.id.clone(), order))),
                Err(error) => {
                    self.state = before;
                    return Err(error);
                }
            }
        }
        let previous = |id: &String| {
            let closed = before.closed_orders.get(id).map(|closed| &closed.order.record);
            before.orders.get(id).map(|order| &order.record).or(closed)
        };
        changed.retain(|id, order| previous(id) != Some(order));
        Ok(changed.into_values().collect())
    }

    fn apply_amendment(&mut self, amendment: &Amendment) -> Result<Vec<WorkOrder>, StageError> {
        self.validate_technician(amendment)?;
        // Orders exist only once there is a time.
        let now = self.state.now.unwrap_or(i64::MIN);
        let id = &amendment.order;
        let closing = match amendment.status {
            Some(OrderStatus::Done) => Some((OrderStatus::Done, "Reported as done.")),
            Some(OrderStatus::Cancelled) => Some((OrderStatus::Cancelled, "Cancelled by hand.")),
            Some(OrderStatus::Unscheduled) => {
                return Err(StageError::Batch(format!(
                    "work order {id} cannot be set to unscheduled, as only the planner does so; expected planned, done or cancelled"
                )));
            }
            Some(OrderStatus::Planned) => {
                self.reopen(id)?;
                None
            }
            None => None,
        };
        if let Some((status, remark)) = closing {
            let closed = self.close_order(id, now)?;
            let record = &mut closed.order.record;
            record.scheduled = amendment.scheduled.or(record.scheduled);
            record.technician = amendment.technician.clone().or(record.technician.take());
            record.pinned = amendment.pinned.unwrap_or(record.pinned);
            record.status = status;
            if !record.notes.ends_with(remark) {
                record.notes = format!("{} {remark}", record.notes);
            }
        } else {
            reschedule(self.open_order(id)?, amendment)?;
        }
        let mut changed = self.replan(now);
        let open = self.state.orders.get(id).or(self.state.closed_orders.get(id).map(|closed| &closed.order));
        changed.retain(|order| order.id != *id);
        changed.extend(open.map(|order| order.record.clone()));
        Ok(changed)
    }

    fn validate_technician(&self, amendment: &Amendment) -> Result<(), StageError> {
        let Some(name) = &amendment.technician else { return Ok(()) };
        let names: Vec<&str> = self.config.technicians.iter().map(|technician| technician.name.as_str()).collect();
        if names.contains(&name.as_str()) {
            return Ok(());
        }
        let expected = if names.is_empty() {
            "none is configured".to_owned()
        } else {
            format!("expected one of {}", names.join(", "))
        };
        Err(StageError::Batch(format!("technician {name:?} is unknown; {expected}")))
    }

    /// Returns an order that is part of the plan.
    fn open_order(&mut self, id: &str) -> Result<&mut TrackedOrder, StageError> {
        if let Some(closed) = self.state.closed_orders.get(id) {
            let status = if closed.order.record.status == OrderStatus::Done { "done" } else { "cancelled" };
            return Err(StageError::Batch(format!(
                "work order {id} is {status}; set its status to planned to reopen it"
            )));
        }
        self.state.orders.get_mut(id).ok_or_else(|| unknown_order(id))
    }

    /// Moves an order to the closed ones, unless it is there already, and returns it.
    fn close_order(&mut self, id: &str, now: i64) -> Result<&mut ClosedOrder, StageError> {
        if let Some(order) = self.state.orders.remove(id) {
            self.state.closed_orders.insert(id.to_owned(), ClosedOrder { order, closed_at: now });
        }
        self.state.closed_orders.get_mut(id).ok_or_else(|| unknown_order(id))
    }

    /// Returns a closed order to the plan, as if its alert had just requested it.
    fn reopen(&mut self, id: &str) -> Result<(), StageError> {
        let Some(closed) = self.state.closed_orders.get(id) else { return Ok(()) };
        if !self.state.alerts.contains_key(&closed.order.record.alert) {
            return Err(StageError::Batch(format!("work order {id} cannot be reopened, as its alert has resolved")));
        }
        if let Some(ClosedOrder { mut order, .. }) = self.state.closed_orders.remove(id) {
            order.record.status = OrderStatus::Unscheduled;
            (order.record.scheduled, order.record.technician, order.record.pinned) = (None, None, false);
            self.state.orders.insert(id.to_owned(), order);
        }
        Ok(())
    }
}

fn unknown_order(id: &str) -> StageError {
    StageError::Batch(format!("work order {id} is unknown; expected an order of an open alert"))
}

/// Moves, pins or unpins an order.
fn reschedule(order: &mut TrackedOrder, amendment: &Amendment) -> Result<(), StageError> {
    let record = &mut order.record;
    let is_move = amendment.scheduled.is_some() || amendment.technician.is_some();
    let pinned = amendment.pinned.unwrap_or(is_move || record.pinned);
    let scheduled = amendment.scheduled.or(record.scheduled);
    let technician = amendment.technician.clone().or_else(|| record.technician.clone());
    if is_move || pinned {
        let missing = match (&scheduled, &technician) {
            (None, _) => Some("a time"),
            (_, None) => Some("a technician"),
            _ => None,
        };
        if let Some(missing) = missing {
            return Err(StageError::Batch(format!("work order {} has no slot yet; set {missing} too", record.id)));
        }
        record.status = OrderStatus::Planned;
        order.is_waiting_for_slot = false;
        // It is overdue only if its time does not change.
        order.is_overdue &= record.scheduled == scheduled;
    }
    (record.scheduled, record.technician, record.pinned) = (scheduled, technician, pinned);
    Ok(())
}
