//! The objective of a plan, and of single placements, as the solver computes it.

use crate::{
    instance::{Instance, ObjectiveData, Time},
    model::Weights,
};

/// Weighted costs of placements; only for problems whose objective is a cost.
#[derive(Clone, Debug)]
pub(crate) struct CostTable {
    weights: Weights,
    /// For each technician with overtime, the number of overtime slots before each slot.
    overtime: Vec<Vec<Time>>,
    /// For each job with risk or lateness, the cost by the slot in which it ends.
    by_end: Vec<Vec<f64>>,
}

impl CostTable {
    /// None if the objective is the makespan.
    pub(crate) fn new(instance: &Instance) -> Option<Self> {
        let ObjectiveData::Cost(weights) = instance.objective else { return None };
        let slots = usize::try_from(instance.horizon).unwrap_or(0) + 1;
        let overtime = instance
            .technicians
            .iter()
            .map(|technician| {
                if technician.overtime.is_empty() {
                    return Vec::new();
                }
                let mut sums = vec![0; slots];
                let mut sum = 0;
                let mut windows = technician.overtime.iter().peekable();
                for (slot, before) in (0..instance.horizon + 1).zip(&mut sums) {
                    *before = sum;
                    while windows.peek().is_some_and(|window| window.1 <= slot) {
                        windows.next();
                    }
                    sum += Time::from(windows.peek().is_some_and(|window| window.0 <= slot));
                }
                sums
            })
            .collect();
        let by_end = instance
            .jobs
            .iter()
            .map(|job| {
                let late = job.due.filter(|_| job.lateness_per_slot > 0.0);
                if job.risk.is_empty() && late.is_none() {
                    return Vec::new();
                }
                let cost = |end: Time| {
                    let over = late.map_or(0, |due| (end - due).max(0));
                    weights.risk * risk(&job.risk, end) + weights.lateness * job.lateness_per_slot * f64::from(over)
                };
                (0..=instance.horizon).map(cost).collect()
            })
            .collect();
        Some(Self { weights, overtime, by_end })
    }

    /// Risk and lateness of a job that ends at a slot.
    pub(crate) fn by_end(&self, job: usize, end: Time) -> f64 {
        self.by_end[job].get(index(end)).copied().unwrap_or(0.0)
    }

    /// Labour and overtime of a technician between two slots.
    pub(crate) fn labour(&self, instance: &Instance, technician: usize, start: Time, end: Time) -> f64 {
        let data = &instance.technicians[technician];
        let sums = &self.overtime[technician];
        let overtime = if sums.is_empty() { 0 } else { sums[index(end)] - sums[index(start)] };
        let regular = self.weights.labour * f64::from(end - start - overtime);
        (regular + self.weights.overtime * data.overtime_factor * f64::from(overtime)) * data.rate_per_slot
    }

    /// Travel of a technician.
    pub(crate) fn travel(&self, instance: &Instance, technician: usize, slots: Time) -> f64 {
        self.weights.travel * instance.technicians[technician].rate_per_slot * f64::from(slots)
    }

    /// Standstill of a machine.
    pub(crate) fn downtime(&self, instance: &Instance, machine: usize, slots: Time) -> f64 {
        self.weights.downtime * instance.machines[machine].downtime_per_slot * f64::from(slots)
    }

    /// Parts of a job.
    pub(crate) fn parts(&self, instance: &Instance, job: usize) -> f64 {
        self.weights.parts * instance.jobs[job].parts_cost
    }

    /// Cost of a job that is left out. None: it may not be.
    pub(crate) fn postponed(&self, instance: &Instance, job: usize) -> Option<f64> {
        let data = &instance.jobs[job];
        let risk = self.weights.risk * risk(&data.risk, instance.horizon);
        data.postponement.map(|cost| self.weights.postponement * cost + risk)
    }
}

fn risk(points: &[(Time, f64)], end: Time) -> f64 {
    let next = points.partition_point(|point| point.0 < end);
    match (next.checked_sub(1).map(|place| points[place]), points.get(next)) {
        (None, None) => 0.0,
        (None, Some(first)) => first.1,
        (Some(last), None) => last.1,
        (Some(before), Some(after)) => {
            before.1 + (after.1 - before.1) * f64::from(end - before.0) / f64::from(after.0 - before.0)
        }
    }
}

pub(crate) fn index(time: Time) -> usize {
    usize::try_from(time).unwrap_or(0)
}
