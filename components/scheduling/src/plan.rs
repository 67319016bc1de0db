//! The answer: who does which job when, what it costs, and how good it is.

use serde::{Deserialize, Serialize};

use crate::model::Slots;

/// A plan: for each job of the problem, in its order, a place or none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// One entry per job. None: the job is postponed.
    pub places: Vec<Option<Place>>,
}

/// When a job starts, and who does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// First slot.
    pub start: Slots,
    /// Indices of the technicians in the problem. They are in the order of the roles: first those of the first role.
    pub technicians: Vec<usize>,
}

/// The costs of a plan without weights, in currency, and its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Work within shifts.
    pub labour: f64,
    /// Work outside of shifts.
    pub overtime: f64,
    /// Paid travel.
    pub travel: f64,
    /// Standstill of machines.
    pub downtime: f64,
    /// Expected cost of failures.
    pub risk: f64,
    /// Ends after the due time.
    pub lateness: f64,
    /// Spare parts.
    pub parts: f64,
    /// Jobs that are left out.
    pub postponement: f64,
    /// End of the last job, in slots.
    pub makespan: Slots,
}

/// What is known about a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// No plan is better.
    Optimal,
    /// The plan satisfies every constraint; a better one may exist.
    Feasible,
    /// There is no plan.
    Infeasible,
    /// No plan was found within the limit, and none was excluded.
    Unknown,
}
