//! Work orders as they are kept.

use serde::{Deserialize, Serialize};

use crate::calendar::{Span, minute_at_or_after, time_of};
use crate::{OrderStatus, WorkOrder};

/// A work order as it was last sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub record: WorkOrder,
    /// It has no slot only for want of room before the horizon, so it may get one as time goes on.
    pub waits_for_room: bool,
    /// Its planned time has passed, and the notes say so.
    pub due: bool,
}

impl Order {
    /// The slot in minutes, when it is planned. A person may have set it within a minute, which then counts whole.
    pub fn slot(&self) -> Option<Span> {
        let start = self.record.scheduled.filter(|_| self.record.status == OrderStatus::Planned)?;
        let duration = i64::from(self.record.duration_minutes);
        Some(Span { from: start.div_euclid(60_000_000_000), to: minute_at_or_after(start) + duration })
    }

    /// Technician and slot, when it is planned.
    pub fn place(&self) -> Option<(&str, Span)> {
        Some((self.record.technician.as_deref().unwrap_or_default(), self.slot()?))
    }

    /// Whether work has begun by `now`. Such an order stays as it is until its alert resolves.
    pub fn started(&self, now: i64) -> bool {
        self.record.status == OrderStatus::Planned && self.record.scheduled.is_some_and(|start| start <= now)
    }

    /// Whether the planner leaves it where it is: a person fixed it there, or work has begun.
    pub fn fixed(&self, now: i64) -> bool {
        self.record.pinned && self.slot().is_some() || self.started(now)
    }

    /// Ends it because nobody needs it any more, for the reason given.
    pub fn close(&mut self, now: i64, reason: &str) {
        let (status, said) =
            if self.started(now) { (OrderStatus::Done, "Closed") } else { (OrderStatus::Cancelled, "Cancelled") };
        self.record.status = status;
        self.record.notes = format!("{} {said}: {reason}.", self.record.notes);
    }

    /// Tells in the notes, once, that the planned time has passed. Until someone reports it as done it stays planned.
    pub fn mark_due(&mut self, now: i64) -> bool {
        let passed = self.slot().is_some_and(|slot| time_of(slot.to) <= now);
        let newly = passed && !self.due;
        if newly {
            self.due = true;
            self.record.notes.push_str(" Due: the planned time has passed and the alert is still open.");
        }
        newly
    }
}

/// An order that a person closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Closed {
    pub order: Order,
    /// When.
    pub at: i64,
}

/// The first 16 bytes of BLAKE3 of the alert's id, `|` and the kind, in hexadecimal.
pub(crate) fn id(alert: &str, kind: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(alert.as_bytes()).update(b"|").update(kind.as_bytes());
    hasher.finalize().to_hex().chars().take(32).collect()
}
