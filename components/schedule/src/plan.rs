//! The list scheduler: jobs by urgency, each at its earliest slot.
//!
//! Serial schedule generation with a priority rule (Kolisch, "Serial and parallel resource-constrained project
//! scheduling methods revisited", European Journal of Operational Research 90, 1996): jobs are taken in the order
//! (priority, opening of the alert, alert id, place in the catalogue), and each is placed at the earliest time that its
//! predecessors, the technicians and the asset allow. Work that has begun, or that a person pinned, stays where it is. So that the plan does not
//! churn, jobs of one priority that had a slot keep it before others of that priority look for one.

use std::collections::BTreeMap;

use crate::board::Board;
use crate::calendar::{Span, time_of};
use crate::catalogue::JobKind;
use crate::config::{Plant, Technician};
use crate::orders::{self, Closed, Order};
use crate::words::{self, Unplaced};
use crate::{Alert, OrderStatus, Severity, WorkOrder};

/// Enough for all but crowded plans, in which the next plan goes on from where this one ends.
const ROUNDS: u32 = 8;

/// A job that an open alert asks for.
pub(crate) struct Job<'a> {
    id: String,
    /// Ids of the jobs that come before it.
    after: Vec<String>,
    /// Those that it still waits for, with their kinds.
    waits: Vec<(String, &'a str)>,
    priority: u8,
    pub alert: &'a Alert,
    position: usize,
    pub kind: &'a JobKind,
}

/// 1 to 5: from the severity (critical 1, high 2, medium 3, low 4), one more urgent for an asset of criticality 5 and
/// one less for one of 1.
fn priority(severity: Severity, criticality: u8) -> u8 {
    let base = match severity {
        Severity::Critical => 1_u8,
        Severity::High => 2,
        Severity::Medium => 3,
        Severity::Low => 4,
    };
    let moved = match criticality {
        5.. => base.saturating_sub(1),
        ..=1 => base.saturating_add(1),
        _ => base,
    };
    moved.clamp(1, 5)
}

/// The jobs of all open alerts, the most urgent first.
fn jobs<'a>(plant: &'a Plant, alerts: &'a BTreeMap<String, Alert>) -> Vec<Job<'a>> {
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for alert in alerts.values() {
        let priority = priority(alert.severity, plant.criticality(&alert.asset));
        for (position, kind) in plant.catalogue.jobs(alert.fault_mode.as_deref()).iter().enumerate() {
            let id = orders::id(&alert.id, &kind.kind);
            let after: Vec<String> = kind.after.iter().map(|kind| orders::id(&alert.id, kind)).collect();
            let waits = after.iter().cloned().zip(kind.after.iter().map(String::as_str)).collect();
            jobs.push(Job { id, after, waits, priority, alert, position, kind });
        }
    }
    jobs.sort_by(|a, b| {
        let key = |job: &Job<'_>| (job.priority, job.alert.opened);
        key(a).cmp(&key(b)).then_with(|| a.alert.id.cmp(&b.alert.id)).then(a.position.cmp(&b.position))
    });
    jobs
}

/// Every order that the open alerts ask for, by id; those that have begun at `now` as they are in `last`, and those that are
/// pinned where they are in it. What a person closed is not asked for any more, and nothing waits for it.
pub(crate) fn plan(
    plant: &Plant,
    now: i64,
    alerts: &BTreeMap<String, Alert>,
    last: &BTreeMap<String, Order>,
    closed: &BTreeMap<String, Closed>,
) -> BTreeMap<String, Order> {
    let mut jobs = jobs(plant, alerts);
    jobs.retain(|job| !closed.contains_key(&job.id));
    for job in &mut jobs {
        job.waits.retain(|(id, _)| !closed.contains_key(id));
    }
    // When an alert has resolved, those who worked on it are free again.
    let fixed = last.values().filter(|order| order.fixed(now) && alerts.contains_key(&order.record.alert));
    let mut board = Board::new(plant, now, fixed);
    let mut planned = BTreeMap::new();
    for equals in jobs.chunk_by(|a, b| a.priority == b.priority) {
        let (fixed, open): (Vec<_>, Vec<_>) =
            equals.iter().partition(|job| last.get(&job.id).is_some_and(|order| order.fixed(now)));
        let mut slots: Slots<'_> =
            fixed.iter().filter_map(|job| Some((job.id.as_str(), last.get(&job.id)?.place()?))).collect();
        for (job, place) in open.iter().filter_map(|job| Some((*job, last.get(&job.id)?.place()?))) {
            if job.ready(&slots).is_ok_and(|ready| ready <= place.1.from) && board.hold(job, place) {
                slots.insert(&job.id, place);
            }
        }
        for (job, found) in settle(&open, &mut board, slots, last) {
            planned.insert(job.id.clone(), job.order(plant, found));
        }
        for job in fixed {
            let order =
                last.get(&job.id).map(|order| if order.started(now) { order.clone() } else { job.stays(plant, order) });
            planned.extend(order.map(|order| (job.id.clone(), order)));
        }
    }
    planned
}

