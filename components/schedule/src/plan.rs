//! The list scheduler: jobs by urgency, each at its earliest slot.
//!
//! Serial schedule generation with a priority rule (Kolisch, "Serial and parallel resource-constrained project
//! scheduling methods revisited", European Journal of Operational Research 90, 1996): jobs are taken in the order
//! (priority, opening of the alert, alert id, place in the catalogue), and each is placed at the earliest time that its
//! predecessors, the technicians and the asset allow. Work that has begun stays where it is.

use std::collections::BTreeMap;

use crate::calendar::{LAST_MINUTE, Span, minute_at_or_after, next_five_minutes, time_of};
use crate::catalogue::JobKind;
use crate::config::{Plant, Technician};
use crate::orders::{self, Order};
use crate::place::{Busy, Free};
use crate::words::{self, Unplaced};
use crate::{Alert, OrderStatus, Severity, WorkOrder};

/// A slot that was given is given up for an earlier one only when that gains this many minutes, so that the plan does
/// not churn.
const WORTH_MOVING: i64 = 60;

/// A job that an open alert asks for.
struct Job<'a> {
    id: String,
    priority: u8,
    alert: &'a Alert,
    position: usize,
    kind: &'a JobKind,
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

/// Every order that the open alerts ask for, by id; those that have begun at `now` as they are in `last`.
pub(crate) fn plan(
    plant: &Plant,
    now: i64,
    alerts: &BTreeMap<String, Alert>,
    last: &BTreeMap<String, Order>,
) -> BTreeMap<String, Order> {
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for alert in alerts.values() {
        let priority = priority(alert.severity, plant.criticality(&alert.asset));
        for (position, kind) in plant.catalogue.jobs(alert.fault_mode.as_deref()).iter().enumerate() {
            jobs.push(Job { id: orders::id(&alert.id, &kind.kind), priority, alert, position, kind });
        }
    }
    jobs.sort_by(|a, b| {
        let key = |job: &Job<'_>| (job.priority, job.alert.opened);
        key(a).cmp(&key(b)).then_with(|| a.alert.id.cmp(&b.alert.id)).then(a.position.cmp(&b.position))
    });

    let mut board = Board::new(plant, now, last);
    let mut planned: BTreeMap<String, Order> = BTreeMap::new();
    for job in jobs {
        let last = last.get(&job.id);
        let order = match last.filter(|order| order.started(now)) {
            Some(order) => order.clone(),
            None => {
                let after: Vec<String> = job.kind.after.iter().map(|kind| orders::id(&job.alert.id, kind)).collect();
                let found = ready(&job, &after, &planned)
                    .and_then(|ready| board.find(&job, ready, last.and_then(|order| Some((order, order.slot()?)))));
                job.order(plant, after, found)
            }
        };
        planned.insert(job.id, order);
    }
    planned
}

/// When the last of a job's predecessors ends.
fn ready(job: &Job<'_>, after: &[String], planned: &BTreeMap<String, Order>) -> Result<i64, Unplaced> {
    let mut ready = i64::MIN;
    for (id, kind) in after.iter().zip(&job.kind.after) {
        match planned.get(id).and_then(Order::slot) {
            Some(slot) => ready = ready.max(slot.to),
            None => return Err(Unplaced::Waits(kind.clone())),
        }
    }
    Ok(ready)
}

impl Job<'_> {
    fn order(&self, plant: &Plant, after: Vec<String>, found: Result<(i64, &Technician), Unplaced>) -> Order {
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
                scheduled: found.as_ref().ok().map(|(start, _)| time_of(*start)),
                duration_minutes: self.kind.duration_minutes,
                technician: placed.ok().map(|technician| technician.name.clone()),
                skills: self.kind.skills.clone(),
                after,
                cost: labour + self.kind.parts_cost,
                notes: words::notes(plant, self.alert, self.kind, placed),
            },
        }
    }
}

/// Index of a technician; they are in order of their names.
fn position(plant: &Plant, name: &str) -> Option<usize> {
    plant.technicians.binary_search_by(|technician| technician.name.as_str().cmp(name)).ok()
}

