//! The scheduling problem: jobs, technicians, machines, tools, parts and the objective.
//!
//! Times are whole slots of `slot_minutes` since the start of the plan. A window `[start, end)` contains `start` and
//! not `end`. Names are unique within their list, and references are by name. The JSON form is the serde form of
//! [`Problem`]; every field with a default may be left out, and an unknown field is an error.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A time or a duration, in slots.
pub type Slots = u32;

/// Everything that the solver knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Length of a slot in minutes, 1 to 1,440.
    #[serde(default = "default_slot_minutes")]
    pub slot_minutes: u32,
    /// Number of slots of the plan; no job ends after it. 1 to 1,000,000.
    #[serde(default = "default_horizon")]
    pub horizon: Slots,
    /// What is minimised.
    #[serde(default)]
    pub objective: Objective,
    /// The work.
    pub jobs: Vec<Job>,
    /// Who can do it.
    #[serde(default)]
    pub technicians: Vec<Technician>,
    /// What is repaired.
    #[serde(default)]
    pub machines: Vec<Machine>,
    /// Tools and other resources that a job occupies while it runs.
    #[serde(default)]
    pub tools: Vec<Tool>,
    /// Spare parts that a job takes from the stock at its start.
    #[serde(default)]
    pub parts: Vec<Part>,
    /// Travel times between sites. Without an entry the travel takes no time.
    #[serde(default)]
    pub travel: Vec<Travel>,
}

fn default_slot_minutes() -> u32 {
    15
}

fn default_horizon() -> Slots {
    168 * 4
}

/// A piece of work that is not interrupted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Unique name.
    pub name: String,
    /// Length in slots. 0 is a milestone.
    pub duration: Slots,
    /// Who is needed, all during the whole job. Different roles are filled by different technicians.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crew: Vec<Role>,
    /// The machine that the job is done on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Whether the machine stands still during the job. Jobs that overlap share one stop.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stops_machine: bool,
    /// Site of the job, if it has no machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// The job does not start before this slot.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earliest_start: Slots,
    /// The job ends at this slot or before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Slots>,
    /// From this slot on each hour until the end of the job costs `lateness_cost_per_hour`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Slots>,
    /// Currency per hour, at least 0.
    #[serde(default, skip_serializing_if = "is_zero_cost")]
    pub lateness_cost_per_hour: f64,
    /// Jobs that end before this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Dependency>,
    /// Parts taken from the stock when the job starts: name and quantity.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, u32>,
    /// Tools occupied while the job runs: name and number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, u32>,
    /// If set, and the objective is the total cost, the job may be left out of the plan at this cost (currency, at
    /// least 0). Jobs after it are then left out too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postponement_cost: Option<f64>,
    /// Expected cost of a failure by the slot in which the job ends: points in ascending order, linear between them,
    /// constant before the first and after the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub risk: Vec<RiskPoint>,
    /// A start and a crew that the plan must keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pin>,
}

/// A number of technicians who have all of the skills.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Skills and the lowest level of each.
    #[serde(default)]
    pub skills: BTreeMap<String, u32>,
    /// Number of technicians, at least 1.
    #[serde(default = "one")]
    pub count: u32,
}

fn one() -> u32 {
    1
}

/// A job that has to end first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// Name of the job that ends first.
    pub job: String,
    /// Slots between its end and the start of this job, such as the time in which oil cools down.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lag: Slots,
}

/// A point of a risk curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskPoint {
    /// Slot in which the job ends.
    pub end: Slots,
    /// Expected cost in currency, at least 0.
    pub cost: f64,
}

/// What a person has fixed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Start of the job.
    pub start: Slots,
    /// The crew; empty if only the start is fixed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub technicians: Vec<String>,
}

/// A person who does jobs, one at a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Technician {
    /// Unique name.
    pub name: String,
    /// Skills with their level.
    #[serde(default)]
    pub skills: BTreeMap<String, u32>,
    /// Currency per hour, at least 0. Travel is paid too.
    #[serde(default, skip_serializing_if = "is_zero_cost")]
    pub hourly_rate: f64,
    /// Working time, ascending and disjoint. Empty, with `overtime` empty too: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shifts: Vec<Window>,
    /// Time in which the technician may work at the overtime rate, disjoint from the shifts. Overtime that touches a
    /// shift prolongs it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overtime: Vec<Window>,
    /// Time in which the technician is away, ascending and disjoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absences: Vec<Window>,
    /// Overtime rate divided by `hourly_rate`, at least 1.
    #[serde(default = "default_overtime_factor", skip_serializing_if = "is_default_overtime_factor")]
    pub overtime_factor: f64,
    /// Where each shift begins and ends, and where the technician is before and after an absence. None: the technician travels to no first and from no last job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
}

fn default_overtime_factor() -> f64 {
    1.5
}

/// Slots from `start` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// First slot.
    pub start: Slots,
    /// First slot after the window, above `start`.
    pub end: Slots,
}

/// Something that is repaired.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Unique name.
    pub name: String,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Currency per hour of standstill, at least 0.
    #[serde(default, skip_serializing_if = "is_zero_cost")]
    pub downtime_cost_per_hour: f64,
    /// When it may be stopped, ascending and disjoint. Empty: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_windows: Vec<Window>,
    /// Number of jobs on it at a time. None: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs_at_once: Option<u32>,
}

/// A tool that exists a number of times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Unique name.
    pub name: String,
    /// How many there are.
    pub count: u32,
}

/// A kind of spare part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Unique name.
    pub name: String,
    /// Free pieces at the start of the plan: those on the shelf less those reserved for other work.
    pub stock: u32,
    /// Currency per piece, at least 0.
    #[serde(default, skip_serializing_if = "is_zero_cost")]
    pub unit_cost: f64,
    /// Pieces that arrive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<Delivery>,
}

/// Pieces that arrive at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// First slot in which they can be used.
    pub at: Slots,
    /// Number of pieces.
    pub quantity: u32,
}

/// Travel time between two sites, the same in both directions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Travel {
    /// One site.
    pub from: String,
    /// The other site.
    pub to: String,
    /// Travel time.
    pub slots: Slots,
}

/// What is minimised.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// End of the last job, in slots.
    #[default]
    Makespan,
    /// Labour, overtime and travel, in currency.
    LabourCost,
    /// The weighted sum of all costs, in currency.
    TotalCost(Weights),
}

/// Factors of the costs, each at least 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
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
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            labour: 1.0,
            overtime: 1.0,
            travel: 1.0,
            downtime: 1.0,
            risk: 1.0,
            lateness: 1.0,
            parts: 1.0,
            postponement: 1.0,
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &Slots) -> bool {
    *value == 0
}

fn is_zero_cost(value: &f64) -> bool {
    *value == 0.0
}

fn is_default_overtime_factor(value: &f64) -> bool {
    *value == default_overtime_factor()
}
