//! Plans maintenance work: which technicians do which job when, at the lowest cost.
//!
//! [`Problem`] describes the work, and [`checker`] tests a plan against it without any code of the solver.

mod bounds;
pub mod checker;
mod conflict;
mod cost_search;
mod cp;
mod crew;
mod evaluate;
pub mod formats;
mod insertion;
mod instance;
mod lagrange;
mod list_search;
mod makespan;
mod model;
mod order_search;
mod plan;
mod random;
mod reasons;
mod solver;
mod timetable;
mod validate;

pub use conflict::conflict;
pub use model::*;
pub use plan::{Costs, Place, Plan, Status};
pub use reasons::reasons;
pub use solver::{Outcome, Progress, Solver};
pub use validate::{MAX_CREW, MAX_HORIZON, MAX_JOBS, MAX_RESOURCES, MAX_TECHNICIANS, ProblemError};
