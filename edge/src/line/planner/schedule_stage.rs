//! The stage schedule as the planner uses it.

use crate::components::{
    CallError, Sandbox, Scheduler,
    wit::{
        schedule::Amendment,
        types::{Alert, WorkOrder},
    },
};

/// The stage schedule: a component in the host, a plain function in a simulation.
pub(crate) trait ScheduleStage: std::fmt::Debug + Send {
    /// Adds alerts; returns the work orders that changed.
    fn push(&mut self, alerts: &[Alert]) -> Result<Vec<WorkOrder>, CallError>;
    /// Plans again from `now` (nanoseconds since 1970); returns the work orders that changed.
    fn tick(&mut self, now: i64) -> Result<Vec<WorkOrder>, CallError>;
    /// Applies users' changes to work orders; returns the work orders that changed.
    fn amend(&mut self, amendments: &[Amendment]) -> Result<Vec<WorkOrder>, CallError>;
    /// Returns all work orders of the plan.
    fn orders(&mut self) -> Result<Vec<WorkOrder>, CallError>;
    /// The state of the stage as bytes.
    fn snapshot(&mut self) -> Result<Vec<u8>, CallError>;
}

/// Opens the stage schedule.
pub(crate) trait ScheduleFactory: std::fmt::Debug + Send + Sync {
    /// Opens a new stage, or with a snapshot one that continues from it.
    fn open_schedule(&self, config: &str, snapshot: Option<&[u8]>) -> Result<Box<dyn ScheduleStage>, CallError>;
}

impl ScheduleStage for Scheduler {
    fn push(&mut self, alerts: &[Alert]) -> Result<Vec<WorkOrder>, CallError> {
        Self::push(self, alerts)
    }
    fn tick(&mut self, now: i64) -> Result<Vec<WorkOrder>, CallError> {
        Self::tick(self, now)
    }
    fn amend(&mut self, amendments: &[Amendment]) -> Result<Vec<WorkOrder>, CallError> {
        Self::amend(self, amendments)
    }
    fn orders(&mut self) -> Result<Vec<WorkOrder>, CallError> {
        Self::orders(self)
    }
    fn snapshot(&mut self) -> Result<Vec<u8>, CallError> {
        Self::snapshot(self)
    }
}

impl ScheduleFactory for Sandbox {
    fn open_schedule(&self, config: &str, snapshot: Option<&[u8]>) -> Result<Box<dyn ScheduleStage>, CallError> {
        Ok(Box::new(Scheduler::open(self, config, snapshot)?))
    }
}
