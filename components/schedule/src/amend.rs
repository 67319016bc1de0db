//! What people do to work orders.

use std::collections::BTreeMap;

use crate::orders::{Closed, Order};
use crate::{Amendment, OrderStatus, Scheduler, StageError, WorkOrder};

impl Scheduler {
    /// Does what a person wants of orders, one after the other, and plans anew around it; gives the orders that changed, by
    /// id. An order that is moved (`scheduled`, `technician`) is pinned unless `pinned` says otherwise: it stays there
    /// whatever comes, also outside of shifts and beside another of the same technician, and others make room. What is done
    /// or cancelled leaves the plan and is not raised again by its alert, for as long as it is remembered. Without any wish it
    /// only plans anew.
    ///
    /// # Errors
    /// [`StageError::Batch`]: an order or a technician that is not known, or what does not go together. Nothing is done then.
    pub fn amend(&mut self, amendments: &[Amendment]) -> Result<Vec<WorkOrder>, StageError> {
        let before = self.state.clone();
        let mut changed = BTreeMap::new();
        if let ([], Some(now)) = (amendments, self.state.now) {
            return Ok(self.replan(now));
        }
        for amendment in amendments {
            match self.amend_one(amendment) {
                Ok(orders) => changed.extend(orders.into_iter().map(|order| (order.id.clone(), order))),
                Err(error) => {
                    self.state = before;
                    return Err(error);
                }
            }
        }
        let was = |id: &String| {
            let closed = before.closed.get(id).map(|closed| &closed.order.record);
            before.orders.get(id).map(|order| &order.record).or(closed)
        };
        changed.retain(|id, order| was(id) != Some(order));
        Ok(changed.into_values().collect())
    }

    fn amend_one(&mut self, amendment: &Amendment) -> Result<Vec<WorkOrder>, StageError> {
        self.check_technician(amendment)?;
        // An order is known only once time is.
        let now = self.state.now.unwrap_or(i64::MIN);
        let id = &amendment.order;
        let end = match amendment.status {
            Some(OrderStatus::Done) => Some((OrderStatus::Done, "Reported as done.")),
            Some(OrderStatus::Cancelled) => Some((OrderStatus::Cancelled, "Cancelled by hand.")),
            Some(OrderStatus::Unscheduled) => {
                return Err(StageError::Batch(format!(
                    "work order {id} cannot be made unscheduled, which is the planner's to say; expected planned, done or cancelled"
                )));
            }
            Some(OrderStatus::Planned) => {
                self.take_up_again(id)?;
                None
            }
            None => None,
        };
        if let Some((status, said)) = end {
            let closed = self.close(id, now)?;
            let record = &mut closed.order.record;
            record.scheduled = amendment.scheduled.or(record.scheduled);
            record.technician = amendment.technician.clone().or(record.technician.take());
            record.pinned = amendment.pinned.unwrap_or(record.pinned);
            record.status = status;
            if !record.notes.ends_with(said) {
                record.notes = format!("{} {said}", record.notes);
            }
        } else {
            place(self.open_order(id)?, amendment)?;
        }
        let mut changed = self.replan(now);
        let open = self.state.orders.get(id).or(self.state.closed.get(id).map(|closed| &closed.order));
        changed.retain(|order| order.id != *id);
        changed.extend(open.map(|order| order.record.clone()));
        Ok(changed)
    }

    fn check_technician(&self, amendment: &Amendment) -> Result<(), StageError> {
        let Some(name) = &amendment.technician else { return Ok(()) };
        let there: Vec<&str> = self.plant.technicians.iter().map(|technician| technician.name.as_str()).collect();
        if there.contains(&name.as_str()) {
            return Ok(());
        }
        let there =
            if there.is_empty() { "none is configured".to_owned() } else { format!("there are {}", there.join(", ")) };
        Err(StageError::Batch(format!("technician {name:?} is not known; {there}")))
    }

    /// An order that is in the plan.
    fn open_order(&mut self, id: &str) -> Result<&mut Order, StageError> {
        if let Some(closed) = self.state.closed.get(id) {
            let status = if closed.order.record.status == OrderStatus::Done { "done" } else { "cancelled" };
            return Err(StageError::Batch(format!(
                "work order {id} is {status}; give it the status planned to take it up again"
            )));
        }
        self.state.orders.get_mut(id).ok_or_else(|| unknown(id))
    }

    /// The order among those that are closed, where it is put if it is not yet there.
    fn close(&mut self, id: &str, now: i64) -> Result<&mut Closed, StageError> {
        if let Some(order) = self.state.orders.remove(id) {
            self.state.closed.insert(id.to_owned(), Closed { order, at: now });
        }
        self.state.closed.get_mut(id).ok_or_else(|| unknown(id))
    }

    /// What a person closed comes back into the plan, as if its alert had just asked for it.
    fn take_up_again(&mut self, id: &str) -> Result<(), StageError> {
        let Some(closed) = self.state.closed.get(id) else { return Ok(()) };
        if !self.state.alerts.contains_key(&closed.order.record.alert) {
            return Err(StageError::Batch(format!(
                "work order {id} cannot be taken up again, as its alert has resolved"
            )));
        }
        if let Some(Closed { mut order, .. }) = self.state.closed.remove(id) {
            order.record.status = OrderStatus::Unscheduled;
            (order.record.scheduled, order.record.technician, order.record.pinned) = (None, None, false);
            self.state.orders.insert(id.to_owned(), order);
        }
        Ok(())
    }
}

fn unknown(id: &str) -> StageError {
    StageError::Batch(format!("work order {id} is not known; expected one that an open alert asks for"))
}

/// Moves, pins or frees an order.
fn place(order: &mut Order, amendment: &Amendment) -> Result<(), StageError> {
    let record = &mut order.record;
    let moves = amendment.scheduled.is_some() || amendment.technician.is_some();
    let pinned = amendment.pinned.unwrap_or(moves || record.pinned);
    let scheduled = amendment.scheduled.or(record.scheduled);
    let technician = amendment.technician.clone().or_else(|| record.technician.clone());
    if moves || pinned {
        let missing = match (&scheduled, &technician) {
            (None, _) => Some("a time"),
            (_, None) => Some("a technician"),
            _ => None,
        };
        if let Some(missing) = missing {
            return Err(StageError::Batch(format!("work order {} has no slot yet; give {missing} too", record.id)));
        }
        record.status = OrderStatus::Planned;
        order.waits_for_room = false;
        // Its old time has passed, not this one.
        order.due &= record.scheduled == scheduled;
    }
    (record.scheduled, record.technician, record.pinned) = (scheduled, technician, pinned);
    Ok(())
}