/// Who and what is free, while a plan is made.
struct Board<'a> {
    plant: &'a Plant,
    /// The first minute that can be given.
    from: i64,
    /// By the technicians' order.
    free: Vec<Free>,
    busy: BTreeMap<String, Busy>,
    /// Who can do what, by skills: indices of technicians.
    able: BTreeMap<Vec<String>, Vec<usize>>,
}

impl<'a> Board<'a> {
    fn new(plant: &'a Plant, now: i64, last: &BTreeMap<String, Order>) -> Self {
        let from = next_five_minutes(now);
        let until = (minute_at_or_after(now) + plant.horizon).min(LAST_MINUTE);
        let free = plant.technicians.iter().map(|technician| Free::new(technician.roster.spans(from, until))).collect();
        let mut board = Self { plant, from, free, busy: BTreeMap::new(), able: BTreeMap::new() };
        for order in last.values().filter(|order| order.started(now)) {
            if let Some(slot) = order.slot().filter(|slot| slot.to > from) {
                board.take(order.record.technician.as_deref(), &order.record.asset, slot);
            }
        }
        board
    }

    fn take(&mut self, technician: Option<&str>, asset: &str, slot: Span) {
        let index = technician.and_then(|name| position(self.plant, name));
        if let Some(free) = index.and_then(|index| self.free.get_mut(index)) {
            free.take(slot);
        }
        self.busy.entry(asset.to_owned()).or_default().add(slot);
    }

    /// Gives a job its slot: the one it had, or else the earliest, then the cheapest, then the first by name.
    fn find(
        &mut self,
        job: &Job<'_>,
        ready: i64,
        had: Option<(&Order, Span)>,
    ) -> Result<(i64, &'a Technician), Unplaced> {
        let plant = self.plant;
        let able = self.able.entry(job.kind.skills.clone()).or_insert_with(|| {
            let can = |technician: &Technician| job.kind.skills.iter().all(|skill| technician.skills.contains(skill));
            (0..).zip(&plant.technicians).filter(|(_, technician)| can(technician)).map(|(index, _)| index).collect()
        });
        let duration = i64::from(job.kind.duration_minutes);
        let earliest = ready.max(self.from);
        let nothing = Busy::default();
        let asset = self.busy.get(&job.alert.asset).unwrap_or(&nothing);
        let mut best: Option<(i64, usize, &Technician)> = None;
        for &index in able.iter() {
            let (Some(free), Some(technician)) = (self.free.get(index), plant.technicians.get(index)) else { continue };
            let latest = best.map_or(i64::MAX, |(start, ..)| start);
            if let Some(start) = free.earliest(earliest, latest, duration, asset) {
                let better = best.is_none_or(|(first, _, other)| {
                    start < first || (start == first && technician.hourly_cost < other.hourly_cost)
                });
                if better {
                    best = Some((start, index, technician));
                }
            }
        }
        let Some(best) = best else {
            return Err(if plant.technicians.is_empty() {
                Unplaced::NoTechnicians
            } else if able.is_empty() {
                Unplaced::NoSkills
            } else {
                let stretches = able.iter().filter_map(|index| plant.technicians.get(*index));
                let longest = stretches.map(|technician| technician.roster.longest).max().unwrap_or(0);
                if longest < duration { Unplaced::ShortShifts(longest) } else { Unplaced::Full }
            });
        };
        let kept = had.and_then(|(order, slot)| {
            let index = position(plant, order.record.technician.as_deref()?)?;
            let still_fits = able.contains(&index)
                && slot.to - slot.from == duration
                && slot.from >= earliest
                && slot.from < best.0 + WORTH_MOVING
                && self.free.get(index)?.allows(slot)
                && asset.allows(slot);
            still_fits.then_some((slot.from, index, plant.technicians.get(index)?))
        });
        let (start, _, technician) = kept.unwrap_or(best);
        self.take(Some(&technician.name), &job.alert.asset, Span { from: start, to: start + duration });
        Ok((start, technician))
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