/// A technician's name and the slot in their day.
pub(crate) type Place<'a> = (&'a str, Span);

/// Where jobs are, by id.
type Slots<'a> = BTreeMap<&'a str, Place<'a>>;

/// A start and who does it, or why there is none.
type Found<'a> = Result<(Span, &'a Technician), Unplaced>;

/// Gives every job of one priority its place. One that moves makes room for others, so this goes on in rounds until no
/// job moves, or [`ROUNDS`] are over.
fn settle<'a>(
    jobs: &[&'a Job<'a>],
    board: &mut Board<'a>,
    mut slots: Slots<'a>,
    last: &'a BTreeMap<String, Order>,
) -> Vec<(&'a Job<'a>, Found<'a>)> {
    let mut all: Vec<(&Job<'_>, Found<'_>)> = Vec::new();
    for _ in 0..ROUNDS {
        let mut moved = false;
        all.clear();
        for &job in jobs {
            let held = slots.remove(job.id.as_str());
            if let Some(place) = held {
                board.release(job, place);
            }
            let had = held.or_else(|| last.get(&job.id)?.place());
            let found = job.ready(&slots).and_then(|ready| board.find(job, ready, had));
            if let Ok((slot, technician)) = &found {
                slots.insert(&job.id, (&technician.name, *slot));
                moved |= held.is_some_and(|(_, before)| before != *slot);
            }
            all.push((job, found));
        }
        if !moved {
            break;
        }
    }
    all
}

impl Job<'_> {
    /// When the last of the predecessors ends.
    fn ready(&self, slots: &Slots<'_>) -> Result<i64, Unplaced> {
        let mut ready = i64::MIN;
        for (id, kind) in &self.waits {
            match slots.get(id.as_str()) {
                Some((_, slot)) => ready = ready.max(slot.to),
                None => return Err(Unplaced::Waits((*kind).to_owned())),
            }
        }
        Ok(ready)
    }

    /// The order where a person put it; how urgent it is and what is said of it goes on with its alert.
    fn stays(&self, plant: &Plant, last: &Order) -> Order {
        let mut order = last.clone();
        order.record.priority = self.priority;
        // The configuration may have changed since, so the technician may be gone.
        let named = order.record.technician.as_deref();
        if let Some(technician) = plant.technicians.iter().find(|technician| Some(technician.name.as_str()) == named) {
            order.record.cost = words::labour(technician, self.kind) + self.kind.parts_cost;
            order.record.notes = words::notes(plant, self.alert, self.kind, Ok(technician));
        }
        order
    }

    fn order(&self, plant: &Plant, found: Found<'_>) -> Order {
        let placed = found.as_ref().map(|(_, technician)| *technician);
        let labour = placed.map_or(0.0, |technician| words::labour(technician, self.kind));
        Order {
            waits_for_room: matches!(found, Err(Unplaced::Full | Unplaced::Waits(_))),
            due: false,
            record: WorkOrder {
                id: self.id.clone(),
                alert: self.alert.id.clone(),
                asset: self.alert.asset.clone(),
                kind: self.kind.kind.clone(),
                priority: self.priority,
                status: if found.is_ok() { OrderStatus::Planned } else { OrderStatus::Unscheduled },
                scheduled: found.as_ref().ok().map(|(slot, _)| time_of(slot.from)),
                duration_minutes: self.kind.duration_minutes,
                technician: placed.ok().map(|technician| technician.name.clone()),
                skills: self.kind.skills.clone(),
                after: self.after.clone(),
                cost: labour + self.kind.parts_cost,
                notes: words::notes(plant, self.alert, self.kind, placed),
                pinned: false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_comes_from_severity_and_criticality() {
        let all = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low];
        assert_eq!(all.map(|severity| priority(severity, 3)), [1, 2, 3, 4]);
        assert_eq!(all.map(|severity| priority(severity, 5)), [1, 1, 2, 3]);
        assert_eq!(all.map(|severity| priority(severity, 1)), [2, 3, 4, 5]);
    }
}
