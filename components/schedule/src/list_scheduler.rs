//! The list scheduler: jobs by urgency, each at its earliest slot.
//!
//! Serial schedule generation with a priority rule (Kolisch, "Serial and parallel resource-constrained project
//! scheduling methods revisited", European Journal of Operational Research 90, 1996): jobs are processed in the order
//! (priority, opening of the alert, alert id, position in the catalogue), and each is placed at the earliest time that
//! its predecessors, the technicians and the asset allow. Work that has started or is pinned by a person is not moved.
//! To keep the plan stable, jobs of one priority that have a slot keep it before others of that priority search for
//! one.

use std::collections::BTreeMap;

use crate::availability::Availability;
use crate::calendar::{Interval, minute_to_nanoseconds};
use crate::catalogue::JobTemplate;
use crate::config::{Technician, ValidatedConfig};
use crate::messages::{self, UnscheduledReason};
use crate::tracked_orders::{self, ClosedOrder, TrackedOrder};
use crate::{Alert, OrderStatus, Severity, WorkOrder};

/// Largest number of rounds per priority. It suffices except for crowded plans, which the next replanning continues
/// from there.
const MAX_ROUNDS: u32 = 8;

/// A job that an open alert requires.
pub(crate) struct Job<'a> {
    id: String,
    /// Ids of its predecessors.
    predecessors: Vec<String>,
    /// Predecessors that are not closed, with their kinds.
    open_predecessors: Vec<(String, &'a str)>,
    priority: u8,
    pub alert: &'a Alert,
    catalogue_index: usize,
    pub template: &'a JobTemplate,
}

/// Returns the priority, 1 to 5, from the severity (critical 1, high 2, medium 3, low 4), one more urgent for an asset
/// of criticality 5 and one less urgent for criticality 1.
fn priority(severity: Severity, criticality: u8) -> u8 {
    let base = match severity {
        Severity::Critical => 1_u8,
        Severity::High => 2,
        Severity::Medium => 3,
        Severity::Low => 4,
    };
    let adjusted = match criticality {
        5.. => base.saturating_sub(1),
        ..=1 => base.saturating_add(1),
        _ => base,
    };
    adjusted.clamp(1, 5)
}

/// Returns the jobs of all open alerts, most urgent first.
fn required_jobs<'a>(config: &'a ValidatedConfig, alerts: &'a BTreeMap<String, Alert>) -> Vec<Job<'a>> {
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for alert in alerts.values() {
        let priority = priority(alert.severity, config.criticality(&alert.asset));
        for (catalogue_index, template) in config.catalogue.jobs(alert.fault_mode.as_deref()).iter().enumerate() {
            let id = tracked_orders::order_id(&alert.id, &template.kind);
            let predecessors: Vec<String> =
                template.after.iter().map(|kind| tracked_orders::order_id(&alert.id, kind)).collect();
            let open_predecessors =
                predecessors.iter().cloned().zip(template.after.iter().map(String::as_str)).collect();
            jobs.push(Job { id, predecessors, open_predecessors, priority, alert, catalogue_index, template });
        }
    }
    jobs.sort_by(|a, b| {
        let key = |job: &Job<'_>| (job.priority, job.alert.opened);
        key(a).cmp(&key(b)).then_with(|| a.alert.id.cmp(&b.alert.id)).then(a.catalogue_index.cmp(&b.catalogue_index))
    });
    jobs
}

/// Plans every order that the open alerts require, by id. Orders that have started at `now` stay as they are in `last`;
/// pinned ones keep their slot in it. Orders that a person closed are omitted, and no other order waits for them.
pub(crate) fn plan_orders(
    config: &ValidatedConfig,
    now: i64,
    alerts: &BTreeMap<String, Alert>,
    last: &BTreeMap<String, TrackedOrder>,
    closed: &BTreeMap<String, ClosedOrder>,
) -> BTreeMap<String, TrackedOrder> {
    let mut jobs = required_jobs(config, alerts);
    jobs.retain(|job| !closed.contains_key(&job.id));
    for job in &mut jobs {
        job.open_predecessors.retain(|(id, _)| !closed.contains_key(id));
    }
    // Technicians who worked on a resolved alert are free again.
    let fixed = last.values().filter(|order| order.is_fixed(now) && alerts.contains_key(&order.record.alert));
    let mut availability = Availability::new(config, now, fixed);
    let mut planned = BTreeMap::new();
    for same_priority in jobs.chunk_by(|a, b| a.priority == b.priority) {
        let (fixed, open): (Vec<_>, Vec<_>) =
            same_priority.iter().partition(|job| last.get(&job.id).is_some_and(|order| order.is_fixed(now)));
        let mut slots: Assignments<'_> =
            fixed.iter().filter_map(|job| Some((job.id.as_str(), last.get(&job.id)?.assignment()?))).collect();
        for (job, assignment) in open.iter().filter_map(|job| Some((*job, last.get(&job.id)?.assignment()?))) {
            if job.earliest_start(&slots).is_ok_and(|ready| ready <= assignment.1.start)
                && availability.reserve(job, assignment)
            {
                slots.insert(&job.id, assignment);
            }
        }
        for (job, placement) in assign_slots(&open, &mut availability, slots, last) {
            planned.insert(job.id.clone(), job.to_order(config, placement));
        }
        for job in fixed {
            let order = last
                .get(&job.id)
                .map(|order| if order.has_started(now) { order.clone() } else { job.keep_slot(config, order) });
            planned.extend(order.map(|order| (job.id.clone(), order)));
        }
    }
    planned
}

