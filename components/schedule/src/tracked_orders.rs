//! Work orders and their planning state.

use serde::{Deserialize, Serialize};

use crate::calendar::{Interval, ceil_to_minute, minute_to_nanoseconds};
use crate::{OrderStatus, WorkOrder};

/// A work order as it was last sent, with its planning state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrackedOrder {
    pub record: WorkOrder,
    /// It has no slot because the horizon is full, so it may get one as time passes.
    pub is_waiting_for_slot: bool,
    /// Its planned time has passed, and the notes say so.
    pub is_overdue: bool,
}

impl TrackedOrder {
    /// Returns the slot of a planned order in minutes. A start that a person set within a minute occupies the whole
    /// minute.
    pub fn slot(&self) -> Option<Interval> {
        let start = self.record.scheduled.filter(|_| self.record.status == OrderStatus::Planned)?;
        let duration = i64::from(self.record.duration_minutes);
        Some(Interval { start: start.div_euclid(60_000_000_000), end: ceil_to_minute(start) + duration })
    }

    /// Returns technician and slot of a planned order.
    pub fn assignment(&self) -> Option<(&str, Interval)> {
        Some((self.record.technician.as_deref().unwrap_or_default(), self.slot()?))
    }

    /// Returns whether work has started by `now`. Such an order stays unchanged until its alert resolves.
    pub fn has_started(&self, now: i64) -> bool {
        self.record.status == OrderStatus::Planned && self.record.scheduled.is_some_and(|start| start <= now)
    }

    /// Returns whether the planner must not move the order: a person pinned it, or work has started.
    pub fn is_fixed(&self, now: i64) -> bool {
        self.record.pinned && self.slot().is_some() || self.has_started(now)
    }

    /// Closes the order because it is no longer needed, for the given reason.
    pub fn close(&mut self, now: i64, reason: &str) {
        let (status, remark) =
            if self.has_started(now) { (OrderStatus::Done, "Closed") } else { (OrderStatus::Cancelled, "Cancelled") };
        self.record.status = status;
        self.record.notes = format!("{} {remark}: {reason}.", self.record.notes);
    }

    /// Adds a remark to the notes, once, when the planned time has passed. Returns whether it did so. The order stays
    /// planned until someone reports it as done.
    pub fn mark_overdue(&mut self, now: i64) -> bool {
        let has_passed = self.slot().is_some_and(|slot| minute_to_nanoseconds(slot.end) <= now);
        let is_new = has_passed && !self.is_overdue;
        if is_new {
            self.is_overdue = true;
            self.record.notes.push_str(" Due: the planned time has passed and the alert is still open.");
        }
        is_new
    }
}

/// An order that a person closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClosedOrder {
    pub order: TrackedOrder,
    /// Time at which it was closed.
    pub closed_at: i64,
}

/// Computes the id: the first 16 bytes of BLAKE3 of the alert's id, `|` and the kind, in hexadecimal.
pub(crate) fn order_id(alert: &str, kind: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(alert.as_bytes()).update(b"|").update(kind.as_bytes());
    hasher.finalize().to_hex().chars().take(32).collect()
}