/// A technician's name and a slot of theirs.
pub(crate) type Assignment<'a> = (&'a str, Interval);

/// Assignments of jobs, by job id.
type Assignments<'a> = BTreeMap<&'a str, Assignment<'a>>;

/// A slot and its technician, or the reason why there is none.
type Placement<'a> = Result<(Interval, &'a Technician), UnscheduledReason>;

/// Assigns a slot to every job of one priority. A job that moves makes room for others, so this repeats until no job
/// moves or [`MAX_ROUNDS`] is reached.
fn assign_slots<'a>(
    jobs: &[&'a Job<'a>],
    availability: &mut Availability<'a>,
    mut slots: Assignments<'a>,
    last: &'a BTreeMap<String, TrackedOrder>,
) -> Vec<(&'a Job<'a>, Placement<'a>)> {
    let mut placements: Vec<(&Job<'_>, Placement<'_>)> = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let mut moved = false;
        placements.clear();
        for &job in jobs {
            let current = slots.remove(job.id.as_str());
            if let Some(assignment) = current {
                availability.release(job, assignment);
            }
            let previous = current.or_else(|| last.get(&job.id)?.assignment());
            let placement = job.earliest_start(&slots).and_then(|ready| availability.assign(job, ready, previous));
            if let Ok((slot, technician)) = &placement {
                slots.insert(&job.id, (&technician.name, *slot));
                moved |= current.is_some_and(|(_, before)| before != *slot);
            }
            placements.push((job, placement));
        }
        if !moved {
            break;
        }
    }
    placements
}

impl Job<'_> {
    /// Returns the end of the last predecessor, or an error if one of them has no slot.
    fn earliest_start(&self, slots: &Assignments<'_>) -> Result<i64, UnscheduledReason> {
        let mut ready = i64::MIN;
        for (id, kind) in &self.open_predecessors {
            match slots.get(id.as_str()) {
                Some((_, slot)) => ready = ready.max(slot.end),
                None => return Err(UnscheduledReason::PredecessorUnscheduled((*kind).to_owned())),
            }
        }
        Ok(ready)
    }

    /// Returns a pinned order with its slot unchanged; priority, cost and notes follow its alert.
    fn keep_slot(&self, config: &ValidatedConfig, last: &TrackedOrder) -> TrackedOrder {
        let mut order = last.clone();
        order.record.priority = self.priority;
        // The technician may have been removed from the configuration since.
        let named = order.record.technician.as_deref();
        if let Some(technician) = config.technicians.iter().find(|technician| Some(technician.name.as_str()) == named) {
            order.record.cost = messages::labour_cost(technician, self.template) + self.template.parts_cost;
            order.record.notes = messages::notes(config, self.alert, self.template, Ok(technician));
        }
        order
    }

    fn to_order(&self, config: &ValidatedConfig, placement: Placement<'_>) -> TrackedOrder {
        let technician = placement.as_ref().map(|(_, technician)| *technician);
        let labour_cost = technician.map_or(0.0, |technician| messages::labour_cost(technician, self.template));
        TrackedOrder {
            is_waiting_for_slot: matches!(
                placement,
                Err(UnscheduledReason::HorizonFull | UnscheduledReason::PredecessorUnscheduled(_))
            ),
            is_overdue: false,
            record: WorkOrder {
                id: self.id.clone(),
                alert: self.alert.id.clone(),
                asset: self.alert.asset.clone(),
                kind: self.template.kind.clone(),
                priority: self.priority,
                status: if placement.is_ok() { OrderStatus::Planned } else { OrderStatus::Unscheduled },
                scheduled: placement.as_ref().ok().map(|(slot, _)| minute_to_nanoseconds(slot.start)),
                duration_minutes: self.template.duration_minutes,
                technician: technician.ok().map(|technician| technician.name.clone()),
                skills: self.template.skills.clone(),
                after: self.predecessors.clone(),
                cost: labour_cost + self.template.parts_cost,
                notes: messages::notes(config, self.alert, self.template, technician),
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
        let severities = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low];
        assert_eq!(severities.map(|severity| priority(severity, 3)), [1, 2, 3, 4]);
        assert_eq!(severities.map(|severity| priority(severity, 5)), [1, 1, 2, 3]);
        assert_eq!(severities.map(|severity| priority(severity, 1)), [2, 3, 4, 5]);
    }
}
